"""Where a result comes from: the tree of records below it, down to data, teacher and commit."""

import json
import os
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc2.errors import ProvenanceError
from sc2.provenance.record import InputFile, Record, find_record, project_root, read_record

KEY_ORDER = ("dataset", "benchmark", "method", "point", "seed")
# Stages whose spec names material from outside the project, even if they have parents.
ORIGIN_STAGES = ("prepare_data", "fetch_teacher")
COMMIT_DIGITS = 10
WIDTH = 100


@dataclass(frozen=True)
class Node:
    """A record with the records of its inputs.

    Attributes:
        record: The record.
        root: The project's root.
        path: The output through which it was reached, relative to the project's root.
        parents: Nodes of the inputs that have a record, each record once; shared between children.
        sources: Inputs without a record: files that no job of the project made.
        rebuilt: Paths of the inputs that have been rebuilt by another job since.
    """

    record: Record
    root: Path
    path: str
    parents: tuple["Node", ...]
    sources: tuple[InputFile, ...]
    rebuilt: tuple[str, ...]


def trace(output: Path) -> Node:
    """Return the tree of records below an output.

    Raises:
        ProvenanceError: The output or one of its inputs has no record, or a record is damaged or has been moved.
    """
    path = find_record(output)
    if path is None:
        what = "no record lists this file" if output.is_file() else "no such file, and no record lists it"
        raise ProvenanceError(
            f"{output}: {what}; only outputs of the workflow have one: `snakemake --cores all {output}` makes it"
        )
    return _build(output, path, {})


def format_trace(node: Node, full: bool = False) -> str:
    """Return a trace as an indented tree.

    Each record is printed with its parents once and then only named. Siblings that differ only in point and seed share
    a line. If any of them was made from uncommitted changes, the last line says how many.

    Args:
        node: The result of `trace`.
        full: Give every record a line of its own.
    """
    tree = _Tree(full)
    tree.add([node], "", "")
    if tree.dirty:
        tree.lines.append(
            f"! uncommitted work in {len(tree.dirty)} of {len(tree.seen)} records (+dirty): "
            "no commit holds the code that made them"
        )
    return "\n".join(tree.lines)


def _build(output: Path, path: Path, known: dict[Path, Node | None]) -> Node:
    """Build the node of an output with its record; `known` holds the finished nodes, None for unfinished ones."""
    if path in known:
        node = known[path]
        if node is None:
            raise ProvenanceError(f"{path}: the record is its own ancestor; it was edited, run `sc2 verify`")
        return node
    known[path] = None
    record = read_record(path)
    root = project_root(path, record)
    parents: dict[Path, Node] = {}
    sources: dict[str, InputFile] = {}
    rebuilt: list[str] = []
    for file in record.input_files():
        if file.record is None:
            sources[file.path] = file
            continue
        parent_path = None if file.outside else find_record(root / file.path)
        if parent_path is None:
            raise ProvenanceError(
                f"{file.path}: the record {file.record} of this input of {path} is missing; "
                "restore it with `dvc pull`, or rebuild the file"
            )
        parents[parent_path] = parent = _build(root / file.path, parent_path, known)
        if parent.record.id != file.record:
            rebuilt.append(file.path)
    relative = Path(os.path.abspath(output)).relative_to(root).as_posix()  # noqa: PTH100
    node = Node(record, root, relative, tuple(parents.values()), tuple(sources.values()), tuple(rebuilt))
    known[path] = node
    return node


class _Tree:
    """Collects the lines of a tree."""

    def __init__(self, full: bool) -> None:
        self.lines: list[str] = []
        self._full = full
        self.seen: set[str] = set()
        self.dirty: set[str] = set()

    def add(self, nodes: list[Node], branch: str, indent: str) -> None:
        """Add one line for the nodes of a group, and their inputs below it.

        Args:
            nodes: One node, or siblings that share a line.
            branch: Start of the line.
            indent: Start of the lines below it.
        """
        fresh = [node for node in nodes if node.record.id not in self.seen]
        self.seen.update(node.record.id for node in fresh)
        self.dirty.update(node.record.id for node in fresh if node.record.git.get("dirty"))
        line = branch + (_line(nodes[0]) if len(nodes) == 1 else _group_line(nodes))
        if not fresh:
            self.lines.append(f"{line}  (see above)")
            return
        self.lines.append(line if len(fresh) == len(nodes) else f"{line}  ({len(nodes) - len(fresh)} see above)")
        leaves = dict.fromkeys(text for node in fresh for text in _leaves(node))
        items: list[str | list[Node]] = [*leaves, *self._groups(fresh)]
        for position, item in enumerate(items):
            last = position == len(items) - 1
            twig, deeper = ("└── ", "    ") if last else ("├── ", "│   ")
            if isinstance(item, str):
                self.lines.append(indent + twig + item)
            else:
                self.add(item, indent + twig, indent + deeper)

    def _groups(self, nodes: list[Node]) -> list[list[Node]]:
        """Return the parents of some nodes, each once, grouped by line."""
        parents = {parent.record.id: parent for node in nodes for parent in node.parents}
        groups: dict[str, list[Node]] = {}
        for identity, parent in parents.items():
            key = identity if self._full else _title(parent.record, without=("point", "seed"))
            groups.setdefault(key, []).append(parent)
        return list(groups.values())


def _title(record: Record, without: tuple[str, ...] = ()) -> str:
    """Return stage and keys in short form, e.g. `evaluate photodigits/jpeg/10/0`."""
    names = [name for name in KEY_ORDER if name in record.keys] + [
        name for name in record.keys if name not in KEY_ORDER
    ]
    return f"{record.stage} {'/'.join(record.keys[name] for name in names if name not in without)}".rstrip()


def _line(node: Node) -> str:
    """Return the line of one record."""
    record = node.record
    what = [_title(record), record.id, node.path, *_chained(record), _duration(record.seconds)]
    return "  ".join([*what, *_commits([record]), *_notes([node])])


def _chained(record: Record) -> list[str]:
    """Say from which operating point's weights a training started, where it did, and of which method, if of another."""
    source = [record.spec[key] for key in ("first_from", "chained_from") if key in record.spec]
    return [f"chained from {' '.join(source)}"] if source else []


def _group_line(nodes: list[Node]) -> str:
    """Return the line of several records that differ in point and seed."""
    all_records = [node.record for node in nodes]
    title = _title(all_records[0], without=("point", "seed"))
    parts = [f"{title}  {len(nodes)} records"]
    for name in ("point", "seed"):
        values = list(dict.fromkeys(record.keys[name] for record in all_records if name in record.keys))
        if name == "point" or len(values) > 1:
            parts.append(f"{name}s {' '.join(values)}")
    folder = os.path.commonpath([node.path for node in nodes])
    seconds = _duration(sum(record.seconds for record in all_records))
    return "  ".join([*parts, f"{folder}/…", f"{seconds} in all", *_commits(all_records), *_notes(nodes)])


def _commits(all_records: list[Record]) -> list[str]:
    """Return the commits that some records were made at, in short form, each once."""
    commits = []
    for record in all_records:
        commit = record.git.get("commit")
        unknown = f"no commit ({record.git['unknown']})" if "unknown" in record.git else "no commit"
        text = f"commit {commit[:COMMIT_DIGITS]}" if isinstance(commit, str) else unknown
        commits.append(f"{text}+dirty" if record.git.get("dirty") else text)
    return list(dict.fromkeys(commits))


def _notes(nodes: list[Node]) -> list[str]:
    """Return warnings about some nodes."""
    notes = []
    for node in nodes:
        if (problem := node.record.edited()) is not None:
            notes.append(f"! record {node.record.id} was edited: {problem}")
        if node.rebuilt:
            notes.append(f"! {node.record.id}: rebuilt since: {', '.join(node.rebuilt)}")
    return notes


def _leaves(node: Node) -> Iterator[str]:
    """Yield the origins of a record other than records: input files without one and, for some stages, the spec."""
    for file in node.sources:
        place = " (outside the project)" if file.outside else ""
        yield f"file {file.path}{place}  sha256 {file.sha256}"
    if not node.parents or node.record.stage in ORIGIN_STAGES:
        words = [f"{key}={value}" for key, value in flatten(node.record.spec).items()]
        yield from textwrap.wrap(", ".join(words), WIDTH, break_long_words=False, break_on_hyphens=False)


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """Return the values of nested mappings as JSON text by dotted key; a list counts as one value."""
    if isinstance(value, Mapping) and value:
        flat: dict[str, str] = {}
        for key, item in value.items():
            flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
        return flat
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return {prefix: text} if prefix else {}


def _duration(seconds: float) -> str:
    """Return a duration in the unit that reads best."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
