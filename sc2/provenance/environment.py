"""The environment of a job: versions, hardware and the state of the git checkout.

Nothing here names the machine, its user or a folder: records are published.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from sc2.errors import ProvenanceError
from sc2.measure.hardware import cpu_model
from sc2.system.surroundings import for_git

PACKAGES = (
    "split-computing-sc2",
    "torch",
    "torchvision",
    "compressai",
    "torchdistill",
    "timm",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "scikit-learn",
    "scikit-image",
    "matplotlib",
    "pydantic",
    "snakemake",
    "dvc",
)
CHUNK_BYTES = 1 << 20
PATIENCE_S = 60
# Written by the workflow for readers, from results that have their own records.
GENERATED = ("docs/reference",)
NO_GIT: dict[str, Any] = {"commit": None, "dirty": None, "dirty_sha256": None}


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes (64 hex digits).

    Raises:
        ProvenanceError: The path is not a readable file.
    """
    digest = hashlib.sha256()
    _feed(digest, path)
    return digest.hexdigest()


def environment() -> dict[str, Any]:
    """Return `versions`, `hardware` and `platform` of this process, without anything that names the machine.

    A version is null if the package is not installed. Memory is in GiB, null if the system does not report it.
    """
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        versions[package] = _version(package)
    return {
        "versions": versions,
        "hardware": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "memory_gib": _memory_gib(),
            "gpus": _gpu_names(),
        },
        "platform": {"system": platform.system(), "release": platform.release(), "machine": platform.machine()},
    }


def git_state(root: Path) -> dict[str, Any]:
    """Return the state of the checkout around a folder: `commit`, `dirty` and `dirty_sha256`.

    `dirty` is true if a tracked file differs from the commit or an untracked file is not ignored, except files that the
    workflow writes into docs/reference; `dirty_sha256` is the hash of those changes, null if there are none. Anything
    unknown is null, and `unknown` gives the reason: a job never fails because git does. If git fails on a checkout,
    its message goes to stderr.
    """
    if shutil.which("git") is None:
        return {**NO_GIT, "unknown": "git is not installed"}
    state = dict(NO_GIT)
    try:
        if (why := _no_commit(root)) is not None:
            return {**state, "unknown": why}
        state["commit"] = _git_output(root, "rev-parse", "--verify", "HEAD").decode().strip()
        state["dirty_sha256"] = _changes(root)
        return state | {"dirty": state["dirty_sha256"] is not None}
    except (ProvenanceError, OSError, subprocess.TimeoutExpired) as error:
        print(f"sc2: the state of the checkout is not fully known: {error}", file=sys.stderr, flush=True)
        return {**state, "unknown": _without_paths(error)}


def _no_commit(root: Path) -> str | None:
    """Return why there is no commit, None if there is one.

    Raises:
        ProvenanceError: There is a checkout, but git fails on it.
    """
    inside = _git(root, "rev-parse", "--git-dir")
    if inside.returncode != 0:
        message = inside.stderr.decode(errors="replace").strip()
        if "not a git repository" in message:
            return "not in a git repository"
        if "dubious ownership" in message:
            raise ProvenanceError(f"git refuses a checkout of another user: {message}")
        raise ProvenanceError(f"git fails: {message}")
    return None if _git(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode == 0 else "no commit yet"


def _changes(root: Path) -> str | None:
    """Hash the differences from the commit, None if there are none."""
    folder = Path(os.fsdecode(_git_output(root, "rev-parse", "--show-toplevel")).rstrip("\n"))
    # Each option undoes a personal setting that would change the text of the same patch.
    plain = ("--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
    prefixes = ("--no-relative", "--src-prefix=a/", "--dst-prefix=b/")
    of_people = ("--", ".", *(f":(exclude,glob)**/{path}/**" for path in GENERATED))
    patch = _git_output(folder, "diff", "HEAD", *plain, *prefixes, *of_people)
    listing = _git_output(folder, "ls-files", "--others", "--exclude-standard", "-z", *of_people)
    untracked = sorted(name for name in listing.split(b"\0") if name)
    return _dirty_hash(folder, patch, untracked) if patch or untracked else None


def _without_paths(error: Exception) -> str:
    """Return the part of a message that may be published: records must not name folders."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"git did not answer in {PATIENCE_S} s"
    system = error if isinstance(error, OSError) else error.__cause__
    if isinstance(system, OSError):
        return f"a file cannot be read: {system.strerror}"
    return str(error).partition(":")[0]


def _dirty_hash(folder: Path, patch: bytes, untracked: list[bytes]) -> str:
    """Hash a patch, and the names and contents of untracked files."""
    digest = hashlib.sha256()
    digest.update(b"%d\0" % len(patch) + patch)
    for name in untracked:
        path = folder / os.fsdecode(name)
        inner = hashlib.sha256()
        if path.is_symlink():
            inner.update(os.fsencode(path.readlink()))
        elif path.is_file():
            _feed(inner, path)
        # Otherwise a nested repository, or a temporary file that has since been removed: only the name is hashed.
        digest.update(name + b"\0" + inner.digest())
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", path: Path) -> None:
    """Add a file's bytes to a hash."""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise ProvenanceError(f"{path}: cannot be read to hash it: {error.strerror}") from error


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git on the checkout around a folder."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=for_git(os.environ), timeout=PATIENCE_S)


def _git_output(folder: Path, *arguments: str) -> bytes:
    """Run git and return what it prints; raise when it fails."""
    done = _git(folder, *arguments)
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip()
        raise ProvenanceError(f"`git {arguments[0]}` failed: {message}; check the checkout with `git status`")
    return done.stdout


@functools.cache
def _version(package: str) -> str | None:
    """Return the installed version of a package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _memory_gib() -> float | None:
    """Return the memory of the machine in GiB, None if the system does not report it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _gpu_names() -> list[str]:
    """Return the names of the NVIDIA GPUs, none without a driver; the reason if the driver does not respond."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return [f"unknown (nvidia-smi did not answer in {PATIENCE_S} s)"]
    except OSError as error:
        return [f"unknown (nvidia-smi cannot be run: {error.strerror})"]
    # The program is often installed without a running driver; it then fails, and there is no usable GPU.
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
