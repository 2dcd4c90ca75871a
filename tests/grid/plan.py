"""Which runs are tried, and which of them in one slice."""

import subprocess
from collections.abc import Sequence

from sc2.config.resolved import Config
from sc2.errors import ConfigError
from sc2.jobs.plan import Run, encoder_from, runs, trainings
from tests.conftest import ROOT
from tests.grid.slices import balanced, measured

PAGE = ROOT / "docs" / "grid-check.md"
SLICES = 12
"""Slices that together are the whole."""
COMMIT = "commit"
"""Asks for the slice of the commit that is checked out."""


def trained_runs(config: Config) -> list[Run]:
    """Return the runs of a run file that train something, with the first seed of each.

    Raises:
        ConfigError: A teacher is trained, not fetched.
    """
    for name, resolved in config.benchmarks.items():
        if resolved.config.teacher.source == "train":
            raise ConfigError(f"{config.path}: {name} trains its teacher: take a run file whose teachers are fetched")
    found: dict[tuple[str, str, str], Run] = {}
    for benchmark in config.benchmarks:
        for run in runs(config, benchmark):
            if trainings(config, run):
                found.setdefault((run.benchmark, run.method, run.point), run)
    return list(found.values())


def name_of(run: Run) -> str:
    """Return what a run is called here."""
    return f"{run.benchmark}/{run.method}/{run.point}"


def chosen(found: Sequence[Run], only: Sequence[str], part: str | None) -> list[Run]:
    """Return the runs that are asked for.

    Args:
        found: All runs.
        only: Starts of their names; empty for all.
        part: A slice, `3/12`, or that of the commit; None for all. Slices take about as long, by the table of the last
            time that all were tried.

    Raises:
        ConfigError: There is no such run or slice.
    """
    for start in only:
        if not any(name_of(run).startswith(start) for run in found):
            raise ConfigError(f"no training is called {start}…; the first is {name_of(found[0])}")
    asked = [run for run in found if not only or name_of(run).startswith(tuple(only))]
    if part is None:
        return asked
    first, slices = (commits() % SLICES, SLICES) if part == COMMIT else _numbers(part)
    return balanced(asked, measured(PAGE), slices)[first]


def sources(config: Config, run: Run) -> list[Run]:
    """Return a run and those whose encoder it takes."""
    taken = [source for phase in trainings(config, run) for source in encoder_from(config, run, phase)]
    return [run, *(further for source in taken for further in sources(config, source))]


def commits() -> int:
    """Return how many commits lead to the one that is checked out: successive ones have successive slices.

    Where the history is cut off, they cannot be counted: the commit's hash as a number.

    Raises:
        ConfigError: This is no checkout.
    """
    shallow, head, count = (
        _git(*question)
        for question in (
            ("rev-parse", "--is-shallow-repository"),
            ("rev-parse", "HEAD"),
            ("rev-list", "--count", "HEAD"),
        )
    )
    return int(head, 16) if shallow == "true" else int(count)


def _git(*question: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *question], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"git says: {done.stderr.strip()}; choose a slice yourself: --slice 0/{SLICES}")
    return done.stdout.strip()


def _numbers(part: str) -> tuple[int, int]:
    first, _, slices = part.partition("/")
    if not (first.isdecimal() and slices.isdecimal() and int(first) < int(slices)):
        raise ConfigError(f"no slice {part!r}: write 0/{SLICES} … {SLICES - 1}/{SLICES}, or {COMMIT}")
    return int(first), int(slices)
