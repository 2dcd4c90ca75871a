"""A job's spec holds what the job reads and nothing else, and its id changes with exactly that."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sc2.config.resolved import Config
from sc2.jobs import identity
from sc2.jobs.identity import job
from sc2.jobs.plan import phases, runs
from sc2.provenance.fingerprint import Fingerprint, fingerprint
from tests.configuration import DEFAULT, Edit, put
from tests.planning import NAME, POINTS, Load, every_job, load_small


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads the small configuration with some files changed: `load({file: edit})`."""
    return partial(load_small, tmp_path)


def changed(before: Config, after: Config) -> set[str]:
    """Names of the jobs in both configurations whose id differs, without the seeds and points."""
    one, two = every_job(before), every_job(after)
    return {name.split(" ")[0] + _method(name) for name in one.keys() & two.keys() if one[name] != two[name]}


def _method(name: str) -> str:
    return next((f" {method}" for method in POINTS if method in name.split(" ")), "")


STUDENT_RUNS = {f"{stage} entropic_student" for stage in ("export", "evaluate", "measure_latency")}
ALL_RUNS = {f"{stage} {method}" for stage in ("export", "evaluate", "measure_latency") for method in POINTS}
EXPORTS = {f"export {method}" for method in POINTS}


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        (DEFAULT, lambda content: None, set()),
        (DEFAULT, put("methods", "entropic_student", "params", "phases", "finetune", "alpha", 0.9), {"finetune"}),
        (DEFAULT, put("methods", "entropic_student", "params", "phases", "distill", "lr", 0.5), {"distill"}),
        ("methods/entropic_student.yaml", put("params", "phases", "distill", "gamma", 0.5), {"distill"}),
        (
            DEFAULT,
            put("methods", "entropic_student", "params", "encoder_channels", [4, 4, 4]),
            {"distill", "finetune", "export entropic_student"},
        ),
        ("methods/jpeg.yaml", put("title", "JPEG (Pillow)"), {"evaluate jpeg"}),
        (
            DEFAULT,
            put("title", "another"),
            {"snapshot", "rate_accuracy", "exrd", "three_way"},
        ),
        (
            DEFAULT,
            put("latency", "repeats", 7),
            {f"measure_latency {method}" for method in POINTS},
        ),
        (DEFAULT, put("augment", "shift_px", 1), {"train_teacher", "distill", "finetune"}),
        (DEFAULT, put("teacher", "training", "epochs", 1), {"train_teacher"}),
        (
            DEFAULT,
            put("input", "mean", [0, 0, 0]),
            {"train_teacher", "evaluate_teacher", "distill", "finetune"} | ALL_RUNS,
        ),
        ("datasets/photodigits.yaml", put("images", "train", 100), {"data"}),
        (DEFAULT, put("methods", "jpeg", "points", ["10", "50", "70"]), {"make_tables", "measure_latency jpeg"}),
        (DEFAULT, put("methods", "jpeg", "points", ["10"]), {"make_tables", "measure_latency jpeg"}),
        ("config.yaml", put("figures", ["rate_accuracy", "exrd", "three_way"]), set()),
        ("config.yaml", put("seeds", ["0", "1", "2"]), {"make_tables", "measure_latency entropic_student"}),
        ("config.yaml", put("compute", {"gpus": 2, "micro_batch": 4, "precision": "float32"}), set()),
        ("config.yaml", put("compute", {"precision": "bf16"}), {"train_teacher", "distill", "finetune"}),
        ("config.yaml", put("compute", {"compile": True}), {"train_teacher", "distill", "finetune"}),
    ],
)
def test_an_id_changes_with_exactly_what_the_job_reads(load: Load, file: str, change: Edit, expected: set[str]) -> None:
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

    config = load({"config.yaml": run, DEFAULT: both})
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
    assert "sc2/backbones/efficientnet_lite.py" not in jpeg.fingerprint.files
    assert jpeg.code != webp.code
    tables = job(config, "make_tables", {"benchmark": NAME})
    assert tables is not None
    assert not [file for file in tables.fingerprint.files if file.startswith(("sc2/methods/", "sc2/layers/"))]


def test_code_that_is_known_is_hashed_once_for_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, computed = load_small(tmp_path), []

    def counted(modules: Iterable[str], *, without: frozenset[str]) -> Fingerprint:
        computed.append((frozenset(modules), without))
        return fingerprint(modules, without=without)

    monkeypatch.setattr(identity, "fingerprint", counted)
    every = [
        (stage, {"benchmark": NAME, "method": run.method, "point": run.point, "seed": run.seed})
        for stage in ("export", "evaluate")
        for run in runs(config, NAME)
    ]
    code = identity.Code()
    planned = [job(config, stage, keys, code) for stage, keys in every]
    ids = [one.id for one in planned if one is not None]
    assert len(ids) == len(every) == 2 * (2 + 2 + 4)
    assert len(computed) == len(set(computed)) == 2 * 3  # each stage and method
    # The same as without.
    anew = [job(config, stage, keys) for stage, keys in every]
    assert ids == [one.id for one in anew if one is not None]
    assert len(computed) == 6 + len(every)
