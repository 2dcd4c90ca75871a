"""One look for all figures: sizes, fonts, axes, curves, bands, the teacher's line, and how a figure is saved.

What a method looks like is in `sc2.report.looks`. No figure uses pyplot: the canvas is always Agg and needs no display.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sc2.report.columns import KB
from sc2.report.looks import look
from sc2.report.metadata import PNG_RECORD
from sc2.report.metadata import figure_record_id as figure_record_id
from sc2.report.series import Series, Values

WIDTH, HEIGHT = 5.5, 4.0
"""Size of a figure with one row of legend (inches)."""

PNG_DPI = 200
INK = "#333333"
"""Colour of text and of the teacher's line."""

Side = Literal["left", "center"]
_SIDES: dict[Side, Literal["outside lower left", "outside lower center"]] = {
    "left": "outside lower left",
    "center": "outside lower center",
}
_CHARACTER, _LEGEND_HANDLE = 4.7, 52.0
"""Widths in the legend, of a character and of what stands beside the text (points)."""

_TITLE_CHARACTERS = 66
_LEGEND_ROW = 0.19

_RC: Any = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine has it
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
    "lines.markersize": 5.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "sc2",
}


@contextmanager
def applied() -> Iterator[None]:
    """Apply the look to everything drawn or saved inside the `with` block, whatever the user's matplotlibrc says."""
    # The backend is global and not restored by rc_context; the canvas is chosen in new_figure instead.
    defaults: Any = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context({**defaults, **_RC}):
        yield


def new_figure(title: str, entries: Sequence[str], columns: int | None = None) -> tuple[Figure, Axes]:
    """Return a figure that grows with its legend, so that the axes keep their size.

    Args:
        title: Text above the axes.
        entries: Texts that the legend will have.
        columns: Entries in a row of the legend; as many as fit by default.
    """
    rows = -(-len(entries) // (columns or _columns(entries))) if entries else 0
    figure = Figure(figsize=(WIDTH, HEIGHT + _LEGEND_ROW * max(0, rows - 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(textwrap.fill(title, _TITLE_CHARACTERS), loc="left")
    return figure, axes


def legend(figure: Figure, handles: Sequence[Artist], columns: int | None = None, side: Side = "center") -> None:
    """Put the legend below the axes, where it covers nothing.

    Args:
        figure: Where to put it.
        handles: Its labelled entries, possibly none.
        columns: Entries in a row; as many as fit by default.
        side: Where it starts.
    """
    if handles:
        columns = columns or _columns([str(handle.get_label()) for handle in handles])
        figure.legend(handles=list(handles), loc=_SIDES[side], ncols=columns, frameon=False, handlelength=3.2)


def _columns(entries: Sequence[str]) -> int:
    """Return the largest number of columns, up to four, that fits into the figure, filled column by column."""
    for columns in range(min(4, len(entries)), 1, -1):
        parts = np.array_split(np.array([len(entry) for entry in entries]), columns)
        if sum(_CHARACTER * int(part.max()) + _LEGEND_HANDLE for part in parts) <= WIDTH * 72:
            return columns
    return 1


def handle(series: Series) -> Line2D:
    """Return the legend handle of a method."""
    its = look(series.method)
    return Line2D([], [], color=its.colour, marker=its.marker, linestyle=its.line, label=series.title)


def curve(axes: Axes, series: Series, x: Values, x_std: Values) -> None:
    """Draw a method's line through its points, with a mean ± std band when there are several seeds.

    Args:
        axes: Where to draw.
        series: The method.
        x: Position of its points.
        x_std: Standard deviation of the positions over seeds.
    """
    its = look(series.method)
    axes.plot(
        x, series.quality, color=its.colour, marker=its.marker, linestyle=its.line, markeredgecolor="white",
        markeredgewidth=0.5, zorder=3,
    )  # fmt: skip
    if series.spread:
        band(axes, series, x, x_std)


def band(axes: Axes, series: Series, x: Values, x_std: Values) -> None:
    """Draw mean ± one sample standard deviation over seeds: a band in quality, bars in rate."""
    its = look(series.method)
    low, high = series.quality - series.quality_std, series.quality + series.quality_std
    axes.fill_between(x, low, high, color=its.colour, alpha=0.2, linewidth=0, zorder=2)
    axes.errorbar(
        x, series.quality, xerr=x_std, yerr=series.quality_std, fmt="none", ecolor=its.colour, elinewidth=0.8, zorder=2
    )


def log_axis(axes: Axes, values: Values, label: str) -> None:
    """Make x logarithmic over `values`, with a margin and ticks written as plain numbers."""
    low, high = float(values.min()), float(values.max())
    margin = max((high / low) ** 0.07, 1.15)
    low, high = low / margin, high * margin
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlabel(label)


def no_axis(axes: Axes, label: str, reason: str) -> None:
    """Leave x without ticks and say in the middle why nothing is drawn."""
    axes.set_xlabel(label)
    axes.set_xlim(0.1, 1.0)
    axes.xaxis.set_major_locator(NullLocator())
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center")


def log_ticks(low: float, high: float) -> list[float]:
    """Return at most nine round positions in [low, high]: the finest ladder of steps that stays legible."""
    ladders = ((1, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 4, 6, 8), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for ladder in ladders:
        # Parsed from text: 2e-2 is exactly 0.02, 2 * 10**-2 may not be.
        ticks = [float(f"{step}e{decade}") for decade in decades for step in ladder]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= 9:
            return inside
    return inside[:: -(-len(inside) // 9)]


def plain(value: float, _position: float | None = None) -> str:
    """Return a tick's text: `0.05`, `1.5`, `2,000`, and powers of ten only beyond a million."""
    if value >= 1e6 or value < 1e-3:
        exponent = int(np.floor(np.log10(value)))
        mantissa = f"{value / 10**exponent:g}"
        return f"$10^{{{exponent}}}$" if mantissa == "1" else f"${mantissa}\\times10^{{{exponent}}}$"
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def data_axis(axes: Axes, all_series: Sequence[Series]) -> Callable[[Values], Values]:
    """Make x the data size per image, in bytes or KB, whichever gives readable numbers.

    Returns:
        The function from bytes to the axis' unit.
    """
    sizes = np.concatenate([series.data_bytes for series in all_series])
    in_kb = float(np.exp(np.log(sizes).mean())) >= KB
    divisor, label = (KB, "Data size per image (KB = 1024 B)") if in_kb else (1.0, "Data size per image (B)")
    log_axis(axes, sizes / divisor, label)
    return lambda data_bytes: data_bytes / divisor


def quality_axis(axes: Axes, all_series: Sequence[Series], teacher: float, label: str) -> None:
    """Set y over all points, their spread and the teacher, with room for the teacher's text above its line."""
    values = np.concatenate(
        [s.quality - s.quality_std for s in all_series] + [s.quality + s.quality_std for s in all_series]
    )
    low, high = min(float(values.min()), teacher), max(float(values.max()), teacher)
    span = max(high - low, 1.0)
    axes.set_ylim(low - 0.08 * span, high + 0.11 * span)
    axes.set_ylabel(label)


def teacher_line(axes: Axes, teacher: float) -> None:
    """Draw the teacher's quality as a dashed line across the axes; `sc2.report.labels` writes the number on it."""
    axes.axhline(teacher, color=INK, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1)


def save(figure: Figure, svg: Path, png: Path, record_id: str, title: str) -> None:
    """Write the figure in both formats with the record id in their metadata and no date.

    Args:
        figure: What to save.
        svg: Path of the SVG; the id is its Dublin Core identifier.
        png: Path of the PNG; the id is a tEXt chunk.
        record_id: Id of the provenance record of this job.
        title: Title for the metadata.
    """
    source = f"sc2 trace {svg.name}"
    with applied():
        shared: dict[str, Any] = {"Title": title, "Source": source}
        figure.savefig(svg, format="svg", metadata={**shared, "Identifier": record_id, "Date": None, "Creator": "sc2"})
        figure.savefig(png, format="png", dpi=PNG_DPI, metadata={**shared, PNG_RECORD: record_id, "Software": "sc2"})
