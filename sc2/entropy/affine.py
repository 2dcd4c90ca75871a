"""8-bit affine quantisation of a tensor over its own range (docs/papers.md#affine-quantiser), on either kind of array.

    scale = (max - min) / 255        zero_point = int(clamp(-min / scale, 0, 255))
    q = uint8(round(clamp(zero_point + x / scale, 0, 255)))        x_hat = scale · (q - zero_point)

A device has numpy arrays, a training torch tensors; what both have is all that is used here, so that both give the same
symbols. On the wire: scale as float32, little-endian, zero point as uint8, then the symbols uncompressed, a byte each.
"""

import math
import struct
from typing import Any

import numpy as np

from sc2.errors import WireError

LEVELS = 255
SIDE = struct.Struct("<fB")
"""Scale and zero point on the wire."""


def quantised(x: Any) -> tuple[Any, float, int]:
    """Return the symbols of an array, the step between two of them, and the symbol that stands for 0.

    Where 0 lies outside the range, the zero point is clamped and values beyond 255 steps are clipped, as in the
    formula's source; after a batch norm that does not happen.

    Args:
        x: float32 [1, C, h, w], or with other dimensions, a numpy array or a torch tensor; a constant one is restored
            exactly.

    Returns:
        Symbols, whole numbers 0 … 255 in the shape, kind and type of x; the scale, positive; the zero point, 0 … 255.

    Raises:
        WireError: A value is not finite.
    """
    # With a dimension of their own, because numpy computes scalars and whole numbers in double precision.
    low, high = x.min().reshape(1), x.max().reshape(1)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = (high - low) / LEVELS
    if not math.isfinite(scale.item()):
        raise WireError(
            f"a tensor with values from {low.item():g} to {high.item():g} cannot be quantised; is the model sound?"
        )
    if scale.item() == 0:
        # The formula would divide by zero. One step of the value's magnitude represents it.
        value = low.item()
        return x * 0 + float(value > 0), abs(value) or 1.0, int(value < 0)
    zero_point = int((-low / scale).clip(0, LEVELS).item())
    return (zero_point + x / scale).clip(0, LEVELS).round(), scale.item(), zero_point


def packed(scale: float, zero_point: int, symbols: bytes) -> bytes:
    """Return what is sent: both numbers, and the symbols, a byte each."""
    return SIDE.pack(scale, zero_point) + symbols
