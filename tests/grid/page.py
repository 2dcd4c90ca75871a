"""Writes the table of `make grid-check` into docs/grid-check.md."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sc2.jobs.plan import Run
from tests.generated import put
from tests.grid.check import Check
from tests.grid.results import Result
from tests.grid.slices import Curve, curve_of

COMMAND = "make grid-check"
SHOWN = 20
"""So many failures are listed."""


def write(page: Path, check: Check, runs: Sequence[Run], state: str, hardware: Mapping[str, Any]) -> None:
    """Replace what stands between the two marks of a page.

    Args:
        page: The page.
        check: What was tried, with its results.
        runs: All that is to be tried.
        state: Which code it was tried on.
        hardware: As records hold it.
    """
    put(page, COMMAND, _content(check, runs, state, hardware))


def _content(check: Check, runs: Sequence[Run], state: str, hardware: Mapping[str, Any]) -> Iterator[str]:
    found = check.found(runs)
    passed = {run: result for run, result in found.items() if not result.problem}
    failures = [result for result in found.values() if result.problem]
    cpu = sum(result.cpu for result in found.values())
    days = sorted({result.date[:10] for result in found.values()}) or ["no day"]
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    yield f"Run on {when}, on {state}, on {hardware['cpu']} with {hardware['cores']} cores and " + (
        f"{hardware['memory_gib']} GiB of memory, one core for each configuration: {len(passed)} of {len(runs)} "
        f"configurations passed, {len(failures)} failed, {len(runs) - len(found)} were not tried. Together they took "
        f"{cpu / 3600:.1f} hours of processor time."
    )
    yield ""
    yield "| benchmark | method | points | passed | images in a step, by phase | processor time, s | most memory, MiB |"
    yield "|---|---|---|---:|---|---:|---:|"
    for (benchmark, method, curve), members in _grouped(runs).items():
        results = [found[run] for run in members if run in found]
        batches = "; ".join(dict.fromkeys(check.trial.reduced(run) for run in members))
        good = sum(not result.problem for result in results)
        name = f"`{method}`" + f", {curve}" * bool(curve)
        points = ", ".join(run.point.removeprefix(f"{curve}_") for run in members)
        row = (f"`{benchmark}`", name, points, f"{good} of {len(members)}", batches, _range(results), _most(results))
        yield f"| {' | '.join(row)} |"
    if failures:
        yield ""
        yield "The first failures:" if len(failures) > SHOWN else "The failures:"
        yield ""
        yield from (
            f"- `{' '.join(result.problem.replace('`', chr(39)).split())[:400]}`" for result in failures[:SHOWN]
        )


def _grouped(runs: Sequence[Run]) -> dict[Curve, list[Run]]:
    found: dict[Curve, list[Run]] = {}
    for run in runs:
        found.setdefault(curve_of(run), []).append(run)
    return found


def _range(results: Sequence[Result]) -> str:
    seconds = sorted(result.cpu for result in results if not result.problem)
    if not seconds:
        return ""
    return str(seconds[0]) if seconds[0] == seconds[-1] else f"{seconds[0]} … {seconds[-1]}"


def _most(results: Sequence[Result]) -> str:
    most = max((result.mib for result in results), default=0)
    return f"{most:,}" if most else ""
