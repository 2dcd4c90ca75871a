"""A small plan of three methods on the default benchmark, and the ids of all of its jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sc2.config.resolved import Config
from sc2.jobs.identity import job
from sc2.jobs.plan import phases, runs
from tests.configuration import DEFAULT, Edit, load_changed

NAME = "photodigits_small_resnet"
POINTS = {"jpeg": ["10", "50"], "webp": ["10", "50"], "entropic_student": ["1", "4"]}

Load = Callable[..., Config]


def load_small(folder: Path, changes: dict[str, Edit] | None = None) -> Config:
    """Load the small configuration with some files changed."""
    edits: dict[str, list[Edit]] = {DEFAULT: [_small_grids], "config.yaml": [_two_seeds]}
    for file, change in (changes or {}).items():
        edits.setdefault(file, []).append(change)
    return load_changed(folder, edits)


def _small_grids(content: dict[str, Any]) -> None:
    for method, points in POINTS.items():
        content["methods"][method]["points"] = points
        content["methods"][method].pop("seeds", None)
    content.pop("examples", None)


def _two_seeds(content: dict[str, Any]) -> None:
    # Of the catalogue only three: what is planned for them does not depend on what else there is.
    content["benchmarks"] = {NAME: list(POINTS)}
    content["figures"] = ["rate_accuracy", "exrd", "three_way"]
    content["seeds"] = ["0", "1"]
    content["max_seeds"] = None
    content["groups"] = {}


def every_job(config: Config) -> dict[str, str]:
    """Ids of all jobs of the small configuration by a short name."""
    names: dict[str, tuple[str, dict[str, str]]] = {"data": ("prepare_data", {"dataset": "photodigits"})}
    for stage in ("make_tables", "snapshot"):
        names[stage] = (stage, {"benchmark": NAME})
    for seed in config.benchmarks[NAME].teacher_seeds(config.run):
        for stage in ("train_teacher", "evaluate_teacher"):
            names[f"{stage} {seed}"] = (stage, {"benchmark": NAME, "seed": seed})
    for method in config.benchmarks[NAME].methods:
        names[f"measure_latency {method}"] = ("measure_latency", {"benchmark": NAME, "method": method})
    for figure in config.run.figures:
        names[figure] = ("plot_figure", {"benchmark": NAME, "figure": figure})
    for run in runs(config, NAME):
        keys = {"benchmark": NAME, "method": run.method, "point": run.point, "seed": run.seed}
        for stage in ("export", "evaluate"):
            names[f"{stage} {run.method} {run.point} {run.seed}"] = (stage, keys)
        for phase in phases(run.method):
            names[f"{phase} {run.point} {run.seed}"] = ("train", {**keys, "phase": phase})
    ids = {}
    for name, (stage, keys) in names.items():
        planned = job(config, stage, keys)
        assert planned is not None, name
        ids[name] = planned.id
    return ids
