"""Copies of the configuration that a test may change or spoil."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.errors import ConfigError

CONFIG = Path(__file__).parents[1] / "config"
DEFAULT = "benchmarks/photodigits_small_resnet.yaml"
QUICK = "benchmarks/photodigits_quick_small_resnet.yaml"

FIX = re.compile(r"allowed: |must |needs |add it|take |remove |keep one|put it|write |use |set ")
"""What a message that says what to write instead holds one of."""

Edit = Callable[[dict[str, Any]], None]
Mistake = tuple[str, Edit, str, str, list[str]]
"""A mistake in the configuration: file, edit, run file, where it is reported, what the message holds."""


def put(*path_and_value: Any) -> Edit:
    """Edit that sets the key at a path: `put("a", "b", 3)`; mappings on the way are made where there are none."""
    *path, last, value = path_and_value

    def edit(content: dict[str, Any]) -> None:
        for key in path:
            content = content.setdefault(key, {})
        content[last] = value

    return edit


def drop(*path: str) -> Edit:
    """Edit that removes the key at a path."""

    def edit(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return edit


class Project:
    """A copy of the configuration that a test may spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "config"
        shutil.copytree(CONFIG, self.folder)

    def edit(self, file: str, *edits: Edit) -> None:
        path = self.folder / file
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for edit in edits:
            edit(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def points(self, method: str) -> list[str]:
        """Return the operating points of a method on the default benchmark."""
        return load_config(self.folder / "config.yaml").benchmarks["photodigits_small_resnet"].methods[method].points

    def problems(self, run: str = "config.yaml") -> list[tuple[str, str]]:
        """Load a run file that must be refused; returns (file and key, message) per problem, paths made relative."""
        with pytest.raises(ConfigError) as caught:
            load_config(self.folder / run)
        heading, *lines = str(caught.value).replace(f"{self.folder}/", "").splitlines()
        assert len(lines) % 2 == 0
        pairs = [(where.strip(), message.strip()) for where, message in zip(lines[::2], lines[1::2], strict=True)]
        assert heading == f"the configuration has {len(pairs)} problem{'s' if len(pairs) > 1 else ''}:"
        return pairs


def assert_named(folder: Path, mistake: Mistake) -> None:
    """Make a mistake in a copy of the configuration: it is the one problem, and named as it must be."""
    file, edit, run, where, fragments = mistake
    project = Project(folder)
    project.edit(file, edit)
    problems = project.problems(run)
    assert [place for place, _ in problems] == [where]
    assert all(fragment in problems[0][1] for fragment in fragments), problems
    assert FIX.search(problems[0][1]), f"the message names no fix: {problems[0][1]}"


def load_changed(folder: Path, changes: Mapping[str, Sequence[Edit]]) -> Config:
    """Load a copy of the run file of the three tasks with files changed; can be called again on the same folder."""
    copy = folder / str(len(list(folder.iterdir())))
    copy.mkdir()
    project = Project(copy)
    for file, edits in changes.items():
        project.edit(file, *edits)
    return load_config(project.folder / "config.yaml")
