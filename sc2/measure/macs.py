"""How many multiply-accumulates a call executes.

Counted where Python calls torch's operators, by the shapes that go in and come out. `torch.utils.flop_counter` counts
the same (the tests compare both over every network) one level further down, but drags in the compiler: three seconds
in each of a workflow's many small jobs.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode


def count_macs(function_or_module: Callable[..., Any], *inputs: Any) -> int:
    """Run a call once and return its multiply-accumulates.

    Counted are convolutions (transposed ones by their input's positions), linear layers, matrix products and
    attention, for the whole batch. A convolution's positions on padding count in full. Not counted: biases, norms as
    such, activations, pooling and entropy coding; the 1 × 1 convolution inside GDN does count.

    Args:
        function_or_module: What to run. A module runs in eval mode, so that its batch-norm statistics stay as they
            are, and has its mode back afterwards; a function runs as it is.
        *inputs: Arguments of the call; on the device of the parameters.

    Returns:
        Multiply-accumulates, that is half of torch's FLOPs.
    """
    counter = _Counter()
    with torch.no_grad(), _eval_mode(function_or_module), counter:
        function_or_module(*inputs)
    return counter.macs


class _Counter(TorchFunctionMode):
    """Sees every operator that Python calls while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in _MACS:
            self.macs += _MACS[func](out, *args, **(kwargs or {}))
        return out


def _convolution(out: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    return out.numel() * weight[0].numel()


def _transposed(out: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    return input.numel() * weight[0].numel()


def _product(out: Tensor, left: Tensor, *_: Any, **__: Any) -> int:
    return out.numel() * left.shape[-1]


def _added_product(out: Tensor, _added: Tensor, left: Tensor, *_: Any, **__: Any) -> int:
    return out.numel() * left.shape[-1]


def _attention(out: Tensor, query: Tensor, key: Tensor, *_: Any, **__: Any) -> int:
    # Scores are query · key over the head's width; the answer is scores · values.
    return key.shape[-2] * (query.numel() + out.numel())


_MACS: dict[Callable[..., Any], Callable[..., int]] = {
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), _convolution),
    **dict.fromkeys((torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d), _transposed),
    **dict.fromkeys((functional.linear, torch.matmul, torch.mm, torch.bmm), _product),
    **dict.fromkeys((Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm), _product),
    **dict.fromkeys((torch.addmm, torch.baddbmm), _added_product),
    functional.scaled_dot_product_attention: _attention,
}


@contextmanager
def _eval_mode(function_or_module: Callable[..., Any]) -> Iterator[None]:
    modules = list(function_or_module.modules()) if isinstance(function_or_module, nn.Module) else []
    modes = [module.training for module in modules]
    try:
        if isinstance(function_or_module, nn.Module):
            function_or_module.eval()
        yield
    finally:
        # One by one: a frozen batch norm may be in another mode than the module around it.
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
