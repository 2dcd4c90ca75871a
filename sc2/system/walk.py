"""The one way to walk a tree of files: what is entered, what is passed over, what is refused.

Links are followed, so that a folder may lie on another disk. Nothing is skipped because it could not be read.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

from sc2.errors import FolderError

DEEPEST = 100
"""How many folders may lie in one another."""

_LEFT_BEHIND = frozenset(
    {
        *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot"),  # network disks
        *("__macosx", "icon\r"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        "lost+found",
    }
)


def passed_over(name: PurePath | str) -> bool:
    """Say whether a relative path is nobody's data: a part of it is hidden or left behind by a system.

    Args:
        name: A path below the root of a folder or archive; hidden folders on the way to the root do not count.

    Returns:
        True for `.name`, `@eaDir`, `__MACOSX`, `Thumbs.db`, `desktop.ini` and the like, and for all that lies in them.
    """
    return any(part.startswith(".") or part.lower() in _LEFT_BEHIND for part in PurePath(name).parts)


def _refuse(path: Path, problem: str) -> None:
    raise FolderError(f"{path}: {problem}")


def walk(
    root: Path, *, skip: Callable[[str], bool] = passed_over, on_problem: Callable[[Path, str], None] = _refuse
) -> Iterator[str]:
    """Yield the names of all files below a folder, relative to it and with forward slashes; each folder's are sorted.

    Args:
        root: The folder, or a link to one.
        skip: Which names of files and folders, each without its path, are passed over.
        on_problem: Called with the path and what is wrong with it (which ends with what to do) where a folder cannot
            be listed, a link leads nowhere or back to a folder above it, something is neither file nor folder, or
            folders lie more than `DEEPEST` deep. It raises by default; where it returns, the walk goes on behind that
            path.

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
        on_problem(folder, f"cannot be read ({error.strerror or error}). Make it readable, or take it away.")
        return
    if len(above) > DEEPEST:
        on_problem(folder, f"lies more than {DEEPEST} folders deep. Take it away.")
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        on_problem(folder, "leads back to a folder that it lies in. Remove this link.")
        return
    for name in names:
        path = folder / name
        try:
            mode = path.stat().st_mode
        except OSError as error:
            what = "a link that leads nowhere" if path.is_symlink() else "cannot be read"
            on_problem(path, f"{what} ({error.strerror or error}). Repair it, or take it away.")
            continue
        if stat.S_ISDIR(mode):
            yield from _below(path, f"{prefix}{name}/", skip, on_problem, (*above, identity))
        elif stat.S_ISREG(mode):
            yield f"{prefix}{name}"
        else:
            on_problem(path, "neither a file nor a folder, but a pipe, a socket or a device. Take it away.")
