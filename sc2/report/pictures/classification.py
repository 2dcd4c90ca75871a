"""A class, written into the corner of the image."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes


def draw(axes: Axes, shown: Any, classes: Sequence[str]) -> None:
    """Draw over an image.

    Args:
        axes: Holds the image.
        shown: The true class, or logits [K], whose best class is written with its probability.
        classes: Their names.
    """
    text = classes[shown] if isinstance(shown, int) else _best(shown, classes)
    box = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "pad": 1.5}
    axes.text(0.03, 0.95, text, transform=axes.transAxes, ha="left", va="top", color="white", fontsize=7, bbox=box)


def _best(logits: Any, classes: Sequence[str]) -> str:
    index = int(logits.argmax())
    return f"{classes[index]} {100 * float(logits.softmax(0)[index]):.0f} %"
