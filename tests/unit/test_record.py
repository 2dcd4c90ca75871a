"""Records: the id holds the work and nothing else; what is written is read back, found again, and shows an edit."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sc2.errors import FolderError, ProvenanceError
from sc2.job import RunningJob
from sc2.provenance.environment import GENERATED
from sc2.provenance.fingerprint import Fingerprint, combine, package_root
from sc2.provenance.record import (
    describe_inputs,
    environment,
    find_record,
    git_state,
    hashes_of,
    project_root,
    read_record,
    record_id,
    records,
    sha256_file,
    write_record,
)

CODE = Fingerprint(combine({"sc2/a.py": "00"}), {"sc2/a.py": "00"})
KEYS = {"benchmark": "b", "method": "jpeg", "point": "10", "seed": "0"}
SPEC = {"quality": 10, "input": {"size": [64, 64]}}
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NO_COMMIT = {"commit": None, "dirty": None, "dirty_sha256": None}
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is the current folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def make(
    folder: str,
    *,
    stage: str = "evaluate",
    inputs: dict[str, Path | list[Path]] | None = None,
    described: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Run a pretended job in the current folder: it writes `out.txt`; return the path of its record."""
    output = Path(folder) / "out.txt"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"{stage} {folder}")
    inputs = inputs or {}
    described = describe_inputs(inputs) if described is None else described
    spec = SPEC if spec is None else spec
    identity = record_id(stage, KEYS, spec, CODE.digest, hashes_of(described))
    job = RunningJob(stage, KEYS, spec, inputs, {"out": output}, identity)
    arguments: dict[str, Any] = {
        "job": job,
        "code": CODE,
        "job_id": "spec-code",
        "inputs": described,
        "started": STARTED,
        "seconds": 1.5,
        "command": ["python", "-m", "sc2", stage],
        "git": NO_COMMIT,
    }
    path = output.with_name("out.prov.json")
    write_record(path, **{**arguments, **changes})
    return path


def test_id_is_sixteen_hex_digits_and_ignores_the_order_of_keys() -> None:
    one = record_id("s", {"a": "1", "b": "2"}, {"x": 1, "y": 2}, "c", {"i": "h", "j": ["k"]})
    assert one == record_id("s", {"b": "2", "a": "1"}, {"y": 2, "x": 1}, "c", {"j": ["k"], "i": "h"})
    assert len(one) == 16
    assert set(one) <= set("0123456789abcdef")


def test_id_differs_for_each_ingredient() -> None:
    base: tuple[Any, ...] = ("s", {"a": "1"}, {"x": 1}, "c", {"i": "h"})
    others: list[tuple[Any, ...]] = [
        ("t", *base[1:]),
        ("s", {"a": "2"}, *base[2:]),
        ("s", {"b": "1"}, *base[2:]),
        ("s", {"a": "1"}, {"x": 2}, *base[3:]),
        ("s", {"a": "1"}, {"x": "1"}, *base[3:]),
        ("s", {"a": "1"}, {"x": 1, "y": None}, *base[3:]),
        ("s", {"a": "1"}, {"x": 1}, "d", {"i": "h"}),
        ("s", {"a": "1"}, {"x": 1}, "c", {"i": "g"}),
        ("s", {"a": "1"}, {"x": 1}, "c", {"j": "h"}),
        ("s", {"a": "1"}, {"x": 1}, "c", {"i": ["h"]}),
        ("s", {"a": "1"}, {"x": 1}, "c", {"i": ["h", "h"]}),
        ("s", {"a": "1"}, {"x": 1}, "c", {}),
    ]
    assert len({record_id(*arguments) for arguments in [base, *others]}) == len(others) + 1


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, Path("x")])
def test_spec_of_other_types_is_refused(value: object) -> None:
    with pytest.raises(ProvenanceError, match="JSON types only"):
        record_id("s", {}, {"x": value}, "c", {})


def test_same_work_elsewhere_and_later_has_the_same_id(project: Path) -> None:
    one = read_record(make("results/one"))
    two = read_record(make("results/two", started=STARTED + timedelta(days=1), seconds=99.0, job_id="other"))
    assert one.id == two.id
    assert one.outputs["out"].path != two.outputs["out"].path
    assert one.started != two.started


def test_content(project: Path) -> None:
    (project / "raw.txt").write_text("raw")
    parent = make("results/parent", stage="export", inputs={"raw": Path("raw.txt")})
    made = Path("results/parent/out.txt")
    path = make("results/child", inputs={"one": made, "many": [made.absolute(), Path("raw.txt")], "none": []})
    record = read_record(path)
    parent_id = read_record(parent).id
    many = record.inputs["many"]
    assert isinstance(many, list)
    assert [(item.path, item.record) for item in many] == [("results/parent/out.txt", parent_id), ("raw.txt", None)]
    assert record.parents == [parent_id]
    assert record.inputs["none"] == []
    assert record.seed == "0"
    assert record.spec == SPEC
    assert (record.code.digest, record.code.files) == (CODE.digest, CODE.files)
    assert record.outputs["out"].sha256 == sha256_file(Path("results/child/out.txt"))
    assert record.outputs["out"].bytes == Path("results/child/out.txt").stat().st_size
    assert (record.started, record.finished) == ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:06+00:00")
    assert record.edited() is None
    assert project_root(path, record) == project
    assert [item.name for item in path.parent.iterdir() if item.name.endswith(".tmp")] == []


def test_time_of_another_zone_is_stored_in_utc(project: Path) -> None:
    local = STARTED.astimezone(timezone(timedelta(hours=9)))
    assert read_record(make("results/x", started=local)).started == "2026-01-02T03:04:05+00:00"


def test_no_path_of_the_machine_in_a_record(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "archive.tar"
    outside.write_text("archive")
    command = [
        sys.executable,
        str(project / "sc2" / "tool.py"),
        f"--in={outside}",
        str(outside),
        "--benchmark=b",
        "results/x/out.txt",
    ]
    path = make("results/x", inputs={"archive": outside}, command=command)
    record = read_record(path)
    archive = record.inputs["archive"]
    assert not isinstance(archive, list)
    assert (archive.path, archive.outside) == ("archive.tar", True)
    assert record.command == [
        "python", "sc2/tool.py", "--in=archive.tar", "archive.tar", "--benchmark=b", "results/x/out.txt"
    ]  # fmt: skip
    assert str(tmp_path) not in path.read_text()
    assert sys.prefix not in path.read_text()


def test_command_of_a_module(project: Path) -> None:
    record = read_record(make("results/x", command=[str(project / "sc2" / "__main__.py"), "train"]))
    assert record.command == ["python", "-m", "sc2", "train"]


def test_git_state_of_the_packages_checkout_by_default(project: Path) -> None:
    """Wherever the job works: the code is what the commit is of."""
    assert read_record(make("results/x", git=None)).git == git_state(package_root())


def test_threads_are_in_the_record(project: Path) -> None:
    job = RunningJob("evaluate", KEYS, SPEC, {}, {"out": Path("results/x/out.txt")}, "", threads=3)
    identity = record_id("evaluate", KEYS, SPEC, CODE.digest, {})
    path = make("results/x", job=dataclasses.replace(job, record_id=identity))
    assert read_record(path).hardware["threads"] == 3


def test_inputs_are_those_that_were_read(project: Path) -> None:
    """Hours later something else may lie there: the record of the input may be gone, or another."""
    make("results/parent", stage="export")
    made = Path("results/parent/out.txt")
    described = describe_inputs({"one": made})
    made.with_name("out.prov.json").write_text("{")
    identity = record_id("evaluate", KEYS, SPEC, CODE.digest, hashes_of(described))
    job = RunningJob("evaluate", KEYS, SPEC, {"one": made}, {"out": Path("results/x/out.txt")}, identity)
    assert read_record(make("results/x", described=described, job=job)).inputs == described


def test_find_record_tells_outputs_of_one_folder_apart(project: Path) -> None:
    path = make("results/x")
    assert find_record(Path("results/x/out.txt")) == path
    assert find_record(project / "results" / "x" / "out.txt") == project / path
    assert find_record(Path("results/x/other.txt")) is None
    assert find_record(Path("results/nowhere/out.txt")) is None


def test_find_record_beside_a_linked_output(project: Path) -> None:
    path = make("results/x")
    output = Path("results/x/out.txt")
    cache = project / "cache" / "ab"
    cache.parent.mkdir()
    output.rename(cache)
    output.symlink_to(cache)
    assert find_record(output) == path


def test_two_records_of_one_output_are_an_error(project: Path) -> None:
    path = make("results/x")
    path.with_name("old.prov.json").write_text(path.read_text())
    with pytest.raises(ProvenanceError, match=r"several records \(old\.prov\.json, out\.prov\.json\)"):
        find_record(Path("results/x/out.txt"))


def test_records_of_a_folder(project: Path) -> None:
    paths = [make("results/b"), make("results/a")]
    Path("results/a/.out.prov.json.1.tmp").write_text("half")
    assert records(Path("results")) == sorted(paths)


def test_records_behind_a_link(project: Path, tmp_path: Path) -> None:
    make("results/a")
    Path("results/a").rename(tmp_path / "elsewhere")
    Path("results/a").symlink_to(tmp_path / "elsewhere")
    (path,) = records(Path("results"))
    assert path == Path("results/a/out.prov.json")
    Path("results/round").symlink_to(Path("results").absolute())
    with pytest.raises(FolderError, match="leads back"):
        records(Path("results"))


def test_moved_record_is_refused(project: Path) -> None:
    path = make("results/x")
    moved = project / "elsewhere.prov.json"
    path.rename(moved)
    with pytest.raises(ProvenanceError, match="moved; it was written in results/x"):
        project_root(moved, read_record(moved))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "the record is damaged"),
        (lambda text: "", "the record is damaged"),
        (lambda text: "[]", "unknown format None"),
        (lambda text: text.replace('"format": 1', '"format": 99'), "unknown format 99, this version reads format 1"),
        (lambda text: text.replace('"stage"', '"stag"'), "damaged at `stage`"),
        (lambda text: text.replace('"seconds": 1.5', '"seconds": "long"'), "damaged at `seconds`"),
    ],
)
def test_damage_names_the_file_and_the_fix(project: Path, change: Callable[[str], str], message: str) -> None:
    path = make("results/x")
    path.write_text(change(path.read_text()))
    with pytest.raises(ProvenanceError, match=message) as caught:
        read_record(path)
    assert str(path) in str(caught.value)
    assert "dvc pull" in str(caught.value)


def test_missing_record(project: Path) -> None:
    with pytest.raises(ProvenanceError, match="cannot be read: No such file"):
        read_record(Path("none.prov.json"))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"quality": 10', '"quality": 20', "its content gives"),
        ('"stage": "evaluate"', '"stage": "train"', "its content gives"),
        ('"seconds": 1.5', '"seconds": 0.5', "changed after it was written"),
        ('"commit": null', '"commit": "abc"', "changed after it was written"),
        ('"path": "results/x/out.txt"', '"path": "results/x/other.txt"', "changed after it was written"),
    ],
)
def test_edit_shows(project: Path, old: str, new: str, problem: str) -> None:
    path = make("results/x")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    edited = read_record(path).edited()
    assert edited is not None
    assert problem in edited


def test_reformatted_record_is_not_edited(project: Path) -> None:
    path = make("results/x", seconds=3.0)
    path.write_text(
        json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True).replace('"seconds": 3.0', '"seconds": 3')
    )
    assert read_record(path).edited() is None


def test_wrong_arguments_leave_nothing_behind(project: Path) -> None:
    wrong = RunningJob("evaluate", KEYS, SPEC, {}, {"out": Path("results/x/out.txt")}, "0" * 16)
    missing = dataclasses.replace(wrong, outputs={"out": Path("results/x/none.txt")})
    elsewhere = dataclasses.replace(wrong, outputs={"out": Path("results/y/out.txt")})
    Path("results/y").mkdir(parents=True)
    Path("results/y/out.txt").write_text("")
    for job, message in [(wrong, "wrong record_id"), (missing, "without writing"), (elsewhere, "not in the folder")]:
        with pytest.raises(ProvenanceError, match=message):
            make("results/x", job=job)
    with pytest.raises(ProvenanceError, match="time zone"):
        make("results/x", started=datetime(2026, 1, 1))
    assert list(records(Path())) == []


def test_damaged_record_of_an_input_raises(project: Path) -> None:
    make("results/parent").write_text("{")
    with pytest.raises(ProvenanceError, match=r"results/parent/out\.prov\.json"):
        make("results/child", inputs={"one": Path("results/parent/out.txt")})


def test_failure_keeps_the_old_record(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("results/x")
    before = path.read_text()

    def full(*arguments: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            make("results/x", seconds=9.0)
    assert path.read_text() == before
    assert {item.name for item in path.parent.iterdir()} == {"out.txt", "out.prov.json"}


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_file(tmp_path / "empty") == EMPTY_SHA256
    with pytest.raises(ProvenanceError, match="cannot be read to hash it"):
        sha256_file(tmp_path / "none")


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
    assert git_state(tmp_path) == {**NO_COMMIT, "unknown": "not in a git repository"}
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == {**NO_COMMIT, "unknown": "no commit yet"}
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == {**NO_COMMIT, "unknown": "git is not installed"}


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
    monkeypatch.setattr("sc2.surroundings._GIT_KEPT", ("GIT_CONFIG", "GIT_TEST"))
    assert git_state(repository) == {**NO_COMMIT, "unknown": "git refuses a checkout of another user"}
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
    assert git_state(repository) == {**NO_COMMIT, "unknown": "git did not answer in 60 s"}
