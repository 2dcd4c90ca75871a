"""Every operating point of a benchmark as the browser gets it: numbers, bytes per image, times, where it comes from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sc2.measure.channel import Values
from sc2.page.marks import looks_of
from sc2.page.present import Present
from sc2.report.series import Series, Tables, collect
from sc2.report.style import look_of
from sc2.report.timed import TimedPoint

_DIGITS = 6


def curves(benchmark: Present) -> list[dict[str, Any]]:
    """Return the curves of a benchmark with their points."""
    tables, found = benchmark.tables, []
    by_name = {(point.method, point.point): point for point in benchmark.timed}
    for series in collect(tables, list(tables.facts)):
        points = [_point(benchmark, series, index, by_name) for index in range(len(series.points))]
        found.append({"method": series.method, "curve": series.curve, "index": series.curve_index, "points": points})
    return found


def _point(
    benchmark: Present,
    series: Series,
    index: int,
    timed: Mapping[tuple[str, str], TimedPoint],
) -> dict[str, Any]:
    point = series.points[index]
    rows = _rows(benchmark.tables, series, point)
    seeds = [str(seed) for seed in rows["seed"]]
    its = timed.get((series.method, point))
    sizes = [benchmark.sizes[series.method, point, seed] for seed in seeds] if benchmark.sizes else []
    return {
        "point": point,
        "label": series.facts.point(point),
        "seeds": seeds,
        "bytes": _interval(series.data_bytes[index], *series.data_bytes_interval[:, index]),
        "p95": rounded(rows["payload_bytes_p95"].mean()),
        "quality": _interval(series.quality[index], *series.quality_interval[:, index]),
        "kb": rounded(series.encoder_kb[index]),
        "params": rounded(series.encoder_params[index]),
        "macs": rounded(series.encoder_macs[index]),
        "sizes": histogram(np.concatenate(sizes)) if sizes else None,
        "times": None if its is None else _times(its),
        "runs": [benchmark.run(series.method, point, seed) for seed in seeds],
    }


def _rows(tables: Tables, series: Series, point: str) -> Any:
    table = tables.rate_quality
    return table[(table["method"] == series.method) & (table["point"] == point)]


def _times(point: TimedPoint) -> dict[str, Any]:
    split = point.split
    return {
        "device": _interval(split.mean_ms(split.device), *split.interval(split.device)),
        "server": _interval(split.mean_ms(split.server), *split.interval(split.server)),
        "perByte": [rounded(split.device.us_per_byte), rounded(split.server.us_per_byte), rounded(split.least_bytes)],
        "local": split.answers_on_device,
    }


def histogram(sizes: Values) -> list[list[int]]:
    """Return the different sizes in rising order, each as the step from the one before, and how often each occurs.

    Args:
        sizes: Bytes of each image, [images].
    """
    values, counts = np.unique(sizes.astype(np.int64), return_counts=True)
    return [np.diff(values, prepend=0).tolist(), counts.tolist()]


def _interval(value: float, low: float, high: float) -> list[float | None]:
    return [rounded(value), rounded(low), rounded(high)]


def rounded(value: float) -> float | None:
    """Return a number with as many digits as a reader can use, None where there is none."""
    return float(f"{float(value):.{_DIGITS}g}") if np.isfinite(value) else None


def methods(benchmarks: Sequence[Present]) -> dict[str, dict[str, Any]]:
    """Return the look of every curve of every method, by method and number of the curve."""
    found: dict[str, dict[str, Any]] = {}
    for benchmark in benchmarks:
        for series in collect(benchmark.tables, list(benchmark.tables.facts)):
            own = {"title": series.method_title, "family": series.facts.family, "looks": {}}
            looks = found.setdefault(series.method, own)["looks"]
            looks.setdefault(str(series.curve_index), looks_of(look_of(series)))
    return found
