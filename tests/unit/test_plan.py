"""A job's spec holds what the job reads and nothing else, and its id changes with exactly that."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.errors import ConfigError
from sc2.jobs.identity import job
from sc2.jobs.plan import (
    Run,
    body_from,
    encoder_from,
    exported,
    last_phase,
    phases,
    phases_before,
    runs,
    skipped,
    trainings,
)
from sc2.methods import get_method
from sc2.split.axes import RateAxis
from sc2.split.method import Method

CONFIG = Path(__file__).parents[2] / "config"
NAME = "photodigits_small_resnet"
BENCHMARK = f"benchmarks/{NAME}.yaml"
POINTS = {"jpeg": ["10", "50"], "webp": ["10", "50"], "entropic_student": ["1", "4"]}

Change = Callable[[dict[str, Any]], None]
Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a small configuration with some keys changed: `load({file: change})`."""
    counter = iter(range(1000))

    def loaded(changes: dict[str, Change] | None = None) -> Config:
        folder = tmp_path / str(next(counter))
        shutil.copytree(CONFIG, folder)
        base: dict[str, list[Change]] = {BENCHMARK: [_small_grids], "config.yaml": [_two_seeds]}
        for file, change in (changes or {}).items():
            base.setdefault(file, []).append(change)
        for file, edits in base.items():
            content = yaml.safe_load((folder / file).read_text(encoding="utf-8"))
            for edit in edits:
                edit(content)
            (folder / file).write_text(yaml.safe_dump(content), encoding="utf-8")
        return load_config(folder / "config.yaml")

    return loaded


def _small_grids(content: dict[str, Any]) -> None:
    for method, points in POINTS.items():
        content["methods"][method]["points"] = points


def _two_seeds(content: dict[str, Any]) -> None:
    # Of the catalogue only three: what is planned for them does not depend on what else there is.
    content["benchmarks"] = {NAME: list(POINTS)}
    content["figures"] = ["rate_accuracy", "exrd", "three_way"]
    content["seeds"] = ["0", "1"]
    content["groups"] = {}


def every_job(config: Config) -> dict[str, str]:
    """Ids of all jobs of the small configuration by a short name."""
    names: dict[str, tuple[str, dict[str, str]]] = {"data": ("prepare_data", {"dataset": "photodigits"})}
    for stage in ("train_teacher", "evaluate_teacher", "make_tables", "snapshot"):
        names[stage] = (stage, {"benchmark": NAME})
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


def changed(before: Config, after: Config) -> set[str]:
    """Names of the jobs in both configurations whose id differs, without the seeds and points."""
    one, two = every_job(before), every_job(after)
    return {name.split(" ")[0] + _method(name) for name in one.keys() & two.keys() if one[name] != two[name]}


def _method(name: str) -> str:
    return next((f" {method}" for method in POINTS if method in name.split(" ")), "")


def put(*path_and_value: Any) -> Change:
    *path, last, value = path_and_value

    def change(content: dict[str, Any]) -> None:
        for key in path:
            content = content.setdefault(key, {})
        content[last] = value

    return change


STUDENT_RUNS = {f"{stage} entropic_student" for stage in ("export", "evaluate", "measure_latency")}
ALL_RUNS = {f"{stage} {method}" for stage in ("export", "evaluate", "measure_latency") for method in POINTS}
EXPORTS = {f"export {method}" for method in POINTS}


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        (BENCHMARK, lambda content: None, set()),
        (BENCHMARK, put("methods", "entropic_student", "params", "phases", "finetune", "alpha", 0.9), {"finetune"}),
        (BENCHMARK, put("methods", "entropic_student", "params", "phases", "distill", "lr", 0.5), {"distill"}),
        ("methods/entropic_student.yaml", put("params", "phases", "distill", "gamma", 0.5), {"distill"}),
        (
            BENCHMARK,
            put("methods", "entropic_student", "params", "encoder_channels", [4, 4, 4]),
            {"distill", "finetune", "export entropic_student"},
        ),
        ("methods/jpeg.yaml", put("title", "JPEG (Pillow)"), {"evaluate jpeg"}),
        (
            BENCHMARK,
            put("title", "another"),
            {"snapshot", "rate_accuracy", "exrd", "three_way"},
        ),
        (
            BENCHMARK,
            put("latency", "repeats", 7),
            {f"measure_latency {method}" for method in POINTS},
        ),
        (BENCHMARK, put("augment", "shift_px", 1), {"train_teacher", "distill", "finetune"}),
        (BENCHMARK, put("teacher", "training", "epochs", 1), {"train_teacher"}),
        (
            BENCHMARK,
            put("input", "mean", [0, 0, 0]),
            {"train_teacher", "evaluate_teacher", "distill", "finetune"} | ALL_RUNS,
        ),
        ("datasets/photodigits.yaml", put("images", "train", 100), {"data"}),
        (BENCHMARK, put("methods", "jpeg", "points", ["10", "50", "70"]), {"make_tables", "measure_latency jpeg"}),
        (BENCHMARK, put("methods", "jpeg", "points", ["10"]), {"make_tables", "measure_latency jpeg"}),
        ("config.yaml", put("figures", ["rate_accuracy", "exrd", "three_way"]), set()),
        ("config.yaml", put("seeds", ["0", "1", "2"]), {"make_tables", "measure_latency entropic_student"}),
    ],
)
def test_an_id_changes_with_exactly_what_the_job_reads(
    load: Load, file: str, change: Change, expected: set[str]
) -> None:
    assert changed(load(), load({file: change})) == expected


def test_a_phase_sees_only_its_own_parameters(load: Load) -> None:
    config = load()
    keys = {"benchmark": NAME, "method": "entropic_student", "point": "1", "seed": "0"}
    params = config.benchmarks[NAME].methods["entropic_student"].params.model_dump(mode="json")
    for phase in phases("entropic_student"):
        planned = job(config, "train", {**keys, "phase": phase})
        assert planned is not None
        assert planned.spec["phase"] == params["phases"][phase]
        assert set(planned.spec["arch"]) == set(params) - {"phases"}
        assert set(planned.spec) == {"arch", "input", "phase", "augment"}


def test_a_spec_holds_no_path_point_or_seed(load: Load) -> None:
    """Keys identify the run; a spec that repeated them, or held a path, would tie it to more than it depends on."""
    config = load()
    keys = {"benchmark": NAME, "method": "entropic_student", "point": "1", "seed": "0"}
    for stage in ("export", "evaluate"):
        one, two = job(config, stage, keys), job(config, stage, {**keys, "point": "4", "seed": "1"})
        assert one is not None
        assert two is not None
        assert one.spec == two.spec
        assert one.id != two.id


def test_a_network_that_a_method_builds_by_name_is_part_of_its_code(load: Load) -> None:
    """No import leads to it: the method says so itself."""
    run = put("benchmarks", {NAME: ["jpeg", "local_model"]})
    params = put("methods", "local_model", "params", {"network": {"name": "resnet"}, "width_argument": "depth"})
    points = put("methods", "local_model", "points", ["18"])

    def both(content: dict[str, Any]) -> None:
        params(content)
        points(content)

    config = load({"config.yaml": run, BENCHMARK: both})
    keys = {"benchmark": NAME, "seed": "0"}
    local = job(config, "train", {**keys, "method": "local_model", "point": "18", "phase": "train"})
    codec = job(config, "export", {**keys, "method": "jpeg", "point": "10"})
    assert local is not None
    assert codec is not None
    assert {"sc2/backbones/resnet.py", "sc2/backbones/small_resnet.py"} <= set(local.fingerprint.files)
    assert "sc2/backbones/resnet.py" not in codec.fingerprint.files


def test_the_code_of_a_method_is_in_its_own_jobs_only(load: Load) -> None:
    config = load()
    keys = {"benchmark": NAME, "point": "10", "seed": "0"}
    jpeg, webp = (job(config, "evaluate", {**keys, "method": method}) for method in ("jpeg", "webp"))
    assert jpeg is not None
    assert webp is not None
    assert "sc2/methods/codec/jpeg.py" in jpeg.fingerprint.files
    assert "sc2/methods/codec/webp.py" not in jpeg.fingerprint.files
    assert "sc2/backbones/small_resnet.py" in jpeg.fingerprint.files
    assert "sc2/backbones/mobilenet_v2.py" not in jpeg.fingerprint.files
    assert jpeg.code != webp.code
    tables = job(config, "make_tables", {"benchmark": NAME})
    assert tables is not None
    assert not [file for file in tables.fingerprint.files if file.startswith(("sc2/methods/", "sc2/layers/"))]


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
        ("make_tables", {"benchmark": "imagenette_mobilenet_v2"}),
        ("fetch_teacher", {"benchmark": NAME}),
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


def test_a_teacher_is_either_trained_or_fetched() -> None:
    config = load_config(CONFIG / "imagenette.yaml")
    keys = {"benchmark": "imagenette_mobilenet_v2"}
    assert job(config, "train_teacher", keys) is None
    fetched = job(config, "fetch_teacher", keys)
    assert fetched is not None
    assert fetched.spec["teacher"]["sha256"]


def test_every_run_is_in_the_spec_of_the_tables(load: Load) -> None:
    config = load()
    planned = job(config, "make_tables", {"benchmark": NAME})
    assert planned is not None
    assert planned.spec["runs"] == [f"{run.method}/{run.point}/{run.seed}" for run in runs(config, NAME)]


@pytest.mark.parametrize(
    ("attribute", "value"), [("family", "wavelet_codec"), ("rate_axis", RateAxis("quality", "quality ", 1, 100, True))]
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
        load({BENCHMARK: put("methods", "jpeg", "points", ["0"])})


def test_a_benchmark_without_any_method_is_an_error(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Method, "unsupported", lambda self, task: "never")
    with pytest.raises(ConfigError) as caught:
        load()
    assert f"config.yaml: benchmarks.{NAME}" in str(caught.value)
    assert "none of its methods can run on the task classification; jpeg: never; " in str(caught.value)


def test_planning_five_hundred_runs_is_quick(load: Load) -> None:
    many = put("methods", "entropic_student", "points", [str(number) for number in range(1, 501)])
    config = load({BENCHMARK: many, "config.yaml": put("seeds", ["0"])})
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


# Encoders and bodies of another benchmark

DETECTION = "photodigits_detection"
TASKS = "config.yaml"


@pytest.fixture
def load_tasks(tmp_path: Path) -> Load:
    """Loads the run file of the three tasks with some keys changed."""

    def loaded(changes: dict[str, Change] | None = None) -> Config:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(CONFIG, folder)
        for file, change in (changes or {}).items():
            content = yaml.safe_load((folder / file).read_text(encoding="utf-8"))
            change(content)
            (folder / file).write_text(yaml.safe_dump(content), encoding="utf-8")
        return load_config(folder / TASKS)

    return loaded


def test_a_first_phase_takes_the_encoder_of_the_same_run_elsewhere_and_a_second_none(load_tasks: Load) -> None:
    config = load_tasks()
    for point in ("0.5", "4"):
        own = Run(DETECTION, "entropic_student", point, "0")
        assert encoder_from(config, own, "distill") == [Run(NAME, "entropic_student", point, "0")]
        assert encoder_from(config, own, "finetune") == []
    assert encoder_from(config, Run(NAME, "entropic_student", "4", "0"), "distill") == []
    reduction = Run(DETECTION, "channel_reduction_quantization", "1", "0")
    assert encoder_from(config, reduction, "distill") == []
    assert body_from(config, DETECTION) == [NAME]
    assert body_from(config, NAME) == []
    keys = {"benchmark": DETECTION, "method": "entropic_student", "point": "4", "seed": "0", "phase": "distill"}
    planned = job(config, "train", keys)
    assert planned is not None
    assert planned.spec["encoder_from"] == NAME
    assert "sc2/tasks/detection.py" in planned.fingerprint.files
    assert "sc2/layers/heads/detection.py" in planned.fingerprint.files
    assert "sc2/layers/heads/segmentation.py" not in planned.fingerprint.files


def test_a_codec_taken_over_is_not_trained_and_exports_the_other_benchmarks_weights(load_tasks: Load) -> None:
    config = load_tasks()
    own, other = (Run(name, "factorized_prior", "2", "0") for name in (DETECTION, NAME))
    assert (trainings(config, own), trainings(config, other)) == ([], ["train"])
    assert exported(config, own) == exported(config, other) == [(other, "train")]
    keys = {"benchmark": DETECTION, "method": "factorized_prior", "point": "2", "seed": "0"}
    assert job(config, "train", {**keys, "phase": "train"}) is None
    planned = job(config, "export", keys)
    assert planned is not None
    assert planned.spec["encoder_from"] == NAME
    student = Run(DETECTION, "entropic_student", "4", "0")
    assert trainings(config, student) == ["distill", "finetune"]
    assert exported(config, student) == [(student, "finetune")]
    assert exported(config, Run(DETECTION, "jpeg", "10", "0")) == []


def test_a_dense_job_depends_on_its_task_and_head_alone(load_tasks: Load) -> None:
    plain, changed = (
        load_tasks({f"benchmarks/{DETECTION}.yaml": put("teacher", "head", "out_channels", width)})
        for width in (32, 16)
    )
    for benchmark in (NAME, DETECTION, "photodigits_segmentation"):
        one, two = (job(config, "train_teacher", {"benchmark": benchmark}) for config in (plain, changed))
        assert one is not None
        assert two is not None
        assert (one.id != two.id) == (benchmark == DETECTION)
        assert one.spec["task"] == plain.benchmarks[benchmark].config.task


def _without(*path: str) -> Change:
    *parents, last = path

    def change(content: dict[str, Any]) -> None:
        for key in parents:
            content = content[key]
        content[last].remove("entropic_student") if isinstance(content[last], list) else content.pop(last)

    return change


@pytest.mark.parametrize(
    ("file", "change", "where", "message"),
    [
        (
            TASKS,
            _without("benchmarks", NAME),
            f"{DETECTION}.yaml: methods.entropic_student.encoder_from",
            f"does not run entropic_student on {NAME}",
        ),
        (
            BENCHMARK,
            put("methods", "entropic_student", "points", ["1"]),
            f"{DETECTION}.yaml: methods.entropic_student.encoder_from",
            f"{NAME} has no run of entropic_student at 0.06, 0.5, 4: add the points there",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("methods", "jpeg", "encoder_from", NAME),
            f"{DETECTION}.yaml: methods.jpeg.encoder_from",
            "jpeg has no encoder to take from another benchmark",
        ),
        (
            "benchmarks/photodigits_segmentation.yaml",
            put("methods", "entropic_student", "encoder_from", DETECTION),
            "photodigits_segmentation.yaml: methods.entropic_student.encoder_from",
            f"the encoder of {DETECTION} is itself taken from another benchmark",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("teacher", "body_from", "photodigits"),
            f"{DETECTION}.yaml: teacher.body_from",
            "there is no benchmark 'photodigits' in",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("teacher", "head", "anchor_px", [32]),
            f"{DETECTION}.yaml: teacher.head.anchor_px",
            "",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("input", {"resize": 100, "crop": 100, "mean": [0, 0, 0], "std": [1, 1, 1]}),
            f"{DETECTION}.yaml: input",
            "input.crop is 100, but detection needs a multiple of 32",
        ),
        (BENCHMARK, put("teacher", "head", {"width": 3}), f"{NAME}.yaml: teacher.head.width", "unknown key"),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("teacher", {"source": "file", "weights": "w", "sha256": None, "backbone": {"name": "resnet"}}),
            f"{DETECTION}.yaml: teacher.source",
            "published teachers are classifiers: train one",
        ),
    ],
)
def test_what_cannot_be_taken_from_another_benchmark_is_said(
    load_tasks: Load, file: str, change: Change, where: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tasks({file: change})
    assert where in str(caught.value)
    assert message in str(caught.value)
