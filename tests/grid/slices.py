"""Slices of the grid that take equally long, by what each configuration took when all of it was tried."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from sc2.jobs.plan import Run
from sc2.methods import get_method

Curve = tuple[str, str, str]
"""Benchmark, method and curve: what has a row of its own in the table, because its runs take about as long."""


def curve_of(run: Run) -> Curve:
    """Return the row of the table that a run belongs to."""
    return run.benchmark, run.method, get_method(run.method).curve(run.point)


def measured(page: Path) -> dict[Curve, float]:
    """Return the processor time of a run by its curve, seconds: the middle of what the table of a page says.

    Rows without a time, in which nothing has passed, are left out.
    """
    rows = re.findall(
        r"^\| `(\w+)` \| `(\S+)`(?:, (\S+))? \|(?:[^|]*\|){3} (\d+)(?: … (\d+))? \|",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return {
        (benchmark, method, curve): (int(least) + int(most or least)) / 2
        for benchmark, method, curve, least, most in rows
    }


def balanced(runs: Sequence[Run], seconds: Mapping[Curve, float], slices: int) -> list[list[Run]]:
    """Split runs: the longest first, each to the slice that has the least so far, which is the order of a slice too.

    Args:
        runs: What is to be split.
        seconds: Processor time of a run by its curve; a run that is not there counts as the mean.
        slices: How many.
    """
    usual = mean(seconds.values()) if seconds else 1.0
    found: list[list[Run]] = [[] for _ in range(slices)]
    loads = [0.0] * slices
    # Sorting keeps the order of those that take as long.
    for run in sorted(runs, key=lambda run: -seconds.get(curve_of(run), usual)):
        least = loads.index(min(loads))
        found[least].append(run)
        loads[least] += seconds.get(curve_of(run), usual)
    return found
