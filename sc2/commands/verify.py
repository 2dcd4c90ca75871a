"""`sc2 verify`: reports what is wrong with the results, and repairs it on request. No torch."""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sc2.commands.in_place import changed_in_place
from sc2.commands.run_file import DEFAULT
from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.jobs.identity import Job, job
from sc2.provenance.copies import changed_copies
from sc2.provenance.findings import Report, format_report, order, prune, removable
from sc2.provenance.repair import Repair, clear_away, format_repair, plan_repair
from sc2.provenance.verify import verify

RESULTS = Path("results")
SNAPSHOTS = Path("docs") / "reference"


def verify_results(
    config_path: Path, results: Path, action: Literal["prune", "repair"] | None, *, agreed: bool = False
) -> int:
    """Check the results and print what is wrong with them.

    Args:
        config_path: The run file to verify against.
        results: The folder of the results.
        action: What else to show: the files that `prune` removes, or how everything is repaired.
        agreed: Whether to carry out what is shown.

    Returns:
        0 if everything is as recorded or the action succeeded, 1 otherwise.

    Raises:
        SC2Error: The results cannot be read.
        OSError: A file cannot be removed or moved.
    """
    config = load_config(config_path)
    report = check(config, results)
    print(format_report(report, repair_command(config_path, results)))
    if action == "prune":
        return _prune(report, config_path, results, agreed)
    if action == "repair" and report.findings:
        return _repair(report, config, results, agreed)
    return 1 if report.findings else 0


def check(config: Config, results: Path) -> Report:
    """Verify results against a configuration and the current code.

    Included are the files that data sets are read from in place, and the copies of results that git keeps.
    """

    def planned(stage: str, keys: Mapping[str, str]) -> Job | None:
        return job(config, stage, keys)

    report = verify(results, planned)
    changed = [*changed_in_place(results, planned), *changed_copies(results.parent / SNAPSHOTS, planned)]
    bad = {path for finding in changed for path in finding.bad}
    return replace(report, findings=sorted([*report.findings, *changed], key=order), good=report.good - bad)


def repair_command(config_path: Path, results: Path = RESULTS, action: str = "repair") -> str:
    """Return the command that repairs (or prunes) what `verify` finds."""
    words = ["sc2", "verify"]
    if config_path != DEFAULT:
        words += ["--config", str(config_path)]
    if results != RESULTS:
        words += ["--results", str(results)]
    return shlex.join([*words, f"--{action}", "--yes"])


def _prune(report: Report, config_path: Path, results: Path, agreed: bool) -> int:
    if agreed:
        for path in prune(report):
            print(f"removed {path}")
        return 0
    bad = removable(report)
    for path in bad:
        print(f"would remove {path}")
    if bad:
        print(f"{len(bad)} files; nothing was removed; to remove them:")
        print(repair_command(config_path, results, "prune"))
    return 1 if bad else 0


def _repair(report: Report, config: Config, results: Path, agreed: bool) -> int:
    plan = plan_repair(report)
    if not agreed:
        print(format_repair(plan, config.path, repair_command(config.path, results)))
        return 1
    folder = clear_away(plan, report)
    print(f"{len(plan.remove)} files removed, {len(plan.aside)} set aside" + (f" in {folder}" if folder else ""))
    sys.stdout.flush()
    if (status := _make(plan, config.path)) != 0:
        return status
    after = check(config, results)
    print(format_report(after, repair_command(config.path, results)))
    return 1 if after.findings else 0


def _make(plan: Repair, config_path: Path) -> int:
    # Not captured: the jobs may take hours, and Snakemake shows how far it is.
    command = [sys.executable, "-m", "snakemake", *plan.workflow(config_path)]
    return subprocess.run(command, check=False).returncode
