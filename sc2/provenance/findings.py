"""What `verify` finds, how it is printed, and what `prune` removes."""

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
        kind: `edited`: an output or a record has changed since it was written. `missing`: an output, an input or an
            input's record that a record names is gone. `stale`: configuration, code or inputs have changed since.
            `unrecorded`: a file without a record.
        path: The file, relative to the project's root.
        message: What is wrong with it.
        bad: Files known to be wrong, existing or not: outputs and record of a job that has to run again.
        foreign: Files about which nothing is known, because no valid record names them.
        targets: Targets for the workflow, relative to the project's root.
    """

    kind: Kind
    path: str
    message: str
    bad: tuple[Path, ...] = ()
    foreign: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()


def order(finding: Finding) -> tuple[int, str, str]:
    """Return what findings are sorted by: kind, path, message."""
    return KINDS.index(finding.kind), finding.path, finding.message


@dataclass(frozen=True)
class Report:
    """The result of `verify`.

    Attributes:
        root: The folder that was checked.
        findings: Everything wrong, sorted by kind and path.
        checked: Number of records that were checked.
        outside: Number of records of jobs that the configuration does not contain; they are not checked.
        good: Files of the records that no finding rejects, checked or not.
        dirty: For each end result that shows work from uncommitted changes, its path and what that work is. It is no
            finding, since configuration and code of the jobs are known, but no commit holds them.
    """

    root: Path
    findings: list[Finding]
    checked: int
    outside: int
    good: frozenset[Path] = frozenset()
    dirty: tuple[tuple[str, str], ...] = ()


def format_report(report: Report, repair: str | None = None) -> str:
    """Return one line for each dirty result and each finding, a summary, and the command that repairs what is found.

    Args:
        report: The findings.
        repair: That command; without it, the summary is the last line.
    """
    lines = [f"{'dirty':<10}  {path}: {message}" for path, message in report.dirty]
    lines += [f"{finding.kind:<10}  {finding.path}: {finding.message}" for finding in report.findings]
    counts = Counter(finding.kind for finding in report.findings)
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "all as recorded"
    outside = f"; {report.outside} outside this configuration, not checked" if report.outside else ""
    if report.dirty:
        summary += f"; uncommitted work behind {len(report.dirty)} of the results (dirty)"
    if report.checked == 0 and not report.findings:
        summary = "nothing to verify"
    lines.append(f"{report.checked} records checked: {summary}{outside}")
    if report.findings and repair is not None:
        lines[-1] += "; to repair this (without --yes: to show what would be done):"
        lines.append(repair)
    return "\n".join(lines)


def removable(report: Report) -> list[Path]:
    """Return the files that `prune` removes, sorted: the existing ones of edited or stale jobs, and no others.

    A file that no record names may be the user's own, and files of another valid record are kept. Nothing outside the
    checked folder is removed; a linked folder inside it counts as inside.
    """
    root = Path(os.path.abspath(report.root))  # noqa: PTH100
    # Paths are not resolved: for an output that DVC has linked, the link is removed.
    named = {Path(os.path.abspath(path)) for finding in report.findings for path in finding.bad}  # noqa: PTH100
    inside = sorted(path for path in named - report.good if path.is_relative_to(root))
    return [path for path in inside if path.is_file() or path.is_symlink()]


def prune(report: Report) -> list[Path]:
    """Remove the outputs and records of edited or stale jobs, so that the workflow rebuilds them.

    Returns:
        The removed files, see `removable`.

    Raises:
        OSError: A file cannot be removed.
    """
    removed = removable(report)
    for path in removed:
        path.unlink()
    return removed
