"""Stage `make_tables`: the runs' measurements as tidy CSV tables, one row per run.

The rows are ordered by method (as the configuration lists them), rate point and seed, never by the order of the input
files, and every float has a fixed number of decimals: the same measurements give the same bytes.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sc2.errors import DataError
from sc2.job import RunningJob
from sc2.report.columns import Column, kinds, latency_columns, rate_quality_columns, switch_columns, teacher_columns

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

RUN_KEYS = ("benchmark", "method", "point", "seed")
"""The keys that identify a run."""


@dataclass(frozen=True)
class Row:
    """One measurement file: its path for messages, and its content."""

    path: Path
    values: Mapping[str, Any]

    @property
    def run(self) -> tuple[str, ...]:
        """The keys that identify the run."""
        return tuple(str(self.values[key]) for key in RUN_KEYS)


def run(job: RunningJob) -> None:
    """Write `rate_quality`, `latency` and `teacher` from the runs' `summaries` and `latencies` and the `teacher`.

    Raises:
        DataError: A file is unreadable, lacks a key, repeats a run or belongs to another benchmark.
    """
    order = list(job.spec["methods"])
    teacher = _read(job.input("teacher"), ("benchmark", "task"))
    columns = rate_quality_columns(str(teacher.values["task"]))
    summaries = [_read(path, RUN_KEYS) for path in job.input_list("summaries")]
    latencies = [_read(path, RUN_KEYS) for path in job.input_list("latencies")]
    if not summaries:
        raise DataError("no summary to make tables of: the configuration plans no run")
    _check_same([teacher, *summaries, *latencies], "benchmark")
    _check_same([teacher, *summaries], "task")
    _check_unique(summaries)
    _check_unique(latencies)
    _check_measured(latencies, summaries)
    _write(job.outputs["rate_quality"], columns, _in_order(summaries, order))
    _write(job.outputs["latency"], latency_columns(), _in_order(latencies, order))
    _write(job.outputs["switch"], switch_columns(), _switches(job, teacher, order))
    _write(job.outputs["teacher"], teacher_columns(str(teacher.values["task"])), [teacher])


def point_key(point: str) -> tuple[bool, tuple[float, ...], str]:
    """Return the sorting key of a rate point: numbers by value, then composed points by the numbers in them.

    Args:
        point: An operating point, e.g. `"10"`, `"1e-5"` or `"q4-s2-k12"`.
    """
    try:
        return (False, (float(point),), point)
    except ValueError:
        return (True, tuple(float(number) for number in _NUMBER.findall(point)), point)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that `make_tables` wrote; names, points, seeds and ids stay strings.

    Args:
        path: A CSV table.

    Raises:
        DataError: The file is missing or is not a CSV table.
    """
    of_kind = kinds()
    types: dict[str, Any] = {"text": str, "flag": bool, "int": "int64", "float": "float64"}
    try:
        with path.open(encoding="utf-8") as file:
            header = pd.read_csv(file, nrows=0).columns
            file.seek(0)
            known = {name: of_kind[name] for name in header if name in of_kind}
            empty = {name: [""] for name, kind in known.items() if kind == "float"}
            dtype: dict[Any, Any] = {name: types[kind] for name, kind in known.items()}
            return pd.read_csv(file, dtype=dtype, keep_default_na=False, na_values=empty)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path}: not a readable table ({error}); make it again with the stage make_tables") from error


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
        _value(row, key)
    return row


def _switches(job: RunningJob, teacher: Row, methods: Sequence[str]) -> list[Row]:
    """Return one row per pair of operating points: by method as configured, then as they were measured."""
    files = [_read(path, ("benchmark", "method", "switches")) for path in job.input_list("switches")]
    _check_same([teacher, *files], "benchmark")
    _check_methods(files, methods)
    files.sort(key=lambda file: methods.index(file.values["method"]))
    return [Row(file.path, {**file.values, **pair}) for file in files for pair in file.values["switches"]]


def _value(row: Row, key: str) -> Any:
    if key not in row.values:
        raise DataError(f"{row.path}: key '{key}' is missing; run the stage that wrote this file again")
    return row.values[key]


def _check_same(rows: Sequence[Row], key: str) -> None:
    """Refuse files whose `key` differs from the first one's."""
    first = rows[0]
    for row in rows:
        if _value(row, key) != first.values[key]:
            raise DataError(
                f"{row.path}: {key} is '{row.values[key]}', but {first.path} has '{first.values[key]}'; "
                "a table holds one benchmark"
            )


def _check_unique(rows: Sequence[Row]) -> None:
    """Refuse two files of the same run."""
    seen: dict[tuple[str, ...], Path] = {}
    for row in rows:
        if row.run in seen:
            raise DataError(f"{row.path}: the run {'/'.join(row.run)} is also in {seen[row.run]}")
        seen[row.run] = row.path


def _check_measured(latencies: Sequence[Row], summaries: Sequence[Row]) -> None:
    """Refuse a latency of a run that has no summary; the reverse is allowed (timing one seed may be enough)."""
    runs = {row.run for row in summaries}
    for row in latencies:
        if row.run not in runs:
            raise DataError(f"{row.path}: the run {'/'.join(row.run)} has a latency but no summary")


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
        _, method, point, seed = row.run
        return (rank[method], point_key(point), point_key(seed))

    return sorted(rows, key=key)


def _write(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Write the rows as CSV with `\\n` line ends; all text is made before the file is opened."""
    cells = [[_cell(row, column) for column in columns] for row in rows]
    table = pd.DataFrame(cells, columns=[column.name for column in columns], dtype=str)
    path.write_text(table.to_csv(index=False, lineterminator="\n"), encoding="utf-8", newline="")


def _cell(row: Row, column: Column) -> str:
    value = _value(row, column.name)
    try:
        return column.format(value)
    except DataError as error:
        raise DataError(f"{row.path}: {error}") from error
