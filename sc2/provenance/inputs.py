"""What a job reads, described before it starts: paths, hashes and the records behind them."""

from collections.abc import Mapping
from pathlib import Path

from sc2.provenance.environment import sha256_file
from sc2.provenance.record import find_record, read_record, stored_path
from sc2.provenance.schema import (
    InputFile,
)


def describe_inputs(inputs: Mapping[str, Path | list[Path]]) -> dict[str, InputFile | list[InputFile]]:
    """Describe the inputs of a job with their hashes and their own records.

    Raises:
        ProvenanceError: An input cannot be read, or its record is damaged.
    """
    return {
        name: [_input(path) for path in item] if isinstance(item, list) else _input(item)
        for name, item in inputs.items()
    }


def _input(path: Path) -> InputFile:
    """Describe one input."""
    record = find_record(path)
    stored, outside = stored_path(path)
    parent = None if record is None else read_record(record).id
    return InputFile(path=stored, sha256=sha256_file(path), record=parent, outside=outside)
