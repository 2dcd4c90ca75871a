"""Copies of results that git keeps (docs/reference/): whether they are still what their records say."""

from collections.abc import Iterator
from pathlib import Path

from sc2.provenance.changes import Jobs
from sc2.provenance.findings import Finding
from sc2.provenance.record import Damaged, Record, Unreadable, read_record, records, sha256_file


def changed_copies(folder: Path, jobs: Jobs) -> Iterator[Finding]:
    """Yield a finding for each edited file of the snapshots below a folder.

    A snapshot's record lists its page as an output, and the tables and figures that were copied beside it as inputs.

    Args:
        folder: The folder of the snapshots; it may be missing.
        jobs: Returns the job that is planned for a stage and keys; snapshots that are not planned are left out.

    Raises:
        ProvenanceError: A file cannot be read.
    """
    for path in records(folder) if folder.is_dir() else ():
        try:
            record = read_record(path)
        except (Damaged, Unreadable) as error:
            yield Finding("edited", path.as_posix(), str(error).removeprefix(f"{path}: "))
            continue
        if jobs(record.stage, record.keys) is None:
            continue
        if (problem := record.edited()) is not None:
            yield Finding("edited", path.as_posix(), problem)
        yield from _differing(path, record)


def _differing(path: Path, record: Record) -> Iterator[Finding]:
    known = {Path(file.path).name: file.sha256 for file in record.input_files()}
    known |= {Path(file.path).name: file.sha256 for file in record.outputs.values()}
    fix = f"`git checkout {path.parent}`, or `snakemake snapshots` where the results are"
    for file in sorted(set(path.parent.iterdir()) - {path}):
        if file.name not in known:
            yield Finding("unrecorded", file.as_posix(), f"no part of the snapshot (record {record.id}); {fix}")
        elif sha256_file(file) != known[file.name]:
            message = f"its content is not what the snapshot holds (record {record.id}); {fix}"
            yield Finding("edited", file.as_posix(), message)
    for output in record.outputs.values():
        if not (name := path.parent / Path(output.path).name).is_file():
            yield Finding("missing", name.as_posix(), f"gone, but {path.name} names it; {fix}")
