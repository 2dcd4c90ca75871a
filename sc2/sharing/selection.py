"""Which of the shared files are asked for: those of some benchmarks or methods, and all that they are made from."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from sc2.errors import SC2Error
from sc2.provenance.record import Record


def select(records: Mapping[str, Record], benchmarks: Collection[str], methods: Collection[str]) -> set[str]:
    """Return the paths of the records asked for, and of the records behind their inputs, down to data and teachers.

    Args:
        records: All records, by path relative to the project's root.
        benchmarks: Names of benchmarks; none for all.
        methods: Names of methods; none for all. Tables and figures belong to no method, since they show several.

    Raises:
        SC2Error: A benchmark or a method has no record.
    """
    for key, wanted in (("benchmark", benchmarks), ("method", methods)):
        _check_known(key, wanted, {record.keys[key] for record in records.values() if key in record.keys})
    chosen = {
        path
        for path, record in records.items()
        if _is_of(record, "benchmark", benchmarks) and _is_of(record, "method", methods)
    }
    if not chosen:
        raise SC2Error(f"nothing is shared of {', '.join(methods)} on {', '.join(benchmarks)}")
    return _with_origins(records, chosen)


def _check_known(key: str, wanted: Iterable[str], known: set[str]) -> None:
    for name in wanted:
        if name not in known:
            raise SC2Error(f"no {key} {name!r} is shared; there are {', '.join(sorted(known)) or 'none'}")


def _is_of(record: Record, key: str, names: Collection[str]) -> bool:
    return not names or record.keys.get(key) in names


def _with_origins(records: Mapping[str, Record], chosen: set[str]) -> set[str]:
    makers = {file.path: path for path, record in records.items() for file in record.outputs.values()}
    found, open_ends = set(chosen), list(chosen)
    while open_ends:
        for maker in _makers(records[open_ends.pop()], makers):
            if maker not in found:
                found.add(maker)
                open_ends.append(maker)
    return found


def _makers(record: Record, makers: Mapping[str, str]) -> Iterator[str]:
    return (makers[file.path] for file in record.input_files() if file.path in makers)
