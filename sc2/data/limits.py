"""Which sizes an input and a latent can have, and so what a server accepts. Imports torch only with a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sc2.data.geometry import LONGEST_FACTOR
from sc2.data.spec import SizeSpec
from sc2.errors import WireError

if TYPE_CHECKING:
    from torch import nn

_STRIP = 256


def largest_sides(spec: SizeSpec) -> tuple[int, int]:
    """Return the largest short side and the largest long side that an input can have, pixels."""
    if spec.square is not None:
        return spec.square, spec.square
    sides = spec.resize, spec.longest or LONGEST_FACTOR * spec.resize
    short, long = (-(-side // spec.multiple) * spec.multiple for side in sides)
    return short, long


def refuse_foreign_size(size: tuple[int, int], spec: SizeSpec, what: str) -> None:
    """Refuse an image (width, height in pixels) that cannot be an input.

    Raises:
        WireError: The message names the size and the allowed ones.
    """
    if spec.square is not None:
        expected = (spec.square, spec.square)
        if size != expected:
            raise WireError(f"the {what} image is {size}, but the network takes {expected}")
        return
    multiple, (short, long) = spec.multiple, largest_sides(spec)
    if any(side % multiple for side in size) or not _fits(size, (short, long)):
        raise WireError(
            f"the {what} image is {size}, but the network takes sides that are multiples of {multiple}, at most "
            f"{short} and {long}"
        )


def largest_latent(encoder: nn.Module, spec: SizeSpec) -> tuple[int, int]:
    """Return the largest short and long side of the latent [1, C, h, w] of an encoder in eval mode, in positions."""
    import torch

    short, long = largest_sides(spec)
    # Each side separately: a strip of the image is enough, and takes less memory.
    with torch.no_grad():
        sides = [int(encoder(torch.zeros(1, 3, side, min(short, _STRIP))).shape[2]) for side in (short, long)]
    return sides[0], sides[1]


def refuse_foreign_latent(size: tuple[int, int], largest: tuple[int, int]) -> None:
    """Refuse a latent (height, width) larger than `largest_latent`: it is damaged, and would cost memory and time.

    Raises:
        WireError: The message names the size and the largest one.
    """
    if not _fits(size, largest):
        raise WireError(
            f"a latent of {size[0]}×{size[1]} cannot come from an image that the network takes: its sides are at most "
            f"{largest[0]} and {largest[1]}"
        )


def _fits(size: tuple[int, int], largest: tuple[int, int]) -> bool:
    return 0 < min(size) <= largest[0] and max(size) <= largest[1]
