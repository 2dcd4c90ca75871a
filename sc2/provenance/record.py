"""The record (`*.prov.json`) that a job leaves beside its outputs, and how it is written, read and found.

The id of a record depends only on the work (stage, keys, spec, code, inputs); the rest of the record describes where,
when and on what the work was done. Paths are relative to the project's root, the folder that the job ran in.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sc2.errors import FolderError, ProvenanceError
from sc2.job import RunningJob
from sc2.provenance.environment import environment, git_state, sha256_file
from sc2.provenance.fingerprint import Fingerprint, package_root
from sc2.provenance.schema import (
    FORMAT,
    SUFFIX,
    CodeState,
    InputFile,
    OutputFile,
    Record,
    canonical,
    hashes_of,
    record_id,
    seal,
)
from sc2.system.atomic import replacing
from sc2.system.walk import walk

__all__ = [
    "SUFFIX",
    "CodeState",
    "InputFile",
    "OutputFile",
    "Record",
    "canonical",
    "environment",
    "find_record",
    "git_state",
    "hashes_of",
    "is_stored_as",
    "project_root",
    "read_record",
    "record_id",
    "records",
    "sha256_file",
    "stored_path",
    "write_record",
]


class Damaged(ProvenanceError):
    """A file that is named like a record but is not one."""


class Displaced(ProvenanceError):
    """A record that is not where it was written: the files beside it may be a copy."""


class Unreadable(ProvenanceError):
    """A record of another version of the project, with an unknown format."""


def write_record(
    path: Path,
    *,
    job: RunningJob,
    code: Fingerprint,
    job_id: str,
    inputs: Mapping[str, InputFile | list[InputFile]],
    started: datetime,
    seconds: float,
    command: Sequence[str],
    git: Mapping[str, Any] | None = None,
) -> Record:
    """Write the record of a successful job atomically.

    Args:
        path: `*.prov.json` in the folder of the outputs.
        job: The job; its `record_id` must match its content.
        code: Fingerprint of the code that ran, taken before the job started.
        job_id: Id that the workflow planned the job by.
        inputs: Result of `describe_inputs` from before the job started; the files may have changed since.
        started: Start of the job, with a time zone.
        seconds: Duration of the job.
        command: The command line.
        git: `git_state` at the start of a long job; by default the current state of the package's checkout.

    Raises:
        ProvenanceError: An output is missing or in another folder, or the arguments disagree.
        OSError: The record cannot be written.
    """
    _check_arguments(path, started)
    content = {
        "format": FORMAT,
        "id": job.record_id,
        "stage": job.stage,
        "keys": dict(job.keys),
        "spec": json.loads(canonical(dict(job.spec))),
        "job_id": job_id,
        "code": {"digest": code.digest, "files": code.files},
        "inputs": dict(inputs),
        "outputs": {name: _output(path, file) for name, file in job.outputs.items()},
        "seed": job.keys.get("seed"),
        "git": dict(git_state(package_root()) if git is None else git),
        **_ran_on(job),
        "command": _portable(command),
        **_when(started, seconds),
        "parents": _parents(inputs),
    }
    record = _sealed(content, path)
    _write_atomically(path, record.model_dump(mode="json"))
    return record


def _when(started: datetime, seconds: float) -> dict[str, Any]:
    """Return start, end and duration of a job."""
    finished = started + timedelta(seconds=seconds)
    return {"started": _utc(started), "finished": _utc(finished), "seconds": round(seconds, 3)}


def _check_arguments(path: Path, started: datetime) -> None:
    if not path.name.endswith(SUFFIX):
        raise ProvenanceError(f"{path}: the name of a record ends with {SUFFIX}")
    if started.tzinfo is None:
        raise ProvenanceError(f"{path}: the start of the job needs a time zone, e.g. datetime.now(UTC)")


def _parents(inputs: Mapping[str, InputFile | list[InputFile]]) -> list[str]:
    """Return the ids of the records of a job's inputs."""
    files = (file for item in inputs.values() for file in (item if isinstance(item, list) else [item]))
    return sorted({file.record for file in files if file.record is not None})


def _sealed(content: dict[str, Any], path: Path) -> Record:
    unsealed = Record.model_validate({**content, "seal": ""})
    record = unsealed.model_copy(update={"seal": seal(unsealed.model_dump(mode="json"))})
    if (problem := record.edited()) is not None:
        raise ProvenanceError(f"{path}: the record would contradict itself: {problem}; the job has a wrong record_id")
    return record


def read_record(path: Path) -> Record:
    """Read a record, without checking whether it was edited (see `Record.edited`).

    Raises:
        Damaged: The file is no longer a valid record.
        Unreadable: It has a format that this version does not know.
        ProvenanceError: The file is missing or cannot be read.
    """
    fix = "delete it and run the workflow again, or pull it again with `dvc pull`"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProvenanceError(f"{path}: the record cannot be read: {error.strerror}; {fix}") from error
    except ValueError as error:
        raise Damaged(f"{path}: the record is damaged ({error}); {fix}") from error
    written = content.get("format") if isinstance(content, dict) else None
    if written != FORMAT:
        raise Unreadable(f"{path}: record of unknown format {written!r}, this version reads format {FORMAT}; {fix}")
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Damaged(f"{path}: the record is damaged at `{where}` ({first['msg']}); {fix}") from error


def find_record(output: Path) -> Path | None:
    """Return the record in an output's folder that lists it, None if there is none.

    Raises:
        ProvenanceError: A record in that folder is damaged, or two of them list the output.
    """
    # Not resolved: a link made by DVC must not lead away from the record's folder.
    absolute = Path(os.path.abspath(output))  # noqa: PTH100
    listing = [
        path
        for path in sorted(output.parent.glob(f"*{SUFFIX}"))
        if any(is_stored_as(absolute, file.path) for file in read_record(path).outputs.values())
    ]
    if len(listing) > 1:
        names = ", ".join(path.name for path in listing)
        raise ProvenanceError(f"{output}: listed by several records ({names}); delete those of removed rules")
    return listing[0] if listing else None


def is_stored_as(absolute: Path, stored: str) -> bool:
    """Return whether an absolute path can be the file that a record stores as `stored`."""
    parts = Path(stored).parts
    return absolute.parts[-len(parts) :] == parts


def records(root: Path) -> list[Path]:
    """Return the records under a folder, sorted; linked folders are included.

    Raises:
        FolderError: A folder cannot be read.
    """
    return [root / name for name in walk(root, on_problem=ignore_dangling) if name.endswith(SUFFIX)]


def ignore_dangling(path: Path, problem: str) -> None:
    """Skip a dangling link, whose target counts as missing; raise for every other problem of a walk.

    Raises:
        FolderError: It is another problem.
    """
    if not path.is_symlink() or path.exists():
        raise FolderError(f"{path}: {problem}")


def project_root(path: Path, record: Record) -> Path:
    """Return the folder that the paths in a record are relative to, derived from the record's location.

    Raises:
        Displaced: The record was moved or copied away from where it was written.
    """
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100
    for output in record.outputs.values():
        stored = Path(output.path).parent.parts
        if output.outside:
            continue
        if not stored:
            return folder
        if folder.parts[-len(stored) :] == stored:
            return Path(*folder.parts[: -len(stored)])
        raise Displaced(f"{path}: moved; it was written in {'/'.join(stored)} (move it back, or rebuild it)")
    raise Displaced(f"{path}: made outside the project, so its inputs cannot be found; run the job from the project")


def stored_path(path: Path) -> tuple[str, bool]:
    """Return how a record names a path, relative to the current folder, and whether the path lies outside of it."""
    here = Path.cwd()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    # The second form resolves a linked folder on the way to the project; the file itself may be a link made by DVC.
    for candidate in (absolute, absolute.parent.resolve() / absolute.name):
        if candidate.is_relative_to(here):
            return candidate.relative_to(here).as_posix(), False
    return absolute.name, True


def _ran_on(job: RunningJob) -> dict[str, Any]:
    """Return versions, hardware and platform, and the number of threads, on which sums depend."""
    ran_on = environment()
    return {**ran_on, "hardware": {**ran_on["hardware"], "threads": job.threads}}


def _output(record: Path, path: Path) -> OutputFile:
    """Describe one output and check that it is beside its record, where `find_record` looks."""
    if not path.is_file():
        raise ProvenanceError(f"{path}: the job succeeded without writing this output")
    if path.parent.resolve() != record.parent.resolve():
        raise ProvenanceError(f"{path}: not in the folder of its record {record}; keep a job's outputs in one folder")
    stored, outside = stored_path(path)
    return OutputFile(path=stored, sha256=sha256_file(path), bytes=path.stat().st_size, outside=outside)


def _portable(command: Sequence[str]) -> list[str]:
    """Return a command line without absolute paths: `python` for the interpreter, relative paths or names for files."""
    words: list[str] = []
    for word in command:
        option, equals, value = word.rpartition("=")
        if word == sys.executable or (not words and Path(word).name.startswith("python")):
            words.append("python")
        elif not words and Path(word).name == "__main__.py":
            # `python -m package` puts this into sys.argv.
            words.extend(["python", "-m", Path(word).parent.name])
        elif Path(value).is_absolute():
            words.append(f"{option}{equals}{stored_path(Path(value))[0]}")
        else:
            words.append(word)
    return words


def _utc(time: datetime) -> str:
    """Return a time in UTC as ISO 8601 text with seconds."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _write_atomically(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON to a temporary file beside the target and move it into place."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")
