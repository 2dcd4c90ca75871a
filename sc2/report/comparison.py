"""Table `comparison`: every curve against the anchors, and the volume that it dominates alone.

The curves are those that the figures draw: means over seeds, in payload bytes. The interval of a difference is over
resamples of the test images and of the seeds, its spread that of the differences seed by seed.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from sc2.measure.curves import Difference, RateQuality, bd_quality, bd_rate_pct, too_short
from sc2.measure.hypervolume import IDEAL_MACS_SHARE, IDEAL_MS, REFERENCE_MACS_SHARE, REFERENCE_MS, Box, hypervolume
from sc2.measure.resampling import NO_INTERVAL, Interval, percentile_interval
from sc2.report.resampled import ResampledCurve, Resamples, interval_columns
from sc2.report.seeds import number_or_none
from sc2.report.series import Series, Tables, Values, collect, teacher_value

RESAMPLES = 300
"""Resamples that an interval of a difference of curves is from: each of them takes a fit of its own."""

Metric = Callable[[RateQuality, RateQuality], Difference]


def rows(tables: Tables, anchors: Sequence[str], resamples: Resamples) -> list[dict[str, Any]]:
    """Return one row per anchor and curve, in the order of `rate_quality`.

    Args:
        tables: The benchmark's tables.
        anchors: Methods whose first curves all others are compared with.
        resamples: The runs over resamples of the test images.

    Raises:
        DataError: An anchor has no run, or the teacher's multiply-accumulates are zero.
    """
    against = [resamples.curve(tables, collect(tables, [anchor])[0]) for anchor in anchors]
    curves = resamples.curves(tables)
    return [_row(tables, resamples, curve, anchor) for anchor in against for curve in curves]


def _row(tables: Tables, resamples: Resamples, curve: ResampledCurve, anchor: ResampledCurve) -> dict[str, Any]:
    series, base = curve.series, anchor.series
    first = tables.rate_quality.iloc[0]
    return {
        **{"benchmark": first["benchmark"], "task": first["task"]},
        **{"anchor": base.method, "anchor_curve": base.curve},
        **{"method": series.method, "method_title": series.method_title, "curve": series.curve},
        **{"points": len(series.points), "pareto_points": len(_curve(series).pareto().quality)},
        "seeds": min(series.seeds),
        **_difference(tables, curve, anchor, "bd_rate_pct", "bd_rate_quality", "bd_rate_reason"),
        **_difference(tables, curve, anchor, "bd_quality_points", "bd_quality_bytes", "bd_quality_reason"),
        "hypervolume": _hypervolume(tables, resamples, series),
    }


_METRICS: dict[str, tuple[Metric, Literal["quality", "rate"]]] = {
    "bd_rate_pct": (bd_rate_pct, "quality"),
    "bd_quality_points": (bd_quality, "rate"),
}


def _difference(
    tables: Tables, curve: ResampledCurve, anchor: ResampledCurve, name: str, common: str, reason: str
) -> dict[str, Any]:
    metric, axis = _METRICS[name]
    own, base = _curve(curve.series), _curve(anchor.series)
    why = too_short(own, base, axis)
    difference = Difference.none(why) if why else metric(own, base)
    known = not difference.reason
    interval = difference_interval(metric, curve, anchor) if known else NO_INTERVAL
    return {
        name: number_or_none(difference.value),
        **interval_columns([name], [interval]),
        f"{name}_seed_std": _spread(tables, curve.series, anchor.series, metric) if known else None,
        f"{common}_low": number_or_none(difference.low),
        f"{common}_high": number_or_none(difference.high),
        reason: difference.reason,
    }


def difference_interval(metric: Metric, curve: ResampledCurve, anchor: ResampledCurve) -> Interval:
    """Return the interval of a difference of two curves over the first resamples."""
    return percentile_interval(resampled_differences(metric, curve, anchor))


def resampled_differences(metric: Metric, curve: ResampledCurve, anchor: ResampledCurve) -> Values:
    """Return a difference of two curves in the first `RESAMPLES` resamples; NaN where they share no interval."""
    count = min(RESAMPLES, len(curve.quality))
    if curve is anchor or curve.series is anchor.series:
        return np.zeros(count)
    pairs = (
        (RateQuality(one.data_bytes[index], one.quality[index]) for one in (curve, anchor)) for index in range(count)
    )
    return np.array([metric(*pair).value for pair in pairs])


def _hypervolume(tables: Tables, resamples: Resamples, series: Series) -> float:
    box = Box((REFERENCE_MACS_SHARE, IDEAL_MACS_SHARE), (resamples.chance, teacher_value(tables)))
    shares = series.encoder_macs / tables.teacher_macs
    return hypervolume(zip(series.data_bytes, shares, series.quality, strict=True), box)


def timed_rows(tables: Tables, resamples: Resamples) -> list[dict[str, Any]]:
    """Return the rows of `timed_hypervolume`: the volume of every curve with the device's time, where it was timed."""
    box = Box((REFERENCE_MS, IDEAL_MS), (resamples.chance, teacher_value(tables)))
    first, rows = tables.rate_quality.iloc[0], []
    for series in collect(tables, list(tables.rate_quality["method"].unique())):
        times = _device_ms(tables, series)
        if not np.isnan(times).any():
            volume = hypervolume(zip(series.data_bytes, times, series.quality, strict=True), box)
            keys = {"method": series.method, "method_title": series.method_title, "curve": series.curve}
            rows.append({"benchmark": first["benchmark"], "task": first["task"], **keys, "hypervolume_ms": volume})
    return rows


def _device_ms(tables: Tables, series: Series) -> Values:
    """Return the median time of encoder and coder of each point, mean over seeds; NaN where it was not measured."""
    latency = tables.latency[tables.latency["method"] == series.method]
    times = (latency["encoder_ms_p50"] + latency["coder_encode_ms_p50"]).groupby(latency["point"]).mean()
    return times.reindex(series.points).to_numpy(dtype=np.float64)


def _curve(series: Series) -> RateQuality:
    return RateQuality(series.data_bytes, series.quality)


def _spread(tables: Tables, series: Series, anchor: Series, metric: Metric) -> float | None:
    """Return the sample standard deviation of a difference over the curve's seeds; None with fewer than two.

    A seed is compared with the anchor's same seed, or with the anchor's mean where it has no such seed. Every seed has
    to give a value.
    """
    own, others = _by_seed(tables, series), _by_seed(tables, anchor)
    if len(own) < 2:
        return None
    values = [metric(curve, others.get(seed, _curve(anchor))).value for seed, curve in own.items()]
    return number_or_none(np.std(values, ddof=1))


def _by_seed(tables: Tables, series: Series) -> dict[str, RateQuality]:
    table: pd.DataFrame = tables.rate_quality
    rows = table[(table["method"] == series.method) & (table["curve"] == series.curve)]
    primary = tables.quality.primary
    return {
        str(seed): RateQuality.of(group["payload_bytes_mean"], group[primary])
        for seed, group in rows.groupby("seed", sort=False)
    }
