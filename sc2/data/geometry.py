"""How an image is placed in the network's input, and how boxes and masks are mapped there and back. No torch.

Sizes are (width, height) in pixels, as in Pillow. Edges of boxes are real numbers: the left edge of an image is
0, its right edge its width, so scaling an image scales its boxes by the same factors, without an offset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sc2.data.spec import Interpolation, SizeSpec
from sc2.errors import DataError

Size = tuple[int, int]
Mask = NDArray[np.uint8]

INTERPOLATIONS: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


LONGEST_FACTOR = 16
"""Largest ratio of the long side to the short one where the long side of a whole image is not limited."""

_ROOM_PX = 2**24
_ROOM_FACTOR = 16
"""An image is resized whole and then cropped up to this many pixels, or this many times the pixels that are kept."""


@dataclass(frozen=True)
class Placement:
    """How `sc2.data.transform.prepare_image` places an image in the network's input. All sizes are in pixels.

    Attributes:
        original: Width and height of the upright stored image.
        resized: Width and height after resizing.
        left: Columns of the resized image that are cropped at the left.
        top: Rows that are cropped at the top.
        size: Width and height of the network's input; everything outside the resized image is padding.
    """

    original: Size
    resized: Size
    left: int
    top: int
    size: Size

    @classmethod
    def of(cls, original: Size, spec: SizeSpec) -> Placement:
        """Return the placement of an image of the given size.

        Args:
            original: Width and height of the upright image.
            spec: With `fit: crop` the centre square of `crop` pixels is kept. With `fit: whole` the long side is at
                most `longest` pixels, and both sides are rounded up to a multiple of `multiple`.

        Raises:
            DataError: With `fit: whole` and no `longest`, the image is more than `LONGEST_FACTOR` times as long as
                wide.
        """
        if spec.square is not None:
            resized = resized_to(original, spec.resize, None)
            left, top = round((resized[0] - spec.square) / 2), round((resized[1] - spec.square) / 2)
            return cls(original, resized, left, top, (spec.square, spec.square))
        resized = resized_to(original, spec.resize, spec.longest)
        if spec.longest is None and max(resized) > LONGEST_FACTOR * spec.resize:
            raise DataError(
                f"an image of {original[0]} × {original[1]} pixels would become {resized[0]} × {resized[1]}. Set "
                "input.longest, or remove the image."
            )
        return cls(original, resized, 0, 0, (_up(resized[0], spec.multiple), _up(resized[1], spec.multiple)))

    @property
    def visible(self) -> Size:
        """Width and height of the part of the input that shows the image; the rest, right and bottom, is padding."""
        return min(self.size[0], self.resized[0] - self.left), min(self.size[1], self.resized[1] - self.top)

    @property
    def keeps(self) -> bool:
        """Whether the input is the stored image itself: neither resized nor cropped nor padded."""
        return self.original == self.resized == self.size

    def unpadded(self) -> Placement:
        """Return the same placement in an input without padding."""
        return replace(self, size=self.visible)

    @property
    def _is_line(self) -> bool:
        """Whether so little of the resized image is kept that it is never computed as a whole."""
        (width, height), (columns, rows) = self.resized, self.visible
        return width * height > max(_ROOM_PX, _ROOM_FACTOR * columns * rows)

    def image_in(self, image: Image.Image, interpolation: Interpolation) -> Image.Image:
        """Place an image in the input, padded with black; an image that already fits is returned unchanged.

        Of a very elongated image, such as 1 × 20000, only the part that is kept is resized. Pillow then rounds pixel
        positions and may resize rows before columns: values differ by one level, or slightly more where a bicubic
        filter overshoots.
        """
        if self._is_line:
            left, top, right, bottom = (np.array([0, 0, *self.visible]) + self._offset) / self._scale
            box = (left, top, min(right, self.original[0]), min(bottom, self.original[1]))
            image = image.resize(self.visible, INTERPOLATIONS[interpolation], box)
            return image if self.size == self.visible else image.crop((0, 0, *self.size))
        if self.resized != self.original:
            image = image.resize(self.resized, INTERPOLATIONS[interpolation])
        if self.size == self.resized:
            return image
        # Pillow fills what lies outside of the image with zeros.
        return image.crop((self.left, self.top, self.left + self.size[0], self.top + self.size[1]))

    def boxes_in(self, boxes: NDArray[Any]) -> NDArray[np.float64]:
        """Map boxes of the stored image to the input, clipped to the visible part.

        Args:
            boxes: x0, y0, x1, y1 in pixels, [N, 4].

        Returns:
            float64 [N, 4]; a box of which nothing is visible has no width or no height.
        """
        return _clipped(boxes * self._scale - self._offset, self.visible)

    def boxes_out(self, boxes: NDArray[Any]) -> NDArray[np.float64]:
        """Map boxes [N, 4] of the input back to the stored image, clipped to it: float64 [N, 4]."""
        return _clipped((_clipped(boxes, self.visible) + self._offset) / self._scale, self.original)

    def mask_in(self, mask: Mask, *, padding: int) -> Mask:
        """Map a mask of the stored image to the input without mixing values.

        Args:
            mask: uint8 [H, W] of the image.
            padding: Value of pixels outside the image.

        Returns:
            uint8, height and width of the input.
        """
        width, height = self.visible
        placed = np.full(self.size[::-1], padding, np.uint8)
        if self._is_line:
            columns = _nearest(self.left + np.arange(width), self.resized[0], self.original[0])
            rows = _nearest(self.top + np.arange(height), self.resized[1], self.original[1])
            placed[:height, :width] = mask[rows][:, columns]
            return placed
        resized = _scaled(mask, self.resized)
        placed[:height, :width] = resized[self.top : self.top + height, self.left : self.left + width]
        return placed

    def mask_out(self, mask: Mask, *, outside: int) -> Mask:
        """Map a mask of the input back to the stored image without mixing values.

        Args:
            mask: uint8 [H, W] of the input.
            outside: Value of the part of the image that was cropped.

        Returns:
            uint8, height and width of the stored image.
        """
        width, height = self.visible
        if self._is_line:
            columns = _nearest(np.arange(self.original[0]), self.original[0], self.resized[0]) - self.left
            rows = _nearest(np.arange(self.original[1]), self.original[1], self.resized[1]) - self.top
            inside = np.outer((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
            nearest = mask[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]
            return np.where(inside, nearest, np.uint8(outside))
        resized = np.full(self.resized[::-1], outside, np.uint8)
        resized[self.top : self.top + height, self.left : self.left + width] = mask[:height, :width]
        return _scaled(resized, self.original)

    @property
    def _scale(self) -> NDArray[np.float64]:
        factors = self.resized[0] / self.original[0], self.resized[1] / self.original[1]
        return np.array([*factors, *factors])

    @property
    def _offset(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], np.float64)


def nominal_size(spec: SizeSpec) -> Size:
    """Return the size (width, height) of the network's input for which costs are reported.

    `crop`: the size of every input. `whole`: the largest input of a landscape image, its long side being `longest` or,
    where that is None, `resize`.
    """
    if spec.square is not None:
        return spec.square, spec.square
    return _up(spec.longest or spec.resize, spec.multiple), _up(spec.resize, spec.multiple)


def resized_to(size: Size, resize: int, longest: int | None = None) -> Size:
    """Return the size whose short side is `resize`, or less where the long side would exceed `longest`."""
    short, long = sorted(size)
    new_short, new_long = resize, int(resize * long / short)
    if longest is not None and new_long > longest:
        new_short, new_long = max(1, int(longest * new_short / new_long)), longest
    return (new_short, new_long) if size[0] <= size[1] else (new_long, new_short)


def _scaled(mask: Mask, size: Size) -> Mask:
    if mask.shape == size[::-1]:
        return mask
    return np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _nearest(positions: NDArray[np.int64], length: int, count: int) -> NDArray[np.int64]:
    """Return which of `count` pixels lie at the centres of pixels of a row of `length` pixels over the same extent."""
    nearest: NDArray[np.int64] = (2 * positions + 1) * count // (2 * length)
    return nearest


def _clipped(boxes: NDArray[Any], size: Size) -> NDArray[np.float64]:
    clipped: NDArray[np.float64] = np.clip(boxes, 0, np.array([*size, *size], np.float64))
    return clipped


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
