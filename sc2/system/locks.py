"""Locks between processes. The kernel frees a lock when its process dies, however that happens."""

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(path: Path, doing: str) -> Iterator[bool]:
    """Hold the lock file `path`, which is created and removed here; wait while another process holds it.

    Args:
        path: The lock file; its folder is created.
        doing: What the holder does, shown to processes that wait, e.g. `fetch model.pt`.

    Yields:
        Whether another process held it, and so may already have done the work.

    Raises:
        OSError: The file cannot be created.
    """
    waited = False
    while True:
        descriptor = _opened(path)
        try:
            waited = _lock(descriptor, doing) or waited
            named = _is_named(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        if named:
            break
        os.close(descriptor)
    with _held(descriptor, path):
        yield waited


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock file as `locked` does, unless another process holds it.

    Yields:
        Whether it is held here.

    Raises:
        OSError: The file cannot be created.
    """
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = _is_named(descriptor, path)
    except OSError as error:
        # Without locks nobody can tell: as above, it is the user's part.
        free = error.errno in _UNSUPPORTED
        if not free and not isinstance(error, BlockingIOError):
            os.close(descriptor)
            raise
    if not free:
        os.close(descriptor)
        yield False
        return
    with _held(descriptor, path):
        yield True


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


@contextmanager
def _held(descriptor: int, path: Path) -> Iterator[None]:
    """Keep a lock that this process has, and remove its file."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # Still locked: a process that opened the file in the meantime notices that the name no longer refers to it.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(descriptor: int, doing: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        print(
            f"waiting for another process ({holder or 'unknown id'}) to {doing}; if a killed workflow left it, kill it "
            "to go on at once",
            file=sys.stderr,
            flush=True,
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        print(f"this file system has no locks ({error.strerror}): do not {doing} twice at once", file=sys.stderr)
    return False


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
