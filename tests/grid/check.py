"""Tries the configurations in children, each in a folder of its own, and keeps the results."""

import json
import os
import resource
import shutil
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from sc2.config.resolved import Config
from sc2.jobs.plan import Run
from tests.campaign.pool import FAILED, Batch, in_children
from tests.grid.layouts import with_small_crops
from tests.grid.plan import name_of, sources
from tests.grid.results import Identities, Result, Results
from tests.grid.trial import Trial

LONGEST_S = 3600
"""A configuration that takes longer has failed; the longest takes minutes on a machine without other work."""
KIB_PER_MIB = 1024
LOG_LINES = 30
"""So much of the log of a failure is shown."""


@dataclass(frozen=True)
class Work:
    """One thing to try.

    Attributes:
        name: What it is called.
        of: Hash of what it depends on.
        do: Does it, in the folder that it is given.
        made: What it leaves for others, if anything.
    """

    name: str
    of: str
    do: Callable[[Path], None]
    made: Path | None = None


class Check:
    """The trials of a run file.

    Args:
        config: The run file.
        steps: Steps of each phase.
        folder: Where data sets, teachers, logs and results are kept; absolute.
    """

    def __init__(self, config: Config, steps: int, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.trial = Trial(with_small_crops(config), steps, folder)
        self.results = Results(folder / "results.jsonl")
        self.identities = Identities(config, steps)

    def run(self, asked: list[Run], *, workers: int, after: Callable[[], None] = lambda: None) -> list[Result]:
        """Try what is asked for and has not passed yet, and first what it needs.

        Args:
            asked: Runs that are trained.
            workers: Trials at a time.
            after: Called after each trial.

        Returns:
            The results of all, also of those that had passed before.
        """
        trial, identities = self.trial, self.identities
        benchmarks = dict.fromkeys(source.benchmark for run in asked for source in sources(self.config, run))
        datasets = dict.fromkeys(self.config.benchmarks[name].config.dataset for name in benchmarks)
        data = [
            Work(
                f"prepare_data/{name}",
                identities.of_data(name),
                partial(trial.prepare, name),
                trial.dataset(name)["index"],
            )
            for name in datasets
        ]
        teachers = [
            Work(f"fetch_teacher/{name}", identities.of_teacher(name), partial(trial.fetch, name), trial.teacher(name))
            for name in benchmarks
        ]
        runs = [Work(name_of(run), identities.of_run(run), partial(trial.run, run)) for run in asked]
        return [result for part in (data, teachers, runs) for result in self._tried(part, workers, after)]

    def found(self, runs: Iterable[Run]) -> dict[Run, Result]:
        """Return the results that there are of some runs as they are now."""
        results = {run: self.results.find(name_of(run), self.identities.of_run(run)) for run in runs}
        return {run: result for run, result in results.items() if result is not None}

    def failure(self, result: Result) -> str:
        """Say what failed, why, and what the end of its log is."""
        log = self._log(result.name)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:] if log.is_file() else []
        return "\n".join(
            [f"{result.name}: {result.problem}", f"  the end of {log}:", *(f"    {line}" for line in lines)]
        )

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name.replace('/', '_')}.log"

    def _tried(self, work: list[Work], workers: int, after: Callable[[], None]) -> list[Result]:
        by_name = {part.name: part for part in work}
        todo = [part.name for part in work if not self._passed(part)]
        batches = [Batch(name, 0, 1) for name in todo]
        attempt = partial(self._attempt, by_name)
        for number, batch in enumerate(in_children(batches, attempt, workers=workers, seconds=LONGEST_S), start=1):
            (outcome,) = batch.outcomes
            problem, taken = (batch.failures[0], (0, 0)) if outcome == FAILED else ("", json.loads(outcome))
            cpu, mib = taken
            result = Result(batch.kind, by_name[batch.kind].of, problem, round(batch.seconds, 1), cpu, mib)
            self.results.add(result)
            took = f"{result.seconds:.0f} s, {cpu} s of a processor, {mib:,} MiB"
            said = f"FAILED: {problem}" if problem else f"passed, {took}"
            print(f"grid-check: {number}/{len(todo)} {batch.kind}: {said}", flush=True)
            after()
        results = (self.results.find(part.name, part.of) for part in work)
        return [result for result in results if result is not None]

    def _passed(self, work: Work) -> bool:
        result = self.results.find(work.name, work.of)
        there = work.made is None or work.made.is_file()
        return there and result is not None and not result.problem

    def _attempt(self, by_name: dict[str, Work], name: str, number: int) -> str:
        """Do one piece of work in a child; returns the processor time that it took and the most memory, [s, MiB]."""
        log = self._log(name)
        folder = self.folder / "work" / log.stem
        for path in (folder, log.parent):
            path.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            os.dup2(file.fileno(), 2)
        shutil.rmtree(folder)
        folder.mkdir()
        # Data sets are read from the data folder, and a training keeps its state below the working folder.
        os.environ["SC2_DATA"] = str(self.folder / "layouts")
        os.chdir(folder)
        torch.set_num_threads(1)
        try:
            by_name[name].do(folder)
        except Exception:
            with log.open("a") as file:
                traceback.print_exc(file=file)
            raise
        finally:
            os.chdir(self.folder)
            shutil.rmtree(folder)
        used = resource.getrusage(resource.RUSAGE_SELF)
        return json.dumps([round(used.ru_utime + used.ru_stime), used.ru_maxrss // KIB_PER_MIB])
