"""Writes what `make profile` has found into docs/performance.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from sc2.provenance.record import Record
from tests.generated import put
from tests.performance import jobs
from tests.performance.decoding import Decoding, lines
from tests.performance.measure import Comparison
from tests.performance.neighbours import Beside
from tests.performance.neighbours import lines as beside

JOBS, SEEDS, TIMED, TABLES = (f"make profile ARGS={part}" for part in ("jobs", "seeds", "timed", "tables"))


@dataclass(frozen=True)
class Ran:
    """What is known of a run.

    Attributes:
        run_file: Name of its run file.
        records: The records of its jobs.
    """

    run_file: str
    records: Sequence[Record]


def write_jobs(page: Path, run: Ran) -> None:
    """Replace what a page says of the jobs of a run."""
    put(page, JOBS, _run(run.records, run.run_file))


def write_seeds(page: Path, runs: Sequence[Ran]) -> None:
    """Replace what a page says of the trainings of some runs, seed by seed."""
    put(page, SEEDS, _seeds(runs))


def write_timed(
    page: Path, comparisons: Sequence[Comparison], decoded: Decoding, state: str, hardware: Mapping[str, Any]
) -> None:
    """Replace what a page says of parts of a run beside other ways to do the same.

    Args:
        page: The page.
        comparisons: What was timed.
        decoded: How fast training images are decoded.
        state: Which code it was timed on.
        hardware: As records hold it.
    """
    timed = _timed(state, hardware)
    put(page, TIMED, [*_comparisons(comparisons, timed), "", *lines(decoded, timed)])


def write_tables(page: Path, found: Sequence[Beside], state: str, hardware: Mapping[str, Any]) -> None:
    """Replace what a page says of the tables that neighbours choose.

    Args:
        page: The page.
        found: How they compare with each method's own.
        state: Which code it was measured on.
        hardware: As records hold it.
    """
    put(page, TABLES, [_timed(state, hardware), *beside(found)])


def _timed(state: str, hardware: Mapping[str, Any]) -> str:
    machine = f"{hardware['cpu']} with {hardware['cores']} cores"
    return f"Timed on {datetime.now(UTC):%Y-%m-%d}, on {state}, on {machine}."


def _run(found: Sequence[Record], run_file: str) -> Iterator[str]:
    yield f"### Jobs of `{run_file}`"
    yield ""
    total = sum(record.seconds for record in found)
    if not found:
        yield "None of its results is here."
        return
    yield (
        f"{len(found):,} jobs took {total:,.0f} s together; {jobs.minutes(found):.0f} min passed between the start of "
        "the first and the end of the last."
    )
    yield ""
    yield from jobs.table(jobs.by_stage(found), "stage", total)
    yield ""
    yield "What is trained, with all of its phases, points and benchmarks:"
    yield ""
    yield from jobs.table(jobs.by_method(found), "method", total)


def _seeds(runs: Sequence[Ran]) -> Iterator[str]:
    yield "### What a seed trains"
    yield ""
    files = " and ".join(f"`{run.run_file}`" for run in runs)
    yield (
        f"From the records of {files}: all points and phases of a method, one thread each, the median over seeds and "
        "their range. Wall-clock time: two ran side by side, some beside other work, and not all on the same processor."
    )
    yield ""
    yield "| benchmark | method | trainings of a seed | seeds | seconds of a seed | range (s) |"
    yield "|---|---|---:|---:|---:|---:|"
    for row in jobs.by_seed(record for run in runs for record in run.records):
        low, middle, high = (f"{seconds(row.seconds):,.0f}" for seconds in (min, median, max))
        ends = f"{low} to {high}" if len(row.seconds) > 1 else "–"
        cells = (row.benchmark, row.method, str(row.trainings), str(len(row.seconds)), middle, ends)
        yield f"| {' | '.join(cells)} |"


def _comparisons(comparisons: Sequence[Comparison], timed: str) -> Iterator[str]:
    yield "### Side by side"
    yield ""
    yield f"{timed} Medians of processor time; the ratio is the median over pairs in turn, in brackets its range."
    yield ""
    yield "| what | here (ms) | the other way (ms) | ratio | repeats |"
    yield "|---|---:|---:|---:|---:|"
    for one in comparisons:
        ours, theirs = one.milliseconds(one.ours), one.milliseconds(one.theirs)
        spread = f"{one.ratio:.3g} ({min(one.ratios):.3g} to {max(one.ratios):.3g})"
        yield f"| {one.what} | {_number(ours)} | {_number(theirs)} | {spread} | {len(one.ratios)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
