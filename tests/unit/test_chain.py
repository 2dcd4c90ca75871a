"""A chain over the operating points: what is planned, what is refused, and what a point starts from."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sc2.checkpoint import load_phase
from sc2.config.resolved import Config
from sc2.errors import CheckpointError
from sc2.job import RunningJob
from sc2.jobs.identity import Job, job
from sc2.jobs.plan import Run, encoder_from, previous
from sc2.provenance.trace import format_trace, trace
from sc2.runs.train import run as train
from sc2.training.recipe import Recipe
from sc2.training.start import take_common
from sc2.training.state import TrainingState
from tests.configuration import DEFAULT, Edit, Mistake, assert_named, load_changed, put
from tests.planning import NAME, Load, load_small
from tests.recorded import Project as Recorded
from tests.unit.test_dense_stages import METHOD, Project

STUDENT = "entropic_student"
POINTS = ["1", "0.25", "4"]
SCALE, MEAN_SCALE = "entropic_student_shp", "entropic_student_mshp"
DETECTION = "photodigits_detection"
SHORTER = {"params": {"phases": {"distill": {"epochs": 1, "lr": 0.003}}}}


def chain(method: str, value: Any) -> Edit:
    return put("methods", method, "chain", value)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads the small configuration with three points of the student in a chain, and further edits of its grid."""

    def loaded(*edits: Edit, value: Any = SHORTER) -> Config:
        def change(content: dict[str, Any]) -> None:
            for edit in (put("methods", STUDENT, "points", POINTS), chain(STUDENT, value), *edits):
                edit(content)

        return load_small(tmp_path, {DEFAULT: change})

    return loaded


def planned(config: Config, point: str, phase: str, seed: str = "0", benchmark: str = NAME) -> Job:
    keys = {"benchmark": benchmark, "method": STUDENT, "point": point, "seed": seed, "phase": phase}
    found = job(config, "train", keys)
    assert found is not None
    return found


def trainings(config: Config) -> dict[tuple[str, str], str]:
    return {(point, phase): planned(config, point, phase).id for point in POINTS for phase in ("distill", "finetune")}


def test_a_first_phase_starts_from_the_point_before_with_the_same_seed_and_a_second_from_the_first(load: Load) -> None:
    config = load()
    one, two, three = (Run(NAME, STUDENT, point, "1") for point in POINTS)
    assert previous(config, one, "distill") == []
    assert previous(config, two, "distill") == [(one, "distill")]
    assert previous(config, three, "distill") == [(two, "distill")]
    assert [previous(config, run, "finetune") for run in (one, three)] == [[(one, "distill")], [(three, "distill")]]


def test_with_an_encoder_of_another_benchmark_it_starts_where_all_phases_of_the_point_before_ended(
    tmp_path: Path,
) -> None:
    config = load_changed(tmp_path, {f"benchmarks/{DETECTION}.yaml": [chain(STUDENT, SHORTER)]})
    first, second = (
        Run(DETECTION, STUDENT, point, "0") for point in config.benchmarks[DETECTION].methods[STUDENT].points[:2]
    )
    assert previous(config, first, "distill") == []
    assert previous(config, second, "distill") == [(first, "finetune")]
    assert previous(config, second, "finetune") == [(second, "distill")]
    assert encoder_from(config, second, "distill") == [replace(second, benchmark=NAME)]
    spec = planned(config, second.point, "distill", benchmark=DETECTION).spec
    assert (spec["chained_from"], spec["encoder_from"]) == (first.point, NAME)


def test_the_spec_says_where_a_training_starts_and_with_which_parameters(load: Load) -> None:
    config = load()
    specs = {point: planned(config, point, "distill").spec for point in POINTS}
    assert [specs[point].get("chained_from") for point in POINTS] == [None, "1", "0.25"]
    assert "chained_from" not in planned(config, "4", "finetune").spec
    own = config.benchmarks[NAME].methods[STUDENT].params.model_dump(mode="json")["phases"]["distill"]
    assert specs["1"]["phase"] == own
    assert specs["0.25"]["phase"] == specs["4"]["phase"] == own | {"epochs": 1, "lr": 0.003}
    assert planned(config, "4", "finetune").spec["phase"] == planned(config, "1", "finetune").spec["phase"]


def test_a_first_point_starts_from_the_same_point_of_another_method(tmp_path: Path) -> None:
    config = load_changed(tmp_path, {})
    for name, source_phase in ((NAME, "distill"), (DETECTION, "finetune")):
        method = config.benchmarks[name].methods[MEAN_SCALE]
        first, second = (Run(name, MEAN_SCALE, point, "0") for point in method.points[:2])
        assert previous(config, first, "distill") == [(replace(first, method=STUDENT), source_phase)]
        assert previous(config, second, "distill") == [(first, source_phase)]
        assert previous(config, first, "finetune") == [(first, "distill")]
        phases = {"benchmark": name, "method": MEAN_SCALE, "seed": "0", "phase": "distill"}
        specs = [job(config, "train", {**phases, "point": run.point}) for run in (first, second)]
        starts = [
            (each.spec.get("first_from"), each.spec["chained_from"], each.spec["phase"]["epochs"])
            for each in specs
            if each is not None
        ]
        epochs = method.phase("distill", second.point).model_dump()["epochs"]
        assert starts == [(STUDENT, first.point, epochs), (None, first.point, epochs)]
    assert encoder_from(config, first, "distill") == [replace(first, benchmark=NAME)]


def test_a_chain_changes_no_job_but_those_that_start_elsewhere(load: Load) -> None:
    without, plain, shorter = load(value=None), load(value={}), load()
    jobs = [trainings(config) for config in (without, plain, shorter)]
    later = {(point, "distill") for point in POINTS[1:]}
    for one, other in ((jobs[0], jobs[1]), (jobs[1], jobs[2])):
        assert {name for name in one if one[name] != other[name]} == later


def test_later_parameters_are_not_those_of_the_first_point(load: Load) -> None:
    before = trainings(load())
    first = trainings(load(put("methods", STUDENT, "params", "phases", "distill", "lr", 0.5)))
    # The rate of the others is that of the chain: the workflow runs them again because their input changes.
    assert {name for name in before if before[name] != first[name]} == {("1", "distill")}
    later = trainings(load(put("methods", STUDENT, "chain", "params", "phases", "distill", "lr", 0.004)))
    assert {name for name in before if before[name] != later[name]} == {("0.25", "distill"), ("4", "distill")}


MISTAKES: dict[str, Mistake] = {
    "a chain of a codec": (
        DEFAULT,
        chain("jpeg", {}),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.chain",
        ["jpeg is not trained, so that there are no weights to start from: remove this key"],
    ),
    "a chain of channel counts": (
        DEFAULT,
        chain("channel_reduction_quantization", {}),
        "config.yaml",
        f"{DEFAULT}: methods.channel_reduction_quantization.chain",
        ["the weights have other shapes at ", "remove this key or one of the points"],
    ),
    "a chain of units": (
        DEFAULT,
        chain("bottleneck_unit", {}),
        "config.yaml",
        f"{DEFAULT}: methods.bottleneck_unit.chain",
        ["the weights have other shapes at "],
    ),
    "a chain of small networks": (
        DEFAULT,
        chain("local_model", {}),
        "config.yaml",
        f"{DEFAULT}: methods.local_model.chain",
        ["the weights have other shapes at "],
    ),
    "a chain of cuts": (
        DEFAULT,
        chain("fine_tuned_split", {}),
        "config.yaml",
        f"{DEFAULT}: methods.fine_tuned_split.chain",
        ["the weights have other shapes at "],
    ),
    "a chain of what another benchmark trains": (
        f"benchmarks/{DETECTION}.yaml",
        chain("factorized_prior", {}),
        "config.yaml",
        f"benchmarks/{DETECTION}.yaml: methods.factorized_prior.chain",
        [f"factorized_prior is taken whole from {NAME} (encoder_from): remove one of the two keys"],
    ),
    "another architecture along the chain": (
        DEFAULT,
        chain(STUDENT, {"params": {"encoder_channels": [8, 8, 4]}}),
        "config.yaml",
        f"{DEFAULT}: methods.{STUDENT}.chain.params.encoder_channels",
        ["unknown key; allowed: phases"],
    ),
    "an unknown phase of a chain": (
        DEFAULT,
        chain(STUDENT, {"params": {"phases": {"distil": {}}}}),
        "config.yaml",
        f"{DEFAULT}: methods.{STUDENT}.chain.params.phases.distil",
        ["unknown key; did you mean 'distill'?"],
    ),
    "a chain that starts from itself": (
        DEFAULT,
        chain(SCALE, {"first_from": SCALE}),
        "config.yaml",
        f"{DEFAULT}: methods.{SCALE}.chain.first_from",
        ["names the method itself"],
    ),
    "a chain that starts from what is not run": (
        "config.yaml",
        lambda content: content.update(benchmarks={NAME: [SCALE]}, groups={}),
        "config.yaml",
        f"{DEFAULT}: methods.{SCALE}.chain.first_from",
        [f"does not run {STUDENT} on {NAME}: add it there under benchmarks"],
    ),
    "a chain that starts from another network": (
        DEFAULT,
        chain(SCALE, {"first_from": "local_model"}),
        "config.yaml",
        f"{DEFAULT}: methods.{SCALE}.chain.first_from",
        [f"local_model has another network or other training phases than {SCALE}"],
    ),
    "a chain that starts where another one starts": (
        DEFAULT,
        chain(SCALE, {"first_from": MEAN_SCALE}),
        "config.yaml",
        f"{DEFAULT}: methods.{SCALE}.chain.first_from",
        [f"{MEAN_SCALE} itself starts from {STUDENT}: write that one"],
    ),
    "a chain that starts at a point that is not there": (
        DEFAULT,
        put("methods", SCALE, "points", ["0.13", "2"]),
        "config.yaml",
        f"{DEFAULT}: methods.{SCALE}.chain.first_from",
        [f"{STUDENT} has no point 0.13, the first one here"],
    ),
    "a chain that starts from another seed": (
        DEFAULT,
        put("methods", SCALE, "seeds", ["7"]),
        "config.yaml",
        f"{DEFAULT}: methods.{SCALE}.chain.first_from",
        [f"{STUDENT} has no run with seed 7: add it to its seeds"],
    ),
    "a chain that starts from another architecture": (
        DEFAULT,
        put("methods", SCALE, {"points": ["0.12"], "chain": {"first_from": STUDENT}}),
        "config.yaml",
        f"{DEFAULT}: methods.{SCALE}.chain.first_from",
        [f"{STUDENT} has another encoder_channels, decoder_channels, output_relu, quantiser: give both the same"],
    ),
    "a value of a chain that is not allowed": (
        DEFAULT,
        chain(STUDENT, {"params": {"phases": {"distill": {"lr": -1}}}}),
        "config.yaml",
        f"{DEFAULT}: methods.{STUDENT}.chain.params.phases.distill.lr",
        ["must be greater than 0"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])


def test_learned_codecs_and_cuts_form_a_chain_where_their_shapes_are_the_same(load: Load) -> None:
    def change(content: dict[str, Any]) -> None:
        content["methods"]["fine_tuned_split"]["points"] = ["layer3_1e-5", "layer3_1e-4"]
        content["methods"]["fine_tuned_split"]["chain"] = {}
        content["methods"]["factorized_prior"]["chain"] = {}
        content["methods"]["factorized_prior"].setdefault("params", {})["channels"] = [[32, 48]]

    assert load(change).benchmarks[NAME].methods[STUDENT].chained is not None


# Training


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def chained(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunningJob]:
    """Returns a function that makes the job of a point, after that of another one or of none."""
    monkeypatch.chdir(tmp_path)
    teacher = project.teacher("classification", [])

    def make(folder: str, point: str, previous: list[Path], epochs: int, encoder: Sequence[Path] = ()) -> RunningJob:
        phase = project.params["phases"]["distill"] | {"epochs": epochs}
        spec = {"arch": project.arch, "phase": phase}
        inputs = {"teacher": teacher, "previous": previous, "encoder": list(encoder)}
        plain = project.job("distill", "classification", spec, inputs, [])
        (tmp_path / folder).mkdir()
        outputs = {name: tmp_path / folder / name for name in ("checkpoint", "history")}
        keys = {**plain.keys, "point": point}
        return RunningJob(plain.stage, keys, plain.spec, plain.inputs, outputs, folder.ljust(16, "0"))

    return make


Weights = dict[str, torch.Tensor]


@pytest.fixture
def begun(chained: Callable[..., RunningJob], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Weights, list[Weights]]:
    """The checkpoint of a first point, its weights, and those that each later training starts with, untrained."""
    first = chained("first", "0.01", [], 1)
    train(first)
    started: list[Weights] = []

    def keep(recipe: Recipe, *_: Any, **__: Any) -> None:
        started.append({name: value.clone() for name, value in recipe.model.state_dict().items()})

    monkeypatch.setattr("sc2.runs.train.train_recipe", keep)
    return first.outputs["checkpoint"], load_phase(first.outputs["checkpoint"], METHOD), started


def test_a_point_starts_where_the_one_before_ended(
    chained: Callable[..., RunningJob], begun: tuple[Path, Weights, list[Weights]]
) -> None:
    before, ended, started = begun
    train(chained("later", "0.02", [before], 1))
    train(chained("afresh", "0.02", [], 1))
    later, afresh = started
    assert later.keys() == afresh.keys() == ended.keys()
    assert all(torch.equal(value, later[name]) for name, value in ended.items())
    assert not all(torch.equal(value, afresh[name]) for name, value in ended.items())


def test_a_reused_encoder_is_that_of_the_own_point_and_the_rest_that_of_the_point_before(
    chained: Callable[..., RunningJob],
) -> None:
    first, own = chained("first", "0.01", [], 1), chained("own", "0.02", [], 2)
    for each in (first, own):
        train(each)
    before, encoder = first.outputs["checkpoint"], own.outputs["checkpoint"]
    later = chained("later", "0.02", [before], 0, [encoder])
    train(later)
    ended, taken, kept = (load_phase(path, METHOD) for path in (later.outputs["checkpoint"], encoder, before))
    for name, value in ended.items():
        assert torch.equal(value, (taken if name.startswith(("encoder.", "prior.")) else kept)[name]), name
    assert any(not torch.equal(kept[name], taken[name]) for name in ended if name.startswith("encoder."))
    assert any(not torch.equal(kept[name], taken[name]) for name in ended if name.startswith("decoder."))


def test_a_point_of_another_method_gives_the_parts_that_both_have(
    chained: Callable[..., RunningJob], begun: tuple[Path, Weights, list[Weights]]
) -> None:
    checkpoint, ended, started = begun
    for folder, before in (("taken", [checkpoint]), ("afresh", [])):
        plain = chained(folder, "0.01", before, 1)
        spec = {**plain.spec, "arch": {**plain.spec["arch"], "hyper_channels": 2}, "first_from": METHOD}
        train(replace(plain, keys={**plain.keys, "method": MEAN_SCALE}, spec=spec))
    taken, afresh = started
    both = [name for name in taken if not name.startswith("prior.")]
    assert all(torch.equal(taken[name], ended[name]) for name in both)
    # The prior is another one, and fresh.
    assert all(torch.equal(taken[name], afresh[name]) for name in taken if name not in both)
    assert not all(torch.equal(taken[name], afresh[name]) for name in both)


def test_a_part_is_taken_as_a_whole_or_not_at_all() -> None:
    def network(inner: int, bias: bool) -> nn.Sequential:
        parts = {"same": nn.Linear(2, 3), "wider": nn.Linear(3, inner), "more": nn.Linear(1, 1, bias=bias)}
        return nn.Sequential(OrderedDict(parts, relu=nn.ReLU()))

    one, other = network(4, True), network(5, False)
    before = {name: value.clone() for name, value in one.state_dict().items()}
    assert take_common(one, other.state_dict()) == ["same"]
    expected = before | {name: value for name, value in other.state_dict().items() if name.startswith("same.")}
    assert all(torch.equal(value, expected[name]) for name, value in one.state_dict().items())
    with pytest.raises(CheckpointError, match="no part of the network fits that of first_from"):
        take_common(one, nn.Linear(2, 3).state_dict())


def test_a_chained_training_that_was_killed_goes_on_from_its_own_state(
    chained: Callable[..., RunningJob], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = chained("first", "0.01", [], 1)
    train(first)
    before = [first.outputs["checkpoint"]]
    whole, killed = (chained(name, "0.02", before, 3) for name in ("whole", "killed"))
    train(whole)
    save = TrainingState.save

    def dies(state: TrainingState) -> None:
        save(state)
        if state.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        train(killed)
    monkeypatch.setattr(TrainingState, "save", save)
    capsys.readouterr()
    train(killed)
    assert "resumes after epoch 2 of 3" in capsys.readouterr().err
    assert killed.outputs["checkpoint"].read_bytes() == whole.outputs["checkpoint"].read_bytes()
    assert killed.outputs["history"].read_bytes() == whole.outputs["history"].read_bytes()


def test_a_trace_names_the_point_that_a_training_started_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = Recorded(tmp_path)
    recorded.plan("results/teachers/bench/teacher.pt", chained_from="0.06")
    recorded.build()
    shown = format_trace(trace(Path("results/teachers/bench/teacher.pt")))
    assert "teacher.pt  chained from 0.06  1.5 s" in shown
    recorded.plan("results/teachers/bench/teacher.pt", chained_from="0.06", first_from="entropic_student")
    recorded.build()
    shown = format_trace(trace(Path("results/teachers/bench/teacher.pt")))
    assert "teacher.pt  chained from entropic_student 0.06  1.5 s" in shown
