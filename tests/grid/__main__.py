"""`make grid-check`: every training configuration of a run file, a few steps of each phase, then two images by wire.

Killed, it goes on where it was when it is started again: a configuration that passed, and whose code and settings have
not changed since, is not tried again. What it has done is in `scratch/grid/`, with a log of each configuration.
docs/grid-check.md gets the table, unless only a part is asked for.
"""

import argparse
import os
import sys
import time
from pathlib import Path

# Trials are forks, which could not use a GPU that this process has seen.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

from sc2.config.load import load_config
from sc2.errors import ConfigError
from sc2.provenance.record import environment, git_state
from sc2.system.locks import locked
from sc2.system.surroundings import settle
from tests.conftest import ROOT
from tests.generated import state_of
from tests.grid.plan import COMMIT, PAGE, SLICES, chosen, trained_runs

RUN_FILE = Path("config/paper.yaml")
FOLDER = Path("scratch/grid")
STEPS = 2


def main() -> int:
    """Try what is asked for; returns 1 where something failed."""
    parser = argparse.ArgumentParser(prog="make grid-check", description=__doc__)
    parser.add_argument("only", nargs="*", help="starts of names, benchmark/method/point (default: all)")
    parser.add_argument("--config", type=Path, default=RUN_FILE, help=f"the run file (default: {RUN_FILE})")
    parser.add_argument("--limit-steps", type=int, default=STEPS, help=f"steps of each phase (default: {STEPS})")
    parser.add_argument("--slice", help=f"0/{SLICES} … {SLICES - 1}/{SLICES}, or {COMMIT}: that of the commit")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where it works (default: {FOLDER})")
    parser.add_argument("--workers", type=int, default=_cores(), help="trials at a time (default: one per core)")
    asked = parser.parse_args()
    if asked.limit_steps < 1 or asked.workers < 1:
        parser.error("at least one step and one worker are needed")
    os.chdir(ROOT)
    settle(os.environ, threads=1)
    # After the number of threads is set: this imports torch.
    from tests.grid import page
    from tests.grid.check import Check

    try:
        config = load_config(asked.config.absolute())
        runs = trained_runs(config)
        todo = chosen(runs, asked.only, asked.slice)
    except ConfigError as error:
        parser.error(str(error))
    whole = todo == runs and asked.config == RUN_FILE and asked.limit_steps == STEPS
    hardware, state, start = environment()["hardware"], state_of(git_state(ROOT)), time.monotonic()
    folder = asked.folder.absolute()
    # Children of a check that was killed hold the lock as well, until they end.
    with locked(folder / ".lock", "check the grid"):
        check = Check(config, asked.limit_steps, folder)

        def write() -> None:
            page.write(PAGE, check, runs, state, hardware)

        print(f"grid-check: {len(todo)} of {len(runs)} configurations", flush=True)
        results = check.run(todo, workers=asked.workers, after=write if whole else lambda: None)
        if whole:
            write()
    failures = [check.failure(result) for result in results if result.problem]
    minutes = (time.monotonic() - start) / 60
    print("\n".join([*failures, f"grid-check: {len(failures)} of {len(results)} failed, {minutes:.1f} min"]))
    return 1 if failures else 0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
