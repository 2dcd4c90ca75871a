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
    """Hold the lock file `path`, which is made and removed here; waits while another process holds it.

    Args:
        path: The lock file; its folder is made.
        doing: What the holder does, for the message to those that wait, e.g. `fetch model.pt`.

    Yields:
        Whether another process held it, so that what was to be done may have been done.

    Raises:
        OSError: The file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, waited = _acquired(path, doing)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield waited
    finally:
        # Still locked: whoever opened the file in the meantime finds that it is no longer the one of that name.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquired(path: Path, doing: str) -> tuple[int, bool]:
    waited = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            waited = _lock(descriptor, doing) or waited
            if _is_named(descriptor, path):
                return descriptor, waited
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, doing: str) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        print(
            f"another process ({holder or 'of unknown number'}) is at work to {doing}, perhaps left by a workflow that "
            "was killed; waiting for its end. To end it at once, kill it",
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
