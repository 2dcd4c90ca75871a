"""Runs one job: resolves it from the configuration, calls its stage and writes its provenance record. No torch."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.drawing import DrawingJob
from sc2.errors import ConfigError, DataError, ProvenanceError
from sc2.job import RunningJob
from sc2.jobs.identity import Job, job
from sc2.jobs.stages import STAGES
from sc2.jobs.sweep import Described, Inputs, Member, is_recorded, unfinished
from sc2.provenance.fingerprint import package_root, take_parsed
from sc2.provenance.inputs import describe_inputs
from sc2.provenance.parsed import KEPT
from sc2.provenance.record import git_state, hashes_of, read_record, record_id, sha256_file, write_record
from sc2.provenance.uncommitted import uncommitted
from sc2.sweep import SweepJob
from sc2.system.atomic import remove_leftovers
from sc2.system.gpus import reserved
from sc2.system.locks import locked, locked_if_free

LOCKS = Path("scratch") / "locks"


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
    sweep: Sequence[Member] = (),
) -> None:
    """Run one job and write its record. If another process is running it, wait and use its outputs.

    Args:
        stage: Name of the stage.
        config_path: The run file.
        keys: The wildcards of the job.
        inputs: Input files by name.
        outputs: Output files by name.
        record: Path of the provenance record, in the folder of the outputs.
        planned_id: Id that the workflow planned; None runs the job as the configuration is now.
        threads: CPU threads the job may use.
        sweep: Jobs at other operating points, whose trainings it does as well, where their inputs are there.

    Raises:
        ConfigError: The configuration plans no such job, or it has changed since the workflow was planned.
        DataError: An input is missing.
        ProvenanceError: The record of an input is damaged, or the stage did not write an output.
    """
    config = load_config(config_path)
    planned = _planned(config, stage, keys, planned_id)
    described = _described(inputs)
    running = RunningJob(
        stage=stage,
        keys=planned.keys,
        spec=planned.spec,
        inputs=inputs,
        outputs=outputs,
        record_id=record_id(stage, planned.keys, planned.spec, planned.code, hashes_of(described)),
        threads=threads,
        gpus=config.run.compute.gpus,
        micro_batch=config.run.compute.micro_batch,
        label="/".join(keys.values()),
    )
    _run_alone(planned, running, record, described, lambda: unfinished(config, running, described, sweep))


def _planned(config: Config, stage: str, keys: Mapping[str, str], planned_id: str | None) -> Job:
    if planned_id is not None:
        # The id says whether what was taken is right.
        take_parsed(KEPT)
    planned = job(config, stage, keys)
    name = "/".join([stage, *keys.values()])
    if planned is None:
        raise ConfigError(f"{config.path} has no job {name}; check the keys against the run file and the benchmark")
    if planned_id not in (None, planned.id):
        raise ConfigError(f"configuration or code of {name} changed after the workflow was planned; start it again")
    return planned


def _run_alone(
    planned: Job, running: RunningJob, record: Path, inputs: Described, others: Callable[[], Iterable[RunningJob]]
) -> None:
    """Run a job, unless another process is running it: then wait and use its outputs.

    The `others` are asked for then, and those that no process is running are trained with it.
    """
    doing = "/".join(["run " + running.stage, *running.keys.values()])
    place = hashlib.sha256(os.fsencode(os.path.abspath(record))).hexdigest()[:16]  # noqa: PTH100
    # One lock for the outputs, one for the state of a training: neither may have two writers.
    own = _state_lock(running)
    with ExitStack() as held, locked(LOCKS / f"{place}.lock", doing) as waited, locked(own, doing) as again:
        if (waited or again) and _is_done(running, record):
            print(f"[{running.label}] was completed by that process", file=sys.stderr)
            return
        # Its time is taken from when it has its GPUs.
        with reserved(os.environ, count=running.gpus) if STAGES[running.stage].gpu else nullcontext():
            sweep = [other for other in others() if held.enter_context(locked_if_free(_state_lock(other)))]
            _run(planned, SweepJob(**vars(running), sweep=sweep) if sweep else running, record, inputs)


def _state_lock(running: RunningJob) -> Path:
    return LOCKS / f"{running.record_id}.lock"


def _run(planned: Job, running: RunningJob, record: Path, inputs: Described) -> None:
    written = (*running.outputs.values(), record)
    for path in (*written, running.state):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
    # An old record beside new outputs, or old outputs without a record, would be wrong if the job died half-way. For an
    # output that DVC has linked to its cache, this removes the link, not the content.
    for path in reversed(written):
        path.unlink(missing_ok=True)
    # Taken now: the tree may have changed by the time a long training ends.
    git, started, clock = git_state(package_root()), datetime.now(UTC), time.monotonic()
    try:
        if STAGES[running.stage].draws:
            running = DrawingJob(**vars(running), uncommitted=uncommitted(git, running.inputs))
        STAGES[running.stage].load()(running)
        write_record(
            record,
            job=running,
            code=planned.fingerprint,
            job_id=planned.id,
            inputs=inputs,
            started=started,
            seconds=time.monotonic() - clock,
            command=sys.argv,
            git=git,
        )
    except BaseException:
        # No output may exist without a record; a training resumes from its state.
        for path in (*written, *running.beside):
            path.unlink(missing_ok=True)
        raise
    running.state.unlink(missing_ok=True)


def _is_done(running: RunningJob, record: Path) -> bool:
    """Return whether another process has done the same work: record and outputs exist and agree."""
    if not is_recorded(running.record_id, record):
        return False
    try:
        stored = {name: file.sha256 for name, file in read_record(record).outputs.items()}
        return stored == {name: sha256_file(path) for name, path in running.outputs.items()}
    except ProvenanceError:
        return False


def _described(inputs: Inputs) -> Described:
    for paths in inputs.values():
        for path in paths if isinstance(paths, list) else [paths]:
            if not path.is_file():
                raise DataError(f"input {path} does not exist; build it with: snakemake --cores all {path}")
    return describe_inputs(inputs)
