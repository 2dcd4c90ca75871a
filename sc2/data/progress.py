"""How far a download is: a bar on a terminal, now and then a line in a log."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

_EVERY_S = 30


class Progress:
    """Shows the bytes of one file as they arrive."""

    def __init__(self, name: str, start: int, total: int) -> None:
        """Start.

        Args:
            name: Of the file.
            start: Bytes that are there already.
            total: Bytes of the whole file; 0 if unknown.
        """
        self.name, self.count, self.total = name, start, total
        self._bar = tqdm(
            total=total or None,
            initial=start,
            desc=name,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=not sys.stderr.isatty(),
        )
        self._said = time.monotonic()
        self._line("fetching" if not start else "going on with")

    def add(self, count: int) -> None:
        """Count bytes that have arrived."""
        self.count += count
        self._bar.update(count)
        if self._bar.disable and time.monotonic() - self._said >= _EVERY_S:
            self._said = time.monotonic()
            self._line("fetching")

    def _line(self, what: str) -> None:
        if self._bar.disable:
            of = f" of {self.total:,}" if self.total else ""
            print(f"{what} {self.name}: {self.count:,}{of} bytes", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()
