"""Where the stored files of a split are: inside its tar, or, of a data set that is read in place, in the user's folder.

The tar of a split that is read in place holds one member, the manifest: a line of JSON that names the folder in the
data folder, then a line `SHA-256 size name` for each file.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sc2.data.archive import data_dir
from sc2.data.index import REBUILD, Blob
from sc2.data.source import InPlace
from sc2.errors import DataError
from sc2.foreign import text

MANIFEST = "manifest"
"""Name of the one member of a tar whose files are elsewhere; images have numbers as names."""


def manifest(folder: str, blobs: Sequence[Blob]) -> bytes:
    """Return the manifest of a split.

    Args:
        folder: Name in the data folder.
        blobs: The split's files.
    """
    lines = [json.dumps({"folder": folder})]
    lines += [f"{blob.sha256} {blob.size} {blob.member}" for blob in sorted(blobs, key=lambda blob: blob.member)]
    return "".join(f"{line}\n" for line in lines).encode()


def read_manifest(tar: Path) -> tuple[Path, list[InPlace]] | None:
    """Return the folder and the files of a split that is read in place, or None.

    Raises:
        DataError: The manifest is damaged.
    """
    try:
        with tarfile.open(tar, "r:") as archive:
            info = archive.next()
            if info is None or info.name != MANIFEST:
                return None
            file = archive.extractfile(info)
            assert file is not None
            first, *lines = file.read().decode().splitlines()
        rows = [line.split(" ", 2) for line in lines]
        return data_dir() / _folder(first), [InPlace(name, int(size), sha256) for sha256, size, name in rows]
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{tar}: damaged ({error!r}). {REBUILD}") from error


def _folder(line: str) -> str:
    return text(json.loads(line)["folder"], "folder")


class Blobs:
    """The files of a split; nothing stays open, so this can be copied to other processes and threads."""

    def __init__(self, tar: Path) -> None:
        """Look where they are.

        Raises:
            DataError: The tar is damaged.
        """
        self.tar = tar
        self.folder = _folder_of(tar)

    def check(self, index: Path, blobs: Sequence[Blob]) -> None:
        """Refuse a tar or a folder that cannot hold all files of an index.

        Raises:
            DataError: The tar is too short, or the folder is not there.
        """
        if self.folder is not None:
            if not self.folder.is_dir():
                raise DataError(
                    f"{self.folder}: no such folder, where {index} was made from. Put it, or a link to it, there, or "
                    "set the environment variable SC2_DATA to the folder that holds it."
                )
            return
        end, size = max(blob.offset + blob.size for blob in blobs), self.tar.stat().st_size
        if size < end:
            raise DataError(f"{self.tar}: truncated, {size} bytes, but {index} expects at least {end}. {REBUILD}")

    @contextmanager
    def opened(self) -> Iterator[BinaryIO | None]:
        """Open the tar for several files at once; None for files in a folder.

        Raises:
            DataError: It cannot be opened.
        """
        if self.folder is not None:
            yield None
            return
        try:
            file = self.tar.open("rb")
        except OSError as error:
            raise self._unreadable(error) from error
        with file:
            yield file

    def read(self, tar: BinaryIO | None, blob: Blob) -> bytes:
        """Return a file.

        Args:
            tar: As `opened` has yielded it.
            blob: The file.

        Raises:
            DataError: It is missing, or has changed since it was stored or listed.
        """
        if tar is None:
            return self._in_place(blob)
        try:
            tar.seek(blob.offset)
            data = tar.read(blob.size)
        except OSError as error:
            raise self._unreadable(error) from error
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            raise DataError(f"{self.tar}: member {blob.member} does not match the index. {REBUILD}")
        return data

    def _in_place(self, blob: Blob) -> bytes:
        assert self.folder is not None
        path = self.folder / blob.member
        try:
            with path.open("rb") as file:
                data = file.read(blob.size + 1)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror or error}), but {self.tar} lists it. Put it back, or, to go "
                f"on without it, delete {self.tar} and run the workflow again."
            ) from error
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            raise DataError(
                f"{path}: has changed since {self.tar} was made from it (SHA-256 {blob.sha256} then). Restore it, or, "
                f"to take it as it is, delete {self.tar} and run the workflow again."
            )
        return data

    def where(self, blob: Blob) -> str:
        """Return what to call a file in messages."""
        return f"{self.tar}, member {blob.member}" if self.folder is None else str(self.folder / blob.member)

    def _unreadable(self, error: OSError) -> DataError:
        return DataError(f"{self.tar}: cannot be read ({error}). {REBUILD}")


def _folder_of(tar: Path) -> Path | None:
    """Return the folder of a split that is read in place, or None; reads only the start of its tar.

    Raises:
        DataError: It is damaged.
    """
    try:
        with tar.open("rb") as file:
            head = file.read(tarfile.BLOCKSIZE)
            if head[:100].rstrip(b"\0") != MANIFEST.encode():
                return None
            return data_dir() / _folder(file.readline(tarfile.BLOCKSIZE).decode())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{tar}: cannot be read ({error}). {REBUILD}") from error
