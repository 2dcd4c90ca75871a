"""A trace as a list: every record once, for programs, for the row of a table, and for a crate."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sc2.errors import ProvenanceError
from sc2.provenance.record import project_root, read_record, records
from sc2.provenance.trace import Node, trace

_COLUMN = "record_id"
_ID = re.compile(r"[0-9a-f]{16}")


def nodes_of(root: Node) -> list[Node]:
    """Return a node and all below it, each record once, the root first and every job after those that use it."""
    found: dict[str, Node] = {}

    def visit(node: Node) -> None:
        if node.record.id not in found:
            for parent in node.parents:
                visit(parent)
            found[node.record.id] = node

    visit(root)
    return list(reversed(found.values()))


def as_json(root: Node) -> dict[str, Any]:
    """Return a trace in JSON types: `path` and `record` of the root, and all `records`, each with its parents' ids."""
    return {"path": root.path, "record": root.record.id, "records": [_described(node) for node in nodes_of(root)]}


def _described(node: Node) -> dict[str, Any]:
    record = node.record
    return {
        "id": record.id,
        "stage": record.stage,
        "keys": record.keys,
        "path": node.path,
        "inputs": [file.model_dump(mode="json") for file in record.input_files()],
        "outputs": [file.model_dump(mode="json") for file in record.outputs.values()],
        "parents": sorted(parent.record.id for parent in node.parents),
        "git": record.git,
        "code": record.code.digest,
        "command": record.command,
        "started": record.started,
        "seconds": record.seconds,
        "edited": record.edited(),
        "rebuilt": list(node.rebuilt),
    }


def trace_any(name: Path, results: Path) -> Node:
    """Return the trace of an output, or of the record with an id, e.g. one that a table or a snapshot names.

    Args:
        name: A file, or the 16 hex digits of an id.
        results: The folder that is searched for the id.

    Raises:
        ProvenanceError: There is no such output or record, or the trace is broken.
    """
    if not _ID.fullmatch(str(name)) or name.exists():
        return trace(name)
    for path in records(results) if results.is_dir() else ():
        record = read_record(path)
        if record.id == str(name):
            return trace(project_root(path, record) / next(iter(record.outputs.values())).path)
    raise ProvenanceError(
        f"{name}: no record below {results} has this id; it may be of another run, or of an earlier version"
    )


def trace_row(table: Path, wanted: Sequence[str]) -> Node:
    """Return the trace of one row of a table.

    Args:
        table: A CSV table whose rows name their records.
        wanted: The number of the row, from 1, or values that only it has, e.g. `method=jpeg`, `point=10`.

    Raises:
        ProvenanceError: There is no such row, or not only one, or it names no record behind the table.
    """
    node, identity = trace(table), _record_of_row(table, wanted)
    below = {one.record.id: one for one in nodes_of(node)}
    if identity not in below:
        raise ProvenanceError(f"{table}: the row names record {identity}, which is not behind it; run `sc2 verify`")
    return below[identity]


def _record_of_row(table: Path, wanted: Sequence[str]) -> str:
    if table.suffix != ".csv":
        raise ProvenanceError(f"{table}: not a CSV table, so it has no rows; leave out --row")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0]) if rows else []
    if rows and _COLUMN not in columns:
        raise ProvenanceError(
            f"{table}: its rows are computed from several runs each, and name no record; leave out --row, or give a "
            "row of rate_quality.csv"
        )
    found = _numbered(rows, wanted[0]) if len(wanted) == 1 and wanted[0].isdecimal() else _matching(rows, wanted)
    if len(found) != 1:
        raise ProvenanceError(
            f"{table}: {len(found)} of {len(rows)} rows are {' '.join(wanted)}; give the number of a row, or values of "
            f"columns that only one has: {', '.join(columns)}"
        )
    return found[0][_COLUMN]


def _numbered(rows: list[dict[str, str]], number: str) -> list[dict[str, str]]:
    return rows[int(number) - 1 : int(number)] if int(number) else []


def _matching(rows: list[dict[str, str]], wanted: Sequence[str]) -> list[dict[str, str]]:
    pairs = [(name, value) for name, _, value in (word.partition("=") for word in wanted)]
    return [row for row in rows if all(row.get(name) == value for name, value in pairs)]
