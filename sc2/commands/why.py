"""`sc2 why`: what changed since the records of jobs that would run again, a line each. No torch."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from sc2.errors import ProvenanceError
from sc2.provenance.changes import Jobs, code_changes, spec_changes
from sc2.provenance.record import Record, find_record, project_root, read_record, records, sha256_file

FILES_NAMED = 6


def why(jobs: Jobs, output: Path | None, results: Path) -> str:
    """Return what changed for one output and its inputs, or for every recorded job.

    Args:
        jobs: Returns the job that is planned for a stage and keys, None if the configuration does not contain it.
        output: Any output of a job; None compares the configuration and code of all jobs, without hashing inputs.
        results: Folder of the results, used if `output` is None.

    Raises:
        ProvenanceError: There is no such folder, or a record is damaged.
    """
    return _one(jobs, output) if output is not None else _all(jobs, results)


def _one(jobs: Jobs, output: Path) -> str:
    path = find_record(output)
    if path is None:
        return f"{output}: no record lists it, so it has not been built: `snakemake --cores all {output}` builds it"
    lines = list(_Reasons(jobs).of(output, path, indent=""))
    return "\n".join(lines) if lines else f"{output}: nothing changed since its record was written"


class _Reasons:
    """Walks from an output to its inputs; every record is visited once."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.seen: set[Path] = set()

    def of(self, output: Path, path: Path, indent: str) -> Iterator[str]:
        """Yield a line per change; changes of an input are indented below it."""
        if path in self.seen:
            return
        self.seen.add(path)
        record = read_record(path)
        root = project_root(path, record)
        lines = [f"{indent}  {line}" for line in _own(self.jobs, record)]
        for file in record.input_files():
            source = root / file.path
            if not file.outside and not source.is_file():
                lines.append(f"{indent}  input {file.path} is missing")
            elif not file.outside and sha256_file(source) != file.sha256:
                lines.append(f"{indent}  input {file.path} changed")
            parent = None if file.outside else find_record(source)
            if parent is not None:
                lines += self.of(source, parent, f"{indent}  ")
        if lines:
            yield f"{indent}{_name(output, root)}  ({record.stage})"
            yield from lines


def _own(jobs: Jobs, record: Record) -> Iterator[str]:
    planned = jobs(record.stage, record.keys)
    if planned is None:
        yield "the run file no longer contains it"
        return
    for change in spec_changes(record, planned):
        yield f"configuration: {change}"
    for change in code_changes(record, planned):
        yield f"code: {change}"


def _all(jobs: Jobs, results: Path) -> str:
    if not results.is_dir():
        raise ProvenanceError(
            f"{results}: no such folder; build the results with `snakemake --cores all`, or pull them"
        )
    by_reason: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for path in records(results):
        record = read_record(path)
        if jobs(record.stage, record.keys) is None:
            continue  # of another run file
        if reasons := tuple(_own(jobs, record)):
            by_reason[reasons].append(record)
    if not by_reason:
        return "no configuration and no code changed since the records were written"
    return "\n".join(line for reasons, members in by_reason.items() for line in _group(reasons, members))


def _group(reasons: tuple[str, ...], members: list[Record]) -> Iterator[str]:
    count: Callable[[str], int] = [record.stage for record in members].count
    stages = ", ".join(f"{count(stage)} {stage}" for stage in dict.fromkeys(record.stage for record in members))
    first = next(iter(members[0].outputs.values())).path
    yield f"{stages}  (e.g. {first})"
    for reason in reasons[:FILES_NAMED]:
        yield f"  {reason}"
    if len(reasons) > FILES_NAMED:
        yield f"  and {len(reasons) - FILES_NAMED} more; `sc2 why {first}` lists all"


def _name(output: Path, root: Path) -> str:
    absolute = output.absolute()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(output)
