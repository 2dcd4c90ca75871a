"""`make faults`: the whole campaign, or parts of it; killed, it goes on where it was when it is started again.

What it has done is in `scratch/faults/`, in a folder for each state of the code: a change of the code starts again. The
table in docs/reliability.md is written after each part.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

from sc2.provenance.record import environment, git_state
from sc2.system.surroundings import settle
from tests.campaign import corruption, kills, mutations, page, shim, system_calls
from tests.campaign.log import Log, code_digest
from tests.conftest import ROOT
from tests.generated import state_of
from tests.workflow.project import Project, create

QUICK = "config/quick.yaml"
KILLS, SEED = 50, 13
PAGE = ROOT / "docs" / "reliability.md"


class Campaign:
    """The parts of the campaign on one state of the code.

    Args:
        folder: Where it keeps its projects and its log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = Log(folder / "log.jsonl")
        self.workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def corruption(self) -> None:
        """Corrupt every artifact of the quick run."""
        corruption.run(self.log, self.quick(), QUICK, workers=self.workers)

    def kills(self) -> None:
        """Kill the quick run again and again."""
        undisturbed, killed = self.quick(), Project(self.folder / "killed")
        if not (killed.path / ".git" / "HEAD").is_file() or not any(self.log.of(kills.PART)):
            shutil.rmtree(killed.path, ignore_errors=True)
            create(killed.path, {})
        kills.run(self.log, undisturbed, killed, arguments=("--configfile", QUICK), kills=KILLS, seed=SEED)

    def calls(self) -> None:
        """Let system calls fail in one job of each stage."""
        if (problem := shim.problem()) is not None:
            sys.exit(f"faults: {problem}")
        tiny = self._made("tiny", system_calls.tiny_project)
        system_calls.run(self.log, tiny, workers=self.workers)

    def mutations(self) -> None:
        """Read damaged inputs."""
        mutations.run(self.log, mutations.all_kinds(self.folder / "configurations"), workers=self.workers)
        shutil.rmtree(self.folder / "configurations", ignore_errors=True)

    def quick(self) -> Project:
        """Return a project after an undisturbed quick run."""

        def finished(path: Path) -> None:
            create(path, {}).snakemake("--configfile", QUICK)

        return self._made("quick", finished)

    def _made(self, name: str, make: Callable[[Path], object]) -> Project:
        path, done = self.folder / name, self.folder / f"{name}.done"
        if not done.is_file():
            # What a campaign that was killed has left of it.
            shutil.rmtree(path, ignore_errors=True)
            make(path)
            done.touch()
        return Project(path)


PARTS: dict[str, Callable[[Campaign], None]] = {
    "mutations": Campaign.mutations,
    "calls": Campaign.calls,
    "corruption": Campaign.corruption,
    "kills": Campaign.kills,
}


def main() -> int:
    """Run the parts that are asked for; returns 1 where a trial failed."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (default: all)")
    asked = parser.parse_args().parts or list(PARTS)
    if unknown := set(asked) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    os.chdir(ROOT)
    settle(os.environ, threads=1)
    campaign = Campaign(ROOT / "scratch" / "faults" / code_digest())
    hardware, git = environment()["hardware"], git_state(ROOT)
    state = state_of(git)
    for name in asked:
        start = time.monotonic()
        print(f"faults: {name} …", flush=True)
        PARTS[name](campaign)
        os.chdir(ROOT)
        page.write(PAGE, campaign.log, state, hardware)
        print(f"faults: {name} took {(time.monotonic() - start) / 60:.1f} min", flush=True)
    failures = [failure for entry in campaign.log.entries for failure in entry.failures]
    print("\n".join([*failures, f"faults: {len(failures)} failures; the table is in {PAGE.relative_to(ROOT)}"]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
