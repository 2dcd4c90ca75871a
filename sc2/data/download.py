"""Files published at a URL: taken from the data folder, or downloaded into it, and always checked."""

import re
import shutil
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

from sc2.data.archive import data_dir, verified
from sc2.errors import DataError
from sc2.system.atomic import remove_leftovers, replacing
from sc2.system.locks import locked

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})[.]")
_TIMEOUT_S = 60


def hash_in_name(url: str) -> str | None:
    """Return the start of the SHA-256 in a file's name (`…-446d5c7f.pth.tar`), None if there is none."""
    match = _HASH_IN_NAME.search(_name(url))
    return match[1] if match else None


def fetched(url: str, sha256: str) -> Path:
    """Return the file of a URL: from the data folder or its subfolder `weights`, or else downloaded into the latter.

    Args:
        url: http, https or file; the last part of its path is the file's name.
        sha256: Hex digits; fewer than 64 are the start of the hash.

    Raises:
        DataError: The file cannot be downloaded, or does not have this hash.
    """
    target = data_dir() / "weights" / _name(url)
    for path in (data_dir() / target.name, target):
        if path.is_file():
            return verified(path, sha256)
    try:
        # Several jobs may want the same file: one downloads it, the others wait.
        with alone(target):
            if target.is_file():
                return verified(target, sha256)
            remove_leftovers(target)
            # Checked before it gets its final name.
            with replacing(target) as part:
                _download(url, part)
                _check(part, sha256, url)
    except (URLError, OSError, ValueError) as error:
        raise DataError(f"cannot fetch {url}: {error}\nPut the file at {target} yourself.") from error
    return target


def alone(target: Path) -> AbstractContextManager[bool]:
    """Lock the download of `target`; a process that had to wait checks first whether the file is there now.

    Raises:
        OSError: The folder of `target` cannot be written to.
    """
    return locked(target.with_name(f".{target.name}.lock"), f"fetch {target.name}")


def _check(path: Path, sha256: str, url: str) -> None:
    try:
        verified(path, sha256)
    except DataError as error:
        # The file is removed, so the message names the URL.
        raise DataError(str(error).replace(str(path), url)) from error


def _name(url: str) -> str:
    return unquote(PurePosixPath(urlsplit(url).path).name)


def _download(url: str, path: Path) -> None:
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise ValueError("only http, https and file URLs can be fetched")
    with urlopen(url, timeout=_TIMEOUT_S) as response, path.open("wb") as file:
        shutil.copyfileobj(response, file)
