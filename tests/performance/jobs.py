"""Where the time of a run goes, from the records of its jobs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from sc2.config.resolved import Config
from sc2.jobs.identity import job
from sc2.jobs.stages import STAGES
from sc2.provenance.record import Record, read_record, records

TRAINED = ("train", "train_teacher")
"""The stages that are listed by method as well."""


@dataclass(frozen=True)
class Row:
    """Some jobs.

    Attributes:
        name: What they have in common.
        jobs: How many there are.
        seconds: Their time together (s).
    """

    name: str
    jobs: int
    seconds: float


def of_run(config: Config, results: Path) -> list[Record]:
    """Return the records under a folder that are of a run file's jobs as they are planned now."""
    if not results.is_dir():
        return []
    found = []
    for record in map(read_record, records(results)):
        planned = job(config, record.stage, record.keys)
        if planned is not None and planned.id == record.job_id:
            found.append(record)
    return found


def by_stage(found: Iterable[Record]) -> list[Row]:
    """Return a row per stage, in the order in which they follow each other."""
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for record in found:
        times[record.stage].append(record.seconds)
    return _rows(times)


def by_method(found: Iterable[Record]) -> list[Row]:
    """Return a row per method that is trained, the teachers as one, the longest first."""
    times: dict[str, list[float]] = {}
    for record in found:
        if record.stage in TRAINED:
            times.setdefault(record.keys.get("method", "teacher"), []).append(record.seconds)
    return sorted(_rows(times), key=lambda row: -row.seconds)


@dataclass(frozen=True)
class Trained:
    """The trainings of a method on a benchmark.

    Attributes:
        benchmark: The benchmark.
        method: The method.
        trainings: How many a seed has.
        seconds: Their time together, of each seed (s).
    """

    benchmark: str
    method: str
    trainings: int
    seconds: tuple[float, ...]


def by_seed(found: Iterable[Record]) -> list[Trained]:
    """Return what a seed of each method takes on each benchmark, by benchmark, the longest first."""
    times: dict[tuple[str, str], dict[str, list[float]]] = {}
    for record in found:
        if record.stage == "train":
            of_method = times.setdefault((record.keys["benchmark"], record.keys["method"]), {})
            of_method.setdefault(record.keys["seed"], []).append(record.seconds)
    rows = [
        Trained(benchmark, method, max(map(len, seeds.values())), tuple(sum(seeds[seed]) for seed in sorted(seeds)))
        for (benchmark, method), seeds in times.items()
    ]
    return sorted(rows, key=lambda row: (row.benchmark, -median(row.seconds), row.method))


def minutes(found: Iterable[Record]) -> float:
    """Return the time from the first job's start to the last one's end (min)."""
    ends = [(datetime.fromisoformat(record.started), datetime.fromisoformat(record.finished)) for record in found]
    return (max(end for _, end in ends) - min(start for start, _ in ends)).total_seconds() / 60


def table(rows: list[Row], heading: str, total: float) -> Iterator[str]:
    """Yield the lines of a table; shares are of `total` (s)."""
    yield f"| {heading} | jobs | seconds | mean (s) | share |"
    yield "|---|---:|---:|---:|---:|"
    for row in rows:
        share = 100 * row.seconds / total
        yield f"| {row.name} | {row.jobs:,} | {row.seconds:,.0f} | {row.seconds / row.jobs:.2f} | {share:.1f} % |"


def _rows(times: Mapping[str, list[float]]) -> list[Row]:
    return [Row(name, len(values), sum(values)) for name, values in times.items() if values]
