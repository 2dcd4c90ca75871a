"""Stage `make_tables`: the runs' measurements as tidy CSV tables, and what is computed from them.

`rate_quality` and `latency` have one row per run, `switch` one per pair of points, `teacher` one per seed. The other
tables are computed from these as they are written, rounded, so that a reader can recompute them: from `rate_quality`
and `teacher`, for `timed_hypervolume` also from `latency`. Intervals, what is decided by them, McNemar's test and the
quality by chance in a hypervolume come from the rows per image (`samples.parquet`). The rows are ordered by
method (as the configuration lists them), rate point and seed, never by the order of the input files, and every float
has a fixed number of decimals: the same measurements give the same bytes.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sc2.errors import DataError
from sc2.job import RunningJob
from sc2.report import comparison, equal_quality, fewest_bytes, orderings, paired, published, seeds
from sc2.report.column import Column
from sc2.report.columns import TABLES, quality_of
from sc2.report.resampled import Resampled, Resamples, RunKey, interval_columns, read_resamples
from sc2.report.series import read_tables
from sc2.report.table_io import Row, write_table
from sc2.report.timed import by_size

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

RUN_KEYS = ("benchmark", "method", "point", "seed")
"""The keys that identify a run."""


def run(job: RunningJob) -> None:
    """Write all tables from the runs' `summaries`, `samples` and `latencies` and those of the `teachers`.

    The spec holds `methods`, the order of the rows, `anchors`, the methods that all are compared with,
    `orderings`, the published ones to check, and `published`, the benchmark's published numbers. `samples` are in the
    order of `summaries`, `teacher_samples` in that of `teachers`.

    Raises:
        DataError: A file is unreadable, lacks a key, repeats a run or belongs to another benchmark.
    """
    order = list(job.spec["methods"])
    teachers = [_read(path, ("benchmark", "task", "seed")) for path in job.input_list("teachers")]
    if not teachers:
        raise DataError("no teacher to make tables of: the configuration plans none")
    task = str(teachers[0].values["task"])
    columns = {name: of_task(task) for name, of_task in TABLES.items()}
    summaries = [_read(path, RUN_KEYS) for path in job.input_list("summaries")]
    latencies = _latencies(job.input_list("latencies"))
    if not summaries:
        raise DataError("no summary to make tables of: the configuration plans no run")
    _check_same([*teachers, *summaries, *latencies], "benchmark")
    _check_same([*teachers, *summaries], "task")
    _check_unique(summaries)
    _check_unique(latencies)
    _check_measured(latencies, summaries)
    resamples = _resamples(job, task, summaries, teachers)
    quality = quality_of(task).primary
    teachers = [_with_intervals(row, resamples.teachers[str(row.value("seed"))], quality) for row in teachers]
    summaries = [_with_intervals(row, resamples.runs[_run_key(row)], quality) for row in summaries]
    measured = {
        "rate_quality": _in_order(summaries, order),
        "latency": _in_order(latencies, order),
        "switch": _switches(job, teachers[0], order),
        "teacher": sorted(teachers, key=lambda row: point_key(str(row.value("seed")))),
    }
    for name, rows in measured.items():
        write_table(job.outputs[name], columns[name], rows)
    _write_computed(job, columns, resamples)


def _resamples(job: RunningJob, task: str, summaries: Sequence[Row], teachers: Sequence[Row]) -> Resamples:
    """Read the rows per image of all runs and of the teacher of each seed."""
    runs = _paired(summaries, job.input_list("samples"), "summaries")
    own = _paired(teachers, job.input_list("teacher_samples"), "evaluations of the teacher")
    by_seed = {str(row.value("seed")): path for row, path in own}
    if len(by_seed) != len(own):
        raise DataError(f"{own[-1][0].path}: two evaluations of the teacher are of one seed; give one each")
    return read_resamples(task, by_seed, {_run_key(row): path for row, path in runs})


def _paired(rows: Sequence[Row], samples: Sequence[Path], what: str) -> list[tuple[Row, Path]]:
    if len(samples) != len(rows):
        raise DataError(f"{len(rows)} {what} came with {len(samples)} files of rows per image: give one each")
    return list(zip(rows, samples, strict=True))


def _run_key(row: Row) -> RunKey:
    _, method, point, seed = run_of(row)
    return method, point, seed


def _with_intervals(row: Row, resampled: Resampled, quality: str) -> Row:
    """Return a measurement with the intervals of its quality and its bytes."""
    intervals = [resampled.quality_interval, resampled.data_bytes_interval]
    return Row(row.path, {**row.values, **interval_columns([quality, "payload_bytes_mean"], intervals)})


def _write_computed(job: RunningJob, columns: Mapping[str, Sequence[Column]], resamples: Resamples) -> None:
    """Write the tables that are computed from the written ones."""
    tables = read_tables(job.outputs)
    computed = {
        "rate_quality_seeds": seeds.rows(tables),
        "comparison": comparison.rows(tables, job.spec["anchors"], resamples),
        "timed_hypervolume": comparison.timed_rows(tables, resamples),
        "fewest_bytes": fewest_bytes.rows(tables),
        "equal_quality": equal_quality.rows(tables, resamples),
        "byte_ratios": paired.byte_ratios(tables, resamples),
        "paired": paired.rows(tables, resamples),
        "orderings": orderings.rows(tables, job.spec["orderings"], resamples),
        "reproduction": published.rows(tables, job.spec["published"]),
    }
    for name, rows in computed.items():
        write_table(job.outputs[name], columns[name], [Row(job.outputs["rate_quality"], row) for row in rows])


def run_of(row: Row) -> tuple[str, ...]:
    """Return the keys that identify the run of a measurement file."""
    return tuple(str(row.value(key)) for key in RUN_KEYS)


def point_key(point: str) -> tuple[bool, tuple[float, ...], str]:
    """Return the sorting key of a rate point: numbers by value, then composed points by the numbers in them.

    Args:
        point: An operating point, e.g. `"10"`, `"1e-5"` or `"q4-s2-k12"`.
    """
    try:
        return (False, (float(point),), point)
    except ValueError:
        return (True, tuple(float(number) for number in _NUMBER.findall(point)), point)


def _read(path: Path, needed: Iterable[str]) -> Row:
    """Read one JSON file and check the keys that the other checks rely on."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(values, dict):
        raise DataError(f"{path}: holds a {type(values).__name__}, but must hold an object")
    row = Row(path, values)
    for key in needed:
        row.value(key)
    return row


def _latencies(paths: Sequence[Path]) -> list[Row]:
    """Return one row per run; a file holds those of one method."""
    files = [_read(path, ("benchmark", "method", "runs")) for path in paths]
    rows = [Row(file.path, {**file.values, **times, **by_size(times["images"])}) for file, times in _timed(files)]
    return _shared(_shared(rows, "encoder_network", ("encoder",)), "server_network", ("server", "server_batch"))


def _timed(files: Sequence[Row]) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Yield the file and the times of each run.

    Raises:
        DataError: The file is of a version that did not keep the times of each image.
    """
    for file in files:
        for times in file.values["runs"]:
            if not times.get("images"):
                raise DataError(f"{file.path}: key 'images' of a run is missing or empty; measure its latency again")
            yield file, times


def _shared(rows: Sequence[Row], network: str, parts: Sequence[str]) -> list[Row]:
    """Give all runs of one network one timing, whichever methods' jobs measured it: the shortest one.

    Whatever disturbs a timing makes it longer.
    """
    shortest: dict[str, Row] = {}
    for row in rows:
        name = row.value(network)
        if name and row.value(f"{parts[0]}_ms_p50") <= shortest.get(name, row).value(f"{parts[0]}_ms_p50"):
            shortest[name] = row
    shared = [f"{part}_ms_{what}" for part in parts for what in ("p50", "p95", "low", "high")]

    def of(row: Row) -> dict[str, Any]:
        source = shortest.get(row.value(network), row).values
        return {key: source[key] for key in shared if key in source}

    return [Row(row.path, {**row.values, **of(row)}) for row in rows]


def _switches(job: RunningJob, teacher: Row, methods: Sequence[str]) -> list[Row]:
    """Return one row per pair of operating points: by method as configured, then as they were measured."""
    files = [_read(path, ("benchmark", "method", "switches")) for path in job.input_list("switches")]
    _check_same([teacher, *files], "benchmark")
    _check_methods(files, methods)
    files.sort(key=lambda file: methods.index(file.values["method"]))
    return [Row(file.path, {**file.values, **pair}) for file in files for pair in file.values["switches"]]


def _check_same(rows: Sequence[Row], key: str) -> None:
    """Refuse files whose `key` differs from the first one's."""
    first = rows[0]
    for row in rows:
        if row.value(key) != first.values[key]:
            raise DataError(
                f"{row.path}: {key} is '{row.values[key]}', but {first.path} has '{first.values[key]}'; "
                "a table holds one benchmark"
            )


def _check_unique(rows: Sequence[Row]) -> None:
    """Refuse two files of the same run."""
    seen: dict[tuple[str, ...], Path] = {}
    for row in rows:
        if run_of(row) in seen:
            raise DataError(f"{row.path}: the run {'/'.join(run_of(row))} is also in {seen[run_of(row)]}")
        seen[run_of(row)] = row.path


def _check_measured(latencies: Sequence[Row], summaries: Sequence[Row]) -> None:
    """Refuse a latency of a run that has no summary; the reverse is allowed (timing one seed may be enough)."""
    runs = {run_of(row) for row in summaries}
    for row in latencies:
        if run_of(row) not in runs:
            raise DataError(f"{row.path}: the run {'/'.join(run_of(row))} has a latency but no summary")


def _check_methods(rows: Sequence[Row], methods: Sequence[str]) -> None:
    """Refuse a file of a method that the table has no place for."""
    for row in rows:
        if row.values["method"] not in methods:
            raise DataError(
                f"{row.path}: key 'method' is '{row.values['method']}', which is not among {', '.join(methods)}"
            )


def _in_order(rows: Sequence[Row], methods: Sequence[str]) -> list[Row]:
    """Return the rows by method as configured, then rate point, then seed."""
    rank = {method: position for position, method in enumerate(methods)}
    _check_methods(rows, methods)

    def key(row: Row) -> tuple[Any, ...]:
        _, method, point, seed = run_of(row)
        return (rank[method], point_key(point), point_key(seed))

    return sorted(rows, key=key)
