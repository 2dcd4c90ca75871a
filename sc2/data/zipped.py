"""The members of a zip."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sc2.data.member import AGAIN, NOT_TRUSTED, Member
from sc2.errors import DataError

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)
"""What the standard library raises for a damaged zip."""
_ENCRYPTED = 1


def is_zip(path: Path) -> bool:
    """Return whether a file starts as a zip archive does; False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def members(path: Path) -> Iterator[Member]:
    """Yield the members in the archive's order.

    Raises:
        DataError: The archive is damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise DataError(f"{path}: not a readable zip ({error}). {AGAIN}") from error
    with archive:
        for info in archive.infolist():
            yield Member(info.filename, info.file_size, info.is_dir(), _refused(info), partial(archive.read, info))


def _refused(info: zipfile.ZipInfo) -> str:
    """Return why a member is not read; empty for a plain file."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return f"is a link. {NOT_TRUSTED}"
    if info.flag_bits & _ENCRYPTED:
        return f"is encrypted. {NOT_TRUSTED}"
    return ""
