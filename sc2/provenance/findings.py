"""What `verify` finds, how it is printed, and how bad outputs are removed."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["edited", "missing", "stale", "unrecorded"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: `edited`: an output or a record is not what was written. `missing`: an output or input that a record names
            is gone. `stale`: configuration, code or inputs have changed since. `unrecorded`: a file without a record.
        path: The file, relative to the project's root.
        message: What is wrong with it.
        files: Outputs and record of the job that has to run again, existing or not; none where a rerun does not help.
    """

    kind: Kind
    path: str
    message: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Report:
    """The result of `verify`.

    Attributes:
        root: The folder that was checked.
        findings: Everything wrong, sorted by kind and path.
        checked: Number of records that were checked.
        outside: Number of records of jobs that the configuration does not contain; nothing else is said of them.
    """

    root: Path
    findings: list[Finding]
    checked: int
    outside: int


def format_report(report: Report) -> str:
    """Return one line for each finding and a summary as the last line."""
    lines = [f"{finding.kind:<10}  {finding.path}: {finding.message}" for finding in report.findings]
    counts = Counter(finding.kind for finding in report.findings)
    found = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "all as recorded"
    outside = f"; {report.outside} outside this configuration, not checked" if report.outside else ""
    if report.checked == 0 and not report.findings:
        found = "nothing to verify"
    return "\n".join([*lines, f"{report.checked} records checked: {found}{outside}"])


def prune(report: Report) -> list[Path]:
    """Remove the outputs and records of jobs that are edited or stale, so that the workflow makes them again.

    What is missing needs no removal, and a file that no record names may be somebody's own: both stay as they are.
    Nothing outside the checked folder is touched.

    Returns:
        The files removed, sorted.

    Raises:
        OSError: A file cannot be removed.
    """
    root = report.root.resolve()
    removed = []
    # The folder is resolved, the name is not: of an output that DVC has linked, the link goes.
    named = {path.parent.resolve() / path.name for finding in report.findings for path in finding.files}
    for path in sorted(named):
        if path.is_relative_to(root) and (path.is_file() or path.is_symlink()):
            path.unlink()
            removed.append(path)
    return removed
