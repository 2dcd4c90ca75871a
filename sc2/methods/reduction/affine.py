"""8-bit affine quantisation of a tensor (Jacob et al., CVPR 2018, as used for CR+BQ), and its bytes.

Source: docs/papers.md#affine-quantiser.

    scale = (max - min) / 255        zero_point = int(clamp(-min / scale, 0, 255))
    q = uint8(round(clamp(zero_point + x / scale, 0, 255)))        x_hat = scale · (q - zero_point)

The tensor's own range is sent with it. On the wire: scale as float32, little-endian, zero point as uint8, then the
symbols uncompressed, one byte each.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sc2.errors import WireError

LEVELS = 255
_SIDE = struct.Struct("<fB")
SIDE_BYTES = _SIDE.size
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
    """Quantise a tensor [1, C, h, w] (any shape works) over its own range; a constant one is restored exactly.

    Where 0 lies outside the range, the zero point is clamped and values beyond 255 steps are clipped, as in the
    formula's source; after a batch norm that does not happen.

    Raises:
        WireError: A value is not finite.
    """
    low, high = x.min(), x.max()
    scale = (high - low) / LEVELS
    if not torch.isfinite(scale):
        raise WireError(f"a tensor with values from {low:g} to {high:g} cannot be quantised; is the model sound?")
    if scale == 0:
        # The formula would divide by zero. One step of the value's magnitude represents it.
        value = float(low)
        return Quantized(torch.full_like(x, value > 0, dtype=torch.uint8), abs(value) or 1.0, int(value < 0))
    zero_point = int((-low / scale).clamp(0, LEVELS))
    symbols = (zero_point + x / scale).clamp(0, LEVELS).round().to(torch.uint8)
    return Quantized(symbols, float(scale), zero_point)


def dequantize(quantized: Quantized) -> Tensor:
    """Return the tensor that the symbols [1, C, h, w] represent, float32 of the same shape."""
    return quantized.scale * (quantized.symbols.float() - quantized.zero_point)


def through_quantizer(batch: Tensor) -> Tensor:
    """Return a batch [B, …] as received when each item is quantised over its own range; the shape is kept."""
    return torch.cat([dequantize(quantize(item)) for item in batch.split(1)])


def to_bytes(quantized: Quantized) -> bytes:
    """Return scale, zero point and symbols [1, C, h, w] as bytes."""
    side = _SIDE.pack(quantized.scale, quantized.zero_point)
    return side + quantized.symbols.contiguous().numpy().tobytes()


def from_bytes(data: bytes, shape: Sequence[int]) -> Quantized:
    """Return the tensor that `to_bytes` wrote, with symbols of `shape`, e.g. [1, C, h, w].

    Raises:
        WireError: The bytes do not fit a tensor of this shape.
    """
    expected = SIDE_BYTES + int(torch.Size(shape).numel())
    if len(data) != expected:
        raise WireError(f"{len(data)} bytes, but a quantised tensor of shape {tuple(shape)} has {expected}")
    scale, zero_point = _SIDE.unpack_from(data)
    if not 0 < scale <= torch.finfo(torch.float32).max / LEVELS:
        raise WireError(f"the step between two symbols is {scale:g}; it and {LEVELS} of it must be positive and finite")
    # A copy: torch wants memory that may be written to.
    symbols = torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=SIDE_BYTES).reshape(tuple(shape))
    return Quantized(symbols, scale, zero_point)
