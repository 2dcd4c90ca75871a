"""Where the files of a data set come from: an archive or a folder, read the same way.

All kinds of data set that read the user's files share these sources; each may add a download of its own.
"""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from sc2.data.archive import LARGEST_IMAGE, data_dir, member_names, read_members, verified
from sc2.errors import DataError
from sc2.foreign import text
from sc2.strict import Strict
from sc2.system.walk import walk


class ArchiveSource(Strict):
    """A tar or tar.gz in the data folder."""

    kind: Literal["archive"] = Field(description="Always `archive`.")
    file: str = Field(
        pattern=r"^[^/\\]+$",
        description="Name of the archive in the data folder (SC2_DATA or data/).",
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the archive, 64 lower-case hex digits.")


class FolderSource(Strict):
    """A folder inside the data folder that the user has filled.

    It has no hash of its own: different files under the same names result in different prepared data, whose hashes are
    in the records.
    """

    kind: Literal["folder"] = Field(description="Always `folder`.")
    folder: str = Field(
        pattern=r"^[^/\\.][^/\\]*$",
        description="Name of the folder in the data folder (SC2_DATA or data/); may be a symbolic link.",
    )


class Files(Protocol):
    """A tree of files to read from; names are relative, with forward slashes."""

    @property
    def title(self) -> str:
        """What to call the tree in messages."""

    def names(self) -> list[str]:
        """Return the names of all files except those that `sc2.system.walk.passed_over` skips."""

    def read(self, wanted: Collection[str], *, limit: int = LARGEST_IMAGE) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the wanted files, in any order; one of more than `limit` bytes is refused."""


@dataclass(frozen=True)
class ArchiveFiles:
    """The files inside a tar or tar.gz."""

    path: Path

    @property
    def title(self) -> str:
        """The path of the archive."""
        return str(self.path)

    def names(self) -> list[str]:
        """Return the names of all files in the archive."""
        return member_names(self.path)

    def read(self, wanted: Collection[str], *, limit: int = LARGEST_IMAGE) -> Iterator[tuple[str, bytes]]:
        """Yield the wanted files in the archive's order."""
        return read_members(self.path, wanted, limit=limit)


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
                raise DataError(
                    f"{self.path / name}: cannot be read ({error}). Fix it; if torchvision made the folder, delete "
                    f"{self.path} and run again."
                ) from error
            yield name, data


def _content(path: Path, limit: int) -> bytes:
    # Non-blocking: opening a pipe would wait for its other end.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: a pipe or a device, not a file. Remove it.")
        if status.st_size > limit:
            raise DataError(f"{path}: {status.st_size} bytes, but at most {limit} are read.")
        return file.read(limit)


def readable_name(title: str, name: str) -> str:
    """Return the name of a file if it is printable UTF-8.

    Args:
        title: What to call the tree that contains it.
        name: A name as `Files.names` returns it.

    Raises:
        DataError: It is not UTF-8, or holds control characters.
    """
    try:
        return text(name, "the name")
    except ValueError as error:
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise DataError(f"{title}, {shown}: {error}. Rename the file or folder.") from error


def open_files(source: ArchiveSource | FolderSource) -> Files:
    """Open an archive, whose SHA-256 is checked, or a folder.

    Raises:
        DataError: It is missing, damaged or not the expected one.
    """
    if isinstance(source, ArchiveSource):
        return ArchiveFiles(verified(data_dir() / source.file, source.sha256))
    folder = data_dir() / source.folder
    try:
        there = folder.is_dir()
    except OSError as error:  # a name that is too long
        raise DataError(f"{folder}: cannot be accessed ({error.strerror or error}).") from error
    if not there:
        raise DataError(
            f"{folder}: no such folder. Put the folder or a link to it there, or set the environment variable SC2_DATA "
            f"to the folder that holds {source.folder}/."
        )
    return FolderFiles(folder)
