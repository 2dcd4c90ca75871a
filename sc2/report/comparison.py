"""Table `comparison`: every curve against the anchor, and the volume that it dominates alone.

The curves are those that the figures draw: means over seeds, in payload bytes. The spread of a difference is that of
the differences seed by seed.
"""

from typing import Any

import numpy as np
import pandas as pd

from sc2.measure.curves import Difference, RateQuality, bd_quality, bd_rate_pct
from sc2.measure.hypervolume import hypervolume
from sc2.report.seeds import number_or_none
from sc2.report.series import Series, Tables, collect


def rows(tables: Tables, anchor: str) -> list[dict[str, Any]]:
    """Return one row per curve, in the order of `rate_quality`.

    Args:
        tables: The benchmark's tables.
        anchor: Method whose first curve all others are compared with.

    Raises:
        DataError: The anchor has no run.
    """
    against = collect(tables, [anchor])[0]
    everything = collect(tables, list(tables.rate_quality["method"].unique()))
    return [_row(tables, series, against) for series in everything]


def _row(tables: Tables, series: Series, anchor: Series) -> dict[str, Any]:
    curve, base = _curve(series), _curve(anchor)
    rate, quality = bd_rate_pct(curve, base), bd_quality(curve, base)
    rate_std, quality_std = _spread(tables, series, anchor)
    first = tables.rate_quality.iloc[0]
    return {
        **{"benchmark": first["benchmark"], "task": first["task"]},
        **{"anchor": anchor.method, "anchor_curve": anchor.curve},
        **{"method": series.method, "method_title": series.method_title, "curve": series.curve},
        **{"points": len(series.points), "pareto_points": len(curve.pareto().quality), "seeds": min(series.seeds)},
        **_difference(rate, "bd_rate_pct", "bd_rate_quality", "bd_rate_reason"),
        **_difference(quality, "bd_quality_points", "bd_quality_bytes", "bd_quality_reason"),
        **{"bd_rate_pct_seed_std": rate_std, "bd_quality_points_seed_std": quality_std},
        "hypervolume": hypervolume(zip(series.data_bytes, series.encoder_kb, series.quality, strict=True)),
    }


def _curve(series: Series) -> RateQuality:
    return RateQuality(series.data_bytes, series.quality)


def _difference(difference: Difference, value: str, interval: str, reason: str) -> dict[str, Any]:
    return {
        value: number_or_none(difference.value),
        f"{interval}_low": number_or_none(difference.low),
        f"{interval}_high": number_or_none(difference.high),
        reason: difference.reason,
    }


def _spread(tables: Tables, series: Series, anchor: Series) -> tuple[float | None, float | None]:
    """Return the sample standard deviations of both differences over the curve's seeds; None with fewer than two.

    A seed is compared with the anchor's same seed, or with the anchor's mean where it has no such seed. Every seed has
    to give a value.
    """
    own, others = _by_seed(tables, series), _by_seed(tables, anchor)
    if len(own) < 2:
        return None, None
    pairs = [(curve, others.get(seed, _curve(anchor))) for seed, curve in own.items()]
    return _std([bd_rate_pct(*pair).value for pair in pairs]), _std([bd_quality(*pair).value for pair in pairs])


def _by_seed(tables: Tables, series: Series) -> dict[str, RateQuality]:
    table: pd.DataFrame = tables.rate_quality
    rows = table[(table["method"] == series.method) & (table["curve"] == series.curve)]
    primary = tables.quality.primary
    return {
        str(seed): RateQuality.of(group["payload_bytes_mean"], group[primary])
        for seed, group in rows.groupby("seed", sort=False)
    }


def _std(values: list[float]) -> float | None:
    return number_or_none(np.std(values, ddof=1))
