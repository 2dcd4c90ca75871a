"""Where an image lies in the network's input, and the way back. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Placement:
    """How `sc2.data.transform.prepare_image` brings an image into the network's input. All sizes are in pixels.

    Attributes:
        original: Width and height of the stored image.
        resized: Width and height after resizing.
        left: Columns of the resized image that are cut off at the left.
        top: Rows that are cut off at the top.
        size: Width and height of the network's input; what lies beyond the resized image is padding.
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    left: int
    top: int
    size: tuple[int, int]

    @classmethod
    def of(cls, original: tuple[int, int], spec: Mapping[str, Any]) -> Placement:
        """Return the placement of an image of a width and height for an input specification."""
        resize, crop = int(spec["resize"]), int(spec["crop"])
        short, long = sorted(original)
        other = resize if short == long else int(resize * long / short)
        resized = (resize, other) if original[0] <= original[1] else (other, resize)
        if short == resize:
            resized = original
        left, top = round((resized[0] - crop) / 2), round((resized[1] - crop) / 2)
        return cls(original, resized, left, top, (crop, crop))

    @property
    def visible(self) -> tuple[int, int]:
        """Width and height of the part of the input that shows the image; the rest, right and bottom, is padding."""
        return min(self.size[0], self.resized[0] - self.left), min(self.size[1], self.resized[1] - self.top)

    def boxes_in(self, boxes: np.ndarray) -> np.ndarray:
        """Bring boxes float [n, 4] (x0, y0, x1, y1) of the stored image into the input, cut off at its edges."""
        moved = boxes * self._scale - self._offset
        return self._clipped(moved, self.visible)

    def boxes_out(self, boxes: np.ndarray) -> np.ndarray:
        """Bring boxes of the input back to the stored image, cut off at its edges."""
        inside = self._clipped(boxes, self.visible)
        return self._clipped((inside + self._offset) / self._scale, self.original)

    def mask_in(self, mask: np.ndarray, *, padding: int) -> np.ndarray:
        """Bring a mask uint8 [H, W] of the stored image into the input; `padding` stands where there is no image."""
        resized = _resized(mask, self.resized)
        width, height = self.visible
        placed = np.full(self.size[::-1], padding, np.uint8)
        placed[:height, :width] = resized[self.top : self.top + height, self.left : self.left + width]
        return placed

    def mask_out(self, mask: np.ndarray, *, outside: int) -> np.ndarray:
        """Bring a mask of the input back to the stored image; `outside` stands where the input shows nothing of it."""
        width, height = self.visible
        resized = np.full(self.resized[::-1], outside, np.uint8)
        resized[self.top : self.top + height, self.left : self.left + width] = mask[:height, :width]
        return _resized(resized, self.original)

    @property
    def _scale(self) -> np.ndarray:
        factors = self.resized[0] / self.original[0], self.resized[1] / self.original[1]
        return np.array([*factors, *factors])

    @property
    def _offset(self) -> np.ndarray:
        return np.array([self.left, self.top, self.left, self.top], np.float64)

    @staticmethod
    def _clipped(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return np.clip(boxes, 0, np.array([*size, *size], np.float64))


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if mask.shape == size[::-1]:
        return mask
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
