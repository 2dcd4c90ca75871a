"""Which sizes the network's input can have, and so what a server accepts. No torch."""

from sc2.data.geometry import LONGEST_FACTOR
from sc2.data.spec import SizeSpec
from sc2.errors import WireError


def largest_side(spec: SizeSpec) -> int:
    """Return the largest side that an input can have, pixels."""
    if spec.square is not None:
        return spec.square
    longest = spec.longest or LONGEST_FACTOR * spec.resize
    return -(-longest // spec.multiple) * spec.multiple


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
    multiple, largest = spec.multiple, largest_side(spec)
    if any(side % multiple or not 0 < side <= largest for side in size):
        raise WireError(
            f"the {what} image is {size}, but the network takes sides that are multiples of {multiple}, at most "
            f"{largest}"
        )
