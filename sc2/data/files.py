"""Where the files of a data set come from: an archive or a folder, read the same way.

All kinds of data set that read the user's files share these sources.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field

from sc2.data.archive import LARGEST_IMAGE, data_dir, member_names, read_members, verified
from sc2.data.download import Remote, fetched, require_space
from sc2.data.folders import FilesInPlace, FolderFiles, in_place
from sc2.data.source import Content, Looked
from sc2.data.transform import decode_upright
from sc2.errors import DataError
from sc2.foreign import text
from sc2.strict import Strict

_URL = r"^(https?|file)://[^\s]+[^\s/]$"


class Archive(Strict):
    """A tar, tar.gz or zip in the data folder; with a `url`, it is downloaded into it."""

    file: str = Field(
        pattern=r"^[^/\\]+$",
        description="Name of the archive in the data folder (SC2_DATA or data/).",
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the archive, 64 lower-case hex digits.")
    url: str | None = Field(
        default=None, pattern=_URL, description="Where it is published, to download it if it is not there."
    )
    mirrors: list[Annotated[str, Field(pattern=_URL)]] = Field(
        default=[], description="Further URLs of the same file, asked in turn if `url` fails."
    )
    bytes: int | None = Field(
        default=None, gt=0, description="Its size, to check before a download whether it fits on the disk."
    )

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        return data_dir() / self.file

    @property
    def remote(self) -> Remote | None:
        """Where it is published."""
        return Remote((self.url, *self.mirrors), self.sha256, self.bytes) if self.url else None


class ArchiveSource(Archive):
    """One archive that holds everything."""

    kind: Literal["archive"] = Field(description="Always `archive`.")


class ArchivesSource(Strict):
    """Several archives that hold the files together, each under names that no other has."""

    kind: Literal["archives"] = Field(description="Always `archives`.")
    archives: list[Archive] = Field(min_length=1, description="The archives, keys as those of `kind: archive`.")


class FolderSource(Strict):
    """A folder inside the data folder that the user has filled.

    It has no hash of its own: different files under the same names result in different prepared data, whose hashes are
    in the records. With `in_place`, that is a list of the files and their hashes.
    """

    kind: Literal["folder"] = Field(description="Always `folder`.")
    folder: str = Field(
        pattern=r"^[^/\\.][^/\\]*$",
        description="Name of the folder in the data folder (SC2_DATA or data/); may be a symbolic link.",
    )
    in_place: bool = Field(
        default=False,
        description="Whether images stay where they are and only a list of them, with their hashes, is stored: for "
        "data sets too large for a second copy.",
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


def looked(files: Files, wanted: Collection[str]) -> Iterator[tuple[str, Looked]]:
    """Yield name and image of the wanted files, in any order.

    Raises:
        DataError: One cannot be read or decoded; the message names it.
    """
    if isinstance(files, FilesInPlace):
        yield from files.looked(wanted)
        return
    for name, data in files.read(wanted):
        image, orientation = decode_upright(data, f"{files.title}, {name}")
        yield name, Looked(data, image.size, orientation)


def kept(files: Files, name: str, data: bytes) -> Content:
    """Return a file as it is stored, for its content."""
    return in_place(name, data) if isinstance(files, FilesInPlace) else data


def folder_of(files: Files) -> str | None:
    """Return the name in the data folder of the folder where the files stay; None if they are stored anew."""
    return files.name if isinstance(files, FilesInPlace) else None


@dataclass(frozen=True)
class ArchiveFiles:
    """The files inside a tar, tar.gz or zip."""

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


class SeveralArchives:
    """The files inside several archives."""

    def __init__(self, archives: Sequence[ArchiveFiles]) -> None:
        """Look into the archives.

        Raises:
            DataError: Two of them have a file of the same name, or one is damaged.
        """
        self.archives = archives
        self._of: dict[str, ArchiveFiles] = {}
        for archive in archives:
            for name in archive.names():
                if name in self._of:
                    raise DataError(f"{name} is in {self._of[name].title} and in {archive.title}. Keep one of the two.")
                self._of[name] = archive

    @property
    def title(self) -> str:
        """The paths of the archives."""
        return ", ".join(archive.title for archive in self.archives)

    def names(self) -> list[str]:
        """Return the names of all files in the archives."""
        return list(self._of)

    def read(self, wanted: Collection[str], *, limit: int = LARGEST_IMAGE) -> Iterator[tuple[str, bytes]]:
        """Yield the wanted files, archive by archive."""
        for archive in self.archives:
            own = {name for name in wanted if self._of.get(name) is archive}
            if own:
                yield from archive.read(own, limit=limit)


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


def _opened(archives: Sequence[Archive]) -> list[ArchiveFiles]:
    require_space([(archive.remote, archive.path) for archive in archives if archive.remote is not None])
    return [
        ArchiveFiles(fetched(one.remote, one.path) if one.remote else verified(one.path, one.sha256))
        for one in archives
    ]


def open_files(source: ArchiveSource | ArchivesSource | FolderSource) -> Files:
    """Open archives, which are downloaded where that is possible and whose SHA-256 is checked, or a folder.

    Raises:
        DataError: It is missing, damaged or not the expected one.
    """
    if isinstance(source, Archive):
        return _opened([source])[0]
    if isinstance(source, ArchivesSource):
        return SeveralArchives(_opened(source.archives))
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
    return FilesInPlace(folder, source.folder) if source.in_place else FolderFiles(folder)
