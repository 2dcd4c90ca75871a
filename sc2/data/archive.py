"""Files that a user supplies: where they are, whether they are the right ones, and how archives are read safely.

Archives are never unpacked to the disk, so a hostile member name cannot touch it; an archive with such a name is still
refused, because something is wrong with it. A kind of archive is a function that yields members (`sc2.data.tarred`,
`sc2.data.zipped`) and refuses what only that kind can hold.
"""

import gzip
import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Container, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from sc2.data import tarred, zipped
from sc2.data.member import AGAIN, NOT_TRUSTED, Member
from sc2.errors import DataError
from sc2.system.walk import passed_over

LARGEST_IMAGE = 256 * 1024**2
"""Bytes of the largest file of an image or mask that is read."""
LARGEST_ANNOTATIONS = 1024**3
"""Bytes of the largest annotation file that is read; COCO's training annotations have 470 million."""


def data_dir() -> Path:
    """Return the folder of supplied and downloaded files: the environment variable `SC2_DATA`, or else `data/`.

    The location does not identify a job; the file's name and SHA-256 do.
    """
    return Path(os.environ.get("SC2_DATA") or "data")


def verified(path: Path, sha256: str) -> Path:
    """Check that `path` is the file with this SHA-256 (64 hex digits, or only the first ones), and return it.

    Raises:
        DataError: The file is missing, truncated or has another hash; the message says which, and how to fix it.
    """
    try:
        if not path.is_file():
            raise DataError(
                f"{path}: missing. Put the file there, or set the environment variable SC2_DATA to the folder that "
                f"holds {path.name} (sha256 {sha256})."
            )
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}). Make the file readable.") from error
    if actual.startswith(sha256.lower()):
        return path
    facts = f"{path.stat().st_size} bytes\n  expected sha256 {sha256}\n  actual sha256   {actual}\n"
    if _is_truncated(path):
        raise DataError(f"{path}: truncated, {facts}It ends too early: download or copy it again.")
    raise DataError(
        f"{path}: not the file that the configuration names, {facts}"
        "Get the right file or, if this one is right, write its sha256 into the configuration."
    )


def _is_truncated(path: Path) -> bool:
    """Tell whether a tar, gzip or zip file (also a `.pt` or `.pth`) is cut off; False for any other file."""
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * tarfile.BLOCKSIZE))
        end = file.read()
    if not start:
        return True
    if start.startswith(b"\x1f\x8b"):
        return _gzip_ends_early(path)
    if start.startswith(b"PK\x03\x04"):
        return not zipfile.is_zipfile(path)
    if start[257:262] == b"ustar":  # a tar ends with two blocks of zeros
        return size % tarfile.BLOCKSIZE != 0 or any(end)
    return False


def _gzip_ends_early(path: Path) -> bool:
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except EOFError:
        return True
    except (OSError, zlib.error):
        return False  # damaged, but not cut off
    return False


def member_names(path: Path) -> list[str]:
    """Return the names of all files in a tar, tar.gz or zip, in the archive's order; `./a` is `a`.

    Hidden files and those that operating systems leave behind are skipped (`sc2.system.walk.passed_over`).

    Raises:
        DataError: As in `read_members`.
    """
    return [name for name, _ in _files(path)]


def read_members(path: Path, wanted: Container[str], *, limit: int = LARGEST_IMAGE) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files of a tar, tar.gz or zip, in the archive's order.

    Args:
        path: The archive.
        wanted: Names as `member_names` returns them.
        limit: Largest size of a wanted file, bytes.

    Raises:
        DataError: The archive is missing, damaged or encrypted, holds anything but files and folders (links, devices,
            files with holes), the same name twice, a name that leads out of the archive, a wanted file of more than
            `limit` bytes, or, a tar, unpacks to a size out of proportion to its own.
    """
    for name, member in _files(path):
        if name not in wanted:
            continue
        if member.size > limit:
            raise DataError(f"{path}, member {name}: {member.size} bytes, but at most {limit} are read.")
        try:
            data = member.read()
        except (*tarred.DAMAGED, *zipped.DAMAGED) as error:
            raise DataError(f"{path}, member {name}: cannot be read ({error}). {AGAIN}") from error
        if len(data) != member.size:
            raise DataError(f"{path}, member {name}: {len(data)} of {member.size} bytes. {AGAIN}")
        yield name, data


def _files(path: Path) -> Iterator[tuple[str, Member]]:
    """Yield every file of the archive by name, after checking that it is harmless."""
    seen: set[str] = set()
    members = zipped.members if zipped.is_zip(path) else tarred.members
    for member in members(path):
        name = str(PurePosixPath(member.name))  # ./a is a
        _refuse_outside(path, member.name)
        if member.is_folder or passed_over(name):
            continue
        if member.refused:
            raise DataError(f"{path}: member {member.name!r} {member.refused}")
        if name in seen:
            raise DataError(f"{path}: contains {name} twice. {NOT_TRUSTED}")
        seen.add(name)
        yield name, member


def _refuse_outside(path: Path, name: str) -> None:
    """Refuse a member whose name, on any system, leads out of the archive."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts):
        raise DataError(f"{path}: member {name!r} would lie outside the archive. {NOT_TRUSTED}")
