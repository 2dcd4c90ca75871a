"""Boxes with their classes."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sc2.report.pictures.palette import colour_of

LEAST_SCORE = 0.5
"""A box of a lower score is not drawn; average precision counts such boxes too."""


def draw(axes: Axes, shown: Any, classes: Sequence[str]) -> None:
    """Draw over an image.

    Args:
        axes: Holds the image; its coordinates are pixels of the stored image.
        shown: `boxes` [n, 4] and `labels` [n]; `scores` [n] where they were predicted.
        classes: Their names.
    """
    scores = shown.get("scores")
    for number, (box, label) in enumerate(zip(shown["boxes"], shown["labels"], strict=True)):
        if scores is not None and scores[number] < LEAST_SCORE:
            continue
        x0, y0, x1, y1 = box
        colour = colour_of(int(label))
        # Edges are at 0 and the width, the centre of the first pixel is at 0 for `imshow`.
        axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2))
        axes.text(
            x0, y0, classes[int(label)], color="white", fontsize=6, va="top", ha="left",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
