"""Table `fewest_bytes`: the fewest bytes with which each method stays within a loss of quality and an encoder's limit.

Only measured points count (means over seeds): nothing is interpolated, so every row is a model that exists.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sc2.report.series import Series, Tables, collect, teacher_value

MAX_LOSS_POINTS = (1.0, 2.0, 5.0, 10.0, 15.0)
"""How far below the teacher the quality may be, in points of the task's unit."""

_TOLERANCE = 1e-9
"""What rounding in a mean may cost at a threshold."""


@dataclass(frozen=True)
class Measured:
    """One operating point, mean over its seeds.

    Attributes:
        curve: Label of its curve.
        point: The operating point.
        data_bytes: Payload per image (bytes).
        quality: Primary quality of the task, in its own unit.
        encoder_kb: Size of the encoder by upstream's rule (KB = 1024 B).
        encoder_macs_pct: Multiply-accumulates of the encoder, in percent of the whole teacher's.
    """

    curve: str
    point: str
    data_bytes: float
    quality: float
    encoder_kb: float
    encoder_macs_pct: float


def rows(tables: Tables) -> list[dict[str, Any]]:
    """Return one row per loss, encoder limit and method.

    Raises:
        DataError: The teacher's multiply-accumulates are zero.
    """
    methods = measured(tables)
    points = [point for _, own in methods.values() for point in own]
    limits: list[tuple[str, float]] = [("encoder_kb", limit) for limit in limits_of(p.encoder_kb for p in points)]
    limits += [("encoder_macs_pct", limit) for limit in limits_of(p.encoder_macs_pct for p in points)]
    return [
        _row(tables, loss, kind, limit, method)
        for loss in MAX_LOSS_POINTS
        for kind, limit in limits
        for method in methods.items()
    ]


def measured(tables: Tables) -> dict[str, tuple[str, list[Measured]]]:
    """Return title and points of each method, in the order of `rate_quality`.

    Raises:
        DataError: The teacher's multiply-accumulates are zero.
    """
    methods: dict[str, tuple[str, list[Measured]]] = {}
    for series in collect(tables, list(tables.rate_quality["method"].unique())):
        methods.setdefault(series.method, (series.method_title, []))[1].extend(_points(series, tables.teacher_macs))
    return methods


def _points(series: Series, teacher_macs: float) -> list[Measured]:
    columns = (series.data_bytes, series.quality, series.encoder_kb, 100.0 * series.encoder_macs / teacher_macs)
    return [
        Measured(series.curve, point, *(float(column[index]) for column in columns))
        for index, point in enumerate(series.points)
    ]


def limits_of(costs: Iterable[float]) -> list[float]:
    """Return the limits that are worth a row: 0, then 1 and 3 times powers of ten, up to the first that admits all.

    A limit is left out where it admits no more of the costs than the one before.
    """
    present = sorted(costs)
    steps = [0.0, *(float(f"{step}e{decade}") for decade in range(-3, 13) for step in (1, 3))]
    limits: list[float] = []
    admitted = 0
    for step in steps:
        within = sum(cost <= step for cost in present)
        if within > admitted:
            limits.append(step)
            admitted = within
    return limits


def fewest(points: Sequence[Measured], min_quality: float, kind: str, limit: float) -> tuple[Measured | None, str]:
    """Return the point with the fewest bytes that is good and small enough, or None and why there is none.

    Args:
        points: Measured points of one method.
        min_quality: Quality that it must reach.
        kind: Which cost is limited: `encoder_kb` or `encoder_macs_pct`.
        limit: The largest allowed cost.
    """
    small = [point for point in points if getattr(point, kind) <= limit]
    if not small:
        return None, "no encoder within the limit"
    good = [point for point in small if point.quality >= min_quality - _TOLERANCE]
    if not good:
        elsewhere = any(point.quality >= min_quality - _TOLERANCE for point in points)
        return None, "quality reached only beyond the limit" if elsewhere else "quality not reached"
    return min(good, key=lambda point: (point.data_bytes, -point.quality)), ""


def _row(
    tables: Tables, loss: float, kind: str, limit: float, method: tuple[str, tuple[str, list[Measured]]]
) -> dict[str, Any]:
    name, (title, points) = method
    min_quality = teacher_value(tables) - loss
    point, reason = fewest(points, min_quality, kind, limit)
    first = tables.rate_quality.iloc[0]
    return {
        **{"benchmark": first["benchmark"], "task": first["task"]},
        **{"max_loss_points": loss, "min_quality": min_quality},
        "encoder_limit_kb": limit if kind == "encoder_kb" else None,
        "encoder_limit_macs_pct": limit if kind == "encoder_macs_pct" else None,
        **{"method": name, "method_title": title},
        "curve": point.curve if point else "",
        "point": point.point if point else "",
        "payload_bytes_mean": point.data_bytes if point else None,
        tables.quality.primary: point.quality if point else None,
        "sc2bench_encoder_kb": point.encoder_kb if point else None,
        "encoder_macs_pct": point.encoder_macs_pct if point else None,
        "reason": reason,
    }
