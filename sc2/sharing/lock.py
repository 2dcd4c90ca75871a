"""The lock of a run file: the folders of its results, named by their content in the format of DVC's dvc.lock."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from sc2.errors import SC2Error

_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Folder:
    """A folder of results.

    Attributes:
        path: Relative to the project's root, e.g. `results/evaluate/photodigits_detection`.
        listing: MD5 of the list of its files, followed by `.dir`: the name of an object that holds this list.
        bytes: Size of all its files.
        files: Number of its files.
    """

    path: str
    listing: str
    bytes: int
    files: int


def read_lock(path: Path) -> list[Folder]:
    """Return the folders that a lock names.

    Raises:
        SC2Error: It cannot be read, or is not a lock.
    """
    try:
        stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
        return [_folder(out) for stage in stages.values() for out in stage.get("outs", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise SC2Error(f"{path} cannot be read ({error}); restore it: `git checkout {path}`") from error


def write_lock(path: Path, folders: Iterable[Folder], command: str) -> None:
    """Write the lock of a run file other than the default, whose lock DVC writes.

    Args:
        path: The file to write.
        folders: What it names.
        command: The command that makes the folders.
    """
    outs = [
        {"path": one.path, "hash": "md5", "md5": one.listing, "size": one.bytes, "nfiles": one.files} for one in folders
    ]
    content = {"schema": "2.0", "stages": {path.stem: {"cmd": command, "outs": outs}}}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    path.write_text(f"# Written by `sc2 push`: do not edit.\n{text}", encoding="utf-8")


def _folder(out: Mapping[str, object]) -> Folder:
    path, listing = inside(str(out["path"])), str(out["md5"])
    if not listing.endswith(".dir") or not is_object(listing):
        raise ValueError(f"{path} has no MD5 of a folder")
    return Folder(path, listing, int(str(out["size"])), int(str(out["nfiles"])))


def is_object(name: str) -> bool:
    """Return whether a text can be the name of an object: an MD5, with `.dir` if it is the list of a folder."""
    return _OBJECT.fullmatch(name) is not None


def inside(path: str) -> str:
    """Return a relative path that stays inside the project.

    Raises:
        ValueError: It leads out of it.
    """
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"path {path!r} must be relative, inside the project")
    return path
