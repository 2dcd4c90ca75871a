"""Rate–accuracy by family: one panel per family of methods in colour, with all other curves in grey behind it.

All panels have the same axes. The corners are in every panel, and named in their own.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sc2.report import style
from sc2.report.axes import Scale, data_axis
from sc2.report.labels import Placer, label_corners, label_teacher
from sc2.report.layout import Layout
from sc2.report.lettering import wrapped
from sc2.report.looks import CORNER, family_title, in_order, is_corner
from sc2.report.series import Context, Series, Tables, collect, teacher_text, teacher_value

_COLUMNS = 2
_PANEL = (3.6, 2.35)
"""Width and height of a panel (inches)."""

_TICKS = 6
_BEHIND = "#d3d3d3"


def draw(tables: Tables, context: Context) -> Figure:
    """Draw a panel for every family that has curves."""
    curves = collect(tables, context.methods)
    families = in_order(series.facts.family for series in curves)
    layout = Layout(style.entries(curves), always_beside=True)
    rows = math.ceil(len(families) / _COLUMNS)
    columns = min(len(families), _COLUMNS)
    figure = layout.canvas((columns * _PANEL[0], rows * _PANEL[1] + 0.6))
    figure.suptitle(wrapped(context.title, 60 * columns), x=0.01, ha="left", fontsize=10, color=style.INK)
    grid: list[Axes] = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten().tolist()
    panels, spare = grid[: len(families)], grid[len(families) :]
    for panel in spare:
        panel.remove()
    scales = [_panel(axes, curves, family, tables) for axes, family in zip(panels, families, strict=True)]
    style.label_outer(panels, columns, tables.quality.label)
    layout.legend(figure)
    label_teacher(Placer(figure, panels[0]), teacher_text(tables), teacher_value(tables))
    if CORNER in families:
        drawn = [(series, scales[-1](series.data_bytes)) for series in curves]
        label_corners(Placer(figure, panels[-1]), drawn)
    return figure


def _panel(axes: Axes, curves: Sequence[Series], family: str, tables: Tables) -> Scale:
    """Draw one family's curves over all others'."""
    scale = data_axis(axes, curves, _TICKS)
    teacher = teacher_value(tables)
    style.quality_axis(axes, curves, teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    axes.set_title(family_title(family), loc="left", fontsize=9, fontweight="bold")
    for series in curves:
        x = scale(series.data_bytes)
        if series.facts.family == family or is_corner(series.facts.family):
            style.curve(axes, series, x, scale.length(series.data_bytes_errors), filled=True)
        else:
            axes.plot(x, series.quality, color=_BEHIND, linewidth=0.9, zorder=1.5)
    return scale
