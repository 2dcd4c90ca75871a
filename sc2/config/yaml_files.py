"""YAML files as the configuration has them: unique keys, and files that extend others. No torch."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Content:
    """What one file says, and before it what the files say that it extends; the last one wins."""

    files: tuple[tuple[Path, Mapping[str, Any]], ...]

    @property
    def merged(self) -> dict[str, Any]:
        """All that the files say together."""
        content: dict[str, Any] = {}
        for _, own in self.files:
            content = merge(content, own)
        return content

    def file_of(self, keys: Sequence[Any]) -> Path:
        """Return the file that a user has to edit: the one that says most of the path, the extending one first."""
        return max(reversed(self.files), key=lambda file: known_keys(file[1], keys))[0]


class UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # several times faster in C
    """YAML in which a key stands once: of two equal ones the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a mapping with a key twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands here twice", problem_mark=key.start_mark
                )
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the keys of `override` put over it; mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in override.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def known_keys(content: Any, keys: Sequence[Any]) -> int:
    """Return how many steps of a path a file's content has."""
    for count, key in enumerate(keys):
        inside = isinstance(content, Mapping) and key in content
        inside = inside or (isinstance(content, list) and isinstance(key, int) and key < len(content))
        if not inside:
            return count
        content = content[key]
    return len(keys)
