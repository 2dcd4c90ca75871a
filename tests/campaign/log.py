"""What the campaign has tried so far, a line for each batch of trials: a campaign that was killed goes on behind it."""

import hashlib
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.campaign.pool import Batch
from tests.conftest import ROOT
from tests.lines import Lines

COVERED = ("config", "sc2", "tests", "workflow", "requirements.lock")
"""What a result of the campaign depends on: a change to it begins a new campaign."""


@dataclass(frozen=True)
class Entry:
    """One batch of trials.

    Attributes:
        part: Part of the campaign, e.g. `corruption`.
        kind: Row of the table.
        name: Names the batch within its part.
        outcomes: How many trials ended in which way, e.g. `{"refused": 480, "taken": 20}`; failures are among them.
        failures: What went wrong, a line for each trial that failed.
        seconds: Wall-clock time.
        date: When it ended, ISO 8601 in UTC.
    """

    part: str
    kind: str
    name: str
    outcomes: Mapping[str, int]
    failures: tuple[str, ...] = ()
    seconds: float = 0.0
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def of(cls, part: str, batch: Batch) -> "Entry":
        """Return the entry of a batch that is done."""
        return cls(part, batch.kind, batch.name, dict(batch.outcomes), tuple(batch.failures), round(batch.seconds, 3))

    @property
    def trials(self) -> int:
        """Number of trials."""
        return sum(self.outcomes.values())


class Log:
    """The entries, in a file."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self.entries = [Entry(**row) for row in self._lines.rows]

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self.entries.append(entry)
        self._lines.add(asdict(entry))

    def of(self, part: str) -> Iterator[Entry]:
        """Yield the entries of a part."""
        return (entry for entry in self.entries if entry.part == part)

    def done(self, part: str) -> set[str]:
        """Names of the batches of a part that have been tried."""
        return {entry.name for entry in self.of(part)}

    def rows(self) -> Iterator[tuple[str, str, Counter[str], list[str]]]:
        """Yield part, kind, outcomes and failures of each row of the table."""
        found: dict[tuple[str, str], tuple[Counter[str], list[str]]] = {}
        for entry in self.entries:
            counts, failures = found.setdefault((entry.part, entry.kind), (Counter(), []))
            counts.update(entry.outcomes)
            failures.extend(entry.failures)
        return ((part, kind, counts, failures) for (part, kind), (counts, failures) in found.items())


def code_digest() -> str:
    """Return 12 hex digits of all that the campaign tests and is."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z", "--", *COVERED]
    names = subprocess.run(listing, capture_output=True, check=True).stdout.decode().split("\0")
    digest = hashlib.sha256()
    for name in sorted(filter(None, names)):
        path = ROOT / name
        if path.is_file():
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
