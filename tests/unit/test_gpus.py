"""Two jobs never share a GPU unless asked; where there is none, nothing waits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sc2.errors import ConfigError
from sc2.jobs.stages import STAGES
from sc2.system.gpus import JOBS_PER_GPU, VISIBLE, reserved, slots, visible

HOLD = """\
import os, sys
from pathlib import Path
from sc2.system.gpus import reserved
with reserved(os.environ, Path(sys.argv[1])) as gpu:
    print(gpu, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two GPUs, as far as `nvidia-smi` says."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\n[ "$1" = --query-gpu=index,uuid ] && printf "0, GPU-a\\n1, GPU-b\\n"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.delenv(JOBS_PER_GPU, raising=False)
    return tmp_path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def hold(folder: Path) -> subprocess.Popen[str]:
    """A process that takes a GPU and keeps it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (None, ["GPU-a", "GPU-b"]),
        ("1", ["GPU-b"]),
        ("GPU-b, 0", ["GPU-b", "GPU-a"]),
        ("0,-1,1", ["GPU-a"]),
        ("", []),
        ("MIG-7", ["MIG-7"]),
    ],
)
def test_the_visible_gpus_have_one_name_each(machine: Path, listed: str | None, expected: list[str]) -> None:
    assert visible({} if listed is None else {VISIBLE: listed}) == expected


def test_a_machine_without_gpus_has_no_slots_and_nothing_waits(bare: None, tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    assert slots(environ) == 0
    with reserved(environ, tmp_path / "locks") as gpu:
        assert gpu is None
        assert environ == {}
    assert not (tmp_path / "locks").exists()


def test_each_job_has_its_own_gpu_and_a_third_waits(machine: Path) -> None:
    locks = machine / "locks"
    with hold(locks) as first, hold(locks) as second:
        assert sorted([line(first), line(second)]) == ["GPU-a GPU-a", "GPU-b GPU-b"]
        with hold(locks) as third:
            assert third.stderr is not None
            assert "waiting for a GPU: all 2 places on GPUs are taken" in third.stderr.readline()
            # However the holder ends.
            first.kill()
            assert line(third).split()[0] in ("GPU-a", "GPU-b")
            third.communicate("")
        second.communicate("")
        first.communicate()


def test_jobs_share_gpus_when_asked_and_take_the_free_ones_first(machine: Path, tmp_path: Path) -> None:
    environ = {JOBS_PER_GPU: "2"}
    assert slots(environ) == 4
    taken = []
    with (
        reserved(dict(environ), tmp_path) as first,
        reserved(dict(environ), tmp_path) as second,
        reserved(dict(environ), tmp_path) as third,
    ):
        taken = [first, second, third]
    assert taken == ["GPU-a", "GPU-b", "GPU-a"]


@pytest.mark.parametrize("before", [None, "1,0"])
def test_the_variable_is_put_back(machine: Path, tmp_path: Path, before: str | None) -> None:
    environ = {} if before is None else {VISIBLE: before}
    with reserved(environ, tmp_path) as gpu:
        assert environ[VISIBLE] == gpu
    assert environ.get(VISIBLE) == before
    with reserved(environ, tmp_path):  # and the GPU is free again
        pass


def test_a_job_of_several_processes_takes_as_many_gpus_or_none(machine: Path, tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    with reserved(environ, tmp_path / "locks", count=2) as taken:
        assert taken == environ[VISIBLE] == "GPU-a,GPU-b"
    with pytest.raises(ConfigError, match=r"compute\.gpus is 3, but 2 can be used here"), reserved({}, count=3):
        pass


@pytest.mark.parametrize("value", ["0", "two", "-1", ""])
def test_a_wrong_number_is_named(machine: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{JOBS_PER_GPU}={value}: must be a number from 1 on"):
        slots({JOBS_PER_GPU: value})


def test_the_rules_that_ask_for_a_gpu_are_the_stages_that_take_one(root: Path) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (root / "workflow/rules").glob("*.smk"))
    rules = [rule.partition(":")[0] for rule in text.split("\nrule ")[1:] if "gpu=GPUS," in rule]
    assert sorted(rules) == sorted(name for name, stage in STAGES.items() if stage.gpu)
