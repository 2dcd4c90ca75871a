"""Writes the campaign's table into docs/reliability.md."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.campaign.log import Entry, Log
from tests.campaign.pool import FAILED
from tests.generated import put

COMMAND = "make faults"
SHOWN = 20
"""So many failures are listed."""


def write(page: Path, log: Log, state: str, hardware: Mapping[str, Any]) -> None:
    """Replace what stands between the two marks of a page.

    Args:
        page: The page.
        log: What was tried.
        state: Which code it was tried on.
        hardware: As records hold it.
    """
    put(page, COMMAND, _content(log, state, hardware))


def _content(log: Log, state: str, hardware: Mapping[str, Any]) -> Iterator[str]:
    days = sorted({entry.date[:10] for entry in log.entries})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    failures = [failure for entry in log.entries for failure in entry.failures]
    trials = sum(entry.trials for entry in log.entries)
    yield f"Run on {when}, on {state}, on {hardware['cpu']} with {hardware['cores']} cores and " + (
        f"{hardware['memory_gib']} GiB of memory: {trials:,} trials, {len(failures):,} failures."
    )
    yield ""
    yield "| part | what | trials | how they ended | failures |"
    yield "|---|---|---:|---|---:|"
    for part, entries in _grouped(log.entries).items():
        ended: Counter[str] = Counter()
        for entry in entries:
            ended.update(entry.outcomes)
        failed = sum(len(entry.failures) for entry in entries)
        ways = ", ".join(f"{count:,} {name}" for name, count in sorted(ended.items()) if name != FAILED)
        yield f"| {part[0]} | {part[1]} | {ended.total():,} | {ways} | {failed:,} |"
    if failures:
        yield ""
        yield "The first failures:" if len(failures) > SHOWN else "The failures:"
        yield ""
        yield from ("- `" + " ".join(failure.replace("`", "'").split())[:400] + "`" for failure in failures[:SHOWN])


def _grouped(entries: list[Entry]) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        found.setdefault((entry.part, entry.kind), []).append(entry)
    return found
