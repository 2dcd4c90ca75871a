"""Files that are written completely or not at all, under a temporary name that no other process uses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new name beside `path` to write to; the file replaces `path` when the block ends without an error.

    The data reach the disk first, so that a power cut leaves either the old file or the new one. If the block raises,
    `path` is unchanged and no other file is left.

    Raises:
        OSError: The file cannot be written to disk or moved into place.
    """
    temporary = temporary_name(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside `path` that belongs to this call alone."""
    return path.with_name(f".{path.name}.{uuid4().hex[:12]}.tmp")


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` left by killed processes; only for the one process that may write it."""
    prefix = f".{path.name}."
    for left in path.parent.iterdir() if path.parent.is_dir() else ():
        if left.name.startswith(prefix) and left.suffix == ".tmp" and len(left.name) == len(prefix) + 16:
            left.unlink(missing_ok=True)
