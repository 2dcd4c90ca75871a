"""One look for all figures: fonts, curves, bands, the teacher's line, and how a figure is saved.

What a method looks like is in `sc2.report.looks`, sizes and legends are in `sc2.report.layout`, x axes in
`sc2.report.axes`. No figure uses pyplot: the canvas is always Agg and needs no display.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from sc2.report import lettering
from sc2.report.layout import MANY, Entry
from sc2.report.looks import Look, is_corner, look
from sc2.report.series import Series, Values

PNG_DPI = 200
PICTURE_DPI, PICTURE_QUALITY = 120, 80
"""Of pictures that hold photographs: WebP of about 50 KB."""

MARKER_SIZE = 5.5
"""Size of an ordinary marker (points)."""

INK = "#333333"
"""Colour of text and of the teacher's line."""

UNCOMMITTED = "Made from uncommitted changes"
"""What a figure says that shows work from a tree whose changes no commit holds."""

_STRIP, _WARNING = 0.2, "#a40000"
"""Height of the strip with that text (inches), and its colour."""

_RC: Any = {
    **lettering.PLAIN,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": MARKER_SIZE,
    "svg.fonttype": "path",
    "svg.hashsalt": "sc2",
}


@contextmanager
def applied() -> Iterator[None]:
    """Apply the look to everything drawn or saved inside the `with` block, whatever the user's matplotlibrc says."""
    # The backend is global and not restored by rc_context; `Layout.canvas` chooses the canvas instead.
    defaults: Any = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    looks = {**defaults, **_RC, "font.family": lettering.families()}
    with matplotlib.rc_context(looks), warnings.catch_warnings():
        lettering.hushed()
        yield


def look_of(series: Series) -> Look:
    """Return the look of a curve."""
    return look(series.method, series.facts.family, series.curve_index)


def entries(all_series: Sequence[Series]) -> list[Entry]:
    """Return the legend's entries: line and marker of each curve."""
    return [Entry(series.facts.family, handle(series, series.title)) for series in all_series]


def handle(series: Series, text: str, **changes: Any) -> Line2D:
    """Return the legend's handle of a curve.

    Args:
        series: The curve.
        text: What the legend says.
        changes: Properties of the line that differ from the curve's look.
    """
    its = look_of(series)
    properties: dict[str, Any] = {"color": its.colour, "linestyle": its.line, "label": text, **marker(its)}
    return Line2D([], [], **{**properties, **changes})


def marker(its: Look, size: float = MARKER_SIZE) -> dict[str, Any]:
    """Return the settings of a look's marker, so large (points) that all markers seem `size`."""
    return {"marker": its.marker, "markersize": size * its.size}


def curve(axes: Axes, series: Series, x: Values, x_errors: Values, filled: bool) -> None:
    """Draw a line through a curve's points, and their intervals.

    Args:
        axes: Where to draw.
        series: The curve.
        x: Position of its points.
        x_errors: How far the interval of each position reaches to either side, [2, points].
        filled: Whether the interval of the quality is filled between the points.
    """
    its = look_of(series)
    axes.plot(
        x, series.quality, color=its.colour, linestyle=its.line, markeredgecolor="white", markeredgewidth=0.5, zorder=3,
        **marker(its),
    )  # fmt: skip
    intervals(axes, series, x, x_errors, filled)


def intervals(axes: Axes, series: Series, x: Values, x_errors: Values, filled: bool) -> None:
    """Draw 95 % intervals: bars in both directions, and a band in quality where it is filled; see `curve`."""
    if not (series.quality_errors.any() or x_errors.any()):
        return
    colour = look_of(series).colour
    low, high = series.quality_errors
    if filled and not is_corner(series.facts.family):  # between its points there is nothing
        axes.fill_between(
            x, series.quality - low, series.quality + high, color=colour, alpha=0.15, linewidth=0, zorder=2
        )
    axes.errorbar(
        x, series.quality, xerr=x_errors, yerr=series.quality_errors, fmt="none", ecolor=colour,
        elinewidth=0.8 if filled else 0.5, alpha=0.8 if filled else 0.5, zorder=2,
    )  # fmt: skip


def few(all_series: Sequence[Series]) -> bool:
    """Say whether the curves of a figure are few enough to fill the bands of each."""
    return len(all_series) <= MANY


def quality_axis(axes: Axes, all_series: Sequence[Series], teacher: float, label: str) -> None:
    """Set y over all points, their intervals and the teacher, with room for the teacher's text above its line."""
    lows = [series.quality - series.quality_errors[0] for series in all_series]
    values = np.concatenate([*lows, *(series.quality + series.quality_errors[1] for series in all_series)])
    low, high = min(float(values.min()), teacher), max(float(values.max()), teacher)
    span = max(high - low, 1.0)
    axes.set_ylim(low - 0.08 * span, high + 0.11 * span)
    axes.set_ylabel(label)


def teacher_line(axes: Axes, teacher: float) -> None:
    """Draw the teacher's quality as a dashed line across the axes; `sc2.report.labels` writes the number on it."""
    axes.axhline(teacher, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1)


def label_outer(panels: Sequence[Axes], columns: int, quality: str) -> None:
    """Label the lowest panel of each column and the first of each row; the others share their ticks.

    Args:
        panels: Panels with the same axes, row by row.
        columns: Panels in a row.
        quality: Text of the y axes.
    """
    text = panels[0].get_xlabel()
    for number, axes in enumerate(panels):
        lowest = number + columns >= len(panels)
        axes.tick_params(labelbottom=lowest, labelleft=number % columns == 0)
        axes.set_xlabel(text if lowest else "")
        axes.set_ylabel(quality if number % columns == 0 else "")


def save(figure: Figure, svg: Path, png: Path, title: str, uncommitted: bool = False) -> None:
    """Write the figure in both formats; equal figures give equal bytes.

    Nothing in the files says when, where or from which code they were drawn, that is in the record beside them; but
    where no commit holds that code, they say so.

    Args:
        figure: What to save.
        svg: Path of the SVG.
        png: Path of the PNG.
        title: Title for the metadata.
        uncommitted: Whether there is work from uncommitted changes behind it.
    """
    with applied(), lettering.told(svg.name):
        shown = _shown(figure, uncommitted)
        figure.savefig(svg, format="svg", metadata={"Title": title, "Date": None, "Creator": "sc2"}, **shown)
        figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Title": title, "Software": "sc2"}, **shown)


def save_picture(figure: Figure, webp: Path, uncommitted: bool = False) -> None:
    """Write a figure that is made of photographs as a WebP; `uncommitted` as for `save`."""
    with applied(), lettering.told(webp.name):
        options = {"quality": PICTURE_QUALITY, "method": 6}
        figure.savefig(webp, format="webp", dpi=PICTURE_DPI, pil_kwargs=options, **_shown(figure, uncommitted))


def _shown(figure: Figure, uncommitted: bool) -> dict[str, Any]:
    """Return how much of the plane is saved: the figure, or also a strip below it that says what is uncommitted.

    The strip is no part of the figure's layout, so that everything else is where it is without.
    """
    if not uncommitted:
        return {}
    width, height = figure.get_size_inches()
    for legend in figure.legends:
        # By default it stands at the edge of what is saved, not of the figure.
        legend.set_bbox_to_anchor((0, 0, 1, 1), figure.transFigure)
    figure.text(0.04 / width, -_STRIP / 2 / height, UNCOMMITTED, va="center", fontsize=8, color=_WARNING)
    return {"bbox_inches": Bbox.from_bounds(0, -_STRIP, width, height + _STRIP)}
