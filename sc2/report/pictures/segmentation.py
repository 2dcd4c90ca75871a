"""A mask, laid over the image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from sc2.report.pictures.palette import colour_of

_BACKGROUND, _IGNORED = 0, 255
_OPACITY = 0.65


def draw(axes: Axes, shown: Any, classes: Sequence[str]) -> None:
    """Draw over an image.

    Args:
        axes: Holds the image.
        shown: uint8 [H, W]: 0 the background, k + 1 class k, 255 where there is no label (drawn white).
        classes: Their names.
    """
    colours = np.zeros((256, 4))
    for label in range(len(classes)):
        colours[label + 1] = to_rgba(colour_of(label), _OPACITY)
    colours[_BACKGROUND] = 0
    colours[_IGNORED] = to_rgba("white", _OPACITY)
    axes.imshow(colours[shown], interpolation="nearest")
