"""Zip archives, read without unpacking them to the disk; what `sc2.data.archive` refuses in a tar is refused here."""

import stat
import zipfile
import zlib
from collections.abc import Container, Iterator
from pathlib import Path, PurePosixPath

from sc2.data.archive import AGAIN, LARGEST_IMAGE, NOT_TRUSTED, refuse_outside
from sc2.errors import DataError
from sc2.system.walk import passed_over

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)
_ENCRYPTED = 1


def is_zip(path: Path) -> bool:
    """Return whether a file starts as a zip archive does; False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def zip_names(path: Path) -> list[str]:
    """Return the names of all files in a zip, in its order, as `sc2.data.archive.member_names` does.

    Raises:
        DataError: As in `read_zip`.
    """
    with _opened(path) as archive:
        return list(_members(path, archive))


def read_zip(path: Path, wanted: Container[str], *, limit: int = LARGEST_IMAGE) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files of a zip, in its order.

    Args:
        path: The archive.
        wanted: Names as `zip_names` returns them.
        limit: Largest size of a wanted file, bytes.

    Raises:
        DataError: The archive is damaged or encrypted, holds links, the same name twice, a name that leads out of the
            archive, or a wanted file of more than `limit` bytes.
    """
    with _opened(path) as archive:
        for name, info in _members(path, archive).items():
            if name not in wanted:
                continue
            if info.file_size > limit:
                raise DataError(f"{path}, member {name}: {info.file_size} bytes, but at most {limit} are read.")
            try:
                yield name, archive.read(info)
            except _DAMAGED as error:
                raise DataError(f"{path}, member {name}: cannot be read ({error}). {AGAIN}") from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise DataError(f"{path}: not a readable zip ({error}). {AGAIN}") from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return every file of the archive by name, after checking that it is harmless."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = str(PurePosixPath(info.filename))
        refuse_outside(path, info.filename)
        if info.is_dir() or passed_over(name):
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f"{path}: member {name!r} is a link. {NOT_TRUSTED}")
        if info.flag_bits & _ENCRYPTED:
            raise DataError(f"{path}: member {name!r} is encrypted. {NOT_TRUSTED}")
        if name in members:
            raise DataError(f"{path}: contains {name} twice. {NOT_TRUSTED}")
        members[name] = info
    return members
