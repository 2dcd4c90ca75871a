"""Snakemake compares inputs by content, and hashes each once: here it remembers the hash of a file that is as it was.

It hashes all inputs of a finished job anew for every output, in the loop that starts the next jobs: of the default's
data set 160 megabytes, three times for each training, while no job can start.
"""

import os
from functools import wraps
from typing import Any


def remember_checksums() -> None:
    """Let Snakemake, in this process, hash a local file again only if its size, times or place have changed."""
    from snakemake.io import _IOFile

    original = _IOFile.checksum
    if hasattr(original, "__wrapped__"):
        return
    known: dict[tuple[Any, ...], str | None] = {}

    @wraps(original)
    async def checksum(
        self: Any, threshold: int | None = None, force: bool = False, algorithm: Any = None
    ) -> str | None:
        if self.is_storage or algorithm is not None or not os.path.isfile(self.file):  # noqa: PTH113  (called often)
            found: str | None = await original(self, threshold, force, algorithm)
            return found
        # The time of the last change of the inode cannot be set back, as that of the content can.
        stat = os.stat(self.file)  # noqa: PTH116
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, threshold, force)
        if key not in known:
            known[key] = await original(self, threshold, force)
        return known[key]

    _IOFile.checksum = checksum
