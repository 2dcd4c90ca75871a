"""What a job ran on: versions, hardware and the state of the git checkout.

Nothing here names the machine, its user or a folder: records are published.
"""

import functools
import hashlib
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from sc2.errors import ProvenanceError
from sc2.measure.hardware import cpu_model

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
NO_GIT: dict[str, Any] = {"commit": None, "dirty": None, "dirty_sha256": None}


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes (64 hex digits).

    Raises:
        ProvenanceError: The path is no readable file.
    """
    digest = hashlib.sha256()
    _feed(digest, path)
    return digest.hexdigest()


def environment() -> dict[str, Any]:
    """Return `versions`, `hardware` and `platform` of this process, without anything that names the machine.

    A version is null when the package is not installed. Memory is in GiB.
    """
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        versions[package] = _version(package)
    return {
        "versions": versions,
        "hardware": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "gpus": _gpu_names(),
        },
        "platform": {"system": platform.system(), "release": platform.release(), "machine": platform.machine()},
    }


def git_state(root: Path) -> dict[str, Any]:
    """Return the state of the checkout around a folder: `commit`, `dirty` and `dirty_sha256`.

    `dirty` is true when a tracked file differs from the commit or an untracked file is not ignored; `dirty_sha256` is
    the hash of both, and null when clean. Without git, outside a repository or before its first commit all are null.

    Raises:
        ProvenanceError: Git finds the commit but then fails.
    """
    if shutil.which("git") is None:
        return dict(NO_GIT)
    found = _git(root, "rev-parse", "--verify", "HEAD")
    top = _git(root, "rev-parse", "--show-toplevel")
    if found.returncode != 0 or top.returncode != 0:
        return dict(NO_GIT)
    folder = Path(os.fsdecode(top.stdout).rstrip("\n"))
    # Each option undoes a personal setting that would change the text of the same patch.
    plain = (
        "--binary",
        "--full-index",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--no-renames",
        "--no-relative",
    )
    prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
    patch = _git_output(folder, "diff", "HEAD", *plain, *prefixes)
    listing = _git_output(folder, "ls-files", "--others", "--exclude-standard", "-z")
    untracked = sorted(name for name in listing.split(b"\0") if name)
    dirty_sha256 = _dirty_hash(folder, patch, untracked) if patch or untracked else None
    return {
        "commit": found.stdout.decode().strip(),
        "dirty": dirty_sha256 is not None,
        "dirty_sha256": dirty_sha256,
    }


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
        # Otherwise a nested repository, or another process removed its temporary file: the name is what there is.
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
    # A git hook exports GIT_DIR and its like, which would point at the repository of the hook.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # Jobs run side by side: reading the state must not take the lock of the index.
    environ["GIT_OPTIONAL_LOCKS"] = "0"
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False, env=environ)


def _git_output(folder: Path, *arguments: str) -> bytes:
    """Run git and return what it prints; raise when it fails."""
    done = _git(folder, *arguments)
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip()
        raise ProvenanceError(f"`git {arguments[0]}` failed: {message}; check the checkout with `git status`")
    return done.stdout


@functools.cache
def _version(package: str) -> str | None:
    """Return the installed version of a package, None without it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _gpu_names() -> list[str]:
    """Return the names of the NVIDIA GPUs, none without the driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60)
    # The program is often installed where no driver runs; it then fails, and there is no usable GPU.
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
