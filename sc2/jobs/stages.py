"""The table of stages: keys, inputs, outputs and entry point of each kind of job. No torch.

A stage is at once a subcommand of `sc2`, a rule of the workflow and a value of `stage` in the records.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sc2.job import RunningJob
from sc2.report.columns import TABLES
from sc2.system.importing import uncollected

Count = Literal["one", "many"]


@dataclass(frozen=True)
class Stage:
    """One kind of job.

    Attributes:
        help: One line for `--help`.
        keys: The wildcards that name one job of the stage.
        inputs: Input files by name; `many` accepts any number, including none.
        outputs: Output files by name.
        calls: The `HOOKS` of a method that it calls; changed code of the other hooks reruns no job of the stage.
        entry: The function that runs it, as `module:function`.
        gpu: Whether it computes on a GPU where there is one.
        sweeps: Whether a job of it can do a part of the work of jobs at other operating points (`--sweep`).
        draws: Whether it draws: then it is told whether there is uncommitted work behind the picture.
    """

    help: str
    keys: tuple[str, ...]
    inputs: dict[str, Count]
    outputs: tuple[str, ...]
    entry: str
    calls: tuple[str, ...] = ()
    gpu: bool = False
    sweeps: bool = False
    draws: bool = False

    @property
    def never_calls(self) -> frozenset[str]:
        """Functions of a method that a job of this stage never runs."""
        return frozenset(HOOKS) - frozenset(self.calls)

    @property
    def module(self) -> str:
        """The module that holds the stage's function."""
        return self.entry.partition(":")[0]

    def load(self) -> Callable[[RunningJob], None]:
        """Import and return the stage's function."""
        module, _, function = self.entry.partition(":")
        with uncollected():
            run: Callable[[RunningJob], None] = getattr(importlib.import_module(module), function)
        return run


HOOKS = (
    *("training", "export", "load_device", "load_server"),
    *("codec_header_bytes", "estimate_bits", "side_measures"),
)
"""The functions of a `Method` that import its networks, losses and halves."""

_HALVES = ("load_device", "load_server")
_RUN = ("benchmark", "method", "point", "seed")

STAGES: dict[str, Stage] = {
    "prepare_data": Stage(
        "make or import a data set and split it",
        keys=("dataset",),
        inputs={},
        outputs=("index", "meta", "train", "val", "test"),
        entry="sc2.data.prepare:run",
    ),
    "train_teacher": Stage(
        "train a benchmark's teacher with one seed",
        keys=("benchmark", "seed"),
        inputs={"index": "one", "meta": "one", "train": "one", "val": "one", "body": "many"},
        outputs=("checkpoint", "history"),
        entry="sc2.teachers.train:run",
        gpu=True,
    ),
    "fetch_teacher": Stage(
        "download or read a benchmark's teacher and check its hash",
        keys=("benchmark", "seed"),
        inputs={"meta": "one"},
        outputs=("checkpoint",),
        entry="sc2.teachers.fetch:run",
    ),
    "evaluate_teacher": Stage(
        "measure the teacher on the uncompressed test images",
        keys=("benchmark", "seed"),
        inputs={"index": "one", "test": "one", "teacher": "one"},
        outputs=("evaluation", "samples"),
        entry="sc2.teachers.evaluate:run",
    ),
    "train": Stage(
        "train one phase of one run",
        keys=(*_RUN, "phase"),
        inputs={
            **{"index": "one", "train": "one", "val": "one", "teacher": "one"},
            **{"previous": "many", "encoder": "many"},
        },
        outputs=("checkpoint", "history"),
        entry="sc2.runs.train:run",
        calls=("training",),
        gpu=True,
        sweeps=True,
    ),
    "convert_released": Stage(
        "turn published weights into the last checkpoint of a run, in place of its training",
        keys=_RUN,
        inputs={"teacher": "one", "released": "many"},
        outputs=("checkpoint",),
        entry="sc2.released.convert:run",
    ),
    "export": Stage(
        "split a run into its device half and its server half and count their costs",
        keys=_RUN,
        inputs={"teacher": "one", "checkpoint": "many"},
        outputs=("device", "server", "costs"),
        entry="sc2.runs.export:run",
        calls=("export", *_HALVES),
    ),
    "evaluate": Stage(
        "send every test image through the wire and measure quality and bytes",
        keys=_RUN,
        inputs={"index": "one", "test": "one", "device": "one", "server": "one", "costs": "one"},
        outputs=("samples", "summary"),
        entry="sc2.runs.evaluate:run",
        calls=(*_HALVES, "codec_header_bytes", "estimate_bits", "side_measures"),
    ),
    "measure_latency": Stage(
        "time a method's encoder, coder, server and switches between operating points on one thread of this machine",
        keys=("benchmark", "method"),
        inputs={"index": "one", "test": "one", "devices": "many", "servers": "many"},
        outputs=("latency", "switch"),
        entry="sc2.runs.latency:run",
        calls=_HALVES,
    ),
    "make_tables": Stage(
        "gather a benchmark's measurements into tidy tables and compare the curves",
        keys=("benchmark",),
        inputs={
            **{"summaries": "many", "samples": "many", "latencies": "many", "switches": "many"},
            **{"teachers": "many", "teacher_samples": "many"},
        },
        outputs=tuple(TABLES),
        entry="sc2.report.tables:run",
    ),
    "plot_figure": Stage(
        "draw one figure of a benchmark",
        keys=("benchmark", "figure"),
        inputs={"rate_quality": "one", "latency": "one", "teacher": "one"},
        outputs=("svg", "png"),
        entry="sc2.report.plot:run",
        draws=True,
    ),
    "model_latency": Stage(
        "model a benchmark's end-to-end latency over channels, from the bytes of every test image",
        keys=("benchmark",),
        inputs={"rate_quality": "one", "latency": "one", "teacher": "one", "samples": "many"},
        outputs=("end_to_end", "break_even", "svg", "png"),
        entry="sc2.report.end_to_end:run",
        draws=True,
    ),
    "draw_examples": Stage(
        "draw a few test images with a method's predictions at falling rates, with the bytes of each",
        keys=("benchmark", "method"),
        inputs={"index": "one", "test": "one", "devices": "many", "servers": "many"},
        outputs=("webp",),
        entry="sc2.report.examples:run",
        calls=_HALVES,
        draws=True,
    ),
    "compare_tasks": Stage(
        "put the benchmarks of a group side by side and count what serving all their tasks costs",
        keys=("group",),
        inputs={"rate_quality": "many", "latency": "many", "teacher": "many"},
        outputs=("serving", "svg", "png"),
        entry="sc2.report.group:run",
        draws=True,
    ),
    "snapshot": Stage(
        "copy a benchmark's tables and figures to docs/reference for readers",
        keys=("benchmark",),
        inputs={"tables": "many", "figures": "many", "records": "many"},
        outputs=("readme",),
        entry="sc2.report.snapshot:run",
    ),
    "snapshot_group": Stage(
        "copy a group's overview and serving costs to docs/reference for readers",
        keys=("group",),
        inputs={"serving": "one", "orderings": "many", "figures": "many", "records": "many"},
        outputs=("readme",),
        entry="sc2.report.group_snapshot:run",
    ),
}
