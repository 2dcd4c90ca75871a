"""Table `orderings`: whether what is published of two methods holds here, does not hold, or cannot be told.

An ordering holds where the whole 95 % interval of the difference is on the published side, it does not hold where the
whole interval is on the other side, and everything else cannot be told from these test images and seeds. A method's
curve is made of all its points.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sc2.measure.curves import RateQuality, bd_rate_pct
from sc2.measure.resampling import NO_INTERVAL, Interval, bootstrap_p, percentile_interval
from sc2.report.comparison import RESAMPLES
from sc2.report.paired import method_bytes
from sc2.report.resampled import ResampledCurve, Resamples, interval_columns
from sc2.report.seeds import number_or_none
from sc2.report.series import Tables, Values, teacher_value

NEAR_LOSS = 2.0
"""How far below the teacher `bytes_near_teacher` compares (points)."""

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"


@dataclass(frozen=True)
class Method:
    """All points of a method, or of the teacher, which sends nothing.

    Attributes:
        curves: Its curves over the resamples; none for the teacher.
        data_bytes: Bytes of all its points, [points].
        quality: Their quality, [points].
        drawn_bytes: The same bytes in each resample, [resamples, points].
        drawn_quality: The same quality, [resamples, points].
    """

    curves: tuple[ResampledCurve, ...]
    data_bytes: Values
    quality: Values
    drawn_bytes: Values
    drawn_quality: Values


@dataclass(frozen=True)
class Finding:
    """A difference, its interval and test; a reason where there is none."""

    value: float = float("nan")
    interval: Interval = NO_INTERVAL
    p: float = float("nan")
    reason: str = ""


def rows(tables: Tables, orderings: Mapping[str, Mapping[str, Any]], resamples: Resamples) -> list[dict[str, Any]]:
    """Return one row per ordering.

    Args:
        tables: The benchmark's tables.
        orderings: By name: `claim`, `method`, `other`, `metric`, `expected`, `than`, `source`, of methods that have
            runs here.
        resamples: The runs over resamples of the test images.
    """
    names = tables.rate_quality.iloc[0]
    return [
        {"benchmark": names["benchmark"], "task": names["task"], "ordering": name, **_row(tables, ordering, resamples)}
        for name, ordering in orderings.items()
    ]


def _row(tables: Tables, ordering: Mapping[str, Any], resamples: Resamples) -> dict[str, Any]:
    method, other = (_method(tables, resamples, ordering[key]) for key in ("method", "other"))
    than = float(ordering["than"])
    finding = _METRICS[ordering["metric"]](method, other, than, tables, resamples)
    return {
        **{key: ordering[key] for key in ("claim", "source", "method", "other", "metric")},
        "expected": f"{ordering['expected']} than {than:g}",
        "difference": number_or_none(finding.value) if np.isfinite(finding.value) else None,
        **interval_columns(["difference"], [finding.interval]),
        "p": number_or_none(finding.p),
        "verdict": verdict(finding.interval, ordering["expected"], than),
        "reason": finding.reason,
    }


def verdict(interval: Interval, expected: str, than: float) -> str:
    """Return whether a difference lies on the published side of a threshold."""
    below, above = interval.high < than, interval.low > than
    if not (below or above):
        return OPEN
    return HOLDS if below == (expected == "less") else FAILS


def _method(tables: Tables, resamples: Resamples, name: str) -> Method:
    curves = tuple(curve for curve in resamples.curves(tables) if curve.series.method == name)
    if not curves:
        teacher = np.array([teacher_value(tables)])
        drawn = resamples.teacher_quality[:, None]
        return Method((), np.zeros(1), teacher, np.zeros_like(drawn), drawn)
    return Method(
        curves,
        np.concatenate([curve.series.data_bytes for curve in curves]),
        np.concatenate([curve.series.quality for curve in curves]),
        np.concatenate([curve.data_bytes for curve in curves], axis=1),
        np.concatenate([curve.quality for curve in curves], axis=1),
    )


def _finding(value: float, drawn: Values, than: float) -> Finding:
    return Finding(value, percentile_interval(drawn), bootstrap_p(drawn - than))


def _bytes(method: Method, other: Method, than: float, tables: Tables, resamples: Resamples) -> Finding:
    def curves(index: int) -> tuple[RateQuality, RateQuality]:
        one, second = (RateQuality(each.drawn_bytes[index], each.drawn_quality[index]) for each in (method, other))
        return one, second

    measured = bd_rate_pct(*(RateQuality(each.data_bytes, each.quality) for each in (method, other)))
    if measured.reason:
        return Finding(reason=measured.reason)
    count = min(RESAMPLES, len(method.drawn_bytes))
    return _finding(measured.value, np.array([bd_rate_pct(*curves(index)).value for index in range(count)]), than)


def _bytes_near_teacher(method: Method, other: Method, than: float, tables: Tables, resamples: Resamples) -> Finding:
    level, levels = teacher_value(tables) - NEAR_LOSS, resamples.teacher_quality - NEAR_LOSS
    (size, drawn), (other_size, others) = (
        next(iter(method_bytes(each.curves, level, levels).values())) for each in (method, other)
    )
    if not (np.isfinite(size) or np.isfinite(other_size)):
        return Finding(reason=f"neither comes within {NEAR_LOSS:g} points of the teacher")
    with np.errstate(invalid="ignore"):  # neither reaches it in a resample
        ratios = 100.0 * (drawn / others - 1)
    reason = "" if np.isfinite(size) else "it does not come that near the teacher"
    reason = reason if np.isfinite(other_size) else "the other one does not come that near the teacher"
    return Finding(100.0 * (size / other_size - 1), percentile_interval(ratios), bootstrap_p(ratios - than), reason)


def _best_quality(method: Method, other: Method, than: float, tables: Tables, resamples: Resamples) -> Finding:
    drawn = method.drawn_quality.max(axis=1) - other.drawn_quality.max(axis=1)
    return _finding(float(method.quality.max() - other.quality.max()), drawn, than)


def _encoder(attribute: str) -> "Compare":
    def compare(method: Method, other: Method, than: float, tables: Tables, resamples: Resamples) -> Finding:
        size, other_size = (
            min(float(getattr(curve.series, attribute).min()) for curve in each.curves) for each in (method, other)
        )
        if other_size == 0:
            return Finding(reason="the other one has no encoder")
        value = 100.0 * (size / other_size - 1)
        # Counted, not measured: nothing varies.
        return Finding(value, Interval(value, value))

    return compare


Compare = Callable[[Method, Method, float, Tables, Resamples], Finding]

_METRICS: dict[str, Compare] = {
    "bytes": _bytes,
    "bytes_near_teacher": _bytes_near_teacher,
    "best_quality": _best_quality,
    "encoder_kb": _encoder("encoder_kb"),
    "encoder_macs": _encoder("encoder_macs"),
}
