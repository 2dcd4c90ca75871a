"""How far two rate–quality curves lie apart: Bjøntegaard differences (BD-rate, BD-quality). No torch.

A difference is the mean distance between two curves over the interval that both cover: no curve is ever extended.
Rates are compared as logarithms, because a factor is what one wants to know. Between the points runs a piecewise cubic
Hermite curve that keeps to the monotony of its points (PCHIP: F. N. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput.
5, 1984), so a few unevenly spread points cannot make it swing, as the polynomial of the original proposal can
(G. Bjøntegaard, ITU-T VCEG-M33, 2001). Points that another point of the same curve beats are dropped first: what is
left rises in both directions and can be read as rate over quality and as quality over rate.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

LEAST_POINTS, LEAST_INSIDE, LEAST_OVERLAP = 4, 2, 0.5
"""What a difference needs to mean something: Pareto points of each curve, of them inside the common interval, and its
share of the shorter curve."""

_TOLERANCE = 1e-9
"""What rounding in a mean may cost at a threshold."""


@dataclass(frozen=True)
class Difference:
    """The mean distance of a curve from an anchor.

    Attributes:
        value: The difference; NaN where there is none.
        low: Lower end of the common interval; NaN where there is none.
        high: Its upper end; NaN where there is none.
        reason: Why there is no value; empty where there is one.
    """

    value: float
    low: float
    high: float
    reason: str = ""

    @classmethod
    def none(cls, reason: str) -> "Difference":
        """Return the difference that does not exist, and why."""
        return cls(float("nan"), float("nan"), float("nan"), reason)


@dataclass(frozen=True)
class RateQuality:
    """The points of one curve.

    Attributes:
        data_bytes: Bytes per image of each point, not negative.
        quality: Its quality, larger is better.
    """

    data_bytes: Values
    quality: Values

    @classmethod
    def of(cls, data_bytes: ArrayLike, quality: ArrayLike) -> "RateQuality":
        """Return a curve from two sequences of the same length."""
        return cls(np.asarray(data_bytes, dtype=np.float64), np.asarray(quality, dtype=np.float64))

    def pareto(self) -> "RateQuality":
        """Return the points that no other point beats, by rising rate; bytes and quality both rise strictly."""
        order = np.lexsort((-self.quality, self.data_bytes))
        kept: list[int] = []
        for index in order:
            if not kept or self.quality[index] > self.quality[kept[-1]]:
                kept.append(int(index))
        return RateQuality(self.data_bytes[kept], self.quality[kept])


def bd_rate_pct(curve: RateQuality, anchor: RateQuality) -> Difference:
    """Return by how many percent more bytes `curve` needs than `anchor` at the same quality.

    Minus 50 means half the bytes. The interval is one of quality. It is the mean over quality of the difference of the
    logarithms of the rates, as a factor, minus one.
    """
    curve, anchor = curve.pareto(), anchor.pareto()
    reason = _unfit(curve, anchor)
    if reason:
        return Difference.none(reason)
    mean = _mean_difference(curve.quality, np.log(curve.data_bytes), anchor.quality, np.log(anchor.data_bytes))
    if mean is None:
        return Difference.none("no common quality interval")
    return Difference(100.0 * float(np.expm1(mean.value)), mean.low, mean.high)


def bd_quality(curve: RateQuality, anchor: RateQuality) -> Difference:
    """Return by how much the quality of `curve` is above that of `anchor` at the same bytes, in the quality's unit.

    The interval is one of bytes; the mean is taken over their logarithm.
    """
    curve, anchor = curve.pareto(), anchor.pareto()
    reason = _unfit(curve, anchor)
    if reason:
        return Difference.none(reason)
    mean = _mean_difference(np.log(curve.data_bytes), curve.quality, np.log(anchor.data_bytes), anchor.quality)
    if mean is None:
        return Difference.none("no common rate interval")
    return Difference(mean.value, float(np.exp(mean.low)), float(np.exp(mean.high)))


def too_short(curve: RateQuality, anchor: RateQuality, by: Literal["quality", "rate"]) -> str:
    """Say why a difference of two curves would mean little; empty where it may be read.

    Both need four Pareto points, two of each have to lie inside the common interval, and that has to be half of what
    the shorter curve covers.

    Args:
        curve: A curve.
        anchor: What it is compared with.
        by: Axis of the common interval: quality (for BD-rate) or the logarithm of the rate (for BD-quality).
    """
    curve, anchor = curve.pareto(), anchor.pareto()
    for name, points in (("the anchor", anchor), ("the curve", curve)):
        if len(points.quality) < LEAST_POINTS:
            return f"{name} has fewer than {LEAST_POINTS} Pareto points: {len(points.quality)}"
        if by == "rate" and points.data_bytes[0] <= 0:
            return f"{name} has a point without bytes, which has no logarithm"
    axes = [points.quality if by == "quality" else np.log(points.data_bytes) for points in (anchor, curve)]
    low, high = max(axis[0] for axis in axes), min(axis[-1] for axis in axes)
    if not low < high:
        return f"no common {by} interval"
    for name, axis in zip(("the anchor", "the curve"), axes, strict=True):
        inside = int(((axis >= low) & (axis <= high)).sum())
        if inside < LEAST_INSIDE:
            return f"{name} has fewer than {LEAST_INSIDE} points inside the common {by} interval: {inside}"
    share = (high - low) / min(axis[-1] - axis[0] for axis in axes)
    if share < LEAST_OVERLAP:
        least = f"less than {100 * LEAST_OVERLAP:.0f} %"
        return f"the common {by} interval is {100 * share:.0f} % of the shorter curve, {least}"
    return ""


def bytes_at_quality(data_bytes: Values, quality: Values, level: Values) -> Values:
    """Return the bytes at which curves reach a quality, float64 [curves].

    Between two Pareto points the logarithm of the bytes is linear in the quality (fewer bytes than 1 count as 1). Where
    the cheapest point reaches the quality already, its bytes are returned: nothing is extrapolated, and the true number
    may be smaller. Infinity where no point reaches it.

    Args:
        data_bytes: Bytes of the points of each curve, in any order, [curves, points].
        quality: Their quality, [curves, points].
        level: The quality to reach, [curves].
    """
    order = np.lexsort((-quality, data_bytes), axis=1)
    logs = np.log(np.maximum(np.take_along_axis(data_bytes, order, axis=1), 1.0))
    quality = np.take_along_axis(quality, order, axis=1)
    best = np.maximum.accumulate(quality, axis=1)
    first_best = np.concatenate([np.ones((len(best), 1), bool), quality[:, 1:] > best[:, :-1]], axis=1)
    # The Pareto point at or before each point.
    logs = np.take_along_axis(logs, np.maximum.accumulate(first_best * np.arange(best.shape[1]), axis=1), axis=1)
    reached = best >= level[:, None] - _TOLERANCE
    rows, upper = np.arange(len(best)), reached.argmax(axis=1)
    lower = np.maximum(upper - 1, 0)
    step = best[rows, upper] - best[rows, lower]
    share = np.clip((level - best[rows, lower]) / np.where(step > 0, step, 1.0), 0.0, 1.0)
    at_level = logs[rows, lower] + np.where(step > 0, share, 0.0) * (logs[rows, upper] - logs[rows, lower])
    least_bytes: Values = np.where(reached.any(axis=1), np.exp(at_level), np.inf)
    return least_bytes


def _unfit(curve: RateQuality, anchor: RateQuality) -> str:
    """Say why two sets of Pareto points cannot be compared; empty when they can."""
    for name, points in (("the anchor", anchor), ("the curve", curve)):
        if len(points.quality) < 2:
            return f"{name} has fewer than two Pareto points"
        if points.data_bytes[0] <= 0:
            return f"{name} has a point without bytes, which has no logarithm"
    return ""


def _mean_difference(x: Values, y: Values, anchor_x: Values, anchor_y: Values) -> Difference | None:
    """Return the mean of y minus the anchor's y over the x that both have; None where they share no interval."""
    low, high = float(max(x[0], anchor_x[0])), float(min(x[-1], anchor_x[-1]))
    if not low < high:
        return None
    area = pchip_integral(x, y, low, high) - pchip_integral(anchor_x, anchor_y, low, high)
    return Difference(area / (high - low), low, high)


def pchip_integral(x: Values, y: Values, low: float, high: float) -> float:
    """Return the exact integral of the PCHIP curve through (x, y) from `low` to `high`.

    Args:
        x: At least two positions, strictly rising.
        y: A value for each.
        low: Lower limit, not below x[0].
        high: Upper limit, not above x[-1].
    """
    width, slope = np.diff(x), np.diff(y) / np.diff(x)
    tangent = _tangents(width, slope)
    left, right = tangent[:-1], tangent[1:]
    # y + c1·t + c2·t² + c3·t³ on each interval, with t from its left end.
    coefficients = (y[:-1], left, (3 * slope - 2 * left - right) / width, (left + right - 2 * slope) / width**2)

    def area(index: int | slice, t: float | Values) -> Values:
        return np.asarray(sum(c[index] * t ** (power + 1) / (power + 1) for power, c in enumerate(coefficients)))

    before = np.concatenate([[0.0], np.cumsum(area(slice(None), width))])

    def from_start(position: float) -> float:
        index = int(np.clip(np.searchsorted(x, position, side="right") - 1, 0, len(width) - 1))
        return float(before[index] + area(index, position - x[index]))

    return from_start(high) - from_start(low)


def _tangents(width: Values, slope: Values) -> Values:
    """Return PCHIP's derivatives at the points: a weighted harmonic mean of both slopes, zero where they turn."""
    if len(slope) == 1:
        return np.repeat(slope, 2)
    tangent = np.zeros(len(slope) + 1)
    for index in range(1, len(slope)):
        before, after = slope[index - 1], slope[index]
        if before * after > 0:
            first, second = 2 * width[index] + width[index - 1], width[index] + 2 * width[index - 1]
            tangent[index] = (first + second) / (first / before + second / after)
    tangent[0] = _end_tangent(width[0], width[1], slope[0], slope[1])
    tangent[-1] = _end_tangent(width[-1], width[-2], slope[-1], slope[-2])
    return tangent


def _end_tangent(width: float, next_width: float, slope: float, next_slope: float) -> float:
    """Return the derivative at an end: the parabola's through three points, limited so that nothing overshoots."""
    tangent = ((2 * width + next_width) * slope - width * next_slope) / (width + next_width)
    if tangent * slope <= 0:
        return 0.0
    if slope * next_slope <= 0 and abs(tangent) > 3 * abs(slope):
        return 3.0 * slope
    return float(tangent)
