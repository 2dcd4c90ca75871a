"""Compares every record with the files beside it and with the job that configuration and code plan now."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from sc2.errors import ProvenanceError
from sc2.provenance.changes import Jobs, PlannedJob, code_changes, spec_changes
from sc2.provenance.findings import Finding, Report, format_report, order, prune, removable
from sc2.provenance.record import (
    SUFFIX,
    Damaged,
    Displaced,
    InputFile,
    Record,
    Unreadable,
    find_record,
    ignore_dangling,
    project_root,
    read_record,
    sha256_file,
)
from sc2.system.walk import walk

__all__ = ["Finding", "PlannedJob", "Report", "format_report", "prune", "removable", "verify"]

TEMPORARY = (".tmp", ".part", ".partial", ".lock", "~")
PAGE = "README.md"
# Most causes of one kind that a message names.
NAMED = 4


@dataclass(frozen=True)
class _Entry:
    """A readable record.

    Attributes:
        path: The record.
        record: Its content.
        base: The folder that its paths are relative to.
        job: The job planned for its keys, None if the configuration does not contain them.
        problem: How the record contradicts itself, None if it does not.
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
        """The inputs inside the project."""
        return {self.base / file.path: file for file in self.record.input_files() if not file.outside}

    @property
    def active(self) -> bool:
        """Whether its files are checked."""
        return self.job is not None and self.problem is None

    @property
    def name(self) -> str:
        """The first output, used to name the job in messages."""
        return next(iter(self.record.outputs.values())).path

    @property
    def files(self) -> tuple[Path, ...]:
        """The job's files: the outputs beside the record, and the record."""
        return (*(path for path in self.outputs if path.parent == self.path.parent), self.path)

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets that make the workflow run the job; none if the configuration does not contain it."""
        return () if self.job is None else (self.name,)


def verify(root: Path, jobs: Jobs) -> Report:
    """Check all records under a folder; every file is hashed once.

    Args:
        root: The folder of the results.
        jobs: Returns the job that is planned for a stage and keys, None if the configuration does not contain it.

    Raises:
        ProvenanceError: There is no such folder, or something in it cannot be read.
    """
    if not root.is_dir():
        raise ProvenanceError(f"{root}: no such folder; build the results with `snakemake --cores all`, or pull them")
    root = Path(os.path.abspath(root))  # noqa: PTH100
    check = _Check(root, jobs)
    check.hash_files()
    findings = [*check.findings, *check.files(), *check.stale(), *check.unrecorded()]
    findings.sort(key=order)
    outside = sum(entry.job is None and entry.problem is None for entry in check.entries)
    return Report(root, findings, check.read - outside, outside, check.good(findings), tuple(check.dirty()))


class _Check:
    """One pass over the records of a folder."""

    def __init__(self, root: Path, jobs: Jobs) -> None:
        self.root = root
        self.findings: list[Finding] = []
        self.entries: list[_Entry] = []
        self.dangling: list[Path] = []
        self.paths = [root / name for name in walk(root, on_problem=self._problem)]
        all_records = [path for path in self.paths if path.name.endswith(SUFFIX)]
        self.read = len(all_records)
        for path in all_records:
            self._load(path, jobs)
        self.by_output = {output: entry for entry in self.entries for output in entry.outputs}
        self.hashes: dict[Path, str | None] = {}
        self._reasons: dict[Path, list[str]] = {}

    def _load(self, path: Path, jobs: Jobs) -> None:
        """Read a record; an invalid one becomes a finding."""
        try:
            record = read_record(path)
            base = project_root(path, record)
        except (Damaged, Displaced, Unreadable) as error:
            message = str(error).removeprefix(f"{path}: ")
            # A record that was copied here or written by another version may be valid.
            judged, unknown = ((path,), ()) if isinstance(error, Damaged) else ((), (path,))
            self.findings.append(Finding("edited", self._name(path), message, judged, unknown))
            return
        problem = record.edited()
        entry = _Entry(path, record, base, jobs(record.stage, record.keys), problem)
        self.entries.append(entry)
        if problem is not None:
            self.findings.append(Finding("edited", self._name(path), problem, entry.files, targets=entry.targets))

    def _problem(self, path: Path, problem: str) -> None:
        """Note a dangling link; raise for any other problem."""
        ignore_dangling(path, problem)
        self.dangling.append(path)

    def hash_files(self) -> None:
        """Hash the files that the records of planned jobs name; a missing file has the hash None."""
        named = {path for entry in self.entries if entry.active for path in (*entry.outputs, *entry.inputs)}
        present = {path: path.stat().st_size for path in sorted(named) if path.is_file()}
        self.hashes = dict.fromkeys(named)
        quiet = not sys.stderr.isatty()
        with tqdm(total=sum(present.values()), desc="verify", unit="B", unit_scale=True, disable=quiet) as bar:
            for path, size in present.items():
                self.hashes[path] = sha256_file(path)
                bar.update(size)

    def files(self) -> Iterator[Finding]:
        """Yield the outputs that were edited and the files that are missing, each once."""
        gone: dict[Path, list[str]] = {}
        asked: set[Path] = set()
        for entry in filter(lambda entry: entry.active, self.entries):
            for path, recorded in entry.outputs.items():
                if self.hashes[path] is None:
                    gone.setdefault(path, []).append(f"output of {entry.record.stage}")
                    asked.add(path)
                elif self.hashes[path] != recorded:
                    message = f"its content is not what {entry.record.stage} wrote (record {entry.record.id})"
                    yield Finding("edited", self._name(path), message, entry.files, targets=entry.targets)
            for path, file in entry.inputs.items():
                if self.hashes[path] is None:
                    gone.setdefault(path, []).append(f"input of {entry.name}")
                    # A stale job may no longer need this input.
                    if file.record is not None and not self._stale_reasons(entry):
                        asked.add(path)
        for path, roles in gone.items():
            message = f"gone, but a record names it: {_some(sorted(roles))}"
            targets = (self._name(path),) if path in asked else ()
            if targets:
                # The workflow does not rebuild a missing file by itself while everything made from it exists.
                message += f"; `snakemake --cores all {targets[0]}` rebuilds it"
            yield Finding("missing", self._name(path), message, targets=targets)

    def stale(self) -> Iterator[Finding]:
        """Yield the jobs that would now produce something else."""
        for entry in self.entries:
            if entry.active and (reasons := self._stale_reasons(entry)):
                yield Finding("stale", entry.name, "; ".join(reasons), entry.files, targets=entry.targets)

    def unrecorded(self) -> Iterator[Finding]:
        """Yield the files that no record names, and those whose own record is gone; the folder's README is in git."""
        used = {path: (file, entry) for entry in self.entries if entry.active for path, file in self._lost(entry)}
        for path in (*self.paths, *self.dangling):
            known = path in self.by_output or path in used or path == self.root / PAGE
            if not known and not path.name.endswith((SUFFIX, *TEMPORARY)):
                message = "no record names this file; move it elsewhere, or build it with the workflow"
                yield Finding("unrecorded", self._name(path), message, foreign=(path,))
        for path, (file, entry) in used.items():
            message = f"its record {file.record} is gone, and it is an input of {entry.name}"
            if path.is_relative_to(self.root) and not self._stale_reasons(entry):
                name = self._name(path)
                yield Finding("missing", name, message, foreign=(path,), targets=(name,))
            else:
                yield Finding("missing", self._name(path), message)

    def good(self, findings: list[Finding]) -> frozenset[Path]:
        """Return the files of the records that no finding rejects."""
        judged = {path for finding in findings for path in finding.bad if path.name.endswith(SUFFIX)}
        return frozenset(path for entry in self.entries if entry.path not in judged for path in entry.files)

    def dirty(self) -> Iterator[tuple[str, str]]:
        """Yield the results that no other job reads and that show work from uncommitted changes, with that work."""
        active = [entry for entry in self.entries if entry.active]
        read = {path for entry in active for path in entry.inputs}
        for entry in sorted(active, key=lambda entry: entry.name):
            behind = self._behind(entry) if not read.intersection(entry.outputs) else []
            if dirty := [one.record for one in behind if one.record.git.get("dirty")]:
                stages = ", ".join(sorted({record.stage for record in dirty}))
                yield entry.name, f"uncommitted work in {len(dirty)} of the {len(behind)} records behind it ({stages})"

    def _behind(self, entry: _Entry) -> list[_Entry]:
        """Return the entries that an entry is made from, and itself."""
        found, open_ends = {entry.path: entry}, [entry]
        while open_ends:
            for path in open_ends.pop().inputs:
                maker = self.by_output.get(path)
                if maker is not None and maker.path not in found:
                    found[maker.path] = maker
                    open_ends.append(maker)
        return list(found.values())

    def _lost(self, entry: _Entry) -> Iterator[tuple[Path, InputFile]]:
        """Yield the inputs that are unchanged but no longer have a record beside them."""
        for path, file in entry.inputs.items():
            same = file.record is not None and self.hashes[path] == file.sha256
            if same and path not in self.by_output and self._record_elsewhere(path) is None:
                yield path, file

    def _stale_reasons(self, entry: _Entry) -> list[str]:
        """Return why a job is stale, nothing if it is not. Cached, because many jobs have the same parents."""
        if entry.path not in self._reasons:
            # Set first, so that records edited into a cycle do not recurse endlessly.
            self._reasons[entry.path] = []
            own = list(_own_reasons(entry))
            inputs = [reason for path, file in entry.inputs.items() for reason in self._input_reasons(path, file)]
            self._reasons[entry.path] = own + ([_some(inputs)] if inputs else [])
        return self._reasons[entry.path]

    def _input_reasons(self, path: Path, file: InputFile) -> Iterator[str]:
        """Yield how an input has changed since it was read. A missing one is reported once, as missing."""
        current, producer = self.hashes[path], self.by_output.get(path)
        if producer is not None and producer.job is None and producer.problem is None:
            # A job of the configuration takes only files that the configuration makes: now it would take another one.
            yield f"input {file.path} belongs to a job that the configuration no longer contains"
        elif current is None:
            return
        elif current != file.sha256:
            yield f"input {file.path} changed"
        elif producer is None:
            # A file without a record is not known to be wrong: it is reported, and what was made from it is kept.
            if (now := self._record_elsewhere(path)) not in (None, file.record):
                yield f"input {file.path} was made by record {file.record}, now its record is {now}"
        elif producer.record.id != file.record:
            yield f"input {file.path} was made by record {file.record}, now its record is {producer.record.id}"
        elif producer.problem is not None:
            yield f"the record of input {file.path} was edited"
        elif self._stale_reasons(producer):
            yield f"input {file.path} is stale"

    def _record_elsewhere(self, path: Path) -> str | None:
        """Return the id of the record beside a file outside the checked folder."""
        if path.is_relative_to(self.root):
            return None
        record = find_record(path)
        return None if record is None else read_record(record).id

    def _name(self, path: Path) -> str:
        """Return a path for messages, starting with the name of the checked folder."""
        return path.relative_to(self.root.parent).as_posix() if path.is_relative_to(self.root.parent) else path.name


def _own_reasons(entry: _Entry) -> Iterator[str]:
    """Yield the changes to a job's own configuration and code since a record was written."""
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
