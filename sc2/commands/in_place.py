"""What has changed among the user's files that data sets are read from in place."""

import os
from collections.abc import Iterator
from pathlib import Path

from sc2.data.blobs import read_manifest
from sc2.data.folders import differing
from sc2.errors import DataError
from sc2.provenance.changes import Jobs
from sc2.provenance.findings import Finding
from sc2.provenance.record import Damaged, Displaced, Record, Unreadable, project_root, read_record, records

_STAGE = "prepare_data"
_NAMED = 3


def changed_in_place(results: Path, jobs: Jobs) -> Iterator[Finding]:
    """Yield a finding for each prepared split whose files have changed or are gone.

    Files that have their size and time of change are not read again.

    Args:
        results: The folder of the results.
        jobs: Returns the job that is planned for a stage and keys; data sets that are not planned are left out.

    Raises:
        ProvenanceError: A record cannot be read.
    """
    for path in records(Path(os.path.abspath(results))):  # noqa: PTH100
        try:
            record = read_record(path)
            planned = record.stage == _STAGE and jobs(record.stage, record.keys) is not None
            root = project_root(path, record) if planned else None
        except (Damaged, Displaced, Unreadable):
            continue  # `verify` has told it
        if root is not None:
            yield from _of(path, record, root)


def _of(path: Path, record: Record, root: Path) -> Iterator[Finding]:
    files = {name: root / file.path for name, file in record.outputs.items()}
    for name, file in record.outputs.items():
        changed = _changed(files[name]) if file.path.endswith(".tar") and files[name].is_file() else []
        if changed:
            more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
            message = (
                f"files that it lists have changed or are gone: {', '.join(changed[:_NAMED])}{more}. Restore them, or "
                f"build it again to take what is there"
            )
            yield Finding("edited", file.path, message, (*files.values(), path), targets=(file.path,))


def _changed(tar: Path) -> list[str]:
    try:
        listed = read_manifest(tar)
    except DataError:  # `verify` has told that its content is another one
        return []
    if listed is None:
        return []
    folder, files = listed
    return [str(folder / name) for name in differing(folder, files)]
