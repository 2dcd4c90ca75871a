"""Puts shared files in their places, and notes while that is under way, so that nothing trusts a half of them."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sc2.errors import SC2Error
from sc2.sharing.store import Store, md5_of
from sc2.sharing.unfinished import UNFINISHED
from sc2.system.atomic import temporary_name

_NAMED = 3


@contextmanager
def under_way() -> Iterator[None]:
    """Note that results are being placed; if the block raises or the process dies, the note stays."""
    UNFINISHED.parent.mkdir(parents=True, exist_ok=True)
    UNFINISHED.touch()
    yield
    UNFINISHED.unlink(missing_ok=True)


def to_place(store: Store, files: Mapping[str, str], *, force: bool) -> dict[str, str]:
    """Return the files that are not in their places yet.

    Args:
        store: The cache.
        files: Object of each file, by path relative to the current folder.
        force: Replace files whose content is nowhere else.

    Raises:
        SC2Error: A file is in the way whose content is not in the cache.
        OSError: A file cannot be read.
    """
    needed, own = {}, []
    for name, content in files.items():
        path = Path(name)
        there = md5_of(path) if path.is_file() else None
        if there == content:
            continue
        needed[name] = content
        if there is not None and not store.path(there).is_file():
            own.append(name)
    if own and not force:
        more = f" and {len(own) - _NAMED} more" if len(own) > _NAMED else ""
        raise SC2Error(
            f"own results are in the way: {', '.join(own[:_NAMED])}{more}; nothing was changed. Move them, or discard "
            "them with `sc2 pull --force`"
        )
    return needed


def place(store: Store, files: Mapping[str, str]) -> None:
    """Put files in their places, each whole or not at all.

    Raises:
        SC2Error: There is no room, or a folder cannot be written to.
    """
    kinds = store.links
    for name, content in files.items():
        path = Path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = temporary_name(path)
            try:
                _bring(store.path(content), temporary, kinds)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise SC2Error(f"{path}: cannot be written: {error.strerror}; `sc2 pull` goes on from here") from error


def _bring(source: Path, target: Path, kinds: list[str]) -> None:
    """Link or copy a file, in the first of the ways that the disk allows."""
    for kind in kinds:
        if kind == "copy":
            break
        try:
            if kind == "hardlink":
                target.hardlink_to(source)
                return
            if kind == "symlink":
                target.symlink_to(source)
                return
            if kind == "reflink" and _reflink(source, target):
                return
        except OSError:
            target.unlink(missing_ok=True)  # this disk cannot do it; the next way
    shutil.copyfile(source, target)


def _reflink(source: Path, target: Path) -> bool:
    """Share the blocks of a file, where the disk can; return whether it did."""
    from dvc.fs import localfs

    localfs.reflink(str(source), str(target))
    target.chmod(0o666 & ~_umask())
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
