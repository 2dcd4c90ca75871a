"""The checksums that Snakemake compares inputs by: the same as without a memory, and each file is read once."""

import asyncio
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake import io

from sc2.jobs.checksums import remember_checksums

LARGE = 1 << 40


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Remembering checksums, and the files that were hashed so far."""
    monkeypatch.setattr(io._IOFile, "checksum", io._IOFile.checksum)
    remember_checksums()
    read: list[str] = []
    plain = hashlib.file_digest

    def counted(file: Any, algorithm: Any) -> Any:
        read.append(Path(file.name).name)
        return plain(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return read


def checksum(path: Path, threshold: int = LARGE) -> str | None:
    file = io.IOFile(str(path), rule=None)
    file.rule = SimpleNamespace(workflow=SimpleNamespace(iocache=SimpleNamespace(active=False)))
    found: str | None = asyncio.run(file.checksum(threshold))
    return found


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_file_is_hashed_once(digests: list[str], tmp_path: Path) -> None:
    path = tmp_path / "train.tar"
    path.write_bytes(b"images")
    assert {checksum(path) for _ in range(3)} == {sha256(b"images")}
    assert digests == ["train.tar"]


def test_new_content_is_hashed_even_where_size_and_time_are_the_old_ones(digests: list[str], tmp_path: Path) -> None:
    path = tmp_path / "train.tar"
    path.write_bytes(b"images")
    stat = path.stat()
    checksum(path)
    path.write_bytes(b"imagex")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert checksum(path) == sha256(b"imagex")
    replacement = tmp_path / "new.tar"
    replacement.write_bytes(b"imagez")
    os.utime(replacement, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    replacement.replace(path)
    assert checksum(path) == sha256(b"imagez")
    assert len(digests) == 3


def test_what_is_not_hashed_without_a_memory_is_not_with_one(digests: list[str], tmp_path: Path) -> None:
    path = tmp_path / "train.tar"
    assert checksum(path) is None
    assert checksum(tmp_path) is None
    path.write_bytes(b"images")
    assert checksum(path, threshold=5) is None
    assert checksum(path, threshold=6) == sha256(b"images")
    assert digests == ["train.tar"]


def test_the_memory_is_put_in_once(digests: list[str]) -> None:
    before = io._IOFile.checksum
    remember_checksums()
    assert io._IOFile.checksum is before
