"""Operating points that are trained together: the same results as alone, whatever happens to one of them."""

import os
import random
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sc2.jobs.sweep
from sc2.backbones.teacher import TeacherCheckpoint, teacher_model
from sc2.data.images import ImageTensors
from sc2.errors import ConfigError
from sc2.job import RunningJob
from sc2.jobs.identity import Job, job
from sc2.jobs.plan import Run, sweeps, swept
from sc2.jobs.sweep import Member, members, unfinished
from sc2.methods.student import training
from sc2.provenance.inputs import describe_inputs
from sc2.provenance.record import hashes_of, record_id, write_record
from sc2.runs.train import run as train_stage
from sc2.sweep import SweepJob
from sc2.training.loop import fit
from sc2.training.recipe import Recipe, Terms
from sc2.training.reference import Reference
from sc2.training.state import Begun, TrainingState
from sc2.training.stopping import Stopped
from tests.configuration import DEFAULT, Edit, Mistake, assert_named, load_changed, put
from tests.planning import NAME, load_small
from tests.unit.test_dense_stages import METHOD, Project
from tests.unit.test_interruption import (
    STEPS,
    Killed,
    Network,
    Result,
    assert_same,
    recipe_of,
    train_batches,
    val_batches,
)

DETECTION = "photodigits_detection"
RATES = {"low": 0.02, "middle": 0.05, "high": 0.1}
"""Points of a pretended sweep, and their learning rates."""
Change = Callable[[Recipe], None]


def recipe_at(point: str, epochs: int = 3) -> Recipe:
    torch.manual_seed(0)
    recipe = recipe_of(Network())
    recipe.epochs = epochs
    recipe.optimizer = lambda parameters: torch.optim.Adam(parameters, lr=RATES[point])
    return recipe


def fitted(
    folder: Path, point: str, others: Iterable[Begun] = (), change: Change | None = None, epochs: int = 3
) -> Result:
    recipe = recipe_at(point, epochs)
    if change is not None:
        change(recipe)
    options: dict[str, Any] = {"seed": 0, "state_path": folder / f"{point}.pt", "label": point}
    history = fit(recipe, train_batches, val_batches, steps_per_epoch=STEPS, others=others, **options)
    return recipe.model.state_dict(), history


def begun(folder: Path, *points: str, change: Change | None = None) -> Iterator[Begun]:
    for point in points:
        recipe = recipe_at(point)
        if change is not None:
            change(recipe)
        yield Begun(recipe, folder / f"{point}.pt", point)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    return {point: fitted(tmp_path_factory.mktemp(point), point) for point in RATES}


def acting(act: Callable[[int], None]) -> Change:
    """Return a change of a recipe that does something before each step, with the step's number from 1."""

    def change(recipe: Recipe) -> None:
        step, seen = recipe.step, []

        def watched(images: Tensor, targets: Any) -> Terms:
            seen.append(1)
            act(len(seen))
            return step(images, targets)

        recipe.step = watched

    return change


def test_trainings_together_end_as_each_does_alone(
    tmp_path: Path, alone: dict[str, Result], capsys: pytest.CaptureFixture[str]
) -> None:
    """With dropout, noise, batch statistics, a schedule, selection and an optimiser of its own."""
    assert_same(fitted(tmp_path, "low", begun(tmp_path, "middle", "high")), alone["low"])
    capsys.readouterr()
    for point in ("middle", "high"):
        assert_same(fitted(tmp_path, point), alone[point])
        assert f"[{point}] resumes after epoch 3 of 3" in capsys.readouterr().err
    different = [alone[point][0]["layers.0.weight"] for point in RATES]
    assert not torch.equal(different[0], different[1])


def test_what_is_left_of_each_is_done_wherever_it_was_interrupted(tmp_path: Path, alone: dict[str, Result]) -> None:
    """One is at the start, one in the middle of the second epoch, one is done."""
    at = acting(lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == STEPS + 2 else None)
    with pytest.raises(Stopped):
        fitted(tmp_path, "middle", change=at)
    fitted(tmp_path, "high")
    steps: list[int] = []
    middle = begun(tmp_path, "middle", change=acting(steps.append))
    high = begun(tmp_path, "high", change=acting(lambda _: pytest.fail("it was done")))
    assert_same(fitted(tmp_path, "low", [*middle, *high]), alone["low"])
    assert len(steps) == 3 * STEPS - (STEPS + 2)
    for point in ("middle", "high"):
        assert_same(fitted(tmp_path, point), alone[point])


def test_kills_at_random_steps_change_nothing(
    tmp_path: Path, alone: dict[str, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of them is the one whose job runs."""
    chance = random.Random(2)
    monkeypatch.setattr(TrainingState, "is_due", property(lambda self: chance.random() < 0.4))
    left, kills = list(RATES), 0
    while left:
        last = chance.randrange(1, 9)

        def die(step: int, last: int = last) -> None:
            if step == last:
                raise Killed

        try:
            result = fitted(tmp_path, left[0], begun(tmp_path, *left[1:], change=acting(die)))
        except Killed:
            kills += 1
            chance.shuffle(left)
        else:
            assert_same(result, alone[left.pop(0)])
    assert kills > 2


def test_a_signal_saves_the_states_of_all(tmp_path: Path, alone: dict[str, Result]) -> None:
    at = acting(lambda step: os.kill(os.getpid(), signal.SIGTERM) if step == 3 else None)
    with pytest.raises(Stopped, match="after epoch 0 of 3 and 3 of 5 steps; the state is saved"):
        fitted(tmp_path, "low", begun(tmp_path, "middle", "high", change=at))
    saved = {point: torch.load(tmp_path / f"{point}.pt", weights_only=True)["step"] for point in RATES}
    assert saved == {"low": 3, "middle": 3, "high": 2}
    assert_same(fitted(tmp_path, "high", begun(tmp_path, "low", "middle")), alone["high"])
    assert_same(fitted(tmp_path, "low"), alone["low"])


@pytest.mark.parametrize("where", ["step", "validation", "state"])
def test_one_that_fails_is_left_to_its_own_job(
    tmp_path: Path, alone: dict[str, Result], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(_images: Tensor, _targets: Any) -> Terms:
        return {"loss": torch.tensor(float("nan"), requires_grad=True)}

    def fails(recipe: Recipe) -> None:
        setattr(recipe, {"step": "step", "validation": "validate"}.get(where, "none"), nothing)

    if where == "state":
        (tmp_path / "high.pt").write_text("damaged")
    change = None if where == "state" else fails
    others = [*begun(tmp_path, "high", change=change), *begun(tmp_path, "middle")]
    assert_same(fitted(tmp_path, "low", others), alone["low"])
    assert_same(fitted(tmp_path, "middle"), alone["middle"])
    told = {"step": "the loss is nan in epoch 1", "validation": "loss is nan on the validation", "state": "is damaged"}
    [line] = [line for line in capsys.readouterr().err.splitlines() if "is left to its own job" in line]
    assert line.startswith("[high]")
    assert told[where] in line


def test_one_may_have_fewer_epochs_and_the_others_are_not_asked_for_where_nothing_is_left(tmp_path: Path) -> None:
    short = fitted(tmp_path, "middle", epochs=1)
    (tmp_path / "middle.pt").unlink()
    other = Begun(recipe_at("middle", 1), tmp_path / "middle.pt", "middle")
    fitted(tmp_path, "low", [other])

    def never() -> Iterator[Begun]:
        pytest.fail("there is nothing to train together")
        yield other

    assert_same(fitted(tmp_path, "middle", never(), epochs=1), short)


# The teacher


def test_a_teacher_runs_once_for_all_that_ask_and_again_for_who_asks_twice() -> None:
    runs: list[Tensor] = []
    networks = [nn.Linear(1, 1).eval() for _ in range(3)]

    def run(images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        runs.append(images)
        return images + 1

    first, *others = [Reference(network, run) for network in networks]
    for other in others:
        other.follow(first)
        assert other.network is networks[0]
    one, two = torch.zeros(1), torch.zeros(1)
    for images, expected in ((one, 1), (two, 2), (two, 3)):
        assert all(torch.equal(each.of(images), torch.ones(1)) for each in (others[0], first, others[1]))
        assert len(runs) == expected
    networks[0].train()
    with pytest.raises(AssertionError, match="eval mode"):
        first.of(torch.zeros(1))


# The stage


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def test_the_points_of_a_student_have_the_weights_and_histories_of_separate_runs(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both phases, bit for bit, with each batch read once and, in phase 1, one run of the teacher for it."""
    monkeypatch.chdir(tmp_path)
    teacher, points = project.teacher("classification", []), ["0.01", "0.1", "1"]
    ran, read = [0], [0]

    def counted(checkpoint: TeacherCheckpoint) -> Any:
        model = teacher_model(checkpoint)
        model.stages["stem"].register_forward_pre_hook(lambda *_: ran.__setitem__(0, ran[0] + 1))
        return model

    monkeypatch.setattr(training, "teacher_model", counted)
    made = ImageTensors.made
    monkeypatch.setattr(
        ImageTensors, "made", lambda self, plan: (read.__setitem__(0, read[0] + 1), made(self, plan))[1]
    )

    def jobs(kind: str, phase: str) -> list[RunningJob]:
        listed = []
        for point in points:
            previous = [tmp_path / f"{kind}_{point}_distill.pt"] if phase == "finetune" else []
            spec = {"arch": project.arch, "phase": project.params["phases"][phase]}
            inputs = {"teacher": teacher, "previous": previous, "encoder": []}
            plain = project.job(phase, "classification", spec, inputs, [])
            outputs = {"checkpoint": tmp_path / f"{kind}_{point}_{phase}.pt"}
            outputs["history"] = outputs["checkpoint"].with_suffix(".csv")
            keys, identity = {**plain.keys, "point": point}, f"{kind}{point}{phase}"
            listed.append(replace(plain, keys=keys, outputs=outputs, record_id=identity, label=point))
        return listed

    counts: dict[tuple[str, str], list[int]] = {}
    for phase in ("distill", "finetune"):
        for kind in ("alone", "together"):
            first, *others = jobs(kind, phase)
            ran[0] = read[0] = 0
            train_stage(SweepJob(**vars(first), sweep=others) if kind == "together" else first)
            counts[kind, phase] = [ran[0], read[0]]
            for other in others:
                train_stage(other)
        for point in points:
            for end in ("pt", "csv"):
                names = [f"{kind}_{point}_{phase}.{end}" for kind in ("alone", "together")]
                assert (tmp_path / names[0]).read_bytes() == (tmp_path / names[1]).read_bytes(), names
        assert counts["alone", phase] == counts["together", phase]
    assert counts["alone", "distill"][0] > 0
    weights = [(tmp_path / f"alone_{point}_finetune.pt").read_bytes() for point in points]
    assert len(set(weights)) == 3


# The plan

POINTS = ["1", "0.25", "4"]


def share(content: dict[str, Any]) -> None:
    """Share the sweep of the student, which has three points here and no chain."""
    put("methods", METHOD, "chain", None)(content)
    put("methods", METHOD, "points", POINTS)(content)
    put("methods", METHOD, "share_sweep", True)(content)


def test_a_sweep_is_the_other_points_with_the_same_seed_and_changes_no_job(tmp_path: Path) -> None:
    shared = load_small(tmp_path, {DEFAULT: share})
    run = Run(NAME, METHOD, "0.25", "1")
    assert swept(shared, run, "distill") == [replace(run, point="1"), replace(run, point="4")]
    assert swept(shared, replace(run, method="jpeg"), "distill") == []
    seeds = shared.benchmarks[NAME].methods[METHOD].seeds(shared.run)
    assert sweeps(shared) == [(NAME, METHOD, seed) for seed in seeds]

    def plain_points(content: dict[str, Any]) -> None:
        share(content)
        del content["methods"][METHOD]["share_sweep"]

    plain = load_small(tmp_path, {DEFAULT: plain_points})
    assert swept(plain, run, "distill") == sweeps(plain) == []
    keys = {"benchmark": NAME, "method": METHOD, "point": "4", "seed": "0", "phase": "finetune"}
    one, other = (job(config, "train", keys) for config in (shared, plain))
    assert one is not None
    assert other is not None
    assert one.id == other.id


def refused(method: str, *edits: Edit) -> Edit:
    """Edit that asks a method to share its sweep, with further edits."""

    def edit(content: dict[str, Any]) -> None:
        for each in (*edits, put("methods", method, "share_sweep", True)):
            each(content)

    return edit


def at(method: str) -> str:
    return f"{DEFAULT}: methods.{method}.share_sweep"


REDUCTION = "channel_reduction_quantization"
SIZES = {"points": ["6"], "phases": {"distill": {"batch_size": 7}}}
MISTAKES: dict[str, Mistake] = {
    "of a codec": (DEFAULT, refused("jpeg"), "config.yaml", at("jpeg"), ["jpeg is not trained", "remove this key"]),
    "of a chain": (
        DEFAULT,
        refused(METHOD),
        "config.yaml",
        at(METHOD),
        ["each point waits for the one before: remove this key, or `chain`"],
    ),
    "of one training": (
        DEFAULT,
        refused("gained_student"),
        "config.yaml",
        at("gained_student"),
        ["one training gives gained_student every operating point: remove this key"],
    ),
    "of what another benchmark trains": (
        f"benchmarks/{DETECTION}.yaml",
        put("methods", "factorized_prior", "share_sweep", True),
        "config.yaml",
        f"benchmarks/{DETECTION}.yaml: methods.factorized_prior.share_sweep",
        [f"factorized_prior is taken whole from {NAME} (encoder_from): remove this key"],
    ),
    "of different batches": (
        DEFAULT,
        refused(REDUCTION, put("methods", REDUCTION, "at", [SIZES])),
        "config.yaml",
        at(REDUCTION),
        ["the batches of distill differ (16 at 1 and 7 at 6): give all points the same batch_size, or remove this key"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])


@pytest.mark.parametrize("compute", [{"gpus": 2}, {"micro_batch": 4}])
def test_a_shared_sweep_needs_whole_batches_in_one_process(tmp_path: Path, compute: dict[str, int]) -> None:
    with pytest.raises(
        ConfigError, match=r"share_sweep\n.*remove this key, or compute.gpus and micro_batch in .*config"
    ):
        load_changed(tmp_path, {DEFAULT: [share], "config.yaml": [put("compute", compute)]})


# The jobs


def test_the_jobs_of_a_sweep_are_those_that_can_be_trained_and_are_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data", "before"):
        Path(name).write_text(name)

    def planned(_config: Any, stage: str, keys: dict[str, str]) -> Job | None:
        return None if keys["point"] == "unplanned" else Job(stage, dict(keys), {"at": keys["point"]}, ("sc2.errors",))

    monkeypatch.setattr(sc2.jobs.sweep, "job", planned)
    running = RunningJob(
        "train", {"point": "own"}, {}, {"train": Path("data"), "previous": []}, {}, "0" * 16, threads=3
    )
    ready = {"previous": [Path("before")], "encoder": []}
    sweep = [
        Member(point="ready", **ready, record=Path("ready.prov.json")),
        Member(point="later", previous=[Path("nowhere")], encoder=[], record=Path("later.prov.json")),
        Member(point="unplanned", **ready, record=Path("unplanned.prov.json")),
    ]
    config: Any = SimpleNamespace()
    described = describe_inputs(running.inputs)
    [found] = unfinished(config, running, described, sweep)
    assert (found.keys, found.spec, found.threads, found.label) == ({"point": "ready"}, {"at": "ready"}, 3, "ready")
    assert found.inputs == {"train": Path("data"), **ready}
    wanted, code = hashes_of(describe_inputs(found.inputs)), planned(config, "train", {"point": "ready"})
    assert code is not None
    assert found.record_id == record_id("train", found.keys, found.spec, code.code, wanted)

    done = replace(found, outputs={"out": Path("ready.txt")})
    Path("ready.txt").write_text("done")
    options: dict[str, Any] = {"job_id": code.id, "inputs": describe_inputs(found.inputs), "seconds": 1, "command": []}
    write_record(sweep[0].record, job=done, code=code.fingerprint, started=datetime.now(UTC), **options)
    assert list(unfinished(config, running, described, sweep)) == []
    Path("ready.txt").unlink()
    assert len(list(unfinished(config, running, described, sweep))) == 1
    Path("ready.txt").touch()
    assert list(unfinished(config, running, described, sweep)) == []
    Path("before").write_text("changed")
    assert len(list(unfinished(config, running, described, sweep))) == 1


def test_the_members_of_a_sweep_are_read_from_the_command_line() -> None:
    text = '[{"point": "1", "previous": ["a/b.pt"], "encoder": [], "record": "c.prov.json"}]'
    read = Member(point="1", previous=[Path("a/b.pt")], encoder=[], record=Path("c.prov.json"))
    assert members(text) == [read]
    assert members("[]") == []
    for wrong in ("{}", "[", text.replace("point", "pint"), text.replace('["a/b.pt"]', "3")):
        with pytest.raises(ConfigError, match="--sweep is no list of operating points"):
            members(wrong)
