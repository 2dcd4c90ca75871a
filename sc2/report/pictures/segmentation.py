"""A mask with the names of its classes, laid over the image in grey: what is coloured is an answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from sc2.report.pictures.palette import colour_of

_BACKGROUND, _IGNORED = 0, 255
_OPACITY = 0.65
_LEAST_NAMED = 0.004
"""A class on a smaller part of the image is not named."""


def draw(axes: Axes, shown: Any, classes: Sequence[str]) -> None:
    """Draw over an image.

    Args:
        axes: Holds the image.
        shown: uint8 [H, W]: 0 the background, k + 1 class k, 255 where there is no label (drawn white).
        classes: Their names.
    """
    [image] = axes.images
    grey = np.asarray(image.get_array()).mean(axis=2, keepdims=True)
    image.set_data(np.repeat(grey, 3, axis=2).astype(np.uint8))
    colours = np.zeros((256, 4))
    for label in range(len(classes)):
        colours[label + 1] = to_rgba(colour_of(label), _OPACITY)
    colours[_BACKGROUND] = 0
    colours[_IGNORED] = to_rgba("white", _OPACITY)
    axes.imshow(colours[shown], interpolation="nearest")
    for label, name in enumerate(classes):
        mask = shown == label + 1
        if mask.mean() >= _LEAST_NAMED:
            row, column = _inside(mask)
            axes.text(
                column, row, name, color="white", fontsize=6, va="center", ha="center",
                bbox={"facecolor": colour_of(label), "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip


def _inside(mask: np.ndarray) -> tuple[int, int]:
    """Return the pixel of a class (row, column) that is nearest to the middle of all its pixels."""
    pixels = np.argwhere(mask)
    row, column = pixels[np.square(pixels - pixels.mean(axis=0)).sum(axis=1).argmin()]
    return int(row), int(column)
