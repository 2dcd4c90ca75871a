"""Features as pictures of three channels, for an image codec (docs/papers.md#codec-feature). No torch.

Each group of channels is scaled by its own minimum and maximum to 0 … 255 and rounded. The minima and maxima are sent
as float32, in a separate stream before the pictures.
"""

import numpy as np
from numpy.typing import NDArray

LEVELS = 255
SIDE_DTYPE = np.dtype("<f4")
"""Minima and maxima on the wire."""

Features = NDArray[np.float32]
Picture = NDArray[np.uint8]


def group_sizes(channels: int) -> list[int]:
    """Return the number of channels of each picture: 3, then 1 for each of the one or two that are left over."""
    return [3] * (channels // 3) + [1] * (channels % 3)


def to_pictures(features: Features) -> tuple[list[Picture], Features]:
    """Scale each group of channels to 8 bits.

    Args:
        features: Float32 [C, H, W], finite.

    Returns:
        One uint8 array per group, [H, W, 3] or [H, W]; and float32 [2, groups], the minima and maxima. A constant group
        becomes all zeros.
    """
    groups = np.split(features, np.cumsum(group_sizes(len(features)))[:-1])
    bounds = np.array([[group.min() for group in groups], [group.max() for group in groups]], dtype=SIDE_DTYPE)
    pictures = []
    for group, low, high in zip(groups, *bounds, strict=True):
        scale = LEVELS / (high - low) if high > low else 0.0
        levels = np.rint((group - low) * scale).clip(0, LEVELS).astype(np.uint8)
        pictures.append(levels[0] if len(levels) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0)))
    return pictures, bounds


def from_pictures(pictures: list[Picture], bounds: Features) -> Features:
    """Return the features, float32 [C, H, W], of pictures and bounds from `to_pictures`: its inverse up to rounding."""
    groups = []
    for picture, low, high in zip(pictures, *bounds, strict=True):
        levels = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
        groups.append(levels.astype(np.float32) * ((high - low) / LEVELS) + low)
    return np.concatenate(groups).astype(np.float32)
