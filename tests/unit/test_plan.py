"""Which runs, phases and jobs a configuration plans, what it skips, and how long planning takes."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.errors import ConfigError
from sc2.jobs.identity import job
from sc2.jobs.plan import last_phase, phases, phases_before, runs, skipped, teacher_seed
from sc2.methods import get_method
from sc2.split.axes import RateAxis
from sc2.split.method import Method
from tests.configuration import DEFAULT, Project, put
from tests.planning import NAME, POINTS, Load, every_job, load_small


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads the small configuration with some files changed: `load({file: edit})`."""
    return partial(load_small, tmp_path)


def test_runs_come_in_table_order_and_only_trained_methods_have_seeds(load: Load) -> None:
    found = [(run.method, run.point, run.seed) for run in runs(load(), NAME)]
    expected = [(method, point, "0") for method in ("jpeg", "webp") for point in POINTS[method]]
    expected += [("entropic_student", point, seed) for point in POINTS["entropic_student"] for seed in ("0", "1")]
    assert found == expected


def test_one_job_times_all_runs_of_a_method(load: Load) -> None:
    config = load()
    planned = job(config, "measure_latency", {"benchmark": NAME, "method": "entropic_student"})
    assert planned is not None
    assert planned.spec["runs"] == [[point, seed] for point in POINTS["entropic_student"] for seed in ("0", "1")]
    assert "sc2/methods/student/entropic_student.py" in planned.fingerprint.files


def test_phases_and_what_comes_before_them() -> None:
    assert phases("entropic_student") == ["distill", "finetune"]
    assert phases_before("entropic_student", "distill") == []
    assert phases_before("entropic_student", "finetune") == ["distill"]
    assert last_phase("entropic_student") == ["finetune"]
    assert phases("jpeg") == last_phase("jpeg") == []


@pytest.mark.parametrize(
    ("stage", "keys"),
    [
        ("no_stage", {"benchmark": NAME}),
        ("make_tables", {}),
        ("make_tables", {"benchmark": NAME, "method": "jpeg"}),
        ("measure_latency", {"benchmark": NAME, "method": "jpg"}),
        ("make_tables", {"benchmark": "imagenette_efficientnet_lite0"}),
        ("fetch_teacher", {"benchmark": NAME, "seed": "0"}),
        ("train_teacher", {"benchmark": NAME, "seed": "7"}),
        ("evaluate_teacher", {"benchmark": NAME, "seed": "7"}),
        ("prepare_data", {"dataset": "imagenette"}),
        ("plot_figure", {"benchmark": NAME, "figure": "pie"}),
        ("evaluate", {"benchmark": NAME, "method": "jpeg", "point": "11", "seed": "0"}),
        ("evaluate", {"benchmark": NAME, "method": "jpg", "point": "10", "seed": "0"}),
        ("evaluate", {"benchmark": NAME, "method": "entropic_student", "point": "1", "seed": "7"}),
        ("train", {"benchmark": NAME, "method": "jpeg", "point": "10", "seed": "0", "phase": "distill"}),
        ("train", {"benchmark": NAME, "method": "entropic_student", "point": "1", "seed": "0", "phase": "warm_up"}),
    ],
)
def test_what_is_not_planned_is_none(load: Load, stage: str, keys: dict[str, str]) -> None:
    assert job(load(), stage, keys) is None


def test_a_teacher_is_trained_with_each_seed_that_a_run_uses_and_a_run_uses_that_of_its_seed(load: Load) -> None:
    config = load({DEFAULT: put("methods", "entropic_student", "seeds", ["3", "1"])})
    # The codecs run with the first seed of the run file.
    assert config.benchmarks[NAME].teacher_seeds(config.run) == ["0", "3", "1"]
    assert [teacher_seed(config, NAME, run.seed) for run in runs(config, NAME)] == ["0"] * 4 + ["3", "1"] * 2
    planned = [job(config, "train_teacher", {"benchmark": NAME, "seed": seed}) for seed in ("0", "1", "3")]
    assert len({teacher.id for teacher in planned if teacher is not None}) == 3


def test_a_teacher_is_either_trained_or_fetched_and_a_fetched_one_is_one_for_all_seeds(tmp_path: Path) -> None:
    project = Project(tmp_path)
    name = "imagenette_efficientnet_lite0"
    project.edit(
        "imagenette.yaml", put("seeds", ["2", "0"]), put("benchmarks", {name: ["local_model", "bottleneck_unit"]})
    )
    config = load_config(project.folder / "imagenette.yaml")
    keys = {"benchmark": name, "seed": "2"}
    assert job(config, "train_teacher", keys) is None
    fetched = job(config, "fetch_teacher", keys)
    assert fetched is not None
    assert fetched.spec["teacher"]["sha256"]
    assert job(config, "fetch_teacher", {**keys, "seed": "0"}) is None
    assert job(config, "evaluate_teacher", {**keys, "seed": "0"}) is None
    assert {run.seed for run in runs(config, name)} == {"2", "0"}
    assert {teacher_seed(config, name, run.seed) for run in runs(config, name)} == {"2"}


def test_every_run_is_in_the_spec_of_the_tables(load: Load) -> None:
    config = load()
    planned = job(config, "make_tables", {"benchmark": NAME})
    assert planned is not None
    assert planned.spec["runs"] == [f"{run.method}/{run.point}/{run.seed}" for run in runs(config, NAME)]


@pytest.mark.parametrize(
    ("attribute", "value"), [("family", "wavelet_codec"), ("rate_axis", RateAxis("quality", "quality ", 1, 100, int))]
)
def test_figures_and_pages_are_drawn_again_when_a_method_changes_its_family_or_symbol(
    load: Load, monkeypatch: pytest.MonkeyPatch, attribute: str, value: Any
) -> None:
    """They know it from their spec alone: the code that they run does not import the methods."""
    config = load()
    before = every_job(config)
    monkeypatch.setattr(type(get_method("jpeg")), attribute, value)
    changed = {name for name, id_ in every_job(config).items() if id_ != before[name]}
    assert changed == {"snapshot", *config.run.figures}


def test_a_method_that_does_not_support_the_task_is_skipped_with_its_reason(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load()
    monkeypatch.setattr(type(get_method("jpeg")), "unsupported", lambda self, task: f"no {task} of scenes")
    config = load()
    assert {run.method for run in runs(config, NAME)} == {"webp", "entropic_student"}
    assert skipped(whole) == []
    assert skipped(config) == [
        f"{NAME}: jpeg is skipped, it does not support the task classification: no classification of scenes"
    ]
    assert config.benchmarks[NAME].skipped == {"jpeg": "no classification of scenes"}
    assert job(config, "export", {"benchmark": NAME, "method": "jpeg", "point": "10", "seed": "0"}) is None
    tables = job(config, "make_tables", {"benchmark": NAME})
    assert tables is not None
    assert tables.spec["methods"] == ["webp", "entropic_student"]
    # Nothing else is touched.
    assert every_job(config).items() - every_job(whole).items() == {
        (name, id_)
        for name, id_ in every_job(config).items()
        if name in ("make_tables", "snapshot", *config.run.figures)
    }


def test_a_mistake_in_a_skipped_method_is_still_one(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(get_method("jpeg")), "unsupported", lambda self, task: "never")
    with pytest.raises(ConfigError, match="quality must lie between 1 and 100"):
        load({DEFAULT: put("methods", "jpeg", "points", ["0"])})


def test_a_benchmark_without_any_method_is_an_error(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Method, "unsupported", lambda self, task: "never")
    with pytest.raises(ConfigError) as caught:
        load()
    assert f"config.yaml: benchmarks.{NAME}" in str(caught.value)
    assert "none of its methods supports the task classification; jpeg: never; " in str(caught.value)


def test_planning_five_hundred_runs_is_quick(load: Load) -> None:
    many = put("methods", "entropic_student", "points", [str(number) for number in range(1, 501)])
    config = load({DEFAULT: many, "config.yaml": put("seeds", ["0"])})
    # The better of two: what else the machine does is not ours.
    seconds, count = min(_seconds_to_plan(config) for _ in range(2))
    assert count == 4 * 500 + 2 * 4
    assert seconds < 8, f"{count} jobs took {seconds:.1f} s to plan"


def _seconds_to_plan(config: Config) -> tuple[float, int]:
    start = time.process_time()
    ids = set()
    for run in runs(config, NAME):
        keys = {"benchmark": NAME, "method": run.method, "point": run.point, "seed": run.seed}
        jobs = [job(config, stage, keys) for stage in ("export", "evaluate")]
        jobs += [job(config, "train", {**keys, "phase": phase}) for phase in phases(run.method)]
        ids |= {planned.id for planned in jobs if planned is not None}
    return time.process_time() - start, len(ids)
