"""`sc2 plan --measure`: times a step of every kind of training of a run file on this machine, and weighs its files."""

import sys
from pathlib import Path
from typing import Any

import torch

from sc2.commands.measured import Measured, read_measured
from sc2.commands.untrained import class_count, untrained_export, untrained_recipe
from sc2.config.resolved import Config
from sc2.errors import ConfigError
from sc2.jobs.workload import Work, exports, training_size, workload
from sc2.provenance.environment import environment
from sc2.runs.step_time import step_time, tensor_bytes
from sc2.tasks import get_task


def measure(config: Config, path: Path, only: list[str], *, times: bool = True) -> None:
    """Time and weigh what a file does not hold yet, and write it after each.

    Args:
        config: The configuration.
        path: The file; it goes on where it stopped.
        only: Benchmarks to measure; empty for all.
        times: Whether to time steps; otherwise only files are weighed.

    Raises:
        ConfigError: There is no such benchmark, or the file is of another machine.
        DataError: The file is damaged.
    """
    unknown = sorted(set(only) - set(config.benchmarks))
    if unknown:
        there = ", ".join(config.benchmarks)
        raise ConfigError(f"{config.path} runs no benchmark {', '.join(unknown)}; it has: {there}")
    here = environment()["hardware"]
    measured = read_measured(path) if path.is_file() else Measured(here)
    if measured.hardware != here:
        raise ConfigError(f"{path} was measured on another machine: name another file, or remove it")
    for work in workload(config):
        known = measured.steps.get(work.key, {})
        enough = bool(known) and not (times and work.epochs and set(known) == {"checkpoint_bytes"})
        if (not only or work.benchmark in only) and not enough:
            measured.steps[work.key] = _step(config, work, times)
            print(f"{work.key}: {measured.steps[work.key]}", file=sys.stderr, flush=True)
            measured.save(path)
    of = config.benchmarks.__getitem__
    for name, method, curve, members in exports(config):
        key = f"{name}/{method}/{curve}"
        if (not only or name in only) and key not in measured.export_bytes:
            exported = untrained_export(of, of(name), of(name).methods[method], members[0].point)
            both = (exported.device.plain(), exported.server.plain())
            measured.export_bytes[key] = sum(map(tensor_bytes, both))
            measured.save(path)
    measured.save(path)


def _step(config: Config, work: Work, times: bool) -> dict[str, Any]:
    benchmark = config.benchmarks[work.benchmark]
    method, of = benchmark.methods[work.method], config.benchmarks.__getitem__
    torch.manual_seed(0)
    try:
        recipe = untrained_recipe(of, benchmark, method, work.phase, work.runs[0].point)
        if not (times and work.epochs):
            return {"checkpoint_bytes": tensor_bytes(recipe.model.state_dict())}
        task = get_task(benchmark.config.task)
        return vars(step_time(recipe, task, training_size(benchmark), class_count(benchmark)))
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        return {"problem": f"a batch of {work.batch_size} does not fit into the memory of the GPU"}
