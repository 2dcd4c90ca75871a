"""What a job ran on: never the machine's name or a folder, and unknown, with the reason, where it cannot be known."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sc2.provenance.environment import GENERATED, NO_GIT, environment, git_state


def test_environment_does_not_name_the_machine() -> None:
    found = environment()
    assert found["versions"]["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert found["versions"]["pydantic"] is not None
    assert found["hardware"]["cores"] == os.cpu_count()
    assert found["hardware"]["memory_gib"] > 0
    assert os.uname().nodename not in json.dumps(found).replace('"', " ").split()
    assert str(Path.home()) not in json.dumps(found)


def test_gpus_come_from_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA One'\necho 'NVIDIA Two'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment()["hardware"]["gpus"] == ["NVIDIA One", "NVIDIA Two"]
    program.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    assert environment()["hardware"]["gpus"] == []


def test_what_does_not_answer_is_unknown_and_ends_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("sc2.provenance.environment.PATIENCE_S", 0.1)
    assert environment()["hardware"]["gpus"] == ["unknown (nvidia-smi did not answer in 0.1 s)"]
    program.write_text("no program")
    assert environment()["hardware"]["gpus"] == ["unknown (nvidia-smi cannot be run: Exec format error)"]

    def nothing(name: str) -> int:
        raise ValueError(f"unrecognized configuration name {name}")

    monkeypatch.setattr(os, "sysconf", nothing)
    assert environment()["hardware"]["memory_gib"] is None


def git(folder: Path, *arguments: str) -> None:
    # No hook's environment and no personal configuration may reach the throw-away repository.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    plain |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    name = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *name, *arguments], cwd=folder, env=plain, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    (folder / "sub" / "b.txt").write_text("two\n")
    (folder / ".gitignore").write_text("ignored.txt\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_git_clean_and_dirty(repository: Path) -> None:
    clean = git_state(repository)
    assert clean["dirty"] is False
    assert clean["dirty_sha256"] is None
    assert len(clean["commit"]) == 40
    (repository / "ignored.txt").write_text("ignored")
    assert git_state(repository) == clean

    states = []
    for name, text in [("a.txt", "1\n"), ("a.txt", "2\n"), ("new.txt", "1"), ("new.txt", "2"), ("sub/é.txt", "1")]:
        (repository / name).write_text(text)
        states.append(git_state(repository))
    git(repository, "add", ".")
    states.append(git_state(repository))
    assert all(state["dirty"] is True and state["commit"] == clean["commit"] for state in states)
    assert len({state["dirty_sha256"] for state in states}) == len(states)
    assert git_state(repository / "sub") == states[-1]


def test_git_untracked_link_to_nowhere(repository: Path) -> None:
    (repository / "link").symlink_to("nowhere")
    assert git_state(repository)["dirty"] is True


def test_git_personal_settings_do_not_change_the_hash(repository: Path) -> None:
    (repository / "a.txt").write_text("changed\n")
    (repository / "sub" / "b.txt").rename(repository / "moved.txt")
    before = git_state(repository)
    for setting in ["diff.noprefix=true", "diff.mnemonicPrefix=true", "color.ui=always", "diff.external=false"]:
        git(repository, "config", *setting.split("="))
    assert git_state(repository / "sub") == before


def test_git_ignores_the_environment_of_a_hook(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = git_state(repository)
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    assert git_state(repository) == before


def test_no_repository_no_commit_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) == {**NO_GIT, "unknown": "not in a git repository"}
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == {**NO_GIT, "unknown": "no commit yet"}
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == {**NO_GIT, "unknown": "git is not installed"}


def test_what_the_workflow_writes_for_readers_is_not_dirty(repository: Path) -> None:
    clean = git_state(repository)
    (generated,) = GENERATED
    (repository / generated / "bench").mkdir(parents=True)
    (repository / generated / "bench" / "README.md").write_text("new")
    assert git_state(repository) == clean
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "snapshot")
    (repository / generated / "bench" / "README.md").write_text("changed")
    assert git_state(repository)["dirty"] is False
    (repository / "docs" / "own.md").write_text("new")
    assert git_state(repository)["dirty"] is True


def test_checkout_of_another_user_is_said_and_safe_directory_is_heard(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clean = git_state(repository)
    # What git itself offers to pretend it in its own tests.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setattr("sc2.system.surroundings._GIT_KEPT", ("GIT_CONFIG", "GIT_TEST"))
    assert git_state(repository) == {**NO_GIT, "unknown": "git refuses a checkout of another user"}
    shown = capfd.readouterr().err
    assert "safe.directory" in shown
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    assert git_state(repository) == clean


def test_git_that_fails_is_recorded_without_a_path(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = git_state(repository)["commit"]
    (repository / ".git" / "index").write_bytes(b"damaged")
    assert git_state(repository) == {
        "commit": commit,
        "dirty": None,
        "dirty_sha256": None,
        "unknown": "`git diff` failed",
    }
    assert "the state of the checkout is not fully known" in capsys.readouterr().err
    (repository / ".git" / "HEAD").write_text("damaged")
    state = git_state(repository)
    assert state["commit"] is None
    assert str(repository) not in json.dumps(state)

    def late(*arguments: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("git", 60)

    monkeypatch.setattr(subprocess, "run", late)
    assert git_state(repository) == {**NO_GIT, "unknown": "git did not answer in 60 s"}
