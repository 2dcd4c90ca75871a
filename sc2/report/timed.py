"""Operating points with their times and the bytes of every image: what latency over a channel is computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sc2.errors import DataError
from sc2.measure.channel import US_PER_MS, Side, Split, Values
from sc2.measure.percentile import percentile
from sc2.measure.resampling import Interval
from sc2.measure.slope import rising_slope
from sc2.report.series import Tables, teacher_value

RunKey = tuple[str, str, str]
"""Method, operating point and seed."""

ON_THE_LINK = "session_bytes"
"""Column of the rows per image that holds what is sent: the payload as a packet of a session."""

SIDES = {"device": ("encoder", "coder_encode"), "server": ("coder_decode", "server")}
"""The parts that are timed on each side of the link."""


_NEEDED = ("timed_bytes_min", "timed_bytes_p50", *(f"{side}_us_per_byte" for side in SIDES))


@dataclass(frozen=True)
class TimedPoint:
    """One operating point that was timed, mean over its seeds.

    Attributes:
        method: Name of the method.
        method_title: Its name for readers.
        curve: Label of the curve inside the method; empty where it has one.
        point: The operating point.
        quality: Primary quality of the task, in its own unit.
        split: Its times, and the bytes of every image with every seed.
    """

    method: str
    method_title: str
    curve: str
    point: str
    quality: float
    split: Split


def timed_points(tables: Tables, sizes: Mapping[RunKey, Values]) -> list[TimedPoint]:
    """Return the points that were timed, in the order of `rate_quality`.

    Args:
        tables: The benchmark's tables.
        sizes: Bytes of every image on the link, of each run.

    Raises:
        DataError: A run that was timed has no sizes, or the table is of a version that did not time single images.
    """
    lacking = [name for name in _NEEDED if name not in tables.latency]
    if lacking:
        raise DataError(f"the table latency has no column {', '.join(lacking)}: measure it again, with snakemake")
    latency = {(row["method"], row["point"], row["seed"]): row for _, row in tables.latency.iterrows()}
    points = []
    for (method, point), rows in tables.rate_quality.groupby(["method", "point"], sort=False):
        times = [latency[key] for seed in rows["seed"] if (key := (method, point, seed)) in latency]
        if times:
            points.append(_point(tables, rows, pd.DataFrame(times), sizes))
    return points


def _point(tables: Tables, rows: pd.DataFrame, times: pd.DataFrame, sizes: Mapping[RunKey, Values]) -> TimedPoint:
    first = rows.iloc[0]
    keys = [(str(first["method"]), str(first["point"]), str(seed)) for seed in rows["seed"]]
    for key in keys:
        if key not in sizes:
            raise DataError(f"the run {'/'.join(key)} was timed but has no rows per image; evaluate it again")
    split = Split(
        device=_side(times, "device"),
        server=_side(times, "server"),
        sizes=np.concatenate([sizes[key] for key in keys]),
        # The device sends labels: there is no network on the server.
        answers_on_device=int(first["server_macs"]) == 0,
        typical_bytes=float(times["timed_bytes_p50"].mean()),
        least_bytes=float(times["timed_bytes_min"].mean()),
    )
    return TimedPoint(
        method=str(first["method"]),
        method_title=str(first["method_title"]),
        curve=str(first["curve"]),
        point=str(first["point"]),
        quality=float(rows[tables.quality.primary].mean()),
        split=split,
    )


def _side(times: pd.DataFrame, side: str) -> Side:
    """Return the medians of a side's parts, summed, and the sums of the ends of their intervals; mean over seeds."""
    median, low, high = (
        float(sum(times[f"{part}_ms_{what}"].astype(float) for part in SIDES[side]).mean())  # type: ignore[union-attr]
        for what in ("p50", "low", "high")
    )
    return Side(median, Interval(low, high), float(times[f"{side}_us_per_byte"].mean()))


def by_size(images: Sequence[Mapping[str, float]]) -> dict[str, float | int]:
    """Return how the timed images of a run depend on their bytes, as columns of `latency.csv`.

    Args:
        images: Of each image `session_bytes` and the time of each part, `<part>_ms` (ms); at least one.
    """
    sizes = [image["session_bytes"] for image in images]
    found: dict[str, float | int] = {"timed_images": len(images), "timed_bytes_min": min(sizes)}
    found["timed_bytes_p50"] = percentile(sizes, 50)
    for side, parts in SIDES.items():
        # Each by itself: beside the noise of a network, the rise of a coder would not be seen.
        slopes = [rising_slope(sizes, [image[f"{part}_ms"] for image in images]) for part in parts]
        found[f"{side}_us_per_byte"] = US_PER_MS * sum(slopes)
    return found


def read_sizes(paths: Mapping[RunKey, Path]) -> dict[RunKey, Values]:
    """Read the bytes of every image on the link, of each run.

    Raises:
        DataError: A file is unreadable, holds no image, or lacks the column.
    """
    return {key: _sizes(path) for key, path in paths.items()}


def _sizes(path: Path) -> Values:
    try:
        column = pd.read_parquet(path, columns=[ON_THE_LINK])[ON_THE_LINK]
    except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are one of these
        raise DataError(f"{path}: no readable column {ON_THE_LINK} ({error}); evaluate again") from error
    if column.empty:
        raise DataError(f"{path}: holds no images; evaluate again")
    return column.to_numpy(dtype=np.float64)


def reaching(tables: Tables, points: Sequence[TimedPoint], loss: float) -> dict[str, TimedPoint]:
    """Return the point of each method with the fewest bytes that loses at most some points of the teacher's quality.

    Args:
        tables: The benchmark's tables.
        points: All points that were timed.
        loss: How far below the teacher the quality may be, in points of the task's unit.
    """
    needed = teacher_value(tables) - loss - 1e-9
    best: dict[str, TimedPoint] = {}
    for point in points:
        before = best.get(point.method)
        fewer = before is None or point.split.sizes.mean() < before.split.sizes.mean()
        if point.quality >= needed and fewer:
            best[point.method] = point
    return best
