"""YAML files of the configuration: unique keys, no surprising values, files that extend others. No torch."""

import math
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sc2.foreign import text

LARGEST_FILE = 1024**2
"""Bytes of the largest file that is read."""
MOST_VALUES = 100_000
"""Most keys and values in a file, counting those that `*name` repeats every time."""

DEEPEST = 50
"""How deep lists and mappings may be nested."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Content:
    """The content of a file, preceded by that of the files that it extends; later files win."""

    files: tuple[tuple[Path, Mapping[str, Any]], ...]

    @property
    def merged(self) -> dict[str, Any]:
        """The merged content of the files."""
        content: dict[str, Any] = {}
        for _, own in self.files:
            content = merge(content, own)
        return content

    def file_of(self, keys: Sequence[Any]) -> Path:
        """Return the file to edit: the one with the longest part of the path, the extending one first."""
        return max(reversed(self.files), key=lambda file: known_keys(file[1], keys))[0]


class UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # several times faster in C
    """YAML loader that refuses duplicate keys, of which the first would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a mapping with a duplicate key, or with a key that is not a plain value."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key is a list or a mapping here; put text with braces or brackets in quotes",
                    problem_mark=key.start_mark,
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key.value!r}", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


Keys = tuple[Any, ...]


def read_yaml(path: Path) -> tuple[Any, list[tuple[Keys, str]]]:
    """Return the content of a file, and the values that YAML reads differently from how they are written.

    Returns:
        The content, and pairs of a path of keys and the problem there: in YAML, `yes` is a truth value, `017` the
        number 15, and `.inf` infinite. The content is None if there is such a pair.

    Raises:
        yaml.YAMLError: It is not YAML, or too large or nested too deeply.
        ValueError: It is not text.
        OSError: It cannot be read.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise yaml.YAMLError(f"{path.stat().st_size} bytes, but at most {LARGEST_FILE} are read")
    written = path.read_text(encoding="utf-8")
    _refuse_depth(written)  # first: the parser itself would exhaust its stack
    loader = UniqueKeys(written)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, []
        problems = list(_problems(node))
        return None if problems else loader.construct_document(node), problems
    finally:
        loader.dispose()


def _refuse_depth(written: str) -> None:
    depth = 0
    for event in yaml.parse(written, UniqueKeys):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"more than {DEEPEST} nested lists and mappings",
                problem_mark=getattr(event, "start_mark", None),
            )


def _problems(root: yaml.Node) -> Iterator[tuple[Keys, str]]:
    todo: list[tuple[yaml.Node, Keys]] = [(root, ())]
    count = 0
    while todo:
        node, keys = todo.pop()
        count += 1
        if count > MOST_VALUES or len(keys) > DEEPEST:  # by way of `*name`
            raise yaml.MarkedYAMLError(
                problem=f"more than {MOST_VALUES} keys and values, or one that contains itself",
                problem_mark=node.start_mark,
            )
        if isinstance(node, yaml.ScalarNode):
            if (problem := _problem(node)) is not None:
                yield keys, problem
        elif isinstance(node, yaml.SequenceNode):
            todo += reversed([(entry, (*keys, position)) for position, entry in enumerate(node.value)])
        else:
            for key, value in reversed(node.value):
                name = key.value if isinstance(key, yaml.ScalarNode) else "?"
                todo += [(value, (*keys, name)), (key, (*keys, name))]


def _problem(node: yaml.ScalarNode) -> str | None:
    """Return the problem with a value that YAML reads differently than a person would, None if there is none."""
    written, kind = node.value, node.tag.rpartition(":")[2]
    match kind:
        case "bool" if written.lower() not in ("true", "false"):
            truth = str(written.lower() in ("yes", "on", "y")).lower()
            return f"YAML reads this as {truth}: put it in quotes, or write {truth} (it says {written})"
        case "int" if not _INTEGER.fullmatch(written):
            return f"YAML may read another number: write it in decimal digits, or in quotes (it says {written:.60})"
        case "float" if not _is_finite(written):
            return f"must be a finite number in decimal digits, or text in quotes (it says {written:.60})"
        case "timestamp":
            return f"YAML reads this as a date: put it in quotes (it says {written})"
        case "binary" | "value":
            return f"must be a number or text in quotes (it says {written:.60})"
        case "str" if written:
            try:
                text(re.sub(r"[\n\t]", " ", written), "the text")
            except ValueError as error:
                return str(error)
    return None


def _is_finite(written: str) -> bool:
    try:
        return "_" not in written and math.isfinite(float(written))
    except ValueError:  # minutes and seconds, 1:30.5
        return False


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` overridden by `override`; mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in override.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def known_keys(content: Any, keys: Sequence[Any]) -> int:
    """Return how many steps of a path exist in a file's content."""
    for count, key in enumerate(keys):
        inside = isinstance(content, Mapping) and key in content
        inside = inside or (isinstance(content, list) and isinstance(key, int) and key < len(content))
        if not inside:
            return count
        content = content[key]
    return len(keys)
