"""Folders of the user's: read to be stored anew, or left in place and only listed.

What is left in place is read once, by several threads: hashed, and decoded to see whether it can be. What was found is
noted in `scratch/seen/` as it goes, so that an interrupted look goes on where it was, and the next one reads only files
whose size or time of change differ.
"""

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc2.data.archive import LARGEST_IMAGE
from sc2.data.source import InPlace, Looked
from sc2.data.transform import decode_upright
from sc2.errors import DataError
from sc2.system.walk import walk

SEEN = Path("scratch") / "seen"
"""Folder of the notes, in the project's folder."""
_AT_ONCE = 1024
"""Files between two notes: what an interruption loses."""
_EVERY_S = 30


@dataclass(frozen=True)
class FolderFiles:
    """The files below a folder."""

    path: Path

    @property
    def title(self) -> str:
        """The path of the folder."""
        return str(self.path)

    def names(self) -> list[str]:
        """Return the names of all files below the folder, including those in linked folders, sorted."""
        return sorted(walk(self.path))

    def read(self, wanted: Collection[str], *, limit: int = LARGEST_IMAGE) -> Iterator[tuple[str, bytes]]:
        """Yield the wanted files, sorted."""
        for name in sorted(wanted):
            try:
                data = _content(self.path / name, limit)
            except OSError as error:
                raise DataError(f"{self.path / name}: cannot be read ({error}). Fix it.") from error
            yield name, data


@dataclass(frozen=True)
class FilesInPlace(FolderFiles):
    """The files below a folder, which stay there.

    Attributes:
        name: Of the folder, in the data folder.
    """

    name: str

    def looked(self, wanted: Collection[str]) -> Iterator[tuple[str, Looked]]:
        """Yield the wanted images, sorted, each hashed and decoded now or, unchanged since, before.

        Raises:
            DataError: One cannot be read or decoded.
        """
        notes = _Notes(self.path)
        names, said = sorted(wanted), time.monotonic()
        with ThreadPoolExecutor(max_workers=_cores()) as pool:
            for start in range(0, len(names), _AT_ONCE):
                some = names[start : start + _AT_ONCE]
                found = list(pool.map(lambda name: self._look(notes, name), some))
                notes.add([row for row in found if not row.known])
                yield from ((row.name, row.looked) for row in found)
                if time.monotonic() - said > _EVERY_S:
                    said = time.monotonic()
                    done = f"{start + len(some):,} of {len(names):,}"
                    print(f"{self.title}: {done} images looked at", file=sys.stderr, flush=True)

    def _look(self, notes: "_Notes", name: str) -> "_Row":
        path = self.path / name
        try:
            status = path.stat()
            known = notes.rows.get(name)
            if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
                return _Row(name, known, known=True)
            data = _content(path, LARGEST_IMAGE)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error}). Fix it.") from error
        image, orientation = decode_upright(data, f"{self.title}, {name}")
        sha256 = hashlib.sha256(data).hexdigest()
        return _Row(name, (len(data), status.st_mtime_ns, sha256, *image.size, orientation), known=False)


def in_place(name: str, data: bytes) -> InPlace:
    """Return a file that stays where it is, for its content."""
    return InPlace(name, len(data), hashlib.sha256(data).hexdigest())


def differing(folder: Path, files: Sequence[InPlace]) -> list[str]:
    """Return the names of files that are gone or have changed; those that were not touched since are not read again.

    Args:
        folder: Where they are.
        files: What they were.
    """
    notes = _Notes(folder)
    with ThreadPoolExecutor(max_workers=_cores()) as pool:
        same = list(pool.map(lambda file: _same(folder / file.name, file, notes.rows.get(file.name)), files))
    return [file.name for file, is_same in zip(files, same, strict=True) if not is_same]


def _same(path: Path, file: InPlace, known: "_Found | None") -> bool:
    try:
        status = path.stat()
        if status.st_size != file.size:
            return False
        if known is not None and known[:3] == (file.size, status.st_mtime_ns, file.sha256):
            return True
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


_Found = tuple[int, int, str, int, int, int]
"""What is noted of an image file: size, time of change (ns), SHA-256, width, height, orientation."""


@dataclass(frozen=True)
class _Row:
    """What was found of a file, now or before."""

    name: str
    found: _Found
    known: bool

    @property
    def looked(self) -> Looked:
        size, _, sha256, width, height, orientation = self.found
        return Looked(InPlace(self.name, size, sha256), (width, height), orientation)


class _Notes:
    """What earlier looks at a folder have found, by name; a line that was cut off by a kill is skipped."""

    def __init__(self, folder: Path) -> None:
        place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        self.path = SEEN / f"{place}.jsonl"
        self.rows: dict[str, _Found] = {}
        if self.path.is_file():
            with self.path.open(encoding="utf-8") as file:
                for line in file:
                    self._read(line)

    def _read(self, line: str) -> None:
        try:
            name, *found = json.loads(line)
        except ValueError:
            return
        self.rows[name] = _found(found)

    def add(self, rows: Sequence[_Row]) -> None:
        """Note what was found, so that it survives a kill."""
        if not rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            # On a new line, after a line that was cut off.
            file.write("".join(f"\n{json.dumps([row.name, *row.found])}" for row in rows))


def _found(values: Sequence[Any]) -> _Found:
    size, changed, sha256, width, height, orientation = values
    return size, changed, sha256, width, height, orientation


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _content(path: Path, limit: int) -> bytes:
    # Non-blocking: opening a pipe would wait for its other end.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: a pipe or a device, not a file. Remove it.")
        if status.st_size > limit:
            raise DataError(f"{path}: {status.st_size} bytes, but at most {limit} are read.")
        return file.read(limit)
