"""Compares every record with the files beside it and with what the present configuration and code plan."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from sc2.errors import ProvenanceError
from sc2.provenance.changes import Jobs, PlannedJob, code_changes, spec_changes
from sc2.provenance.findings import KINDS, Finding, Report, format_report, prune
from sc2.provenance.record import (
    SUFFIX,
    InputFile,
    Record,
    find_record,
    project_root,
    read_record,
    records,
    sha256_file,
)

__all__ = ["Finding", "PlannedJob", "Report", "format_report", "prune", "verify"]

TEMPORARY = (".tmp", ".part", ".partial", ".lock", "~")
PAGE = "README.md"
# So many causes of one kind are named in a message.
NAMED = 4


@dataclass(frozen=True)
class _Entry:
    """A readable record.

    Attributes:
        path: The record.
        record: Its content.
        base: The folder that its paths are relative to.
        job: What is planned for its keys, None when the configuration does not contain them.
        problem: How the record contradicts itself, None when it does not.
    """

    path: Path
    record: Record
    base: Path
    job: PlannedJob | None
    problem: str | None

    @property
    def outputs(self) -> dict[Path, str]:
        """Recorded hash of each output."""
        return {self.base / file.path: file.sha256 for file in self.record.outputs.values()}

    @property
    def inputs(self) -> dict[Path, InputFile]:
        """The inputs that lie in the project."""
        return {self.base / file.path: file for file in self.record.input_files() if not file.outside}

    @property
    def active(self) -> bool:
        """Whether its files are to be checked."""
        return self.job is not None and self.problem is None

    @property
    def name(self) -> str:
        """The first output, which a message about the job as a whole names."""
        return next(iter(self.record.outputs.values())).path

    @property
    def files(self) -> tuple[Path, ...]:
        """What the job left: outputs and record."""
        return (*self.outputs, self.path)


def verify(root: Path, jobs: Jobs) -> Report:
    """Check all records under a folder; every file is hashed once.

    Args:
        root: The folder of the results.
        jobs: Gives the job that is planned for a stage and keys, None when the configuration does not contain it.

    Raises:
        ProvenanceError: There is no such folder, or a file in it cannot be read.
    """
    if not root.is_dir():
        raise ProvenanceError(f"{root}: no such folder; build the results with `snakemake --cores all`, or pull them")
    root = Path(os.path.abspath(root))  # noqa: PTH100
    check = _Check(root, jobs)
    check.hash_files()
    findings = [*check.findings, *check.files(), *check.stale(), *check.unrecorded()]
    findings.sort(key=lambda finding: (KINDS.index(finding.kind), finding.path, finding.message))
    outside = sum(entry.job is None and entry.problem is None for entry in check.entries)
    return Report(root, findings, checked=check.read - outside, outside=outside)


class _Check:
    """One pass over the records of a folder."""

    def __init__(self, root: Path, jobs: Jobs) -> None:
        self.root = root
        self.findings: list[Finding] = []
        self.entries: list[_Entry] = []
        self.read = 0
        for path in records(root):
            self.read += 1
            self._load(path, jobs)
        self.by_output = {output: entry for entry in self.entries for output in entry.outputs}
        self.hashes: dict[Path, str | None] = {}
        self._reasons: dict[Path, list[str]] = {}

    def _load(self, path: Path, jobs: Jobs) -> None:
        """Read a record; one that cannot be trusted becomes a finding."""
        try:
            record = read_record(path)
            base = project_root(path, record)
        except ProvenanceError as error:
            message = str(error).removeprefix(f"{path}: ")
            self.findings.append(Finding("edited", self._name(path), message, (path,)))
            return
        problem = record.edited()
        entry = _Entry(path, record, base, jobs(record.stage, record.keys), problem)
        self.entries.append(entry)
        if problem is not None:
            self.findings.append(Finding("edited", self._name(path), problem, entry.files))

    def hash_files(self) -> None:
        """Hash what the records of planned jobs name; a file that is gone has the hash None."""
        named = {path for entry in self.entries if entry.active for path in (*entry.outputs, *entry.inputs)}
        present = {path: path.stat().st_size for path in sorted(named) if path.is_file()}
        self.hashes = dict.fromkeys(named)
        quiet = not sys.stderr.isatty()
        with tqdm(total=sum(present.values()), desc="verify", unit="B", unit_scale=True, disable=quiet) as bar:
            for path, size in present.items():
                self.hashes[path] = sha256_file(path)
                bar.update(size)

    def files(self) -> Iterator[Finding]:
        """Yield the outputs that were edited and the files that are gone, each once."""
        users: dict[Path, list[str]] = {}
        for entry in filter(lambda entry: entry.active, self.entries):
            for path, recorded in entry.outputs.items():
                if self.hashes[path] is None:
                    users.setdefault(path, []).append(f"output of {entry.record.stage}")
                elif self.hashes[path] != recorded:
                    message = f"its content is not what {entry.record.stage} wrote (record {entry.record.id})"
                    yield Finding("edited", self._name(path), message, entry.files)
            for path in entry.inputs:
                if self.hashes[path] is None:
                    users.setdefault(path, []).append(f"input of {entry.name}")
        for path, roles in users.items():
            message = f"gone, but a record names it: {_some(sorted(roles))}"
            if path in self.by_output:
                # The workflow leaves what is gone alone while all that was made from it is there: it has to be asked.
                message += f"; `snakemake --cores all {self._name(path)}` makes it again"
            yield Finding("missing", self._name(path), message)

    def stale(self) -> Iterator[Finding]:
        """Yield the jobs that would give something else now."""
        for entry in self.entries:
            if entry.active and (reasons := self._stale_reasons(entry)):
                yield Finding("stale", entry.name, "; ".join(reasons), entry.files)

    def unrecorded(self) -> Iterator[Finding]:
        """Yield the files that no record names; the page on the folder itself is git's."""
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in names:
                path = Path(folder) / name
                known = path in self.by_output or path == self.root / PAGE
                if not known and not name.startswith(".") and not name.endswith((SUFFIX, *TEMPORARY)):
                    message = "no record names this file; delete it, or make it with the workflow"
                    yield Finding("unrecorded", self._name(path), message)

    def _stale_reasons(self, entry: _Entry) -> list[str]:
        """Return why a job is stale, nothing when it is not. Found once, as many jobs have the same parents."""
        if entry.path not in self._reasons:
            # Set first, so that records edited into a circle do not recurse without end.
            self._reasons[entry.path] = []
            own = list(_own_reasons(entry))
            inputs = [reason for path, file in entry.inputs.items() for reason in self._input_reasons(path, file)]
            self._reasons[entry.path] = own + ([_some(inputs)] if inputs else [])
        return self._reasons[entry.path]

    def _input_reasons(self, path: Path, file: InputFile) -> Iterator[str]:
        """Say what changed about an input since it was read. One that is gone is reported once, as missing."""
        found = self.hashes[path]
        if found is None:
            return
        if found != file.sha256:
            yield f"input {file.path} changed"
            return
        producer = self.by_output.get(path)
        if producer is None:
            if file.record != (now := self._record_elsewhere(path)):
                yield f"input {file.path} was made by record {file.record}, beside it is now {now or 'none'}"
        elif producer.record.id != file.record:
            yield f"input {file.path} was made by record {file.record}, beside it is now {producer.record.id}"
        elif producer.problem is not None:
            yield f"the record of input {file.path} was edited"
        elif producer.job is None:
            # A job of the configuration takes only what the configuration makes: now it would take something else.
            yield f"input {file.path} is of a job that the configuration no longer contains"
        elif self._stale_reasons(producer):
            yield f"input {file.path} is stale"

    def _record_elsewhere(self, path: Path) -> str | None:
        """Return the id of the record beside a file outside of the folder that is checked."""
        if path.is_relative_to(self.root):
            return None
        record = find_record(path)
        return None if record is None else read_record(record).id

    def _name(self, path: Path) -> str:
        """Return how a message names a path: from the folder that is checked on."""
        return path.relative_to(self.root.parent).as_posix() if path.is_relative_to(self.root.parent) else path.name


def _own_reasons(entry: _Entry) -> Iterator[str]:
    """Say what changed of a job's own configuration and code since a record was written."""
    assert entry.job is not None
    if spec := list(spec_changes(entry.record, entry.job)):
        yield f"configuration changed: {_some(spec)}"
    if code := list(code_changes(entry.record, entry.job)):
        yield f"code changed: {_some(code)}"


def _some(items: Iterable[str]) -> str:
    """Join the first few items and count the rest."""
    listed = list(items)
    rest = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + rest
