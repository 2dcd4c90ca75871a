"""From the tables to what a figure draws and a comparison compares: one series per curve, averaged over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sc2.errors import DataError
from sc2.report.columns import KB, Quality, quality_of

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Tables:
    """The tables of one benchmark, as `sc2.report.table_io.read_table` returns them."""

    rate_quality: pd.DataFrame
    latency: pd.DataFrame
    teacher: pd.DataFrame

    @property
    def quality(self) -> Quality:
        """The quality of the benchmark's task."""
        return quality_of(str(self.teacher["task"].iloc[0]))


@dataclass(frozen=True)
class Context:
    """What a figure is told beside the tables.

    Attributes:
        title: Text above the axes.
        methods: Methods to draw, in legend order.
    """

    title: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """One curve: a method's points, or those of one of its curves, in rate order, each the mean over its seeds.

    Attributes:
        method: Name of the method.
        method_title: Its name for readers.
        curve: Label of the curve inside the method; empty where it has one.
        curve_index: Number of the curve inside the method, from 0.
        rate_axis: What the points are values of, e.g. `beta`.
        points: Operating points.
        seeds: Number of seeds per point.
        data_bytes: Payload per image (bytes).
        data_bytes_std: Its sample standard deviation over seeds, zero with one seed (bytes).
        quality: Primary quality of the task, in its own unit.
        quality_std: Its sample standard deviation over seeds, zero with one seed.
        encoder_kb: Size of the encoder by upstream's rule (KB = 1024 B).
        encoder_params: Parameters of the encoder.
        encoder_macs: Multiply-accumulates of the encoder per image.
        header_bytes: Part of the payload that is codec headers and tables (bytes), NaN where unknown.
    """

    method: str
    method_title: str
    curve: str
    curve_index: int
    rate_axis: str
    points: tuple[str, ...]
    seeds: tuple[int, ...]
    data_bytes: Values
    data_bytes_std: Values
    quality: Values
    quality_std: Values
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
    def spread(self) -> bool:
        """Whether any point has more than one seed, so that there is a spread to show."""
        return max(self.seeds) > 1

    @property
    def has_encoder(self) -> bool:
        """Whether every point has an encoder that a device must be given; codecs have none."""
        return bool(np.all(self.encoder_kb > 0))


def collect(tables: Tables, methods: Sequence[str]) -> list[Series]:
    """Return one series per curve that has runs: by method in the order of `methods`, then as the table lists them.

    Raises:
        DataError: None of the methods has a run.
    """
    table = tables.rate_quality
    found = [
        _series(rows, index, tables.quality)
        for method in methods
        for index, (_, rows) in enumerate(table[table["method"] == method].groupby("curve", sort=False))
    ]
    if not found:
        raise DataError(f"rate_quality has no run of {', '.join(methods)}: nothing to draw")
    return found


def _series(rows: pd.DataFrame, index: int, quality: Quality) -> Series:
    """Average one curve's rows over seeds; points keep the order that they have in the table."""
    groups = rows.groupby("point", sort=False)

    def mean(column: str) -> Values:
        return groups[column].mean().to_numpy(dtype=np.float64)

    def std(column: str) -> Values:
        return groups[column].std(ddof=1).fillna(0.0).to_numpy(dtype=np.float64)

    first = rows.iloc[0]
    return Series(
        method=str(first["method"]),
        method_title=str(first["method_title"]),
        curve=str(first["curve"]),
        curve_index=index,
        rate_axis=str(first["rate_axis"]),
        points=tuple(str(point) for point in groups.size().index),
        seeds=tuple(int(size) for size in groups.size()),
        data_bytes=mean("payload_bytes_mean"),
        data_bytes_std=std("payload_bytes_mean"),
        quality=mean(quality.primary),
        quality_std=std(quality.primary),
        encoder_kb=mean("sc2bench_encoder_kb"),
        encoder_params=mean("encoder_params"),
        encoder_macs=mean("encoder_macs"),
        header_bytes=mean("codec_header_bytes_mean"),
    )


def teacher_value(tables: Tables) -> float:
    """Return the teacher's primary quality, in the task's unit."""
    return float(tables.teacher[tables.quality.primary].iloc[0])


def teacher_text(tables: Tables) -> str:
    """Return e.g. `Teacher resnet50: 76.1 %`."""
    return f"Teacher {tables.teacher['teacher'].iloc[0]}: {teacher_value(tables):.1f}{tables.quality.unit}"
