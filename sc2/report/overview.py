"""The overview of a group: rate against quality, one panel per benchmark, one legend for all."""

import math
from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sc2.report import style
from sc2.report.axes import data_axis
from sc2.report.labels import Placer, label_teacher
from sc2.report.layout import Layout
from sc2.report.lettering import wrapped
from sc2.report.series import Series, Tables, collect, teacher_text, teacher_value

_PANEL = (3.5, 3.6)
"""Width and height of a panel (inches)."""

_TICKS = 6


def draw(title: str, names: Sequence[str], benchmarks: Sequence[Tables], columns: int | None = None) -> Figure:
    """Draw the curves of every benchmark with its own axes.

    Args:
        title: Text above the panels.
        names: Text above each panel.
        benchmarks: Their tables.
        columns: Panels in a row; by default all of them.
    """
    columns = columns or len(benchmarks)
    lines = math.ceil(len(benchmarks) / columns)
    curves = alike([collect(tables, list(tables.rate_quality["method"].unique())) for tables in benchmarks])
    layout = Layout(style.entries(once(curves)), always_beside=True)
    figure = layout.canvas((columns * _PANEL[0], lines * _PANEL[1]))
    figure.suptitle(wrapped(title, 60 * columns), x=0.01, ha="left", fontsize=10, color=style.INK)
    panels: list[Axes] = figure.subplots(lines, columns, squeeze=False).flatten().tolist()
    for spare in panels[len(benchmarks) :]:
        spare.remove()
    panels = panels[: len(benchmarks)]
    for axes, name, tables, panel_curves in zip(panels, names, benchmarks, curves, strict=True):
        _panel(axes, wrapped(name, 34), tables, panel_curves)
    layout.legend(figure)
    for axes, tables in zip(panels, benchmarks, strict=True):
        label_teacher(Placer(figure, axes), teacher_text(tables), teacher_value(tables))
    return figure


def alike(curves: Sequence[Sequence[Series]]) -> list[list[Series]]:
    """Number the curves of a method over all panels, so that each has one look that no other has."""
    number: dict[tuple[str, str], int] = {}
    for method, curve in sorted({(series.method, series.curve) for panel in curves for series in panel}):
        number[method, curve] = sum(method == other for other, _ in number)
    return [[replace(series, curve_index=number[series.method, series.curve]) for series in panel] for panel in curves]


def once(curves: Sequence[Sequence[Series]]) -> list[Series]:
    """Return every curve once, for the legend: by method as they first appear, then by number."""
    by_title = {series.title: series for panel in curves for series in panel}
    methods = list(dict.fromkeys(series.method for panel in curves for series in panel))
    return sorted(by_title.values(), key=lambda series: (methods.index(series.method), series.curve_index))


def _panel(axes: Axes, name: str, tables: Tables, curves: Sequence[Series]) -> None:
    scale = data_axis(axes, curves, _TICKS)
    teacher = teacher_value(tables)
    style.quality_axis(axes, curves, teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    axes.set_title(name, loc="left", fontsize=9, fontweight="bold")
    for series in curves:
        errors = scale.length(series.data_bytes_errors)
        style.curve(axes, series, scale(series.data_bytes), errors, style.few(curves))
