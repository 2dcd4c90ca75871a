"""DVC's cache of this checkout and one of its remotes: files by content, fetched, checked and uploaded. No torch.

What DVC downloads it believes. Here every object that is used is hashed first, whenever it came; one that is not what
its name says is removed from the cache and counts as one that the remote does not hold.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sc2.errors import SC2Error
from sc2.sharing.lock import Folder, inside, is_object

ADD_REMOTE = "dvc remote add -d NAME URL"
_CHUNK_BYTES = 1 << 20


class Store:
    """The cache and a remote.

    Attributes:
        name: Name of the remote.
    """

    def __init__(self, remote: str | None) -> None:
        """Open the checkout in the current folder.

        Args:
            remote: Name of a DVC remote; None for the default one.

        Raises:
            SC2Error: The current folder is no DVC project, or has no such remote, or none at all.
        """
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        _quieten()
        try:
            self._repo = Repo()
            self.name = _name_of(self._repo.config, remote)
            self._cache = self._repo.cache.local
            self._remote = self._repo.cloud.get_remote_odb(self.name, "pull")
        except DvcException as error:
            raise SC2Error(f"DVC: {error}") from error

    @property
    def place(self) -> str:
        """Name and address of the remote, for messages."""
        address = str(self._remote.fs.unstrip_protocol(self._remote.path)).removesuffix("/files/md5")
        return f"remote {self.name} ({address.removeprefix('local://')})"

    @property
    def cache(self) -> Path:
        """The folder of the cache."""
        return Path(self._cache.path)

    @property
    def links(self) -> list[str]:
        """How files come from the cache into the project, the best way first: reflink, hardlink, symlink, copy."""
        return [str(kind) for kind in self._cache.cache_types]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process use the cache until the block ends.

        Raises:
            SC2Error: Another one does.
        """
        from dvc.exceptions import DvcException

        try:
            self._repo.lock.lock()
        except DvcException as error:
            raise SC2Error(f"DVC is at work in another process: {error}") from error
        try:
            yield
        finally:
            self._repo.lock.unlock()

    def path(self, name: str) -> Path:
        """Return where the cache keeps an object, whether it is there or not."""
        return Path(self._cache.oid_to_path(name))

    def lacks(self, names: Iterable[str]) -> list[str]:
        """Return the objects that are not in the cache, sorted."""
        return sorted({name for name in names if not self.path(name).is_file()})

    def fetch(self, names: Collection[str], what: str) -> list[str]:
        """Fetch the objects that the cache lacks and the remote has.

        Objects that are there already are left out, so that another call goes on where one was interrupted.

        Args:
            names: The objects.
            what: What they are, for the progress bar.

        Returns:
            Those that were fetched.

        Raises:
            SC2Error: The remote cannot be read, or the disk is full.
        """
        lacking = self.lacks(names)
        with self._talking("fetched", lacking) as failed:
            there = list(self._remote.list_oids_exists(lacking)) if lacking else []
            self._copy(self._remote, self._cache, there, f"fetch {what}", failed)
        return [name for name in there if self.path(name).is_file()]

    def upload(self, names: Collection[str], what: str) -> list[str]:
        """Upload the objects that the remote lacks, and return them.

        Raises:
            SC2Error: The remote cannot be written to, or the cache lacks an object.
        """
        wanted = sorted(set(names))
        if lost := self.lacks(wanted):
            raise SC2Error(f"DVC's cache has lost {len(lost)} files of these results: `dvc commit --force` adds them")
        with self._talking("uploaded", wanted) as failed:
            there = set(self._remote.list_oids_exists(wanted)) if wanted else set()
            lacking = [name for name in wanted if name not in there]
            self._copy(self._cache, self._remote, lacking, f"upload {what}", failed)
        return lacking

    def is_empty(self) -> bool:
        """Return whether the remote holds no object at all, or is not there.

        Raises:
            SC2Error: The remote cannot be read.
        """
        with self._talking("read", ()):
            return not self._remote.fs.exists(self._remote.path) or not self._remote.fs.ls(self._remote.path)

    def damaged(self, names: Iterable[str]) -> list[str]:
        """Hash objects of the cache, remove those whose content is not what their names say, and return them.

        Raises:
            OSError: One cannot be read or removed.
        """
        found = []
        present = {name: self.path(name).stat().st_size for name in sorted(set(names)) if self.path(name).is_file()}
        quiet = not sys.stderr.isatty()
        with tqdm(total=sum(present.values()), desc="check", unit="B", unit_scale=True, disable=quiet) as bar:
            for name, size in present.items():
                if md5_of(self.path(name)) != name.removesuffix(".dir"):
                    self.path(name).unlink()
                    found.append(name)
                bar.update(size)
        return found

    def files(self, folder: Folder) -> dict[str, str] | None:
        """Return the files of a folder with their objects, by path relative to the project's root.

        Returns:
            None if the cache lacks the list.

        Raises:
            SC2Error: The list is not one.
        """
        path = self.path(folder.listing)
        if not path.is_file():
            return None
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            listed = {f"{folder.path}/{inside(str(entry['relpath']))}": str(entry["md5"]) for entry in entries}
            if not all(map(is_object, listed.values())):
                raise ValueError("a file in it has no MD5")
            return listed
        except (ValueError, KeyError, TypeError) as error:
            raise SC2Error(f"the list of {folder.path} in DVC's cache is damaged ({error}): remove {path}") from error

    def add(self, path: str) -> Folder:
        """Add a folder to the cache and return how a lock names it.

        Raises:
            SC2Error: DVC cannot read it or write to its cache.
        """
        from dvc.exceptions import DvcException
        from dvc.fs import localfs
        from dvc_data.hashfile.build import build
        from dvc_data.hashfile.transfer import transfer

        try:
            full = os.path.abspath(path)  # noqa: PTH100 (a link to another disk stays one)
            staged, meta, tree = build(self._cache, full, localfs, "md5", ignore=self._repo.dvcignore)
            transfer(staged, self._cache, {tree.hash_info}, shallow=False)
        except (DvcException, OSError) as error:
            raise SC2Error(f"{path} cannot be added to DVC's cache: {error}") from error
        return Folder(path, str(tree.hash_info.value), int(meta.size), int(meta.nfiles))

    def room(self, fetched: int, placed: int, results: Path) -> None:
        """Check that the disks have room.

        Args:
            fetched: Bytes to come into the cache.
            placed: Bytes to come into the project.
            results: Folder of the project that they come to.

        Raises:
            SC2Error: One has not.
        """
        needs: dict[int, tuple[Path, int]] = {}
        for folder, count in ((self.cache, fetched), (results, placed)):
            existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
            disk = existing.stat().st_dev
            needs[disk] = (existing, needs.get(disk, (existing, 0))[1] + count)
        for folder, count in needs.values():
            free = shutil.disk_usage(folder).free
            if count > free:
                raise SC2Error(
                    f"{folder}: {size_of(count)} are needed and {size_of(free)} are free; nothing was fetched. Make "
                    "room, put DVC's cache on another disk (`dvc cache dir --local PATH`), or pull less "
                    "(--benchmark, --method)"
                )

    def _copy(self, source: Any, target: Any, names: list[str], desc: str, failed: dict[str, BaseException]) -> None:
        """Copy objects; those that fail are noted, and the others are copied all the same."""
        from dvc.fs.callbacks import TqdmCallback

        if not names:
            return
        with TqdmCallback(desc=desc, unit="file") as bar:
            paths = [source.oid_to_path(name) for name in names]
            target.add(paths, source.fs, names, callback=bar, check_exists=False, on_error=failed.__setitem__)

    @contextmanager
    def _talking(self, done: str, names: Collection[str]) -> Iterator[dict[str, BaseException]]:
        """Turn whatever goes wrong with the remote into an error that says so; the block notes files that fail."""
        failed: dict[str, BaseException] = {}
        try:
            yield failed
        except SC2Error:
            raise
        except Exception as error:  # every kind of remote has its own errors
            failed[""] = error
        if not failed:
            return
        again = "what is done stays done: the same command goes on from there"
        full = [error for error in failed.values() if isinstance(error, OSError) and error.errno == errno.ENOSPC]
        first = full[0] if full else next(iter(failed.values()))
        if full and done == "fetched":
            raise SC2Error(f"{self.cache}: no room left on the disk. Make room; {again}") from first
        count = f"{len(failed)} of {len(names)} files" if "" not in failed else f"some of {len(names)} files"
        why = f"{type(first).__name__}: {first}" if str(first) else type(first).__name__
        raise SC2Error(f"{self.place}: {count} could not be {done} ({why}); {again}") from first


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, by which DVC names it (32 hex digits); it protects from damage, not from forgery.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def size_of(count: int) -> str:
    """Return a number of bytes in the unit that reads best."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _name_of(config: Any, remote: str | None) -> str:
    """Return the name of a remote that DVC has.

    Raises:
        SC2Error: It has none, or not this one.
    """
    name = remote or config["core"].get("remote")
    if not name:
        raise SC2Error(f"DVC has no default remote; add one: `{ADD_REMOTE}`")
    if name not in config["remote"]:
        raise SC2Error(f"DVC has no remote {name!r}; list remotes with `dvc remote list`, add one with `{ADD_REMOTE}`")
    return str(name)


def _quieten() -> None:
    """Keep DVC's libraries from printing tracebacks: what goes wrong is told once, by `Store`."""
    for name in ("dvc", "dvc_data", "dvc_objects"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
