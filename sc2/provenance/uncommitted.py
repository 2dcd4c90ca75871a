"""Whether a result shows work from uncommitted changes: of its own job, or of any job behind it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sc2.provenance.record import SUFFIX, Record, read_record


def uncommitted(git: Mapping[str, Any], inputs: Mapping[str, Path | list[Path]]) -> bool:
    """Return whether a job that runs now shows work from uncommitted changes; what is not known does not count.

    Args:
        git: `git_state` at the start of the job.
        inputs: Its inputs by name, relative to the project's root, which is the current folder.

    Raises:
        ProvenanceError: A record behind an input is damaged or cannot be read.
    """
    paths = [path for item in inputs.values() for path in (item if isinstance(item, list) else [item])]
    return bool(git.get("dirty")) or any(record.git.get("dirty") for record in _behind(paths))


def _behind(paths: Iterable[Path]) -> Iterator[Record]:
    """Yield the records of the jobs that made some files, and of all behind those, each once; not those that are gone.

    A figure has hundreds behind it, a few in a folder: each folder is read once.
    """
    folders: dict[Path, dict[str, Record]] = {}
    seen: set[tuple[Path, str]] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        if path.parent not in folders:
            folders[path.parent] = _made_in(path.parent)
        record = folders[path.parent].get(path.name)
        if record is None or (path.parent, record.id) in seen:
            continue
        seen.add((path.parent, record.id))
        yield record
        todo += [Path(file.path) for file in record.input_files() if file.record is not None and not file.outside]


def _made_in(folder: Path) -> dict[str, Record]:
    """Return the record of each recorded file of a folder, by the file's name."""
    # Another job may be about to write its record anew.
    found = [read_record(path) for path in sorted(folder.glob(f"*{SUFFIX}")) if path.exists()]
    return {Path(file.path).name: record for record in found for file in record.outputs.values()}
