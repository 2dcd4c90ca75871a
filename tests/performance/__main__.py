"""`make profile`: where the time of a run goes, and how this project compares with other ways to do the same.

Reads the records of the results that are here (parts `jobs` and `seeds`), and times in processor time, so that other
work on the machine disturbs little: tables that neighbours choose, with the halves that are here (`tables`), and parts
of a run beside other ways to do the same (`timed`). docs/performance.md gets the tables. Takes about five minutes.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from sc2.config.load import load_config
from sc2.provenance.record import environment, git_state
from sc2.system.surroundings import settle
from tests.conftest import ROOT
from tests.generated import state_of

PAGE = ROOT / "docs" / "performance.md"
RUN_FILE = Path("config/config.yaml")
SEED_FILES = (Path("config/full.yaml"), Path("config/imagenette_sample.yaml"))
"""Run files whose methods have several seeds."""
PARTS = ("jobs", "seeds", "tables", "timed")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument("--config", type=Path, default=RUN_FILE, help=f"the run file (default: {RUN_FILE})")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of: {', '.join(PARTS)}")
    options = parser.parse_args()
    run_file, parts = options.config, options.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    os.chdir(ROOT)
    settle(os.environ, threads=1)
    # After the number of threads is set: these import torch.
    import torch

    from tests.performance import coding, decoding, jobs, measure, neighbours, page
    from tests.performance.setting import Images, Setting

    torch.set_num_threads(1)
    config, results = load_config(run_file), ROOT / "results"
    state, hardware = state_of(git_state(ROOT)), environment()["hardware"]
    if "jobs" in parts:
        page.write_jobs(PAGE, page.Ran(run_file.as_posix(), jobs.of_run(config, results)))
    if "seeds" in parts:
        every = ((file, load_config(file)) for file in SEED_FILES)
        page.write_seeds(PAGE, [page.Ran(file.as_posix(), jobs.of_run(one, results)) for file, one in every])
    if "tables" in parts:
        page.write_tables(PAGE, list(neighbours.measure(config, results)), state, hardware)
    if "timed" in parts:
        with tempfile.TemporaryDirectory() as folder:
            setting = Setting(load_config(RUN_FILE), Path(folder) / "setting", Images(train=1024, val=64, test=512))
            comparisons = [measure.steps(setting, repeats=5), measure.evaluations(setting, repeats=5)]
            comparisons += coding.coding(repeats=9)
            if sys.platform == "linux":
                comparisons += measure.starts(Path(folder) / "starts", repeats=3)
            images = decoding.measure(Path(folder) / "photographs", count=512, repeats=3)
        page.write_timed(PAGE, comparisons, images, state, hardware)
    print(f"profile: {', '.join(parts)}: the tables are in {PAGE.relative_to(ROOT)}; make pages draws those of tables")


if __name__ == "__main__":
    main()
