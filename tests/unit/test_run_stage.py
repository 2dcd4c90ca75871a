"""A job and its record: both are there or neither, and one process at a time does the work."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sc2.jobs.run
from sc2.config.schema import Compute
from sc2.drawing import DrawingJob
from sc2.errors import DataError, ProvenanceError, SC2Error
from sc2.job import RunningJob
from sc2.jobs.identity import Job
from sc2.jobs.run import LOCKS, run_stage
from sc2.jobs.stages import STAGES, Stage
from sc2.provenance.environment import NO_GIT
from sc2.provenance.record import read_record, sha256_file
from sc2.sweep import SweepJob
from sc2.system.locks import locked

OUTPUT, RECORD = Path("results/made/out.txt"), Path("results/made/made.prov.json")
PLANNED = Job("make", {"name": "one"}, {"text": "made"}, ("sc2.errors",))

Work = Callable[[RunningJob], None]


def write(job: RunningJob) -> None:
    job.outputs["out"].write_text(job.spec["text"])


RUN_FILE = SimpleNamespace(compute=Compute(gpus=2, micro_batch=3))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], None]:
    """Runs the one job of a pretended project with a given function."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sc2.jobs.run, "load_config", lambda path: SimpleNamespace(run=RUN_FILE))
    monkeypatch.setattr(sc2.jobs.run, "job", lambda config, stage, keys: PLANNED)
    Path("in.txt").write_text("in")

    def run(work: Work, draws: bool = False, **named: Any) -> None:
        stage = Stage("make", ("name",), {"source": "one"}, ("out",), "sc2.errors:none", draws=draws)
        monkeypatch.setitem(STAGES, "make", stage)
        monkeypatch.setattr(Stage, "load", lambda self: work)
        run_stage(
            "make",
            config_path=Path("config.yaml"),
            keys=PLANNED.keys,
            inputs={"source": Path("in.txt")},
            outputs={"out": OUTPUT},
            record=RECORD,
            planned_id=PLANNED.id,
            threads=2,
            **named,
        )

    return run


def test_a_job_leaves_its_output_and_its_record(start: Callable[[Work], None]) -> None:
    start(write)
    record = read_record(RECORD)
    assert record.outputs["out"].sha256 == sha256_file(OUTPUT)
    assert record.hardware["threads"] == 2
    assert {path.name for path in OUTPUT.parent.iterdir()} == {"out.txt", "made.prov.json"}
    assert list(Path("scratch/locks").iterdir()) == []


def test_a_job_that_fails_leaves_neither(start: Callable[[Work], None]) -> None:
    def half(job: RunningJob) -> None:
        write(job)
        job.state.write_text("epoch 3")
        raise SC2Error("no more")

    start(write)
    with pytest.raises(SC2Error, match="no more"):
        start(half)
    assert list(OUTPUT.parent.iterdir()) == []
    (state,) = Path("scratch/training").iterdir()
    assert state.read_text() == "epoch 3"


def test_a_job_that_fails_leaves_no_file_beside_its_outputs(start: Callable[[Work], None]) -> None:
    def page(job: RunningJob) -> None:
        job.beside.append(OUTPUT.with_name("copy.csv"))
        job.beside[0].write_text("a table")
        write(job)

    def half(job: RunningJob) -> None:
        page(job)
        raise SC2Error("no more")

    start(page)
    assert {path.name for path in OUTPUT.parent.iterdir()} == {"out.txt", "made.prov.json", "copy.csv"}
    with pytest.raises(SC2Error, match="no more"):
        start(half)
    assert list(OUTPUT.parent.iterdir()) == []


def test_an_output_that_was_not_written_is_an_error(start: Callable[[Work], None]) -> None:
    with pytest.raises(ProvenanceError, match="without writing this output"):
        start(lambda job: None)
    assert list(OUTPUT.parent.iterdir()) == []


def test_the_state_of_a_training_goes_when_the_record_is_there(
    start: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the very end must not cost the training."""

    def trained(job: RunningJob) -> None:
        write(job)
        job.state.write_text("all epochs")

    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sc2.jobs.run, "write_record", full)
        with pytest.raises(OSError, match="No space"):
            start(trained)
    assert [path.read_text() for path in Path("scratch/training").iterdir()] == ["all epochs"]
    assert list(OUTPUT.parent.iterdir()) == []
    start(trained)
    assert list(Path("scratch/training").iterdir()) == []
    assert OUTPUT.read_text() == "made"


def test_git_that_fails_does_not_cost_the_work(start: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    start(write)
    assert read_record(RECORD).git == {**NO_GIT, "unknown": "git is not installed"}


def test_a_damaged_record_of_an_input_is_said_before_the_work(start: Callable[[Work], None]) -> None:
    Path("in.prov.json").write_text("{")
    with pytest.raises(ProvenanceError, match=r"in\.prov\.json: the record is damaged"):
        start(lambda job: pytest.fail("the work was done"))
    Path("in.txt").unlink()
    with pytest.raises(DataError, match=r"in\.txt does not exist"):
        start(write)


def test_an_output_that_dvc_linked_into_its_cache_is_replaced(start: Callable[[Work], None]) -> None:
    OUTPUT.parent.mkdir(parents=True)
    cache = Path("cached").absolute()
    cache.write_text("cached")
    OUTPUT.symlink_to(cache)
    start(write)
    assert not OUTPUT.is_symlink()
    assert cache.read_text() == "cached"


def test_what_a_killed_job_left_is_removed(start: Callable[[Work], None]) -> None:
    OUTPUT.parent.mkdir(parents=True)
    left = OUTPUT.with_name(".out.txt.0123456789ab.tmp")
    left.write_text("half")
    start(write)
    assert not left.exists()


class Slow:
    """A job that ends when it is told to."""

    def __init__(self, ending: Work) -> None:
        self.ending = ending
        self.started, self.go = threading.Event(), threading.Event()
        self.times = 0

    def __call__(self, job: RunningJob) -> None:
        self.times += 1
        self.started.set()
        assert self.go.wait(30)
        self.ending(job)


def fail(job: RunningJob) -> None:
    raise SC2Error("killed")


@pytest.mark.parametrize(("ending", "times"), [(write, 1), (fail, 2)])
def test_a_second_process_waits_and_takes_over_what_the_first_made(
    start: Callable[[Work], None], capfd: pytest.CaptureFixture[str], ending: Work, times: int
) -> None:
    """The first is an orphan of a killed workflow; where it fails, the second does the work."""
    slow = Slow(ending)

    def first() -> None:
        with contextlib.suppress(SC2Error):
            start(slow)

    orphan = threading.Thread(target=first)
    orphan.start()
    assert slow.started.wait(30)

    def second(job: RunningJob) -> None:
        slow.times += 1
        write(job)

    threading.Timer(0.3, slow.go.set).start()
    start(second)
    orphan.join()
    shown = capfd.readouterr().err
    assert ") to run make/one" in shown
    assert ("[one] was completed by that process" in shown) == (times == 1)
    assert slow.times == times
    assert read_record(RECORD).outputs["out"].sha256 == sha256_file(OUTPUT)


def test_a_stage_is_told_how_to_compute(start: Callable[[Work], None]) -> None:
    """What the run file says of the machine, which is no part of the job's identity."""
    seen: list[tuple[int, int | None]] = []

    def work(job: RunningJob) -> None:
        seen.append((job.gpus, job.micro_batch))
        job.outputs["out"].write_text("made")

    start(work)
    assert seen == [(2, 3)]


def test_a_job_trains_others_of_its_sweep_that_no_process_is_training(
    start: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are asked for once the job has its own lock, and locked while it runs."""
    found = [RunningJob("make", {"name": name}, {}, {}, {}, name * 16) for name in "ab"]
    asked: list[object] = []

    def unfinished(_config: object, running: RunningJob, _described: object, sweep: object) -> list[RunningJob]:
        assert (LOCKS / f"{running.record_id}.lock").is_file()
        asked.append(sweep)
        return found

    monkeypatch.setattr(sc2.jobs.run, "unfinished", unfinished)
    seen: list[str] = []

    def work(job: RunningJob) -> None:
        assert isinstance(job, SweepJob)
        assert all((LOCKS / f"{other.record_id}.lock").is_file() for other in job.sweep)
        seen.extend(other.record_id for other in job.sweep)
        write(job)

    with locked(LOCKS / f"{'a' * 16}.lock", "train it"):
        start(work, sweep=["members"])
    assert asked == [["members"]]
    assert seen == ["b" * 16]
    assert read_record(RECORD).edited() is None
    assert list(LOCKS.iterdir()) == []
    with locked(LOCKS / f"{'a' * 16}.lock", "train it"), locked(LOCKS / f"{'b' * 16}.lock", "train it"):
        start(lambda job: write(job) if type(job) is RunningJob else pytest.fail("there is nothing to train with it"))


@pytest.mark.parametrize("dirty", [False, True, None])
def test_a_job_that_draws_is_told_of_uncommitted_work_as_its_record_has_it(
    start: Callable[..., None], monkeypatch: pytest.MonkeyPatch, dirty: bool | None
) -> None:
    """Its tree is looked at once, and what is not known is not called uncommitted; the record has the same id."""
    monkeypatch.setattr(sc2.jobs.run, "git_state", lambda root: {**NO_GIT, "dirty": dirty})
    told: list[bool] = []

    def draw(job: RunningJob) -> None:
        assert isinstance(job, DrawingJob)
        told.append(job.uncommitted)
        write(job)

    start(draw, draws=True)
    assert told == [dirty is True]
    record = read_record(RECORD)
    assert record.git["dirty"] is dirty
    start(lambda job: write(job) if type(job) is RunningJob else pytest.fail("it does not draw"))
    assert read_record(RECORD).id == record.id


def test_every_stage_that_makes_a_picture_draws() -> None:
    pictures = {name for name, stage in STAGES.items() if {"svg", "png", "webp"} & set(stage.outputs)}
    assert pictures == {name for name, stage in STAGES.items() if stage.draws}
