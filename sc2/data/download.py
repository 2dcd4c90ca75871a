"""Files published at a URL: taken from the data folder, or downloaded into it, and always checked.

A download that breaks off goes on where it stopped, at once or in the next run. `requests` handles connections, TLS and
proxies (`https_proxy`, `no_proxy`, `REQUESTS_CA_BUNDLE` and the like in the environment).
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

import requests
from urllib3.exceptions import HTTPError

from sc2.data.archive import data_dir, verified
from sc2.data.progress import Progress
from sc2.errors import DataError
from sc2.system.locks import locked

MIRROR = "SC2_MIRROR"
"""Environment variable: URL of a folder that holds published files under their own names; it is asked first."""

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})[.]")
_TIMEOUT_S = 60
_CHUNK = 1 << 20
WAITS_S: Sequence[float] = (1, 5, 20)
"""How long to wait before a server that fails, or breaks off without having sent anything, is asked again."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""States of a server that may be over soon."""


@dataclass(frozen=True)
class Remote:
    """A published file.

    Attributes:
        urls: Where it is, best first; http, https or file. The last part of the first one is its name.
        sha256: Hex digits; fewer than 64 are the start of the hash, none leave it unchecked.
        size: Bytes, if known: to check beforehand whether it fits on the disk.
    """

    urls: tuple[str, ...]
    sha256: str
    size: int | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        return unquote(PurePosixPath(urlsplit(self.urls[0]).path).name)

    @property
    def sources(self) -> tuple[str, ...]:
        """Where to look for it, in order: the mirror that the user set, then the published places."""
        mirror = os.environ.get(MIRROR)
        own = (f"{mirror.rstrip('/')}/{quote(self.name)}",) if mirror else ()
        return (*own, *self.urls)


def hash_in_name(url: str) -> str | None:
    """Return the start of the SHA-256 in a file's name (`…-446d5c7f.pth.tar`), None if there is none."""
    match = _HASH_IN_NAME.search(PurePosixPath(urlsplit(url).path).name)
    return match[1] if match else None


def fetched_weights(url: str, sha256: str) -> Path:
    """Return the file of a URL: from the data folder or its subfolder `weights`, or else downloaded into the latter.

    Raises:
        DataError: As `fetched`.
    """
    remote = Remote((url,), sha256)
    supplied = data_dir() / remote.name
    return fetched(remote, supplied if supplied.is_file() else data_dir() / "weights" / remote.name)


def fetched(remote: Remote, target: Path) -> Path:
    """Return `target` after downloading it, unless it is there, and checking it.

    Raises:
        DataError: It cannot be downloaded (the message says what to put where by hand), or has another hash.
    """
    if target.is_file():
        return verified(target, remote.sha256)
    try:
        # Several jobs may want the same file: one downloads it, the others wait.
        with locked(target.with_name(f".{target.name}.lock"), f"fetch {target.name}"):
            return verified(target, remote.sha256) if target.is_file() else _from_any(remote, target)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error}). {_by_hand(remote, target)}"
        ) from error


def require_space(remotes: Sequence[tuple[Remote, Path]]) -> None:
    """Check that what is still missing of several files fits on the disk.

    Args:
        remotes: Files of known size, and where they will be; those of unknown size are not counted.

    Raises:
        DataError: It does not fit.
    """
    missing: dict[Path, int] = {}
    for remote, target in remotes:
        if remote.size is not None and not target.is_file():
            missing[target.parent] = missing.get(target.parent, 0) + remote.size - _length(_part(target))
    for folder, size in missing.items():
        _require_space(folder, size)


def _require_space(folder: Path, size: int) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if size > free:
        raise DataError(
            f"{folder}: {size:,} bytes are still to be downloaded, but only {free:,} are free there. Free some, or set "
            "the environment variable SC2_DATA to a folder on a larger disk."
        )


def _from_any(remote: Remote, target: Path) -> Path:
    """Download from the first source that has the file, and give it its name once it is checked."""
    problems, part = [], _part(target)
    for url in remote.sources:
        try:
            _fetch(url, part, remote)
        except (requests.RequestException, HTTPError, ValueError, DataError) as error:
            problems.append(f"cannot fetch {url}: {error}")
        else:
            with part.open("rb") as file:
                os.fsync(file.fileno())
            return part.replace(target)
    raise DataError("\n".join([*problems, _by_hand(remote, target)]))


def _by_hand(remote: Remote, target: Path) -> str:
    facts = [f"from {remote.urls[0]}"]
    if remote.size is not None:
        facts.append(f"{remote.size:,} bytes")
    if remote.sha256:
        facts.append(f"sha256 {remote.sha256}")
    return (
        f"Put the file at {target} yourself ({', '.join(facts)}), or set {MIRROR} to the URL of a folder that holds "
        f"{remote.name}; behind a proxy, set https_proxy. Then run again."
    )


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _fetch(url: str, part: Path, remote: Remote) -> None:
    """Download and check a file; what was there of it may be of another version, and is then not used."""
    resumed = part.is_file()
    _complete(url, part, remote)
    try:
        verified(part, remote.sha256)
    except DataError as error:
        part.unlink()
        if not resumed:
            raise DataError(str(error).replace(str(part), url)) from error
        _fetch(url, part, remote)


def _complete(url: str, part: Path, remote: Remote) -> None:
    """Download a file, or what is missing of it; a server that breaks off is asked for the rest.

    Raises:
        requests.RequestException: The server cannot be reached, or does not have the file.
        HTTPError: It broke off again and again.
        ValueError: The URL is of another kind.
        DataError: The file does not fit on the disk.
    """
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https", "file"):
        raise ValueError("only http, https and file URLs can be fetched")
    if scheme == "file":
        _copy(url, part)
        return
    waits, before = iter(WAITS_S), _length(part)
    while True:
        try:
            if _attempt(url, part, remote):
                return
        except (requests.RequestException, HTTPError) as error:
            answer = getattr(error, "response", None)
            if answer is not None and answer.status_code not in _PASSING:
                raise
            if _length(part) > before:
                waits = iter(WAITS_S)
            wait = next(waits, None)
            if wait is None:
                raise
            print(f"{url}: {error}; once more in {wait} s", file=sys.stderr, flush=True)
            time.sleep(wait)
        before = _length(part)


def _copy(url: str, part: Path) -> None:
    try:
        shutil.copyfile(url2pathname(urlsplit(url).path), part)
    except FileNotFoundError as error:
        raise ValueError("there is no such file") from error


def _attempt(url: str, part: Path, remote: Remote) -> bool:
    """Ask for what is missing; return whether the file is complete, False where it has to start over."""
    have = _length(part)
    # As it is stored: some servers call a .tgz a compressed .tar.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        if have and answer.status_code == requests.codes.range_not_satisfiable:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return True
            part.unlink()
            return False
        answer.raise_for_status()
        resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if answer.status_code == requests.codes.partial_content and not resumed:
            part.unlink()
            return False
        rest = int(answer.headers.get("Content-Length") or max(0, (remote.size or 0) - have * resumed))
        _require_space(part.parent, rest - (0 if resumed else have))
        with part.open("ab" if resumed else "wb") as file:
            _receive(answer, file, Progress(remote.name, have * resumed, have * resumed + rest))
    return True


def _receive(answer: requests.Response, file: BinaryIO, progress: Progress) -> None:
    chunks: Any = answer.raw.stream(_CHUNK, decode_content=False)
    with progress:
        for chunk in chunks:
            file.write(chunk)
            progress.add(len(chunk))
