"""Files that a user supplies: where they are, whether they are the right ones, and how archives are read safely.

Archives are read as a stream and never unpacked, so a hostile member name cannot touch the disk; an archive with such a
name is still refused, because something is wrong with it.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from sc2.errors import DataError
from sc2.system.walk import passed_over

_DAMAGED = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError, OverflowError)

_READERS: Mapping[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}

LARGEST_IMAGE = 256 * 1024**2
"""Bytes of the largest file of an image or mask that is read."""
LARGEST_ANNOTATIONS = 1024**3
"""Bytes of the largest annotation file that is read; COCO's training annotations have 470 million."""
_UNPACKED_FACTOR, _UNPACKED_SLACK = 200, 256 * 1024**2
"""An archive may unpack to this many times its size plus this many bytes; images hardly shrink when packed."""


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
    """Return the names of all files in a tar or tar.gz, in the archive's order; `./a` is `a`.

    Hidden files and those that operating systems leave behind are skipped (`sc2.system.walk.passed_over`).

    Raises:
        DataError: As in `read_members`.
    """
    return [name for _, _, name in _walk(path)]


def read_members(path: Path, wanted: Container[str], *, limit: int = LARGEST_IMAGE) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the wanted files of a tar or tar.gz, in the archive's order.

    Args:
        path: The archive.
        wanted: Names as `member_names` returns them.
        limit: Largest size of a wanted file, bytes.

    Raises:
        DataError: The archive is missing or damaged, holds anything but files and folders (links, devices, files with
            holes), the same name twice, a name that leads out of the archive, a wanted file of more than `limit`
            bytes, or unpacks to a size out of proportion to its own.
    """
    for tar, info, name in _walk(path):
        if name in wanted:
            if info.size > limit:
                raise DataError(f"{path}, member {name}: {info.size} bytes, but at most {limit} are read.")
            try:
                file = tar.extractfile(info)
                data = file.read() if file else b""
            except _DAMAGED as error:
                raise DataError(f"{path}, member {name}: cannot be read ({error}). {AGAIN}") from error
            if len(data) != info.size:
                raise DataError(f"{path}, member {name}: {len(data)} of {info.size} bytes. {AGAIN}")
            yield name, data


AGAIN = "The archive is damaged: download or copy it again."


def _walk(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, str]]:
    """Yield every regular file of the archive and its name, after checking that it is harmless."""
    seen: set[str] = set()
    with _opened(path) as tar:
        room = _UNPACKED_FACTOR * path.stat().st_size + _UNPACKED_SLACK
        while (info := _next(path, tar)) is not None:
            name = str(PurePosixPath(info.name))  # ./a is a
            refuse_outside(path, info.name)
            if info.size < 0 or info.offset_data + info.size > room:
                raise DataError(
                    f"{path}, member {name}: {info.size} bytes, too many for an archive of this size. {NOT_TRUSTED}"
                )
            if passed_over(name) or info.isdir():
                continue
            _refuse_special(path, info)
            if name in seen:
                raise DataError(f"{path}: contains {name} twice. {NOT_TRUSTED}")
            seen.add(name)
            yield tar, info, name


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as file:
            start = file.read(6)
        # Decompressed here: tarfile itself may fill the memory from a single block.
        reader = next((reader for magic, reader in _READERS.items() if start.startswith(magic)), open)
        with reader(path, "rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
            yield tar
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing. Put the archive there, or set SC2_DATA to its folder.") from error
    except _DAMAGED as error:
        raise DataError(f"{path}: not a tar or tar.gz ({error}). {AGAIN}") from error


def _next(path: Path, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return tar.next()
    except _DAMAGED as error:
        raise DataError(f"{path}: cannot be read to the end ({error}). {AGAIN}") from error


NOT_TRUSTED = "Such an archive is refused; get it from a source you trust, or pack it again from plain files."


def refuse_outside(path: Path, name: str) -> None:
    """Refuse a member whose name, on any system, leads out of the archive that `path` is.

    Raises:
        DataError: It does.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts):
        raise DataError(f"{path}: member {name!r} would lie outside the archive. {NOT_TRUSTED}")


def _refuse_special(path: Path, info: tarfile.TarInfo) -> None:
    if info.issym() or info.islnk():
        option = "--dereference" if info.issym() else "--hard-dereference"
        raise DataError(
            f"{path}: member {info.name!r} is a link to {info.linkname!r}. {NOT_TRUSTED} `tar {option}` packs what a "
            "link leads to."
        )
    if not info.isreg():
        raise DataError(f"{path}: member {info.name!r} is a device or other special file. {NOT_TRUSTED}")
    if info.issparse():  # its holes could be of any size
        raise DataError(f"{path}: member {info.name!r} is stored with holes. {NOT_TRUSTED} Leave out `--sparse`.")
