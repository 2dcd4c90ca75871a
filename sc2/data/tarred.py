"""The members of a tar, also of a compressed one, read as a stream."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sc2.data.member import AGAIN, NOT_TRUSTED, Member
from sc2.errors import DataError

DAMAGED = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError, OverflowError)
"""What the standard library raises for a damaged tar."""

_READERS: Mapping[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_UNPACKED_FACTOR, _UNPACKED_SLACK = 200, 256 * 1024**2
"""An archive may unpack to this many times its size plus this many bytes; images hardly shrink when packed."""


def members(path: Path) -> Iterator[Member]:
    """Yield the members in the archive's order; each can be read until the next one is asked for.

    Raises:
        DataError: The archive is missing or damaged, or unpacks to a size out of proportion to its own.
    """
    with _opened(path) as tar:
        room = _UNPACKED_FACTOR * path.stat().st_size + _UNPACKED_SLACK
        while (info := _next(path, tar)) is not None:
            if info.size < 0 or info.offset_data + info.size > room:
                name = PurePosixPath(info.name)
                raise DataError(
                    f"{path}, member {name}: {info.size} bytes, too many for an archive of this size. {NOT_TRUSTED}"
                )
            yield Member(info.name, info.size, info.isdir(), _refused(info), partial(_content, tar, info))


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
    except DAMAGED as error:
        raise DataError(f"{path}: not a tar or tar.gz ({error}). {AGAIN}") from error


def _next(path: Path, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return tar.next()
    except DAMAGED as error:
        raise DataError(f"{path}: cannot be read to the end ({error}). {AGAIN}") from error


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    return file.read() if file else b""


def _refused(info: tarfile.TarInfo) -> str:
    """Return why a member is neither a folder nor a plain file; empty where it is one of them."""
    if info.issym() or info.islnk():
        option = "--dereference" if info.issym() else "--hard-dereference"
        return f"is a link to {info.linkname!r}. {NOT_TRUSTED} `tar {option}` packs what a link leads to."
    if not (info.isreg() or info.isdir()):
        return f"is a device or other special file. {NOT_TRUSTED}"
    if info.issparse():  # its holes could be of any size
        return f"is stored with holes. {NOT_TRUSTED} Leave out `--sparse`."
    return ""
