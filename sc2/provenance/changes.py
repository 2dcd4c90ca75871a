"""Changes between a record and the job as planned now: keys of the configuration and files of code."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from sc2.provenance.fingerprint import Fingerprint
from sc2.provenance.record import Record, canonical
from sc2.provenance.trace import flatten

LONGEST_VALUE = 40


class PlannedJob(Protocol):
    """The job that the current configuration and code plan for the keys of a record."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The resolved configuration of the job."""

    @property
    def fingerprint(self) -> Fingerprint:
        """The code that the job runs."""


Jobs = Callable[[str, Mapping[str, str]], PlannedJob | None]
"""Returns the job that is planned for a stage and keys, None if the configuration does not contain it."""


def spec_changes(record: Record, job: PlannedJob) -> Iterator[str]:
    """Yield the keys of the configuration that changed, e.g. `phase.lr 0.001 → 0.01`."""
    # Through JSON, like the record: tuples and lists are the same there.
    now = json.loads(canonical(dict(job.spec)))
    if now == record.spec:
        return
    before, after = flatten(record.spec), flatten(now)
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    for key in changed:
        yield f"{key} {_short(before.get(key, 'not set'))} → {_short(after.get(key, 'not set'))}"
    if not changed:
        yield "the types of values"


def code_changes(record: Record, job: PlannedJob) -> Iterator[str]:
    """Yield the files whose code changed, with `(new)` or `(gone)` where they belong to only one of the two."""
    before, after = record.code.files, job.fingerprint.files
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{name} (gone)"
        elif name not in before:
            yield f"{name} (new)"
        elif before[name] != after[name]:
            yield name


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
