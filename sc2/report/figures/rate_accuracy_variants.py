"""Rate–accuracy of variants: one panel per curve in colour, over the curve that it differs from, in grey.

A variant `method.name` stands over its method, any other curve over the run file's first. All panels have the same
axes, and the corners.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sc2.report import style
from sc2.report.axes import Scale, data_axis
from sc2.report.labels import Placer, label_corners, label_teacher
from sc2.report.layout import Entry, Layout
from sc2.report.lettering import wrapped
from sc2.report.looks import is_corner
from sc2.report.series import Context, Series, Tables, collect, teacher_text, teacher_value

_COLUMNS = 3
_PANEL = (3.1, 2.2)
"""Width and height of a panel (inches)."""

_TICKS = 5
_OVER = "#555555"


def draw(tables: Tables, context: Context) -> Figure:
    """Draw a panel for every curve but the first one and the corners; a single curve has the only one."""
    curves = collect(tables, context.methods)
    compared = [series for series in curves if not is_corner(series.facts.family)]
    shown = compared[1:] or compared or curves[:1]
    corners = [series for series in curves if is_corner(series.facts.family)]
    layout = Layout([*_key(), *style.entries(corners)], columns=2)
    rows, columns = math.ceil(len(shown) / _COLUMNS), min(len(shown), _COLUMNS)
    figure = layout.canvas()
    figure.set_size_inches(columns * _PANEL[0], rows * _PANEL[1] + 1.0)
    figure.suptitle(wrapped(context.title, 50 * columns), x=0.01, ha="left", fontsize=10, color=style.INK)
    grid: list[Axes] = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten().tolist()
    panels, spare = grid[: len(shown)], grid[len(shown) :]
    for panel in spare:
        panel.remove()
    scales = [
        _panel(axes, curves, series, _over(series, compared), tables)
        for axes, series in zip(panels, shown, strict=True)
    ]
    style.label_outer(panels, columns, tables.quality.label)
    layout.legend(figure)
    label_teacher(Placer(figure, panels[0]), teacher_text(tables), teacher_value(tables))
    label_corners(Placer(figure, panels[-1]), [(series, scales[-1](series.data_bytes)) for series in curves])
    return figure


def _over(series: Series, compared: Sequence[Series]) -> Series:
    """Return the curve that a curve is compared with."""
    method = series.method.partition(".")[0]
    own = [other for other in compared if other.method == method != series.method]
    return next(iter(own), compared[0] if compared else series)


def _key() -> list[Entry]:
    own = Line2D([], [], color=style.INK, linewidth=1.6, label="in colour: what is named above")
    over = Line2D([], [], color=_OVER, linewidth=1.2, marker="o", markersize=3, label="in grey: what it differs from")
    return [Entry("", own), Entry("", over)]


def _panel(axes: Axes, curves: Sequence[Series], own: Series, over: Series, tables: Tables) -> Scale:
    """Draw a curve over the one that it differs from, on axes for all of them."""
    scale = data_axis(axes, curves, _TICKS)
    teacher = teacher_value(tables)
    style.quality_axis(axes, curves, teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    axes.set_title(wrapped(own.title, 42), loc="left", fontsize=8.5, fontweight="bold")
    for series in curves:
        x = scale(series.data_bytes)
        if series is own or is_corner(series.facts.family):
            style.curve(axes, series, x, scale.length(series.data_bytes_errors), filled=True)
        elif series is over:
            axes.plot(x, series.quality, "o-", color=_OVER, linewidth=1.2, markersize=3, zorder=2.5)
    return scale
