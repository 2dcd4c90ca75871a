"""The other operating points of a sweep, whose trainings one job does together (`share_sweep`). No torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sc2.config.resolved import Config
from sc2.errors import ConfigError, ProvenanceError
from sc2.job import RunningJob
from sc2.jobs.identity import job
from sc2.provenance.inputs import describe_inputs
from sc2.provenance.record import InputFile, hashes_of, read_record, record_id
from sc2.strict import Strict

Inputs = Mapping[str, Path | list[Path]]
Described = dict[str, InputFile | list[InputFile]]


class Member(Strict):
    """A job at another operating point, as the workflow passes it to one of its sweep.

    Attributes:
        point: The operating point.
        previous: Checkpoints that its training starts from.
        encoder: Checkpoints that it takes its encoder from.
        record: Where its record is once it is done.
    """

    point: str
    previous: list[Path]
    encoder: list[Path]
    record: Path


def members(text: str) -> list[Member]:
    """Read the members of a sweep from a command line.

    Raises:
        ConfigError: The text is not such a list.
    """
    try:
        return TypeAdapter(list[Member]).validate_json(text)
    except ValidationError as error:
        reason = error.errors()[0]
        where = ".".join(map(str, reason["loc"]))
        raise ConfigError(f"--sweep is no list of operating points: {where} {reason['msg']}") from error


def unfinished(
    config: Config, running: RunningJob, described: Described, sweep: Sequence[Member]
) -> Iterator[RunningJob]:
    """Yield the jobs of a sweep that can be trained and are not done.

    Args:
        config: The configuration.
        running: The job that is run; the others have its data and teacher.
        described: Its inputs.
        sweep: The others.
    """
    for member in sweep:
        keys = {**running.keys, "point": member.point}
        planned = job(config, running.stage, keys)
        own = {"previous": member.previous, "encoder": member.encoder}
        if planned is None or not all(path.is_file() for paths in own.values() for path in paths):
            continue
        hashes = hashes_of(described | describe_inputs(own))
        identity = record_id(running.stage, planned.keys, planned.spec, planned.code, hashes)
        if not is_recorded(identity, member.record):
            yield replace(
                running,
                keys=planned.keys,
                spec=planned.spec,
                inputs={**running.inputs, **own},
                outputs={},
                record_id=identity,
                label="/".join(keys.values()),
            )


def is_recorded(identity: str, record: Path) -> bool:
    """Return whether a record is of this work, and as it was written, and the work's outputs are there."""
    try:
        existing = read_record(record)
    except ProvenanceError:
        return False
    there = all(Path(file.path).is_file() for file in existing.outputs.values())
    return there and existing.id == identity and existing.edited() is None
