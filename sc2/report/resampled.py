"""What the rows per image say beyond their means: quality and bytes of every run over resamples of the test images.

Resample b is the same choice of images for every run, so that what is computed from two runs in it is paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sc2.errors import DataError
from sc2.measure.resampling import (
    GROUP,
    Interval,
    percentile_interval,
    proportion_interval,
    resample_weights,
    seed_weights,
    weighted_means,
)
from sc2.report.series import Series, Tables, Values, collect
from sc2.tasks import get_task

RunKey = tuple[str, str, str]
"""Method, operating point and seed."""


@dataclass(frozen=True)
class Resampled:
    """One run, or the teacher, over the resamples.

    Attributes:
        quality: Primary quality of the task in each resample, [resamples].
        data_bytes: Payload per image in each resample, [resamples]; zero for the teacher.
        quality_interval: Of the quality.
        data_bytes_interval: Of the bytes.
        right: Whether the answer to each image is right, [images]; None where the task has no such thing.
    """

    quality: Values
    data_bytes: Values
    quality_interval: Interval
    data_bytes_interval: Interval
    right: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Resamples:
    """A benchmark's runs and its teachers over the same resamples of its test images.

    Attributes:
        teachers: The teacher of each seed that it was trained with.
        runs: Every run.
        chance: Primary quality of the best answer that is the same for all images (%).
    """

    teachers: Mapping[str, Resampled]
    runs: Mapping[RunKey, Resampled]
    chance: float

    @property
    def teacher_quality(self) -> Values:
        """Primary quality of the teacher in each resample, mean over its seeds, [resamples]."""
        return over_seeds({seed: teacher.quality for seed, teacher in self.teachers.items()})

    def curve(self, tables: Tables, series: Series) -> "ResampledCurve":
        """Return a curve over the resamples."""
        rows = tables.rate_quality[tables.rate_quality["method"] == series.method]
        runs = [
            {seed: self.runs[series.method, point, seed] for seed in rows.loc[rows["point"] == point, "seed"]}
            for point in series.points
        ]
        quality = [over_seeds({seed: run.quality for seed, run in own.items()}) for own in runs]
        data_bytes = [over_seeds({seed: run.data_bytes for seed, run in own.items()}) for own in runs]
        right = tuple({seed: run.right for seed, run in own.items()} for own in runs)
        return ResampledCurve(series, np.stack(data_bytes, axis=1), np.stack(quality, axis=1), right)

    def curves(self, tables: Tables) -> "list[ResampledCurve]":
        """Return all curves, in the order of `rate_quality`."""
        methods = list(tables.rate_quality["method"].unique())
        return [self.curve(tables, series) for series in collect(tables, methods)]


@dataclass(frozen=True)
class ResampledCurve:
    """A curve over the resamples; each point is a mean over its seeds, which are drawn again as well.

    Attributes:
        series: The curve as it was measured.
        data_bytes: Payload per image, [resamples, points].
        quality: Primary quality, [resamples, points].
        right: For each point and seed, whether each image is right, [images]; None where the task has no such thing.
    """

    series: Series
    data_bytes: Values
    quality: Values
    right: tuple[Mapping[str, NDArray[np.bool_] | None], ...]


def over_seeds(values: Mapping[str, Values]) -> Values:
    """Return means over seeds that are weighted at random in each resample, [resamples].

    The weights are exponential and belong to the seed, so that whatever has a seed in common stays paired: a method and
    its teacher, two methods with some of their seeds the same. Such a mean of n seeds varies too little by the factor
    √((n - 1) / (n + 1)); that is made up for. One seed says nothing of the others, so nothing varies.

    Args:
        values: Seed → a number of its run in each resample, [resamples].
    """
    stacked = np.stack(list(values.values()))
    mean: Values = stacked.mean(axis=0)
    seeds, resamples = stacked.shape
    if seeds == 1:
        return mean
    weights = np.stack([seed_weights(int(seed), resamples) for seed in values])
    weighted = (weights * stacked).sum(axis=0) / weights.sum(axis=0)
    return mean + np.sqrt((seeds + 1) / (seeds - 1)) * (weighted - mean)


def read_resamples(task: str, teachers: Mapping[str, Path], runs: Mapping[RunKey, Path]) -> Resamples:
    """Read the rows per image of a benchmark and resample its test images.

    Args:
        task: Name of the benchmark's task.
        teachers: Rows of the teacher of each seed, at least one.
        runs: Rows of each run.

    Raises:
        DataError: A file is unreadable, or is not about the same images as the first teacher's.
    """
    reference = next(iter(teachers.values()))
    first = _read(reference)
    groups = {name.removeprefix(GROUP): first[name].tolist() for name in first.columns if name.startswith(GROUP)}
    weights = resample_weights(groups, len(first))

    def resampled(path: Path, samples: pd.DataFrame) -> Resampled:
        if samples["id"].tolist() != first["id"].tolist():
            raise DataError(f"{path}: its images are not those of {reference}; evaluate both again")
        return _resampled(task, samples, weights, plain=not groups)

    by_key = {key: resampled(path, _read(path)) for key, path in runs.items()}
    by_seed = {seed: resampled(path, _read(path)) for seed, path in teachers.items()}
    return Resamples(by_seed, by_key, get_task(task).chance(_columns(first)))


def _columns(samples: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): samples[name].tolist() for name in samples.columns}


def _read(path: Path) -> pd.DataFrame:
    try:
        samples = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
        raise DataError(f"{path}: not readable rows per image ({error}); evaluate again") from error
    if "id" not in samples or samples.empty:
        raise DataError(f"{path}: holds no images; evaluate again")
    return samples


def _resampled(task: str, samples: pd.DataFrame, weights: Values, plain: bool) -> Resampled:
    scored = get_task(task)
    columns = _columns(samples)
    quality, right = scored.resampled(columns, weights), scored.right(columns)
    sizes = columns.get("payload_bytes", [0] * len(samples))
    data_bytes = weighted_means(weights, sizes)
    interval = percentile_interval(quality)
    if plain and right is not None:
        # A share of independent images: no need to draw.
        share = proportion_interval(int(right.sum()), len(right))
        interval = Interval(100.0 * share.low, 100.0 * share.high)
    return Resampled(quality, data_bytes, interval, percentile_interval(data_bytes), right)


def interval_columns(names: Sequence[str], intervals: Sequence[Interval]) -> dict[str, float | None]:
    """Return the ends of some intervals as `<name>_low` and `<name>_high`, None where there are none."""
    ends: dict[str, float | None] = {}
    for name, interval in zip(names, intervals, strict=True):
        ends |= {f"{name}_low": _finite(interval.low), f"{name}_high": _finite(interval.high)}
    return ends


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
