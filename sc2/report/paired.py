"""Tables `paired` and `byte_ratios`: two methods on the same images, at about the same bytes and at equal quality.

A difference of two methods on the same images is surer than its ends, because both err on the same images: its interval
is that of the differences in each resample, not that of two intervals.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from sc2.measure.curves import bytes_at_quality
from sc2.measure.resampling import mcnemar_p, percentile_interval
from sc2.report.fewest_bytes import MAX_LOSS_POINTS
from sc2.report.resampled import ResampledCurve, Resamples, interval_columns
from sc2.report.seeds import number_or_none
from sc2.report.series import Tables, Values, teacher_value

NEAR = 2.0
"""Two points are at about the same bytes where neither has more than this many times the other's."""


def rows(tables: Tables, resamples: Resamples) -> list[dict[str, Any]]:
    """Return one row per pair of points: neighbours on a curve, and points with the nearest of each later curve.

    Curves of one method are not compared with each other.
    """
    curves = resamples.curves(tables)
    return [_row(tables, *pair) for pair in (*_neighbours(curves), *_nearest(curves))]


Point = tuple[ResampledCurve, int]


def _neighbours(curves: Sequence[ResampledCurve]) -> Iterator[tuple[Point, Point]]:
    for curve in curves:
        # By bytes: in the tables, points are in the order of the rate axis.
        for index, following in pairwise(np.argsort(curve.series.data_bytes, kind="stable").tolist()):
            yield (curve, index), (curve, following)


def _nearest(curves: Sequence[ResampledCurve]) -> Iterator[tuple[Point, Point]]:
    for curve, other in combinations(curves, 2):
        if curve.series.method == other.series.method:
            continue
        others = np.maximum(other.series.data_bytes, 1.0)
        for index, size in enumerate(np.maximum(curve.series.data_bytes, 1.0)):
            distance = np.abs(np.log(others / size))
            nearest = int(distance.argmin())
            if distance[nearest] <= np.log(NEAR):
                yield (curve, index), (other, nearest)


def _row(tables: Tables, first: Point, second: Point) -> dict[str, Any]:
    (curve, index), (other, position) = first, second
    interval = percentile_interval(curve.quality[:, index] - other.quality[:, position])
    names = tables.rate_quality.iloc[0]
    return {
        **{"benchmark": names["benchmark"], "task": names["task"]},
        **_point(curve, index, ""),
        **_point(other, position, "other_"),
        "seeds": min(curve.series.seeds[index], other.series.seeds[position]),
        "difference_points": curve.series.quality[index] - other.series.quality[position],
        **interval_columns(["difference_points"], [interval]),
        "told_apart": interval.excludes(0.0),
        **_discordant(curve, index, other, position),
    }


def _point(curve: ResampledCurve, index: int, prefix: str) -> dict[str, Any]:
    series = curve.series
    return {
        f"{prefix}method": series.method,
        f"{prefix}method_title": series.method_title,
        f"{prefix}curve": series.curve,
        f"{prefix}point": series.points[index],
        f"{prefix}payload_bytes_mean": series.data_bytes[index],
    }


def _discordant(curve: ResampledCurve, index: int, other: ResampledCurve, position: int) -> dict[str, Any]:
    """Return the images that only one of two runs has right, and McNemar's test of them.

    The runs are those with the first seed that both points have; without one, nothing is compared.
    """
    own, of_other = curve.right[index], other.right[position]
    shared = next((seed for seed in own if seed in of_other), "")
    right, others = own.get(shared), of_other.get(shared)
    if right is None or others is None:
        return {"only_right": None, "only_other_right": None, "mcnemar_p": None}
    only, only_other = int((right & ~others).sum()), int((others & ~right).sum())
    return {"only_right": only, "only_other_right": only_other, "mcnemar_p": mcnemar_p(only, only_other)}


def method_bytes(curves: Sequence[ResampledCurve], level: float, levels: Values) -> dict[str, tuple[float, Values]]:
    """Return the fewest bytes with which each method reaches a quality, on any of its curves.

    Args:
        curves: Of all methods.
        level: The quality to reach with the measured curves.
        levels: The quality to reach in each resample, [resamples].

    Returns:
        By method: bytes of the measured curves, and in each resample, [resamples]; infinity where it is not reached.
    """
    fewest: dict[str, tuple[float, Values]] = {}
    for curve in curves:
        series = curve.series
        measured = bytes_at_quality(series.data_bytes[None], series.quality[None], np.array([level]))[0]
        drawn = bytes_at_quality(curve.data_bytes, curve.quality, levels)
        before = fewest.get(series.method, (np.inf, np.full(len(levels), np.inf)))
        fewest[series.method] = (min(before[0], float(measured)), np.minimum(before[1], drawn))
    return fewest


def byte_ratios(tables: Tables, resamples: Resamples) -> list[dict[str, Any]]:
    """Return one row per loss and pair of methods that both reach the quality: the quotient of their bytes."""
    curves, teacher = resamples.curves(tables), teacher_value(tables)
    titles = {curve.series.method: curve.series.method_title for curve in curves}
    names, ratios = tables.rate_quality.iloc[0], []
    for loss in MAX_LOSS_POINTS:
        reached = method_bytes(curves, teacher - loss, resamples.teacher_quality - loss)
        for method, other in combinations([name for name, (size, _) in reached.items() if np.isfinite(size)], 2):
            (size, drawn), (other_size, others) = reached[method], reached[other]
            with np.errstate(invalid="ignore"):  # neither reaches it: no ratio
                interval = percentile_interval(drawn / others)
            ratios.append(
                {
                    **{"benchmark": names["benchmark"], "task": names["task"]},
                    **{"max_loss_points": loss, "min_quality": teacher - loss},
                    **{"method": method, "method_title": titles[method]},
                    **{"other_method": other, "other_method_title": titles[other]},
                    "byte_ratio": number_or_none(size / other_size),
                    **interval_columns(["byte_ratio"], [interval]),
                    "told_apart": interval.excludes(1.0),
                }
            )
    return ratios
