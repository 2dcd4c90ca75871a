"""Repairs what `verify` found: what is removed, what is set aside, and what the workflow rebuilds."""

import os
import shlex
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sc2.errors import ProvenanceError
from sc2.provenance.findings import Report, prune, removable

ASIDE = Path("scratch") / "set_aside"


@dataclass(frozen=True)
class Repair:
    """A plan; paths are absolute.

    Attributes:
        remove: Outputs and records known to be wrong.
        aside: Files about which nothing is known: they are moved, not removed.
        targets: Targets for the workflow besides its default one.
        by_hand: Files that no job makes, relative to the project's root.
    """

    remove: list[Path]
    aside: list[Path]
    targets: list[str]
    by_hand: list[str]

    def workflow(self, config: Path) -> list[str]:
        """Return the arguments for Snakemake."""
        return ["--cores", "all", *self.targets, "all", "--configfile", str(config)]


def plan_repair(report: Report) -> Repair:
    """Return the plan that repairs everything in a report."""
    findings = report.findings
    remove = removable(report)
    aside = {path for finding in findings for path in finding.foreign} - set(remove) - report.good
    targets = sorted({target for finding in findings for target in finding.targets})
    by_hand = sorted(finding.path for finding in findings if not (finding.bad or finding.foreign or finding.targets))
    return Repair(remove, sorted(path for path in aside if os.path.lexists(path)), targets, by_hand)


def format_repair(repair: Repair, config: Path, command: str) -> str:
    """Return one line for each step, and the command that carries them all out as the last line."""
    lines = [f"remove     {_here(path)}" for path in repair.remove]
    lines += [f"set aside  {_here(path)} (to {ASIDE}/)" for path in repair.aside]
    lines += [f"by hand    restore {path}: no job of the workflow makes it" for path in repair.by_hand]
    run = shlex.join(["snakemake", *repair.workflow(config)])
    return "\n".join([*lines, f"run        {run}", "nothing was done; to do this:", command])


def clear_away(repair: Repair, report: Report) -> Path | None:
    """Remove and set aside files as planned; running the workflow is left to the caller.

    Returns:
        The folder with the files that were set aside, None if there are none.

    Raises:
        ProvenanceError: The results are not below the current folder.
        OSError: A file cannot be removed or moved.
    """
    here = Path.cwd()
    if not report.root.is_relative_to(here):
        raise ProvenanceError(f"{report.root}: not below the current folder; run this in the project of these results")
    prune(report)
    if not repair.aside:
        return None
    folder = ASIDE / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    for path in repair.aside:
        target = folder / path.relative_to(here)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Links stay links, including dangling ones; results may be on another disk.
        shutil.move(path, target)
    return folder


def _here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
