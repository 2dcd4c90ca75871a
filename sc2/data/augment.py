"""Random changes to the images of a batch: drawn for each image, made for all at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from sc2.data.crops import numbers_per_image
from sc2.data.spec import Augmentation


class Changes(NamedTuple):
    """How each image of a batch is changed: first mirrored, then moved.

    Attributes:
        mirrored: Whether it is mirrored left to right, bool [B].
        moves: By how many pixels it moves to the right and down, int64 [B, 2].
    """

    mirrored: Tensor
    moves: Tensor


def drawn_changes(count: int, augment: Augmentation, generator: torch.Generator) -> Changes:
    """Draw the changes of `count` images; what `augment` leaves out is not drawn."""
    mirrored, moves = torch.zeros(count, dtype=torch.bool), torch.zeros(count, 2, dtype=torch.int64)
    if augment.flip:
        mirrored = torch.rand(count, generator=generator) < 0.5
    if shift := augment.shift_px:
        starts = torch.randint(0, 2 * shift + 1, (count, 2), generator=generator)  # row, column
        moves = shift - starts.flip(1)
    return Changes(mirrored, moves)


def drawn_crops(count: int, augment: Augmentation, generator: torch.Generator) -> list[list[float]] | None:
    """Draw what `sc2.data.crops.cropped` needs for `count` images; None where images are not cropped at random."""
    numbers = numbers_per_image(augment)
    if not numbers:
        return None
    drawn: list[list[float]] = torch.rand(count, numbers, generator=generator, dtype=torch.float64).tolist()
    return drawn


def changed(images: Tensor, chosen: Tensor, changes: Changes) -> Tensor:
    """Pick images and change them; where an image moves, its border is mirrored without repeating the edge.

    Args:
        images: Contiguous, uint8 [N, C, H, W].
        chosen: Numbers of the wanted images, int64 [B].
        changes: Of the wanted images.

    Returns:
        uint8 [B, C, H, W], new memory.
    """
    _, channels, height, width = images.shape
    rows = _mirrored_positions(height, -changes.moves[:, 1])[:, None]
    planes = chosen[:, None] * channels + torch.arange(channels)
    lines = (planes[:, :, None] * height + rows).flatten()
    # Copying whole lines is much faster than picking pixels; NumPy also writes them whole, torch does not.
    picked = images.view(-1, width).index_select(0, lines).view(len(chosen), -1, width)
    mirrored = changes.mirrored.nonzero()[:, 0]
    picked.numpy()[mirrored.numpy()] = picked.index_select(0, mirrored).flip(2).numpy()
    if changes.moves[:, 0].any():
        columns = _mirrored_positions(width, -changes.moves[:, 0])[:, None]
        picked = picked.gather(2, columns.expand(picked.shape))
    return picked.view(-1, channels, height, width)


def _mirrored_positions(length: int, first: Tensor) -> Tensor:
    """Return positions `first`, `first` + 1, … of endlessly mirrored rows: int64 [B, length], for `first` int64 [B]."""
    last = length - 1
    positions = (first[:, None] + torch.arange(length)) % max(1, 2 * last)
    return torch.minimum(positions, 2 * last - positions)
