"""Runs one job: resolves it from the configuration, calls its stage and writes its provenance record. No torch."""

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sc2.config.load import load_config
from sc2.errors import ConfigError, DataError
from sc2.job import RunningJob
from sc2.jobs.identity import Job, job
from sc2.jobs.stages import STAGES
from sc2.provenance.record import git_state, record_id, sha256_file, write_record

Inputs = Mapping[str, Path | list[Path]]


def run_stage(
    stage: str,
    *,
    config_path: Path,
    keys: Mapping[str, str],
    inputs: Inputs,
    outputs: Mapping[str, Path],
    record: Path,
    planned_id: str | None,
    threads: int,
) -> None:
    """Run one job and write its record.

    Args:
        stage: Name of the stage.
        config_path: The run file.
        keys: The wildcards of the job.
        inputs: Input files by name.
        outputs: Output files by name.
        record: Where the provenance record goes: in the folder of the outputs.
        planned_id: Id that the workflow planned; None runs whatever the configuration says now.
        threads: CPU threads the job may use.

    Raises:
        ConfigError: The configuration plans no such job, or it has changed since the workflow was planned.
        DataError: An input is missing.
    """
    planned = job(load_config(config_path), stage, keys)
    name = "/".join([stage, *keys.values()])
    if planned is None:
        raise ConfigError(f"{config_path} plans no job {name}; check the keys against the run file and the benchmark")
    if planned_id not in (None, planned.id):
        raise ConfigError(f"configuration or code of {name} changed after the workflow was planned; start it again")
    hashes = _hash_inputs(inputs)
    running = RunningJob(
        stage=stage,
        keys=planned.keys,
        spec=planned.spec,
        inputs=inputs,
        outputs=outputs,
        record_id=record_id(stage, planned.keys, planned.spec, planned.code, hashes),
        threads=threads,
        label="/".join(keys.values()),
    )
    _run(planned, running, record, hashes)


def _run(planned: Job, running: RunningJob, record: Path, hashes: Mapping[str, str | list[str]]) -> None:
    for path in (*running.outputs.values(), record):
        path.parent.mkdir(parents=True, exist_ok=True)
    # An old record beside new outputs would tell a lie if the job died half-way.
    record.unlink(missing_ok=True)
    # Taken now: the tree may have changed by the time a long training ends.
    git, started, clock = git_state(Path.cwd()), datetime.now(UTC), time.monotonic()
    STAGES[running.stage].load()(running)
    missing = [str(path) for path in running.outputs.values() if not path.is_file()]
    assert not missing, f"stage {running.stage} did not write {', '.join(missing)}"
    write_record(
        record,
        job=running,
        code=planned.fingerprint,
        job_id=planned.id,
        input_hashes=hashes,
        started=started,
        seconds=time.monotonic() - clock,
        command=sys.argv,
        git=git,
    )


def _hash_inputs(inputs: Inputs) -> dict[str, str | list[str]]:
    for paths in inputs.values():
        for path in paths if isinstance(paths, list) else [paths]:
            if not path.is_file():
                raise DataError(f"input {path} does not exist; build it with: snakemake --cores all {path}")
    return {
        name: [sha256_file(path) for path in paths] if isinstance(paths, list) else sha256_file(paths)
        for name, paths in inputs.items()
    }
