"""Colours of classes: as different as twenty can be, and the same again beyond."""

from matplotlib import colormaps
from matplotlib.colors import to_hex

_COLOURS = [to_hex(colour) for colour in colormaps["tab20"].colors]  # type: ignore[attr-defined]
# The full colours first, then their light variants.
_ORDER = [*range(0, 20, 2), *range(1, 20, 2)]


def colour_of(label: int) -> str:
    """Return the colour of a class, hex."""
    return _COLOURS[_ORDER[label % len(_ORDER)]]
