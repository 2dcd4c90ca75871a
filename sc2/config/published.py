"""Reads what is published of methods, from `published/` beside the run file. No torch."""

import csv
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sc2.config.explain import choices
from sc2.config.reader import Reader, files_of
from sc2.config.yaml_files import Content
from sc2.measure.published import RATES, Ordering, PublishedNumber
from sc2.methods import get_method, method_names
from sc2.tasks import task_names

TEACHER = "teacher"
"""What an ordering calls the teacher, which is no method."""


def read_orderings(reader: Reader) -> dict[str, Ordering]:
    """Return the published orderings by name, in the order of their file; none where there is no such file."""
    file = reader.folder / "published" / "orderings.yaml"
    content = reader.read(file) if file.is_file() else {}
    orderings: dict[str, Ordering] = {}
    for name, values in (content or {}).items():
        ordering = reader.model(Ordering, Content(((file, content or {}),)), values, (name,))
        if ordering is None:
            continue
        orderings[name] = ordering
        for key, allowed in (("method", method_names()), ("other", [*method_names(), TEACHER])):
            if getattr(ordering, key) not in allowed:
                reader.add(file, (name, key), f"unknown method; {choices(getattr(ordering, key), allowed)}")
        for position, task in enumerate(ordering.tasks):
            if task not in task_names():
                reader.add(file, (name, "tasks", position), f"unknown task; {choices(task, task_names())}")
        if ordering.other == TEACHER and ordering.metric != "best_quality":
            reader.add(file, (name, "metric"), "a teacher sends nothing and has no encoder: use best_quality")
    return orderings


def read_numbers(reader: Reader) -> list[PublishedNumber]:
    """Return the published numbers of all files `published/*.csv`, in their order, and check them."""
    # There are many numbers of few benchmarks.
    is_benchmark = cache(lambda name: bool(files_of(reader.folder, "benchmarks", name)))
    files = sorted((reader.folder / "published").glob("*.csv"))
    return [number for file in files for number in _numbers(reader, file, is_benchmark)]


def _numbers(reader: Reader, file: Path, is_benchmark: Callable[[str], bool]) -> Iterator[PublishedNumber]:
    columns = list(PublishedNumber.model_fields)
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.reader(lines)
            header = next(rows, [])
            table = [(f"line {rows.line_num}", row) for row in rows]
    except (OSError, ValueError, csv.Error) as error:
        reader.add(file, (), f"not a table of comma-separated values: {error}; write it as UTF-8 text")
        return
    if header != columns:
        reader.add(file, ("line 1",), f"must be the header {','.join(columns)}")
        return
    places: dict[tuple[Any, ...], str] = {}
    rates: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
    for line, row in table:
        number = _number(reader, file, line, row, is_benchmark)
        if number is None:
            continue
        yield number
        curve = (number.benchmark, number.setting, number.method, number.work, number.curve)
        what = (*curve, number.point, number.place, number.quantity)
        if what in places:
            reader.add(file, (line,), f"the same number as in {places[what]}: remove one of the two")
        places[what] = line
        if number.place is not None and number.quantity in RATES:
            rates.setdefault(curve, []).append((number.place, number.value))
    for curve, found in rates.items():
        ordered = [value for _, value in sorted(found)]
        if [place for place, _ in sorted(found)] != list(range(1, len(found) + 1)) or ordered != sorted(ordered):
            reader.add(file, (), f"the places of the curve {curve[3]} must be 1, 2, … by rising rate")


def _number(
    reader: Reader, file: Path, line: str, row: list[str], is_benchmark: Callable[[str], bool]
) -> PublishedNumber | None:
    columns = list(PublishedNumber.model_fields)
    if len(row) != len(columns):
        reader.add(
            file, (line,), f"has {len(row)} values, but must have {len(columns)}: put text with commas in quotes"
        )
        return None
    values: dict[str, Any] = dict(zip(columns, row, strict=True))
    try:
        values |= {"value": float(values["value"]), "place": int(values["place"]) if values["place"] else None}
    except ValueError as error:
        reader.add(file, (line,), f"value and place must be numbers: {error}")
        return None
    number = reader.model(PublishedNumber, Content(((file, {line: values}),)), values, (line,))
    if number is None:
        return None
    if number.benchmark and not is_benchmark(number.benchmark):
        reader.add(
            file, (line, "benchmark"), f"there is no such benchmark; leave it empty (it says {number.benchmark})"
        )
    if number.method and number.method not in method_names():
        reader.add(file, (line, "method"), f"unknown method; {choices(number.method, method_names())}")
    elif number.method and number.point:
        problem = get_method(number.method).rate_axis.problem(number.point)
        if problem is not None:
            reader.add(file, (line, "point"), f"{problem} (it says {number.point})")
    return number
