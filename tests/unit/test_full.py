"""`config/full.yaml` is the default with more seeds, and shares its jobs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.jobs.identity import Job, job
from sc2.jobs.plan import examples, runs, trainings
from sc2.jobs.stages import STAGES
from tests.configuration import CONFIG, DEFAULT, Project, drop, put

SEEDS = ["0", "1", "2"]
METHOD = "entropic_student"


def jobs(config: Config) -> Iterator[Job]:
    """Yield every job of a run file."""
    asked = [("prepare_data", {"dataset": name}) for name in config.datasets]
    asked += [("compare_tasks", {"group": name}) for name in config.run.groups]
    for name, benchmark in config.benchmarks.items():
        asked += [(stage, {"benchmark": name}) for stage in ("make_tables", "model_latency")]
        asked += [("plot_figure", {"benchmark": name, "figure": figure}) for figure in config.run.figures]
        asked += [("draw_examples", {"benchmark": name, "method": method}) for method in examples(config, name)]
        asked += [("measure_latency", {"benchmark": name, "method": method}) for method in benchmark.methods]
        for seed in benchmark.teacher_seeds(config.run):
            asked += [(stage, {"benchmark": name, "seed": seed}) for stage in ("train_teacher", "evaluate_teacher")]
        for run in runs(config, name):
            keys = {"benchmark": name, "method": run.method, "point": run.point, "seed": run.seed}
            asked += [(stage, keys) for stage in ("export", "evaluate")]
            asked += [("train", {**keys, "phase": phase}) for phase in trainings(config, run)]
    for stage, keys in asked:
        planned = job(config, stage, keys)
        assert planned is not None, (stage, keys)
        yield planned


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The configuration with one method of three seeds, whatever the committed grids list."""
    project = Project(tmp_path)
    for task in ("detection", "segmentation"):
        project.edit(f"benchmarks/photodigits_{task}.yaml", _without_seeds)
    project.edit(DEFAULT, _without_seeds, put("methods", METHOD, "seeds", SEEDS))
    return project


def _without_seeds(content: dict[str, Any]) -> None:
    for grid in content["methods"].values():
        grid.pop("seeds", None)


def test_every_job_of_the_default_is_one_of_full_but_for_what_lists_the_runs(project: Project) -> None:
    default, full = (list(jobs(load_config(project.folder / name))) for name in ("config.yaml", "full.yaml"))
    ids = {planned.id for planned in full}
    others = {planned.stage for planned in default if planned.id not in ids}
    # Tables, and what is drawn from them, hold more runs; a latency job times all seeds.
    assert others == {"make_tables", "measure_latency", "model_latency"}
    assert len(full) > len(default) > 100
    # Stages of other teachers and weights, and of targets that are asked for by name.
    unused = {"fetch_teacher", "convert_released", "snapshot", "snapshot_group"}
    assert {planned.stage for planned in default} == set(STAGES) - unused


def test_full_adds_the_other_seeds_and_their_teachers(project: Project) -> None:
    default, full = (load_config(project.folder / name) for name in ("config.yaml", "full.yaml"))
    name = "photodigits_small_resnet"
    assert default.benchmarks[name].methods[METHOD].seeds(default.run) == SEEDS[:1]
    assert default.benchmarks[name].teacher_seeds(default.run) == SEEDS[:1]
    assert full.benchmarks[name].methods[METHOD].seeds(full.run) == SEEDS
    assert full.benchmarks[name].teacher_seeds(full.run) == SEEDS
    assert full.run.benchmarks == default.run.benchmarks


def test_the_limit_counts_for_the_seeds_of_the_run_file_too(project: Project) -> None:
    project.edit(DEFAULT, drop("methods", METHOD, "seeds"))
    project.edit("full.yaml", put("seeds", ["5", "3", "4"]), put("max_seeds", 2))
    config = load_config(project.folder / "full.yaml")
    benchmark = config.benchmarks["photodigits_small_resnet"]
    assert benchmark.methods[METHOD].seeds(config.run) == ["5", "3"]
    assert benchmark.methods["jpeg"].seeds(config.run) == ["5"]


def test_a_page_of_full_names_its_run_file() -> None:
    planned = job(load_config(CONFIG / "full.yaml"), "snapshot", {"benchmark": "photodigits_small_resnet"})
    assert planned is not None
    assert planned.spec["config"] == "full.yaml"
