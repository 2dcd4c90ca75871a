"""The affine quantiser of CR+BQ (Jacob et al., CVPR 2018; docs/papers.md#affine-quantiser) on tensors, and its bytes.

`sc2.entropy.affine` has the formula. The tensor's own range is sent with it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sc2.entropy.affine import LEVELS, SIDE, packed, quantised
from sc2.errors import WireError

SIDE_BYTES = SIDE.size
"""Bytes of scale and zero point on the wire."""


class Quantized(NamedTuple):
    """A quantised tensor.

    Attributes:
        symbols: uint8, in the shape of the tensor.
        scale: Step between two symbols, positive.
        zero_point: Symbol that represents 0, in 0 … 255.
    """

    symbols: Tensor
    scale: float
    zero_point: int


def quantize(x: Tensor) -> Quantized:
    """Quantise a tensor [1, C, h, w] (any shape works) over its own range; see `sc2.entropy.affine.quantised`."""
    symbols, scale, zero_point = quantised(x)
    return Quantized(symbols.to(torch.uint8), scale, zero_point)


def dequantize(quantized: Quantized) -> Tensor:
    """Return the tensor that the symbols [1, C, h, w] represent, float32 of the same shape."""
    return quantized.scale * (quantized.symbols.float() - quantized.zero_point)


def through_quantizer(batch: Tensor) -> Tensor:
    """Return a batch [B, …] as received when each item is quantised over its own range; the shape is kept."""
    return torch.cat([dequantize(quantize(item)) for item in batch.split(1)])


def to_bytes(quantized: Quantized) -> bytes:
    """Return scale, zero point and symbols [1, C, h, w] as bytes."""
    return packed(quantized.scale, quantized.zero_point, quantized.symbols.contiguous().numpy().tobytes())


def from_bytes(data: bytes, shape: Sequence[int]) -> Quantized:
    """Return the tensor that `to_bytes` wrote, with symbols of `shape`, e.g. [1, C, h, w].

    Raises:
        WireError: The bytes do not fit a tensor of this shape.
    """
    expected = SIDE_BYTES + int(torch.Size(shape).numel())
    if len(data) != expected:
        raise WireError(f"{len(data)} bytes, but a quantised tensor of shape {tuple(shape)} has {expected}")
    scale, zero_point = SIDE.unpack_from(data)
    if not 0 < scale <= torch.finfo(torch.float32).max / LEVELS:
        raise WireError(f"the step between two symbols is {scale:g}; it and {LEVELS} of it must be positive and finite")
    # A copy: torch wants memory that may be written to.
    symbols = torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=SIDE_BYTES).reshape(tuple(shape))
    return Quantized(symbols, scale, zero_point)
