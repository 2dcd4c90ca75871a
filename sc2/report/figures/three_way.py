"""Three-way trade-off: data size, quality and encoder size in one plane.

Every point is where the rate–accuracy figure has it, with the same marker; a disc around it has an area proportional to
the size of the encoder. A method without an encoder has a hollow marker and no disc; a corner whose encoder is beyond
the scale of the others has a dashed ring.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sc2.report import style
from sc2.report.axes import data_axis
from sc2.report.columns import KB
from sc2.report.labels import Placer, label_corners, label_teacher
from sc2.report.layout import Entry, Layout
from sc2.report.looks import is_corner
from sc2.report.series import Context, Series, Tables, Values, collect, teacher_text, teacher_value

_LARGEST, _RING = 24.0, 34.0
"""Diameters of the largest encoder's disc and of the ring of one that is beyond the scale (points)."""

_KEY_ROWS = 5


def draw(tables: Tables, context: Context) -> Figure:
    """Draw points with discs, a key of methods with their encoder costs, and a key of disc sizes."""
    curves = collect(tables, context.methods)
    teacher = teacher_value(tables)
    largest = _largest_kb(curves)
    layout = Layout([_entry(series) for series in curves], columns=1, side="left", more_rows=_KEY_ROWS)
    figure, axes = layout.figure(context.title)
    scale = data_axis(axes, curves)
    style.quality_axis(axes, curves, teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    for series in curves:
        _points(
            axes, series, scale(series.data_bytes), scale.length(series.data_bytes_errors), largest, style.few(curves)
        )
    layout.legend(figure)
    if largest > 0:
        _size_key(figure, largest, layout.beside)
    placer = Placer(figure, axes)
    label_teacher(placer, teacher_text(tables), teacher)
    label_corners(placer, [(series, scale(series.data_bytes)) for series in curves])
    return figure


def _largest_kb(curves: Sequence[Series]) -> float:
    """Return the encoder size that the largest disc stands for: the corners do not set the scale (KB)."""
    splits = [series for series in curves if not is_corner(series.facts.family)] or curves
    return max(float(series.encoder_kb.max()) for series in splits)


def _diameter(encoder_kb: float, largest: float) -> float:
    """Return a disc's diameter (points); its area is proportional to the encoder size (KB)."""
    return _LARGEST * math.sqrt(encoder_kb / largest)


def _points(axes: Axes, series: Series, x: Values, x_errors: Values, largest: float, filled: bool) -> None:
    its = style.look_of(series)
    axes.plot(x, series.quality, color=its.colour, linewidth=0.8, linestyle=its.line, alpha=0.6, zorder=2)
    diameters = np.array([_diameter(size, largest) if size > 0 and largest else 0.0 for size in series.encoder_kb])
    beyond = diameters > _RING
    axes.scatter(
        x, series.quality, s=np.where(beyond, 0.0, diameters**2), color=its.colour, alpha=0.22, linewidths=0, zorder=2
    )
    if beyond.any():
        axes.scatter(
            x[beyond], series.quality[beyond], s=_RING**2, facecolors="none", edgecolors=its.colour, linewidths=0.8,
            linestyles="dashed", zorder=2,
        )  # fmt: skip
    axes.plot(x, series.quality, color=its.colour, linestyle="none", zorder=3, **_marker(series))
    style.intervals(axes, series, x, x_errors, filled)


def _marker(series: Series) -> dict[str, Any]:
    """Return marker settings: full where there is an encoder, hollow where there is none."""
    settings = style.marker(style.look_of(series), 5)
    return settings if series.has_encoder else settings | {"markerfacecolor": "white"}


def _entry(series: Series) -> Entry:
    text = f"{series.title}: {_costs(series)}"
    return Entry(series.facts.family, style.handle(series, text, linewidth=0.8, **_marker(series)))


def _costs(series: Series) -> str:
    """Return e.g. `encoder 542 KB, 588 M MACs`."""
    if not series.has_encoder:
        return "no encoder"
    return f"encoder {_range(series.encoder_kb, size_text)}, {_range(series.encoder_macs, macs_text)}"


def _range(values: Values, text: Callable[[float], str]) -> str:
    """Return one text where all values read the same, else the smallest and largest."""
    low, high = text(float(values.min())), text(float(values.max()))
    if low == high:
        return low
    (number, unit), high_unit = low.split(" ", 1), high.split(" ", 1)[1]
    return f"{number}–{high}" if unit == high_unit else f"{low} – {high}"


def size_text(kb: float) -> str:
    """Return a size (KB) with its unit, e.g. `542 KB` or `5.8 MB`."""
    return f"{kb:.3g} KB" if kb < 1000 else f"{kb / KB:.3g} MB"


def macs_text(macs: float) -> str:
    """Return a count of multiply-accumulates, e.g. `588 M MACs`."""
    factor, unit = next(((factor, unit) for factor, unit in ((1e9, "G"), (1e6, "M")) if macs >= factor), (1e3, "k"))
    return f"{macs / factor:.3g} {unit} MACs"


def _size_key(figure: Figure, largest: float, beside: bool) -> None:
    """Write the scale of the discs beside the methods' key, or below it where that stands beside the axes."""
    discs = [
        Line2D(
            [], [], color=style.INK, alpha=0.3, marker="o", linestyle="none", markeredgewidth=0,
            markersize=_diameter(size, largest), label=size_text(size),
        )
        for size in _round_sizes(largest)
    ]  # fmt: skip
    figure.legend(
        handles=discs, title="encoder", loc="outside right lower" if beside else "outside lower right", frameon=False,
        labelspacing=1.0, borderpad=0.8, handletextpad=1.2,
    )  # fmt: skip


def _round_sizes(largest: float) -> list[float]:
    """Return a round size (KB) no larger than the largest encoder, and about a fifth of it."""
    unit = 1.0 if largest < 1000 else KB
    power = 10.0 ** math.floor(math.log10(largest / unit))
    top = max(step for step in (1, 2, 5) if step * power <= largest / unit) * power
    return [float(f"{top / 5:.0e}") * unit, top * unit]
