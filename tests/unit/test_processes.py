"""Trainings in two processes: the weights of one process; and started by torchrun, one writer, and how they end."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sc2.checkpoint import load_checkpoint
from sc2.errors import ConfigError, SC2Error
from sc2.job import RunningJob
from sc2.runs.train import run as train
from sc2.teachers.train import run as train_teacher
from sc2.training import processes
from sc2.training.stopping import Stopped, Stopping
from tests.load import free_port
from tests.unit.test_dense_stages import Project

TASKS = ("classification", "segmentation")
LARGEST = 1e-4
"""Of a difference between weights: rounding, which batch norms over few images enlarge. A step changes them by 1e-3."""


class Twice(Project):
    """Keeps the jobs of trainings, and runs them in one process or two."""

    gpus = 1

    def job(self, *args: Any, **kwargs: Any) -> RunningJob:
        made = super().job(*args, **kwargs)
        folder = self.folder / f"gpus{self.gpus}" / made.label
        folder.mkdir(parents=True, exist_ok=True)
        outputs = {name: folder / path.name for name, path in made.outputs.items()}
        return replace(made, gpus=self.gpus, outputs=outputs, record_id=f"{made.record_id[:-1]}{self.gpus}")


def launch_forks(stage: str, job: RunningJob) -> None:
    """Run a stage in two forks with the variables of torchrun, whose own three starts are most of a short job."""
    described, port = Path("job.json"), str(free_port())
    described.write_text(json.dumps(asdict(job), default=str), encoding="utf-8")

    def work(rank: str) -> None:
        os.environ.update(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        # A fork has none of the threads that this process may have computed with.
        torch.set_num_threads(1)
        sys.exit(processes._work(stage, str(described)))

    both = [multiprocessing.get_context("fork").Process(target=work, args=(rank,)) for rank in "01"]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    made: dict[tuple[str, int], Path] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("scratch"))
        patch.setattr(processes, "_launch", launch_forks)
        project = Twice(tmp_path_factory.mktemp("project"))
        for gpus in (1, 2):
            project.gpus = gpus
            for task in TASKS:
                made[f"{task} teacher", gpus] = project.teacher(task, [])
            # The same teacher and the same start for both, so that rounding is all that differs.
            teacher = made["classification teacher", 1]
            made["distill", gpus] = project.phase("classification", "distill", teacher, [], [])
            made["finetune", gpus] = project.phase("classification", "finetune", teacher, [made["distill", 1]], [])
    return made


@pytest.mark.parametrize("name", ["classification teacher", "segmentation teacher", "distill", "finetune"])
def test_two_processes_end_with_the_weights_of_one(trained: dict[tuple[str, int], Path], name: str) -> None:
    kind: Any = "teacher" if "teacher" in name else "phase"
    one, two = (load_checkpoint(trained[name, gpus], kind)["state"] for gpus in (1, 2))
    assert one.keys() == two.keys()
    for entry, value in one.items():
        if not value.is_floating_point():
            assert torch.equal(value, two[entry]), entry
        else:
            torch.testing.assert_close(value, two[entry], rtol=1e-4, atol=LARGEST, msg=entry)
    history = [trained[name, gpus].with_name("history").read_text().splitlines() for gpus in (1, 2)]
    assert history[0][0] == history[1][0]
    numbers = [[float(number) for number in rows[1].split(",")] for rows in history]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-3)


def test_a_training_that_fails_in_two_processes_says_why_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A batch of one image cannot be shared; nothing is written."""
    monkeypatch.chdir(tmp_path)
    project = Twice(tmp_path / "project")
    project.params["phases"]["distill"]["batch_size"] = 1
    teacher = project.teacher("classification", [])
    project.gpus = 2
    with pytest.raises(SC2Error, match="a training in 2 processes has failed: the reason is above"):
        project.phase("classification", "distill", teacher, [], [])
    assert capfd.readouterr().err.count("a batch of 1 images cannot be shared by 2 processes: lower gpus") == 1
    assert not list((project.folder / "gpus2").rglob("checkpoint"))


def test_a_signal_stops_both_processes_and_the_next_two_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The job's own process gets it, torchrun passes it on, both end after the same step, and one saves."""
    monkeypatch.chdir(tmp_path)
    project = Twice(tmp_path / "project")
    teacher = project.teacher("classification", [])
    for state in Path("scratch/training").glob("*.pt"):
        state.unlink()
    project.params["phases"]["distill"]["epochs"] = 400
    project.gpus = 2

    def ended(child: "subprocess.Popen[bytes]", stopping: Stopping) -> int:
        while not list(Path("scratch/training").glob("*.pt")):
            time.sleep(0.1)
        stopping.received = signal.SIGTERM
        child.terminate()
        return child.wait(60)

    monkeypatch.setattr(processes, "_ended", ended)
    with pytest.raises(Stopped, match="stopped by SIGTERM; the same command goes on from the state that is saved"):
        project.phase("classification", "distill", teacher, [], [])
    said = capfd.readouterr().err
    assert said.count("stopped by SIGTERM after epoch") == 1, said
    (state,) = Path("scratch/training").glob("*.pt")
    content = torch.load(state, weights_only=True)
    assert 0 < content["epoch"] < 400
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    content["history"], content["epoch"] = (content["history"] * 400)[:399], 399
    torch.save(content, state)
    assert project.phase("classification", "distill", teacher, [], []).is_file()
    assert "resumes after epoch 399 of 400" in capfd.readouterr().err


def test_a_signal_is_passed_on_and_the_end_awaited() -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, sys; signal.signal(15, lambda *a: sys.exit(7)); print(1, flush=True); signal.pause()",
        ],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.read(1)
    with child, Stopping() as stopping, stopping.ignored():
        signal.raise_signal(signal.SIGUSR1)
        assert processes._ended(child, stopping) == 7


def test_too_few_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    job = RunningJob("train", {}, {}, {}, {}, "0" * 16, gpus=2)
    with pytest.raises(ConfigError, match=r"compute\.gpus is 2, but this job sees 1"):
        train(job)
    with pytest.raises(ConfigError, match=r"compute\.gpus is 2, but this job sees 1"):
        train_teacher(job)
