"""Records: the id holds the work and nothing else; what is written is read back, found again, and shows an edit."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sc2.errors import FolderError, ProvenanceError
from sc2.job import RunningJob
from sc2.provenance.environment import NO_GIT
from sc2.provenance.fingerprint import Fingerprint, combine, package_root
from sc2.provenance.inputs import describe_inputs
from sc2.provenance.record import (
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
        "git": NO_GIT,
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
        ('"quality": 10', '"quality": 20', "its content has the id"),
        ('"stage": "evaluate"', '"stage": "train"', "its content has the id"),
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
