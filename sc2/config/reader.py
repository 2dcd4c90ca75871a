"""Reads configuration files and collects their problems, so that a user sees all of them at once. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sc2.config.explain import choices, explain, key_text
from sc2.config.yaml_files import Content, read_yaml
from sc2.errors import ConfigError
from sc2.strict import is_name

Model = TypeVar("Model", bound=BaseModel)

FOLDERS = {"benchmarks": ("benchmarks", "paper")}
"""Folders of the kinds of files that have more than one, the first of them for what a user adds."""


def files_of(folder: Path, kind: str, name: str) -> list[Path]:
    """Return the files of a kind, such as `benchmarks`, that have a name: one, if all is well.

    Args:
        folder: The folder of the run file.
        kind: The kind; `.` for run files.
        name: Name of the benchmark, data set, method or run.
    """
    files = [folder / place / f"{name}.yaml" for place in FOLDERS.get(kind, (kind,))]
    return [file for file in files if is_name(name) and file.is_file()]


@dataclass
class Reader:
    """Reads each file once and collects their problems."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    _contents: dict[Path, dict[str, Any] | None] = field(default_factory=dict)

    def add(self, file: Path, keys: Sequence[Any], message: str) -> None:
        """Add a problem with a key of a file or, without keys, with the file itself."""
        where = f"{file}: {key_text(keys)}" if keys else str(file)
        self.problems.append(f"{where}\n    {message}")

    def file(self, kind: str, name: str, asked_by: tuple[Path, Sequence[Any]]) -> Path | None:
        """Return the file of a benchmark, data set or method, or the run file (kind `.`), if there is one."""
        files = files_of(self.folder, kind, name)
        if len(files) == 1:
            return files[0]
        if files:
            self.add(*asked_by, f"there are two files of this name: remove {files[0]} or {files[1]}")
            return None
        folders = [self.folder / folder for folder in FOLDERS.get(kind, (kind,))]
        near = sorted(path.stem for folder in folders for path in folder.glob("*.yaml"))
        self.add(*asked_by, f"there is no file {folders[0] / name}.yaml; {choices(name, near)}")
        return None

    def read(self, file: Path) -> dict[str, Any] | None:
        """Return the content of a file, which others get too; None if it cannot be read."""
        if file not in self._contents:
            self._contents[file] = self._read(file)
        return self._contents[file]

    def _read(self, file: Path) -> dict[str, Any] | None:
        try:
            content, problems = read_yaml(file)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            self.add(file, (), f"not valid YAML, {where}{error.problem or error.context}")
            return None
        except (yaml.YAMLError, ValueError, OSError) as error:
            self.add(file, (), f"not a text file in YAML: {' '.join(str(error).split())}")
            return None
        if problems:
            for keys, problem in problems:
                self.add(file, keys, problem)
            return None
        if not isinstance(content, dict):
            self.add(file, (), "must be a mapping of keys to values, one `key: value` per line")
            return None
        return content

    def model(self, kind: type[Model], source: Content, content: Any, prefix: tuple[Any, ...] = ()) -> Model | None:
        """Validate content; `prefix` is the path of keys that leads to it in the file. None if it is invalid."""
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            for keys, message in explain(kind, content, error):
                self.add(source.file_of((*prefix, *keys)), (*prefix, *keys), message)
            return None

    def extended(self, kind: str, file: Path) -> Content | None:
        """Read a file of a kind, as in `file`, and the files that it extends."""
        files: list[tuple[Path, Mapping[str, Any]]] = []
        names: list[str] = []
        while True:
            names.append(file.stem)
            content = self.read(file)
            if content is None:
                return None
            files.insert(0, (file, content))
            parent = content.get("extends")
            if not isinstance(parent, str):
                return Content(tuple(files))
            if parent in names:
                circle = " → ".join([*names, parent])
                self.add(file, ("extends",), f"extends itself: {circle}; remove this key from one of them")
                return None
            extended = self.file(kind, parent, (file, ("extends",)))
            if extended is None:
                return None
            file = extended

    def error(self) -> ConfigError:
        """Return the error that lists all problems."""
        # Two benchmarks may share the file with the error.
        problems = list(dict.fromkeys(self.problems))
        heading = f"the configuration has {len(problems)} problem{'s' if len(problems) > 1 else ''}:"
        return ConfigError("\n".join([heading, *(f"  {problem}" for problem in problems)]))
