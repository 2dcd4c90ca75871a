"""Stage `model_latency`: end-to-end latency over modelled channels, and the rates at which two methods break even.

Bytes are those of each test image. Times are those of `latency.csv`: measured on some test images, and carried over to
the others by their bytes where times rise with bytes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from sc2.drawing import DrawingJob
from sc2.errors import DataError
from sc2.measure.channel import PRESETS, Side, Split, break_even, missed_pct
from sc2.measure.percentile import percentile
from sc2.report import latency_figure, style
from sc2.report.column import Column, ends, floats, text
from sc2.report.fewest_bytes import MAX_LOSS_POINTS
from sc2.report.resampled import interval_columns
from sc2.report.series import READ, Tables, read_tables, teacher_value
from sc2.report.table_io import Row, write_table
from sc2.report.timed import SIDES, RunKey, TimedPoint, reaching, read_sizes, timed_points

DEADLINES_MS = (33, 100, 300, 1000)
"""Deadlines whose misses the table counts (ms)."""

_MISSED = tuple(f"missed_{deadline}_ms_pct" for deadline in DEADLINES_MS)


def end_to_end_columns() -> tuple[Column, ...]:
    """Return the columns of `end_to_end.csv`."""
    keys = (*text("benchmark", "method", "method_title"), *text("curve", nullable=True), *text("point", "channel"))
    sides = floats(4, *(f"{side}_ms_{what}" for side in SIDES for what in ("mean", "p95", "p99")))
    channel = (*floats(3, "kbit_s", "rtt_ms"), *sides, *floats(3, "session_bytes_mean"))
    latency = floats(4, "latency_ms_mean", "latency_ms_p50", "latency_ms_p95", "latency_ms_p99")
    return (*keys, *channel, *latency, *floats(3, *_MISSED))


def break_even_columns() -> tuple[Column, ...]:
    """Return the columns of `break_even.csv`."""
    keys = (*text("benchmark"), *floats(1, "max_loss_points"), *floats(4, "min_quality"))
    pair = text("method", "method_title", "point", "other_method", "other_method_title", "other_point")
    rate = (*floats(3, "break_even_kbit_s", nullable=True), *ends(3, "break_even_kbit_s"))
    return (*keys, *pair, *floats(3, "rtt_ms", nullable=True), *rate, *text("faster", "reason", nullable=True))


def run(job: DrawingJob) -> None:
    """Write `end_to_end` and `break_even` from the tables and the rows per image, and draw `svg` and `png`.

    The spec holds `runs`, method, point and seed of each of `samples`.

    Raises:
        DataError: A table or the rows of a run are unreadable, or a run has none.
    """
    spec, samples = job.spec, job.input_list("samples")
    if len(samples) != len(spec["runs"]):
        raise DataError(f"{len(spec['runs'])} runs came with {len(samples)} files of rows per image: give one each")
    tables = read_tables({name: job.input(name) for name in READ}, spec["methods"])
    keys: list[RunKey] = [(method, point, seed) for method, point, seed in spec["runs"]]
    points = timed_points(tables, read_sizes(dict(zip(keys, samples, strict=True))))
    source, benchmark = job.input("latency"), job.keys["benchmark"]
    rows = [Row(source, row) for row in modelled(points, benchmark)]
    write_table(job.outputs["end_to_end"], end_to_end_columns(), rows)
    rows = [Row(source, row) for row in break_evens(tables, points, benchmark)]
    write_table(job.outputs["break_even"], break_even_columns(), rows)
    with style.applied():
        drawn = latency_figure.draw(tables, points, str(spec["title"]))
    style.save(drawn, job.outputs["svg"], job.outputs["png"], str(spec["title"]), job.uncommitted)


def modelled(points: Sequence[TimedPoint], benchmark: str) -> Iterator[dict[str, Any]]:
    """Yield a row per point and preset."""
    for point in points:
        sides = {**_side("device", point.split, point.split.device), **_side("server", point.split, point.split.server)}
        for preset in PRESETS:
            latency = point.split.latency_ms(preset.channel)
            ordered = latency.tolist()
            yield {
                **{"benchmark": benchmark, **_names(point), "curve": point.curve, "point": point.point},
                **{"channel": preset.name, "kbit_s": preset.channel.kbit_s, "rtt_ms": preset.channel.rtt_ms},
                **sides,
                "session_bytes_mean": float(point.split.sizes.mean()),
                "latency_ms_mean": float(np.mean(latency)),
                **{f"latency_ms_p{rank}": percentile(ordered, rank) for rank in (50, 95, 99)},
                **{name: missed_pct(latency, limit) for name, limit in zip(_MISSED, DEADLINES_MS, strict=True)},
            }


def _side(name: str, split: Split, side: Side) -> dict[str, float]:
    times = split.side_ms(side).tolist()
    ranks = {f"{name}_ms_p{rank}": percentile(times, rank) for rank in (95, 99)}
    return {f"{name}_ms_mean": split.mean_ms(side), **ranks}


def break_evens(tables: Tables, points: Sequence[TimedPoint], benchmark: str) -> Iterator[dict[str, Any]]:
    """Yield a row per loss and pair of methods that reach the quality.

    Where one of the two answers on the device, the round trip counts, and there is a row for that of each preset.
    """
    for loss in MAX_LOSS_POINTS:
        keys = {"benchmark": benchmark, "max_loss_points": loss, "min_quality": teacher_value(tables) - loss}
        for pair in combinations(reaching(tables, points, loss).values(), 2):
            local = sum(point.split.answers_on_device for point in pair)
            for rtt in dict.fromkeys(preset.channel.rtt_ms for preset in PRESETS) if local == 1 else [None]:
                yield {**keys, **_pair(*pair, rtt)}


def _pair(one: TimedPoint, two: TimedPoint, rtt_ms: float | None) -> Mapping[str, Any]:
    """Return what is said of two points; the first named is the one with fewer bytes, or of two equals the faster."""
    rtt = rtt_ms or 0.0
    fewer, other = sorted((one, two), key=lambda point: (point.split.mean_bytes, point.split.fixed_ms(rtt)))
    found = break_even(fewer.split, other.split, rtt)
    always, never = math.isinf(found.kbit_s), found.kbit_s == 0
    reason = "faster at every rate" if always else "never: as many bytes, and more time" if never else ""
    return {
        **_names(fewer),
        "point": fewer.point,
        **{f"other_{name}": value for name, value in _names(other).items()},
        "other_point": other.point,
        "rtt_ms": rtt_ms,
        "break_even_kbit_s": None if reason else found.kbit_s,
        **interval_columns(["break_even_kbit_s"], [found.interval]),
        "faster": "method" if always else "other_method" if never else "method below",
        "reason": reason,
    }


def _names(point: TimedPoint) -> dict[str, str]:
    return {"method": point.method, "method_title": point.method_title}
