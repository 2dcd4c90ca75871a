"""What the records say about how a benchmark was made: hardware, versions, time, commit and ids, as Markdown."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sc2.provenance.record import Record
from sc2.report.markdown import code, duration, escaped, table


def made_on(records: Sequence[Record]) -> str:
    """Return the section on hardware, versions, time and commit; jobs may have run on several machines."""
    lines = [
        *_counted("Hardware", records, lambda record: escaped(_hardware(record.hardware))),
        *_counted("Commit", records, lambda record: _commit(record.git)),
        _time(records),
    ]
    return "\n".join(lines) + "\n\n" + table(("package", "version"), _versions(records), numbers_from=2)


def listing(records: Sequence[Record]) -> str:
    """Return the table of all records with the time of each job."""
    ordered = sorted(records, key=lambda record: (record.started, record.stage, list(record.keys.items())))
    rows = [
        (record.stage, "/".join(record.keys.values()), f"{record.seconds:.1f}", code(record.id)) for record in ordered
    ]
    return table(("stage", "job", "seconds", "record"), rows, numbers_from=2)


def _counted(title: str, records: Sequence[Record], text: Callable[[Record], str]) -> list[str]:
    """Return one line per distinct text, with the number of jobs that it holds for where it does not hold for all."""
    texts = [text(record) for record in records]
    distinct = sorted(set(texts), key=lambda one: (-texts.count(one), one))
    if len(distinct) == 1:
        return [f"- {title}: {distinct[0]}"]
    return [f"- {title} of {texts.count(one)} of {len(texts)} jobs: {one}" for one in distinct]


def _hardware(hardware: dict[str, Any]) -> str:
    gpus = ", ".join(hardware["gpus"]) or "no GPU"
    return f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB memory, {gpus}"


def _commit(git: dict[str, Any]) -> str:
    if git["commit"] is None:
        return escaped(str(git.get("unknown", "not in a git checkout")))
    return code(git["commit"][:12]) + (" with uncommitted changes" if git["dirty"] else "")


def _time(records: Sequence[Record]) -> str:
    """Return the summed time of the jobs, and the span from the first start to the last end."""
    started = min(datetime.fromisoformat(record.started) for record in records)
    finished = max(datetime.fromisoformat(record.finished) for record in records)
    span = duration((finished - started).total_seconds())
    total = duration(sum(record.seconds for record in records))
    return f"- Time: {total} of computation in {len(records)} jobs; {span} from the first start to the last end"


def _versions(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Return every package with its version; several where jobs differ, none listed where it was not installed."""
    by_package: dict[str, dict[str, None]] = {}
    for record in records:
        for package, version in record.versions.items():
            if version is not None:
                by_package.setdefault(package, {})[version] = None
    return [(package, ", ".join(sorted(versions))) for package, versions in by_package.items()]
