"""How many multiply-accumulates a call executes.

Counted where Python calls torch's operators, by the shapes that go in and come out. `torch.utils.flop_counter` counts
the same (the tests compare both over every network) one level further down, but drags in the compiler: three seconds
in each of a workflow's many small jobs.

Nothing is left out in silence: a module with a weight matrix that ran without a counted operator is an error, and so is
an operator that multiplies and has no count here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode, resolve_name

from sc2.errors import ConfigError


def count_macs(function_or_module: Callable[..., Any], *inputs: Any) -> int:
    """Run a call once and return its multiply-accumulates.

    Counted are convolutions (transposed ones by their input's positions), linear layers, matrix products, `einsum` of
    two tensors, attention and recurrent layers, for the whole batch. A convolution's positions on padding count in
    full. Not counted: biases, norms as such, activations, pooling and entropy coding; the 1 × 1 convolution inside GDN
    does count.

    Args:
        function_or_module: What to run. A module runs in eval mode, so that its batch-norm statistics stay as they
            are, and has its mode back afterwards; a function runs as it is.
        *inputs: Arguments of the call; on the device of the parameters.

    Returns:
        Multiply-accumulates, that is half of torch's FLOPs.

    Raises:
        ConfigError: Something multiplies that has no count here; the message names it.
    """
    counter = _Counter()
    with torch.no_grad(), _eval_mode(function_or_module), _watched(counter), counter:
        function_or_module(*inputs)
    return counter.macs


@contextmanager
def _watched(counter: "_Counter") -> Iterator[None]:
    """Refuse every module that runs inside, has a weight of two or more dimensions, and calls no counted operator."""
    before: list[int] = []

    def enter(module: nn.Module, _inputs: Any) -> None:
        before.append(counter.operators)

    def leave(module: nn.Module, _inputs: Any, _output: Any) -> None:
        seen = counter.operators - before.pop()
        matrices = [name for name, weight in module.named_parameters(recurse=False) if weight.ndim > 1]
        if matrices and not seen and not isinstance(module, nn.LayerNorm):
            raise ConfigError(
                f"{type(module).__name__} has the weights {', '.join(matrices)}, but none of its operators is counted: "
                "its multiply-accumulates are not known; add what it calls to sc2/measure/macs.py"
            )

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Counter(TorchFunctionMode):
    """Sees every operator that Python calls while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.macs, self.operators = 0, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in _REFUSED:
            raise ConfigError(f"{resolve_name(func)} multiplies, but has no count; add it to sc2/measure/macs.py")
        if func in _MACS:
            self.macs += _MACS[func](out, *args, **(kwargs or {}))
            self.operators += 1
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
    # Scores are query · key over the head's width; the output is scores · values.
    return key.shape[-2] * (query.numel() + out.numel())


def _multi_head(
    _out: Any, query: Tensor, key: Tensor, value: Tensor, width: int, _heads: int, *rest: Any, **options: Any
) -> int:
    # Python sees one call: projections of all three, scores, scores · values, projection of the output.
    _in_weight, _in_bias, key_bias, value_bias, zero_key, *_ = rest
    if key_bias is not None or value_bias is not None or zero_key:
        raise ConfigError("attention with an extra key has no count; add it to sc2/measure/macs.py")
    return width * (2 * query.numel() + key.numel() + value.numel()) + 2 * query.numel() * key.shape[0]


def _einsum(_out: Tensor, equation: str, *operands: Any, **_: Any) -> int:
    tensors: Sequence[Tensor] = operands[0] if isinstance(operands[0], list | tuple) else operands
    inputs = equation.replace(" ", "").partition("->")[0].split(",")
    if len(tensors) != 2 or "." in equation:
        raise ConfigError(f"einsum '{equation}' has no count: two tensors, without an ellipsis, have one")
    sizes: dict[str, int] = {}
    for labels, tensor in zip(inputs, tensors, strict=True):
        sizes |= dict(zip(labels, tensor.shape, strict=True))
    return math.prod(sizes.values())


def _recurrent(_out: Any, input: Tensor, *rest: Any, **_: Any) -> int:
    # Every weight matrix is applied once per position of every sequence.
    weights: list[Tensor] = next(value for value in rest if isinstance(value, list))
    return input[..., 0].numel() * sum(weight.numel() for weight in weights if weight.ndim == 2)


_MACS: dict[Callable[..., Any], Callable[..., int]] = {
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), _convolution),
    **dict.fromkeys((torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d), _transposed),
    **dict.fromkeys((functional.linear, torch.matmul, torch.mm, torch.bmm), _product),
    **dict.fromkeys((Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm), _product),
    **dict.fromkeys((torch.addmm, torch.baddbmm, Tensor.addmm, Tensor.baddbmm), _added_product),
    functional.scaled_dot_product_attention: _attention,
    functional.multi_head_attention_forward: _multi_head,
    torch.functional.einsum: _einsum,
    **dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), _recurrent),
}

_REFUSED: frozenset[Callable[..., Any]] = frozenset(
    {
        *(torch.functional.tensordot, torch.functional.chain_matmul, torch.linalg.multi_dot, torch.functional.cdist),
        *(functional.bilinear, torch.addbmm, torch.addmv, torch.mv, torch.dot, torch.inner, torch.addr),
        *(Tensor.addbmm, Tensor.addmv, Tensor.mv, Tensor.dot, Tensor.inner, Tensor.addr),
        *(torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell),
    }
)
"""What multiplies and is used by no network here."""


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
