"""How many multiply-accumulates a call executes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


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
    counter = FlopCounterMode(display=False)
    # torch has no count for the fused attention kernel of the CPU; the plain one consists of counted products.
    with torch.no_grad(), _eval_mode(function_or_module), sdpa_kernel(SDPBackend.MATH), counter:
        function_or_module(*inputs)
    return counter.get_total_flops() // 2


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
