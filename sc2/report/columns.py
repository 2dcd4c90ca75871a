"""The columns of every table: their order, kind and decimals, and the quality that each task is judged by.

A new task adds one entry to `QUALITY`; tables and figures take everything else from here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sc2.errors import DataError
from sc2.report.column import Column, Kind, ends, floats, ints, text

KB = 1024.0
"""Bytes in one KB, as upstream counts them."""


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
    "classification": Quality("top1_pct", "Top-1 accuracy (%)", " %", floats(4, "top1_pct", "top5_pct")),
    # COCO's twelve numbers; there may be no object of a size to find.
    "detection": Quality(
        "box_ap_pct",
        "Box AP (%)",
        " %",
        (
            *floats(4, "box_ap_pct", "box_ap50_pct", "box_ap75_pct"),
            *floats(4, *_BOX_AP_BY_SIZE, nullable=True),
            *floats(4, "box_ar1_pct", "box_ar10_pct", "box_ar100_pct"),
            *floats(4, *_BOX_AR_BY_SIZE, nullable=True),
        ),
    ),
    "segmentation": Quality(
        "miou_pct",
        "Mean IoU (%)",
        " %",
        floats(4, "miou_pct", "pixel_accuracy_pct", "mean_pixel_accuracy_pct"),
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


_CURVE = text("curve", nullable=True)
_RUN_BEFORE_POINT = (*text("method", "method_title"), Column("trained", "flag"), *text("rate_axis"), *_CURVE)

_SIZES = (
    *(floats(3, *(f"payload_bytes_{statistic}" for statistic in ("mean", "std", "p50", "p95", "p99")))),
    *floats(3, "container_bytes_mean", "session_bytes_mean"),
    *floats(3, "codec_header_bytes_mean", "estimated_bits_mean", nullable=True),
    *floats(6, "sc2bench_kb_mean", "sc2bench_kb_std"),
)

_COSTS = (
    *ints("encoder_params", "encoder_param_bytes", "encoder_table_bytes"),
    *floats(3, "sc2bench_encoder_kb"),
    *ints("encoder_macs", "server_params", "server_macs"),
)

_PARTS = ("encoder", "coder_encode", "coder_decode", "server", "server_batch")
"""The parts of a split that are timed."""

_TIMES = (
    *(column for part in _PARTS for column in (*floats(4, f"{part}_ms_p50"), *ends(4, f"{part}_ms"))),
    *floats(4, "encoder_ms_p95", "coder_encode_ms_p95"),
    *ints("server_batch"),
)

_BY_SIZE = (
    *(*ints("timed_images", "timed_bytes_min"), *floats(1, "timed_bytes_p50")),
    *floats(4, "device_us_per_byte", "server_us_per_byte"),
)
_LOAD = (*floats(3, "cpu_share"), *floats(3, "load_per_core", nullable=True), Column("loaded", "flag"))


def rate_quality_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `rate_quality.csv` for `task`; no timings, so that it comes out the same on any machine."""
    quality = quality_of(task).columns
    keys = (*text("benchmark", "task"), *_RUN_BEFORE_POINT, *text("point", "seed"), *ints("images"))
    intervals = (*ends(4, quality_of(task).primary), *ends(3, "payload_bytes_mean"))
    return (*keys, *quality, *_SIZES, *intervals, *_COSTS, *text("device_model", "record_id"))


def latency_columns() -> tuple[Column, ...]:
    """Return the columns of `latency.csv` (milliseconds)."""
    keys = text("benchmark", "method", "point", "seed")
    networks = text("encoder_network", "server_network", nullable=True)
    return (*keys, *_TIMES, *_BY_SIZE, *ints("repeats", "threads"), *_LOAD, *networks, *text("cpu", "record_id"))


AVERAGED = (
    *floats(3, "payload_bytes_mean", "container_bytes_mean", "session_bytes_mean"),
    *floats(3, "estimated_bits_mean", nullable=True),
    *floats(6, "sc2bench_kb_mean"),
    *floats(3, "sc2bench_encoder_kb", "encoder_macs"),
)
"""Columns of `rate_quality.csv`, besides those of quality, that are averaged over seeds."""

SEED_MEAN, SEED_STD = "_seed_mean", "_seed_std"
"""What is added to the name of an averaged column."""


def seeds_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `rate_quality_seeds.csv` for `task`: mean and sample standard deviation over seeds."""
    keys = (*text("benchmark", "task"), *_RUN_BEFORE_POINT, *text("point"), *ints("seeds"))
    averaged = [
        Column(column.name + suffix, "float", column.decimals, column.nullable or suffix == SEED_STD)
        for column in (*quality_of(task).columns, *AVERAGED)
        for suffix in (SEED_MEAN, SEED_STD)
    ]
    return (*keys, *averaged)


def comparison_columns() -> tuple[Column, ...]:
    """Return the columns of `comparison.csv`: every curve against each anchor, and its hypervolume."""
    keys = (*text("benchmark", "task", "anchor"), *text("anchor_curve", nullable=True))
    curve = (*text("method", "method_title"), *_CURVE, *ints("points", "pareto_points", "seeds"))
    rate = floats(3, "bd_rate_pct", "bd_rate_pct_seed_std", nullable=True)
    rate += ends(3, "bd_rate_pct") + floats(4, "bd_rate_quality_low", "bd_rate_quality_high", nullable=True)
    quality = floats(4, "bd_quality_points", "bd_quality_points_seed_std", nullable=True)
    quality += ends(4, "bd_quality_points") + floats(3, "bd_quality_bytes_low", "bd_quality_bytes_high", nullable=True)
    reasons = text("bd_rate_reason", nullable=True), text("bd_quality_reason", nullable=True)
    return (*keys, *curve, *rate, *reasons[0], *quality, *reasons[1], *floats(6, "hypervolume"))


def fewest_bytes_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `fewest_bytes.csv` for `task`: what each method needs to stay within a loss and a limit."""
    keys = (*text("benchmark", "task"), *floats(1, "max_loss_points"), *floats(4, "min_quality"))
    limits = floats(3, "encoder_limit_kb", "encoder_limit_macs_pct", nullable=True)
    point = (*_CURVE, *text("point", nullable=True), *floats(3, "payload_bytes_mean", nullable=True))
    point += floats(4, quality_of(task).primary, nullable=True)
    point += floats(3, "sc2bench_encoder_kb", "encoder_macs_pct", nullable=True)
    return (*keys, *limits, *text("method", "method_title"), *point, *text("reason", nullable=True))


def timed_hypervolume_columns() -> tuple[Column, ...]:
    """Return the columns of `timed_hypervolume.csv`: apart from `comparison.csv`, because times differ by machine."""
    return (*text("benchmark", "task", "method", "method_title"), *_CURVE, *floats(6, "hypervolume_ms"))


_OTHER = text("other_method", "other_method_title") + text("other_curve", nullable=True)


def equal_quality_columns() -> tuple[Column, ...]:
    """Return the columns of `equal_quality.csv`: the bytes with which each method reaches a quality."""
    keys = (*text("benchmark", "task"), *floats(1, "max_loss_points"), *floats(4, "min_quality"))
    reached = (*_CURVE, *floats(3, "bytes_at_quality", nullable=True), *ends(3, "bytes_at_quality"))
    reached += (Column("at_most", "flag"), *text("point", nullable=True))
    costs = floats(3, "sc2bench_encoder_kb", "encoder_macs_pct", nullable=True)
    return (*keys, *text("method", "method_title"), *reached, *costs, *text("reason", nullable=True))


def byte_ratios_columns() -> tuple[Column, ...]:
    """Return the columns of `byte_ratios.csv`: two methods' bytes at equal quality."""
    keys = (*text("benchmark", "task"), *floats(1, "max_loss_points"), *floats(4, "min_quality"))
    pair = text("method", "method_title", "other_method", "other_method_title")
    return (*keys, *pair, *floats(4, "byte_ratio"), *ends(4, "byte_ratio"), Column("told_apart", "flag"))


def paired_columns() -> tuple[Column, ...]:
    """Return the columns of `paired.csv`: two points of about the same bytes, image by image."""
    point = (*text("method", "method_title"), *_CURVE, *text("point"), *floats(3, "payload_bytes_mean"))
    other = (*_OTHER, *text("other_point"), *floats(3, "other_payload_bytes_mean"), *ints("seeds"))
    difference = (*floats(4, "difference_points"), *ends(4, "difference_points"), Column("told_apart", "flag"))
    test = (*floats(0, "only_right", "only_other_right", nullable=True), *floats(6, "mcnemar_p", nullable=True))
    return (*text("benchmark", "task"), *point, *other, *difference, *test)


def orderings_columns() -> tuple[Column, ...]:
    """Return the columns of `orderings.csv`: whether the published orderings hold."""
    keys = (*text("benchmark", "task", "ordering", "claim", "source", "method", "other", "metric", "expected"),)
    difference = (*floats(4, "difference", nullable=True), *ends(4, "difference"), *floats(4, "p", nullable=True))
    return (*keys, *difference, *text("verdict"), *text("reason", nullable=True))


def reproduction_columns() -> tuple[Column, ...]:
    """Return the columns of `reproduction.csv`: published numbers beside ours."""
    keys = (*text("benchmark", "task"), *text("method", nullable=True), *text("work"))
    which = (*text("curve", "point", nullable=True), *text("quantity", "unit"))
    values = (*floats(4, "published", "tolerance"), *floats(4, "ours", "difference", nullable=True))
    return (*keys, *which, *values, *text("verdict", "reading", "source"))


def switch_columns() -> tuple[Column, ...]:
    """Return the columns of `switch.csv`: one row per ordered pair of a method's operating points."""
    keys = text("benchmark", "method", "from_point", "to_point", "seed")
    sizes = ints("device_switch_bytes", "server_switch_bytes", "device_half_bytes", "server_half_bytes")
    times = floats(4, "device_switch_ms_p50", "server_switch_ms_p50")
    return (*keys, *sizes, *times, *ints("threads"), *text("cpu", "record_id"))


def serving_columns() -> tuple[Column, ...]:
    """Return the columns of `serving.csv`: what several tasks cost together, and with a device half each."""
    keys = (*text("group", "method", "method_title", "point", "seed"), *ints("tasks", "device_models", "payloads"))
    sizes = floats(3, "payload_bytes_together", "payload_bytes_separately")
    costs = ints(*(f"encoder_{cost}_{how}" for cost in ("macs", "param_bytes") for how in ("together", "separately")))
    qualities = floats(4, *(quality.primary for quality in QUALITY.values()), nullable=True)
    return (*keys, *sizes, *costs, *qualities)


def teacher_columns(task: str) -> tuple[Column, ...]:
    """Return the columns of `teacher.csv` for `task`: a row per seed that the teacher was trained with."""
    keys = (*text("benchmark", "task", "teacher", "seed"), *ints("images"))
    quality = quality_of(task)
    return (*keys, *quality.columns, *ends(4, quality.primary), *ints("params", "macs"), *text("record_id"))


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
    "reproduction": lambda task: reproduction_columns(),
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
