"""The columns of every table: their order, kind and decimals, and the quality that each task is judged by.

A new task adds one entry to `QUALITY`; tables and figures take everything else from here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sc2.errors import DataError

Kind = Literal["text", "flag", "int", "float"]

KB = 1024.0
"""Bytes in one KB, as upstream counts them."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Key in the measurement file and header in the CSV.
        kind: What the values are.
        decimals: Digits after the point of a float; fixed, so that equal inputs give equal bytes.
        nullable: Whether null is a value here (an empty field in the CSV), and so is an empty text.
    """

    name: str
    kind: Kind
    decimals: int = 0
    nullable: bool = False

    def format(self, value: Any) -> str:
        """Return the text of `value` in the CSV.

        Raises:
            DataError: The value is not of this column's kind; the message says what was expected.
        """
        if value is None and self.nullable:
            return ""
        match self.kind:
            case "text" if isinstance(value, str) and (value or self.nullable):
                return value
            case "flag" if isinstance(value, bool):
                return "true" if value else "false"
            case "int" if _is_number(value) and float(value).is_integer():
                return str(int(value))
            case "float" if _is_number(value):
                # Adding zero turns a rounded -0.0 into 0.0.
                return f"{round(float(value), self.decimals) + 0.0:.{self.decimals}f}"
        raise DataError(f"key '{self.name}' is {value!r}, but must be {_EXPECTED[self.kind]}")


_EXPECTED: dict[Kind, str] = {
    "text": "a non-empty string",
    "flag": "true or false",
    "int": "a whole number",
    "float": "a finite number",
}


def _is_number(value: Any) -> bool:
    """Tell whether `value` is a finite number; JSON's true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(*names: str, nullable: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, "text", 0, nullable) for name in names)


def _ints(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "int") for name in names)


def _floats(decimals: int, *names: str, nullable: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, "float", decimals, nullable) for name in names)


def _ends(decimals: int, *names: str) -> tuple[Column, ...]:
    """Return the columns of the ends of some numbers' intervals; empty where there is no interval."""
    return _floats(decimals, *(f"{name}_{end}" for name in names for end in ("low", "high")), nullable=True)


@dataclass(frozen=True)
class Quality:
    """How a task's quality is stored and named.

    Attributes:
        primary: Column that the figures draw.
        label: Axis label with its unit.
        unit: Unit behind a number, with its leading space.
        columns: All quality columns, in table order.
    """

    primary: str
    label: str
    unit: str
    columns: tuple[Column, ...]


_BOX_AR_BY_SIZE = ("box_ar_small_pct", "box_ar_medium_pct", "box_ar_large_pct")
_BOX_AP_BY_SIZE = ("box_ap_small_pct", "box_ap_medium_pct", "box_ap_large_pct")

QUALITY: dict[str, Quality] = {
    "classification": Quality("top1_pct", "Top-1 accuracy (%)", " %", _floats(4, "top1_pct", "top5_pct")),
    # COCO's twelve numbers; there may be no object of a size to find.
    "detection": Quality(
        "box_ap_pct",
        "Box AP (%)",
        " %",
        (
            *_floats(4, "box_ap_pct", "box_ap50_pct", "box_ap75_pct"),
            *_floats(4, *_BOX_AP_BY_SIZE, nullable=True),
            *_floats(4, "box_ar1_pct", "box_ar10_pct", "box_ar100_pct"),
            *_floats(4, *_BOX_AR_BY_SIZE, nullable=True),
        ),
    ),
    "segmentation": Quality(
        "miou_pct",
        "Mean IoU (%)",
        " %",
        _floats(4, "miou_pct", "pixel_accuracy_pct", "mean_pixel_accuracy_pct"),
    ),
}
"""Quality by task."""


def quality_of(task: str) -> Quality:
    """Return the quality of `task`.

    Raises:
        DataError: The task has no entry in `QUALITY`.
    """
    if task not in QUALITY:
        raise DataError(f"task '{task}' has no quality columns; known tasks: {', '.join(sorted(QUALITY))}")
    return QUALITY[task]


_CURVE = _text("curve", nullable=True)
_RUN_BEFORE_POINT = (*_text("method", "method_title"), Column("trained", "flag"), *_text("rate_axis"), *_CURVE)

_SIZES = (
    *(_floats(3, *(f"payload_bytes_{statistic}" for statistic in ("mean", "std", "p50", "p95", "p99")))),
    *_floats(3, "container_bytes_mean"),
    *_floats(3, "codec_header_bytes_mean", "estimated_bits_mean", nullable=True),
    *_floats(6, "sc2bench_kb_mean", "sc2bench_kb_std"),
)

_COSTS = (
    *_ints("encoder_params", "encoder_param_bytes", "encoder_table_bytes"),
    *_floats(3, "sc2bench_encoder_kb"),
    *_ints("encoder_macs", "server_params", "server_macs"),
)

_PARTS = ("encoder", "coder_encode", "coder_decode", "server", "server_batch")
"""The parts of a split that are timed."""

_TIMES = (
    *(column for part in _PARTS for column in (*_floats(4, f"{part}_ms_p50"), *_ends(4, f"{part}_ms"))),
    *_floats(4, "encoder_ms_p95", "coder_encode_ms_p95"),
    *_ints("server_batch"),
)

_LOAD = (*_floats(3, "cpu_share"), *_floats(3, "load_per_core", nullable=True), Column("loaded", "flag"))


def rate_quality_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `rate_quality.csv` for `task`; no timings, so that it comes out the same on any machine."""
    quality = quality_of(task).columns
    keys = (*_text("benchmark", "task"), *_RUN_BEFORE_POINT, *_text("point", "seed"), *_ints("images"))
    ends = (*_ends(4, quality_of(task).primary), *_ends(3, "payload_bytes_mean"))
    return (*keys, *quality, *_SIZES, *ends, *_COSTS, *_text("device_model", "record_id"))


def latency_columns() -> tuple[Column, ...]:
    """Return the columns of `latency.csv` (milliseconds)."""
    keys = _text("benchmark", "method", "point", "seed")
    networks = _text("encoder_network", "server_network", nullable=True)
    return (*keys, *_TIMES, *_ints("repeats", "threads"), *_LOAD, *networks, *_text("cpu", "record_id"))


AVERAGED = (
    *_floats(3, "payload_bytes_mean", "container_bytes_mean"),
    *_floats(3, "estimated_bits_mean", nullable=True),
    *_floats(6, "sc2bench_kb_mean"),
    *_floats(3, "sc2bench_encoder_kb", "encoder_macs"),
)
"""Columns of `rate_quality.csv`, besides those of quality, that are averaged over seeds."""

SEED_MEAN, SEED_STD = "_seed_mean", "_seed_std"
"""What is added to the name of an averaged column."""


def seeds_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `rate_quality_seeds.csv` for `task`: mean and sample standard deviation over seeds."""
    keys = (*_text("benchmark", "task"), *_RUN_BEFORE_POINT, *_text("point"), *_ints("seeds"))
    averaged = [
        Column(column.name + suffix, "float", column.decimals, column.nullable or suffix == SEED_STD)
        for column in (*quality_of(task).columns, *AVERAGED)
        for suffix in (SEED_MEAN, SEED_STD)
    ]
    return (*keys, *averaged)


def comparison_columns() -> tuple[Column, ...]:
    """Return the columns of `comparison.csv`: every curve against one anchor, and its hypervolume."""
    keys = (*_text("benchmark", "task", "anchor"), *_text("anchor_curve", nullable=True))
    curve = (*_text("method", "method_title"), *_CURVE, *_ints("points", "pareto_points", "seeds"))
    rate = _floats(3, "bd_rate_pct", "bd_rate_pct_seed_std", nullable=True)
    rate += _ends(3, "bd_rate_pct") + _floats(4, "bd_rate_quality_low", "bd_rate_quality_high", nullable=True)
    quality = _floats(4, "bd_quality_points", "bd_quality_points_seed_std", nullable=True)
    quality += _ends(4, "bd_quality_points") + _floats(
        3, "bd_quality_bytes_low", "bd_quality_bytes_high", nullable=True
    )
    reasons = _text("bd_rate_reason", nullable=True), _text("bd_quality_reason", nullable=True)
    return (*keys, *curve, *rate, *reasons[0], *quality, *reasons[1], *_floats(6, "hypervolume"))


def fewest_bytes_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `fewest_bytes.csv` for `task`: what each method needs to stay within a loss and a limit."""
    keys = (*_text("benchmark", "task"), *_floats(1, "max_loss_points"), *_floats(4, "min_quality"))
    limits = _floats(3, "encoder_limit_kb", "encoder_limit_macs_pct", nullable=True)
    found = (*_CURVE, *_text("point", nullable=True), *_floats(3, "payload_bytes_mean", nullable=True))
    found += _floats(4, quality_of(task).primary, nullable=True)
    found += _floats(3, "sc2bench_encoder_kb", "encoder_macs_pct", nullable=True)
    return (*keys, *limits, *_text("method", "method_title"), *found, *_text("reason", nullable=True))


def timed_hypervolume_columns() -> tuple[Column, ...]:
    """Return the columns of `timed_hypervolume.csv`: apart from `comparison.csv`, because times differ by machine."""
    return (*_text("benchmark", "task", "method", "method_title"), *_CURVE, *_floats(6, "hypervolume_ms"))


_OTHER = _text("other_method", "other_method_title") + _text("other_curve", nullable=True)


def equal_quality_columns() -> tuple[Column, ...]:
    """Return the columns of `equal_quality.csv`: the bytes with which each method reaches a quality."""
    keys = (*_text("benchmark", "task"), *_floats(1, "max_loss_points"), *_floats(4, "min_quality"))
    found = (*_CURVE, *_floats(3, "bytes_at_quality", nullable=True), *_ends(3, "bytes_at_quality"))
    found += (Column("at_most", "flag"), *_text("point", nullable=True))
    costs = _floats(3, "sc2bench_encoder_kb", "encoder_macs_pct", nullable=True)
    return (*keys, *_text("method", "method_title"), *found, *costs, *_text("reason", nullable=True))


def byte_ratios_columns() -> tuple[Column, ...]:
    """Return the columns of `byte_ratios.csv`: two methods' bytes at equal quality."""
    keys = (*_text("benchmark", "task"), *_floats(1, "max_loss_points"), *_floats(4, "min_quality"))
    pair = _text("method", "method_title", "other_method", "other_method_title")
    return (*keys, *pair, *_floats(4, "byte_ratio"), *_ends(4, "byte_ratio"), Column("told_apart", "flag"))


def paired_columns() -> tuple[Column, ...]:
    """Return the columns of `paired.csv`: two points of about the same bytes, image by image."""
    point = (*_text("method", "method_title"), *_CURVE, *_text("point"), *_floats(3, "payload_bytes_mean"))
    other = (*_OTHER, *_text("other_point"), *_floats(3, "other_payload_bytes_mean"), *_ints("seeds"))
    difference = (*_floats(4, "difference_points"), *_ends(4, "difference_points"), Column("told_apart", "flag"))
    test = (*_floats(0, "only_right", "only_other_right", nullable=True), *_floats(6, "mcnemar_p", nullable=True))
    return (*_text("benchmark", "task"), *point, *other, *difference, *test)


def orderings_columns() -> tuple[Column, ...]:
    """Return the columns of `orderings.csv`: whether the published orderings hold."""
    keys = (*_text("benchmark", "task", "ordering", "claim", "source", "method", "other", "metric", "expected"),)
    found = (*_floats(4, "difference", nullable=True), *_ends(4, "difference"), *_floats(4, "p", nullable=True))
    return (*keys, *found, *_text("verdict"), *_text("reason", nullable=True))


def switch_columns() -> tuple[Column, ...]:
    """Return the columns of `switch.csv`: one row per ordered pair of a method's operating points."""
    keys = _text("benchmark", "method", "from_point", "to_point", "seed")
    sizes = _ints("device_switch_bytes", "server_switch_bytes", "device_half_bytes", "server_half_bytes")
    times = _floats(4, "device_switch_ms_p50", "server_switch_ms_p50")
    return (*keys, *sizes, *times, *_ints("threads"), *_text("cpu", "record_id"))


def serving_columns() -> tuple[Column, ...]:
    """Return the columns of `serving.csv`: what several tasks cost together, and with a device half each."""
    keys = (*_text("group", "method", "method_title", "point", "seed"), *_ints("tasks", "device_models"))
    sizes = _floats(3, "payload_bytes_together", "payload_bytes_separately")
    costs = _ints(*(f"encoder_{cost}_{how}" for cost in ("macs", "param_bytes") for how in ("together", "separately")))
    qualities = _floats(4, *(quality.primary for quality in QUALITY.values()), nullable=True)
    return (*keys, *sizes, *costs, *qualities)


def teacher_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `teacher.csv` for `task`."""
    keys = (*_text("benchmark", "task", "teacher"), *_ints("images"))
    quality = quality_of(task)
    return (*keys, *quality.columns, *_ends(4, quality.primary), *_ints("params", "macs"), *_text("record_id"))


TABLES: dict[str, Callable[[str], tuple[Column, ...]]] = {
    "rate_quality": rate_quality_columns,
    "rate_quality_seeds": seeds_columns,
    "comparison": lambda task: comparison_columns(),
    "timed_hypervolume": lambda task: timed_hypervolume_columns(),
    "fewest_bytes": fewest_bytes_columns,
    "equal_quality": lambda task: equal_quality_columns(),
    "byte_ratios": lambda task: byte_ratios_columns(),
    "paired": lambda task: paired_columns(),
    "orderings": lambda task: orderings_columns(),
    "latency": lambda task: latency_columns(),
    "switch": lambda task: switch_columns(),
    "teacher": teacher_columns,
}
"""The tables of a benchmark by name, in the order of its page: their columns for a task."""


def kinds() -> dict[str, Kind]:
    """Return the kind of every column of every table, by name."""
    return {column.name: column.kind for column in all_columns()}


def all_columns() -> list[Column]:
    """Return the columns of all tables; a name that several tables share stands for the same kind in each."""
    of_benchmarks = [column for task in QUALITY for columns in TABLES.values() for column in columns(task)]
    return [*serving_columns(), *of_benchmarks]
