"""Walks a tree of files, with one rule for what is entered, skipped and refused.

Links are followed, so a folder may be on another disk. Nothing is skipped because it cannot be read.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from sc2.errors import FolderError

DEEPEST = 100
"""How deep folders may be nested."""

_LEFT_BEHIND = frozenset(
    {
        *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot"),  # network disks
        *("__macosx", "icon\r"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        "lost+found",
    }
)


def passed_over(name: PurePath | str) -> bool:
    """Return whether a part of a relative path is hidden or left behind by an operating system, and so not data.

    Args:
        name: A path below the root of a folder or archive; hidden folders on the way to the root do not count.

    Returns:
        True for `.name`, `@eaDir`, `__MACOSX`, `Thumbs.db`, `desktop.ini` and the like, and for everything inside.
    """
    return any(part.startswith(".") or part.lower() in _LEFT_BEHIND for part in PurePath(name).parts)


def _refuse(path: Path, problem: str) -> None:
    raise FolderError(f"{path}: {problem}")


def walk(
    root: Path, *, skip: Callable[[str], bool] = passed_over, on_problem: Callable[[Path, str], None] = _refuse
) -> Iterator[str]:
    """Yield the names of all files below a folder, relative to it, with forward slashes and sorted within each folder.

    Args:
        root: The folder, or a link to one.
        skip: Whether to skip a file or folder of this name (without its path).
        on_problem: Called with the path and a message (problem and fix) if a folder cannot be listed, a link dangles or
            leads back to a folder above it, something is neither file nor folder, or folders are nested more than
            `DEEPEST` deep. It raises by default; if it returns, the walk continues after that path.

    Raises:
        FolderError: There is a problem, and `on_problem` was not given.
    """
    yield from _below(root, "", skip, on_problem, ())


def _below(
    folder: Path,
    prefix: str,
    skip: Callable[[str], bool],
    on_problem: Callable[[Path, str], None],
    above: tuple[tuple[int, int], ...],
) -> Iterator[str]:
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not skip(entry.name))
    except OSError as error:
        on_problem(folder, f"cannot be read ({error.strerror or error}). Make it readable, or remove it.")
        return
    if len(above) > DEEPEST:
        on_problem(folder, f"is more than {DEEPEST} folders deep. Remove it.")
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        on_problem(folder, "leads back to a folder that contains it. Remove this link.")
        return
    for name in names:
        path = folder / name
        try:
            mode = path.stat().st_mode
        except OSError as error:
            what = "a dangling link" if path.is_symlink() else "cannot be read"
            on_problem(path, f"{what} ({error.strerror or error}). Fix it, or remove it.")
            continue
        if stat.S_ISDIR(mode):
            yield from _below(path, f"{prefix}{name}/", skip, on_problem, (*above, identity))
        elif stat.S_ISREG(mode):
            yield f"{prefix}{name}"
        else:
            on_problem(path, "neither a file nor a folder, but a pipe, a socket or a device. Remove it.")
