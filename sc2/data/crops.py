"""Random crops of stored images: drawn for a batch, placed by the size of each image. No torch.

A crop is one or more placements, one after another, so that a task moves its targets as it does everywhere else.
"""

import math
from collections.abc import Sequence

from sc2.data.geometry import Placement, Size, resized_to
from sc2.data.spec import Augmentation, ResizedCrop, ScaledCrop

ATTEMPTS = 10
"""How many crops are drawn for an image before the centre is taken, where none of them lies inside it."""
_NUMBERS_PER_ATTEMPT, _NUMBERS_OF_SCALED = 4, 3


def numbers_per_image(augment: Augmentation) -> int:
    """Return how many uniform numbers in [0, 1) place an image's crop; 0 where images are not cropped at random."""
    if augment.resized_crop is not None:
        return ATTEMPTS * _NUMBERS_PER_ATTEMPT
    return 0 if augment.scaled_crop is None else _NUMBERS_OF_SCALED


def cropped(size: Size, augment: Augmentation, numbers: Sequence[float], side: int | None) -> tuple[Placement, ...]:
    """Return the placements, one after another, of an image that is cropped at random.

    Args:
        size: Width and height of the upright image.
        augment: Asks for a crop.
        numbers: As many uniform numbers in [0, 1) as `numbers_per_image` says.
        side: Side of the network's square input, pixels; needed for `resized_crop`.
    """
    if augment.resized_crop is not None:
        assert side is not None
        left, top, *part = _part(size, augment.resized_crop, numbers)
        own = (part[0], part[1])
        return Placement(size, size, left, top, own), Placement(own, (side, side), 0, 0, (side, side))
    assert augment.scaled_crop is not None
    return (_scaled(size, augment.scaled_crop, numbers),)


def _part(size: Size, crop: ResizedCrop, numbers: Sequence[float]) -> tuple[int, int, int, int]:
    """Return left, top, width and height of the part of an image that is kept, pixels."""
    (least, most), (narrow, wide) = crop.area, crop.aspect
    for start in range(0, len(numbers), _NUMBERS_PER_ATTEMPT):
        in_area, in_aspect, across, down = numbers[start : start + _NUMBERS_PER_ATTEMPT]
        area = size[0] * size[1] * (least + in_area * (most - least))
        aspect = narrow * (wide / narrow) ** in_aspect  # evenly in the logarithm
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= size[0] and 0 < height <= size[1]:
            return _within(size[0] - width, across), _within(size[1] - height, down), width, height
    aspect = min(max(size[0] / size[1], narrow), wide)
    width, height = min(size[0], round(size[1] * aspect)), min(size[1], round(size[0] / aspect))
    return (size[0] - width) // 2, (size[1] - height) // 2, width, height


def _scaled(size: Size, crop: ScaledCrop, numbers: Sequence[float]) -> Placement:
    least, most = crop.short_side
    resized = resized_to(size, least + _within(most - least, numbers[0]))
    left, top = (_within(max(0, resized[axis] - crop.side), numbers[1 + axis]) for axis in (0, 1))
    return Placement(size, resized, left, top, (crop.side, crop.side))


def _within(most: int, number: float) -> int:
    """Return one of 0 … `most` for a uniform number in [0, 1), each for as many of them."""
    return int(number * (most + 1))
