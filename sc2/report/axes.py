"""X axes: logarithmic, with plain numbers at the ticks, and with a break where a corner lies far to the left.

The corners send nothing or next to nothing: zero has no place on a logarithmic axis, and a few bytes would push all
curves into a third of the width. Such positions get a place of their own left of a break, with their value as the tick.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sc2.errors import DataError
from sc2.report.columns import KB
from sc2.report.lettering import power_of_ten
from sc2.report.looks import is_corner
from sc2.report.series import Series, Values

_FAR = 6.0
"""How many times smaller than all curves a corner has to be to go beyond the break."""

MOST_TICKS = 9

_SLOT = 0.075
"""Width of a place left of the break, as a part of the logarithmic axis."""


@dataclass(frozen=True)
class Scale:
    """From values to positions on an x axis.

    Attributes:
        divisor: Value of one unit of the axis.
        places: Values left of the break, in the axis' unit, and their positions.
    """

    divisor: float
    places: dict[float, float] = field(default_factory=dict)

    def __call__(self, values: Values) -> Values:
        """Return the positions of `values`."""
        return np.array([self.places.get(value, value) for value in values / self.divisor])

    def length(self, values: Values) -> Values:
        """Return differences of values, e.g. the reach of intervals, in the axis' unit."""
        return values / self.divisor


def data_axis(axes: Axes, all_series: Sequence[Series], most_ticks: int = MOST_TICKS) -> Scale:
    """Make x the data size per image, in bytes or KB, whichever gives readable numbers.

    Args:
        axes: Whose x axis.
        all_series: The curves that will be drawn.
        most_ticks: Largest number of ticks right of a break.

    Returns:
        The scale from bytes to positions.

    Raises:
        DataError: A curve of several points has a run with an empty payload.
    """
    values = [(series, series.data_bytes) for series in all_series]
    regular = np.concatenate([x for series, x in values if not is_corner(series.facts.family)] or [np.ones(1)])
    in_kb = float(np.exp(np.log(np.maximum(regular, 1.0)).mean())) >= KB
    label = "Data size per image (KB = 1024 B)" if in_kb else "Data size per image (B)"
    return log_axis(axes, values, label, KB if in_kb else 1.0, most_ticks)


def log_axis(
    axes: Axes,
    values: Sequence[tuple[Series, Values]],
    label: str,
    divisor: float = 1.0,
    most_ticks: int = MOST_TICKS,
) -> Scale:
    """Make x logarithmic over the values, with a margin, and with a break where a corner lies far to the left.

    Args:
        axes: Whose x axis.
        values: The curves with the value of each of their points.
        label: Text below the axis.
        divisor: Value of one unit of the axis.
        most_ticks: Largest number of ticks right of a break.

    Returns:
        The scale from values to positions.

    Raises:
        DataError: A curve of several points has a value of zero: a line cannot be drawn to it.
    """
    for series, x in values:
        if len(x) > 1 and not np.all(x > 0):
            raise DataError(f"rate_quality: method '{series.method}' has a run with an empty payload (0 bytes)")
    every = np.concatenate([x for _, x in values]) / divisor
    curves = [x for series, x in values if not is_corner(series.facts.family)]
    of_curves = np.concatenate([np.empty(0), *curves]) / divisor
    of_curves = of_curves[of_curves > 0] if np.any(of_curves > 0) else every[every > 0]
    start = float(of_curves.min()) if len(of_curves) else 1.0
    far = sorted({float(value) for value in every if value < start / _FAR}, reverse=True)
    near = np.array([value for value in every if value >= start / _FAR] or [start])
    low, high = float(near.min()), float(near.max())
    margin = max((high / low) ** 0.07, 1.15)
    low, high = low / margin, high * margin
    slot = (high / low) ** _SLOT
    places = {value: low / slot ** (1 + number) for number, value in enumerate(far)}
    axes.set_xscale("log")
    axes.set_xlim(low / slot ** (len(far) + 0.8) if far else low, high)
    # A tick close to the break would run into its mark.
    first = low * slot**0.5 if far else low
    ticks = [tick for tick in log_ticks(low, high, most_ticks) if tick >= first]
    # Beyond the break stand a few bytes: on an axis in KB they are still written as bytes.
    far_texts = {position: _far_text(value, divisor) for value, position in places.items()}
    _set_ticks(axes, ticks, far_texts)
    axes.set_xlabel(label)
    if far:
        _draw_break(axes, low)
    return Scale(divisor, places)


def _set_ticks(axes: Axes, ticks: Sequence[float], texts: dict[float, str]) -> None:
    axes.xaxis.set_major_locator(FixedLocator([*texts, *ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: texts.get(value) or plain(value)))


def _far_text(value: float, divisor: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.2g}" if divisor == 1 else f"{value * divisor:.2g} B"


def _draw_break(axes: Axes, position: float) -> None:
    """Mark the break: the spine is interrupted by two strokes, and a dotted line parts the two sides."""
    transform = axes.get_xaxis_transform()
    axes.axvline(position, color="#aaaaaa", linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    axes.text(
        position, 0, "//", transform=transform, ha="center", va="center", color="#888888", zorder=10,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )  # fmt: skip


def no_axis(axes: Axes, label: str, reason: str) -> None:
    """Leave x without ticks and say in the middle why nothing is drawn."""
    axes.set_xlabel(label)
    axes.set_xlim(0.1, 1.0)
    axes.xaxis.set_major_locator(NullLocator())
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center")


def log_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """Return at most `most` round positions in [low, high]: the finest ladder of steps that stays legible."""
    ladders = ((1, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 4, 6, 8), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for ladder in ladders:
        # Parsed from text: 2e-2 is exactly 0.02, 2 * 10**-2 may not be.
        ticks = [float(f"{step}e{decade}") for decade in decades for step in ladder]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            return inside
    return inside[:: -(-len(inside) // most)]


def plain(value: float, _position: float | None = None) -> str:
    """Return a tick's text: `0.05`, `1.5`, `2,000`, and powers of ten only beyond a million."""
    if value >= 1e6 or value < 1e-3:
        exponent = int(np.floor(np.log10(value)))
        mantissa = f"{value / 10**exponent:g}"
        return power_of_ten(exponent) if mantissa == "1" else f"{mantissa}×{power_of_ten(exponent)}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"
