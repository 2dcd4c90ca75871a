"""Which sizes the network's input can have: what a server accepts. No torch."""

from collections.abc import Mapping
from typing import Any

from sc2.errors import WireError

_UNLIMITED_FACTOR = 16
"""Where the long side is not limited: how much longer than the short one it may be."""


def largest_side(spec: Mapping[str, Any]) -> int:
    """Return the largest side that an input can have, pixels."""
    if spec.get("fit", "crop") == "crop":
        return int(spec["crop"])
    multiple = int(spec.get("multiple", 1))
    longest = int(spec.get("longest") or _UNLIMITED_FACTOR * spec["resize"])
    return -(-longest // multiple) * multiple


def refuse_foreign_size(size: tuple[int, int], spec: Mapping[str, Any], what: str) -> None:
    """Refuse an image (width, height in pixels) that cannot be an input.

    Raises:
        WireError: The message names the size and says which ones there are.
    """
    if spec.get("fit", "crop") == "crop":
        expected = (spec["crop"], spec["crop"])
        if size != expected:
            raise WireError(f"the {what} image is {size}, the network takes {expected}")
        return
    multiple, largest = int(spec.get("multiple", 1)), largest_side(spec)
    if any(side % multiple or not 0 < side <= largest for side in size):
        raise WireError(
            f"the {what} image is {size}, the network takes sides that are multiples of {multiple}, at most {largest}"
        )
