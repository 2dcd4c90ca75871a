"""Latency over the rate of the channel: a line per method, at its point with the fewest bytes within a loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from sc2.measure.channel import PRESETS, Channel, Values
from sc2.report import style
from sc2.report.axes import plain
from sc2.report.layout import Entry, Layout
from sc2.report.looks import is_corner
from sc2.report.series import Series, Tables, collect
from sc2.report.timed import TimedPoint, reaching

LOSS_POINTS = 5.0
"""Loss of quality that the drawn points stay within, in points of the task's unit."""

RATES_KBIT_S: Values = np.geomspace(10.0, 100_000.0, 161)
_PRESET_COLOUR = "#888888"


def draw(tables: Tables, points: Sequence[TimedPoint], title: str) -> Figure:
    """Draw the mean latency without round trip of every method that was timed and stays within the loss."""
    drawn = [(_series(tables, point), point) for point in reaching(tables, points, LOSS_POINTS).values()]
    layout = Layout([_entry(series, point) for series, point in drawn])
    figure, axes = layout.figure(title)
    for series, point in drawn:
        its = style.look_of(series)
        latency = [float(point.split.latency_ms(Channel(float(rate), 0.0)).mean()) for rate in RATES_KBIT_S]
        marks = range(len(drawn) % 7, len(RATES_KBIT_S), 32)
        axes.plot(
            RATES_KBIT_S, latency, color=its.colour, linestyle=_line(series), markevery=list(marks),
            **style.marker(its, 4.5),
        )  # fmt: skip
    _axes(axes)
    layout.legend(figure)
    return figure


def _axes(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log", xlim=(RATES_KBIT_S[0], RATES_KBIT_S[-1]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(plain))
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("Rate of the uplink (kbit/s)")
    axes.set_ylabel("Mean latency per image, without round trip (ms)")
    for preset in PRESETS:
        axes.axvline(preset.channel.kbit_s, color=_PRESET_COLOUR, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        axes.annotate(
            preset.title, (preset.channel.kbit_s, 1.0), (2, -3), xycoords=("data", "axes fraction"),
            textcoords="offset points", rotation=90, ha="left", va="top", fontsize=7.5, color=_PRESET_COLOUR,
        )  # fmt: skip


def _series(tables: Tables, point: TimedPoint) -> Series:
    return next(series for series in collect(tables, [point.method]) if series.curve == point.curve)


def _entry(series: Series, point: TimedPoint) -> Entry:
    text = f"{series.method_title}, {series.facts.point(point.point)}: {point.quality:.1f} %"
    return Entry(series.facts.family, style.handle(series, text, linestyle=_line(series)))


def _line(series: Series) -> Any:
    """Return a curve's line style; the corners, which have none elsewhere, are dotted here."""
    return (0, (1, 3)) if is_corner(series.facts.family) else style.look_of(series).line
