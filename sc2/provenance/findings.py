"""What `verify` finds, how it is printed, and what would put it right."""

import os
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
        kind: `edited`: an output or a record is not what was written. `missing`: an output, an input or its record that
            a record names is gone. `stale`: configuration, code or inputs have changed since. `unrecorded`: a file
            without a record.
        path: The file, relative to the project's root.
        message: What is wrong with it.
        bad: Files that were judged and found wrong, existing or not: outputs and record of a job that has to run again.
        foreign: Files of which nothing is known, since no record that holds here names them.
        targets: What the workflow has to be asked for, relative to the project's root.
    """

    kind: Kind
    path: str
    message: str
    bad: tuple[Path, ...] = ()
    foreign: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The result of `verify`.

    Attributes:
        root: The folder that was checked.
        findings: Everything wrong, sorted by kind and path.
        checked: Number of records that were checked.
        outside: Number of records of jobs that the configuration does not contain; nothing else is said of them.
        good: Files that a record claims against which nothing was found, or which was not checked.
    """

    root: Path
    findings: list[Finding]
    checked: int
    outside: int
    good: frozenset[Path] = frozenset()


def format_report(report: Report, repair: str | None = None) -> str:
    """Return one line for each finding, a summary, and, where something was found, the command that repairs it.

    Args:
        report: What was found.
        repair: That command; the summary is the last line without it.
    """
    lines = [f"{finding.kind:<10}  {finding.path}: {finding.message}" for finding in report.findings]
    counts = Counter(finding.kind for finding in report.findings)
    found = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "all as recorded"
    outside = f"; {report.outside} outside this configuration, not checked" if report.outside else ""
    if report.checked == 0 and not report.findings:
        found = "nothing to verify"
    lines.append(f"{report.checked} records checked: {found}{outside}")
    if report.findings and repair is not None:
        lines[-1] += "; to repair it (without --yes: to see what would be done):"
        lines.append(repair)
    return "\n".join(lines)


def removable(report: Report) -> list[Path]:
    """Return the files that `prune` removes, sorted: those that exist and were found edited or stale, and no others.

    What is missing needs no removal, a file that no record names may be somebody's own, and what another record claims
    rightly is not touched. Nothing outside the checked folder is removed; a linked folder in it is inside.
    """
    root = Path(os.path.abspath(report.root))  # noqa: PTH100
    # The paths as they are written, not resolved: of an output that DVC has linked, the link goes.
    named = {Path(os.path.abspath(path)) for finding in report.findings for path in finding.bad}  # noqa: PTH100
    inside = sorted(path for path in named - report.good if path.is_relative_to(root))
    return [path for path in inside if path.is_file() or path.is_symlink()]


def prune(report: Report) -> list[Path]:
    """Remove the outputs and records of jobs that are edited or stale, so that the workflow makes them again.

    Returns:
        The files removed, see `removable`.

    Raises:
        OSError: A file cannot be removed.
    """
    removed = removable(report)
    for path in removed:
        path.unlink()
    return removed
