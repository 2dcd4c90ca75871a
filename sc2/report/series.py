"""From the tables to what a figure draws and a comparison compares: one series per curve, averaged over seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sc2.errors import DataError
from sc2.measure.resampling import Interval, widened
from sc2.report.columns import KB, Quality, quality_of
from sc2.report.table_io import read_table

Values = NDArray[np.float64]


@dataclass(frozen=True)
class MethodFacts:
    """What figures and texts need of a method besides its measurements; the method itself declares it.

    Attributes:
        family: Its family, `Method.family`.
        symbol: What is written in front of an operating point, `symbol` of its rate axis.
    """

    family: str = "other"
    symbol: str = ""

    def point(self, point: str) -> str:
        """Return an operating point for readers, e.g. `β=1`."""
        return f"{self.symbol}{point}"


@dataclass(frozen=True)
class Tables:
    """The tables of one benchmark as `read_tables` returns them, and the facts of its methods."""

    rate_quality: pd.DataFrame
    latency: pd.DataFrame
    teacher: pd.DataFrame
    facts: Mapping[str, MethodFacts] = field(default_factory=dict)

    def facts_of(self, method: str) -> MethodFacts:
        """Return the facts of a method; where none are known, it belongs to the family `other`."""
        return self.facts.get(method, MethodFacts())

    @property
    def teacher_macs(self) -> float:
        """Multiply-accumulates of the whole teacher.

        Raises:
            DataError: They are zero, so no encoder has a share of them.
        """
        macs = float(self.teacher["macs"].iloc[0])
        if macs <= 0:
            raise DataError("teacher: key 'macs' is 0, so no encoder has a share of it; evaluate the teacher again")
        return macs

    @property
    def quality(self) -> Quality:
        """The quality of the benchmark's task."""
        return quality_of(str(self.teacher["task"].iloc[0]))


READ = ("rate_quality", "latency", "teacher")
"""The tables that figures and pages are made from."""


def read_tables(paths: Mapping[str, Path], methods: Iterable[Mapping[str, str]] = ()) -> Tables:
    """Read the tables of one benchmark.

    Args:
        paths: The files by the names in `READ`.
        methods: `name`, `family` and `symbol` of each method, as a job's spec has them.

    Raises:
        DataError: A table is unreadable.
    """
    facts = {method["name"]: MethodFacts(method["family"], method["symbol"]) for method in methods}
    rate_quality, latency, teacher = (read_table(paths[name]) for name in READ)
    return Tables(rate_quality, latency, teacher, facts)


@dataclass(frozen=True)
class Context:
    """What a figure needs besides the tables.

    Attributes:
        title: Text above the axes.
        methods: Methods to draw, in legend order.
        published: What is published of the benchmark: numbers with a place on a curve, as a job's spec has them.
        pixels: Pixels of the network's input, for rates published in bits per pixel.
    """

    title: str
    methods: tuple[str, ...]
    published: Sequence[Mapping[str, Any]] = ()
    pixels: int = 0


@dataclass(frozen=True)
class Series:
    """One curve: a method's points, or those of one of its curves, in rate order, each the mean over its seeds.

    Attributes:
        method: Name of the method.
        method_title: Its name for readers.
        curve: Label of the curve inside the method; empty where it has one.
        curve_index: Number of the curve inside the method, from 0.
        facts: What the method says of itself: its family and how its points are written.
        points: Operating points.
        seeds: Number of seeds per point.
        data_bytes: Payload per image (bytes).
        data_bytes_std: Its sample standard deviation over seeds, zero with one seed (bytes).
        quality: Primary quality of the task, in its own unit.
        quality_std: Its sample standard deviation over seeds, zero with one seed.
        data_bytes_interval: Ends of the 95 % interval of the bytes over test images and seeds, [2, points].
        quality_interval: The same of the quality; NaN where there is none.
        encoder_kb: Size of the encoder by upstream's rule (KB = 1024 B).
        encoder_params: Parameters of the encoder.
        encoder_macs: Multiply-accumulates of the encoder per image.
        header_bytes: Part of the payload that is codec headers and tables (bytes), NaN where unknown.
    """

    method: str
    method_title: str
    curve: str
    curve_index: int
    facts: MethodFacts
    points: tuple[str, ...]
    seeds: tuple[int, ...]
    data_bytes: Values
    data_bytes_std: Values
    quality: Values
    quality_std: Values
    data_bytes_interval: Values
    quality_interval: Values
    encoder_kb: Values
    encoder_params: Values
    encoder_macs: Values
    header_bytes: Values

    @property
    def title(self) -> str:
        """Name of the curve for readers: that of the method, and the curve's label where there are several."""
        return f"{self.method_title}, {self.curve}" if self.curve else self.method_title

    @property
    def data_kb(self) -> Values:
        """Payload per image (KB = 1024 B)."""
        return self.data_bytes / KB

    @property
    def data_bytes_errors(self) -> Values:
        """How far the interval of the bytes reaches to either side, [2, points]; zero where there is none."""
        return _errors(self.data_bytes, self.data_bytes_interval)

    @property
    def quality_errors(self) -> Values:
        """How far the interval of the quality reaches to either side, [2, points]; zero where there is none."""
        return _errors(self.quality, self.quality_interval)

    @property
    def has_encoder(self) -> bool:
        """Whether every point has an encoder that a device must be given; codecs have none."""
        return bool(np.all(self.encoder_kb > 0))


def _errors(values: Values, interval: Values) -> Values:
    return np.maximum(np.nan_to_num(np.stack([values - interval[0], interval[1] - values])), 0.0)


def collect(tables: Tables, methods: Sequence[str]) -> list[Series]:
    """Return one series per curve that has runs: by method in the order of `methods`, then as the table lists them.

    Raises:
        DataError: None of the methods has a run.
    """
    table = tables.rate_quality
    curves = [
        _series(rows, index, tables.quality, tables.facts_of(method))
        for method in methods
        for index, (_, rows) in enumerate(table[table["method"] == method].groupby("curve", sort=False))
    ]
    if not curves:
        raise DataError(f"rate_quality has no run of {', '.join(methods)}: nothing to draw")
    return curves


def _series(rows: pd.DataFrame, index: int, quality: Quality, facts: MethodFacts) -> Series:
    """Average one curve's rows over seeds; points keep the order that they have in the table."""
    groups = rows.groupby("point", sort=False)

    def mean(column: str) -> Values:
        return groups[column].mean().to_numpy(dtype=np.float64)

    def std(column: str) -> Values:
        return groups[column].std(ddof=1).fillna(0.0).to_numpy(dtype=np.float64)

    def interval(column: str) -> Values:
        """Return the mean of the seeds' intervals, which share their images, widened by the error over seeds."""
        means, errors = mean(column), std(column) / np.sqrt(groups.size().to_numpy(dtype=np.float64))
        ends = zip(means, mean(f"{column}_low"), mean(f"{column}_high"), errors, strict=True)
        return np.array([widened(value, Interval(low, high), error) for value, low, high, error in ends]).T

    first = rows.iloc[0]
    return Series(
        method=str(first["method"]),
        method_title=str(first["method_title"]),
        curve=str(first["curve"]),
        curve_index=index,
        facts=facts,
        points=tuple(str(point) for point in groups.size().index),
        seeds=tuple(int(size) for size in groups.size()),
        data_bytes=mean("payload_bytes_mean"),
        data_bytes_std=std("payload_bytes_mean"),
        quality=mean(quality.primary),
        quality_std=std(quality.primary),
        data_bytes_interval=interval("payload_bytes_mean"),
        quality_interval=interval(quality.primary),
        encoder_kb=mean("sc2bench_encoder_kb"),
        encoder_params=mean("encoder_params"),
        encoder_macs=mean("encoder_macs"),
        header_bytes=mean("codec_header_bytes_mean"),
    )


def teacher_value(tables: Tables) -> float:
    """Return the teacher's primary quality, mean over its seeds, in the task's unit."""
    return float(tables.teacher[tables.quality.primary].mean())


def teacher_text(tables: Tables) -> str:
    """Return e.g. `Teacher resnet50: 76.1 %`; with several teachers, of how many seeds it is the mean."""
    count = len(tables.teacher)
    seeds = f" ({count} seeds)" if count > 1 else ""
    return f"Teacher {tables.teacher['teacher'].iloc[0]}: {teacher_value(tables):.1f}{tables.quality.unit}{seeds}"
