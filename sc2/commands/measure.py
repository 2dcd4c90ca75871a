"""`sc2 plan --measure`: times steps of every kind of training of a run file, counts operations, weighs files."""

import gc
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sc2.commands.measured import Measured, read_measured
from sc2.commands.untrained import Lookup, class_count, untrained_export, untrained_recipe
from sc2.config.resolved import Benchmark, Config, MethodOnBenchmark
from sc2.errors import ConfigError
from sc2.jobs.workload import Work, exports, training_size, workload
from sc2.provenance.environment import environment
from sc2.runs.step_time import step_flops, step_time, tensor_bytes
from sc2.tasks import get_task
from sc2.training.stopping import Stopped


def measure(config: Config, path: Path, only: list[str], *, times: bool = True) -> None:
    """Time, count and weigh what a file does not hold yet, and write it after each.

    What fails is written as a `problem`, and the others go on; remove its entry to try it again.

    Args:
        config: The configuration.
        path: The file; it goes on where it stopped.
        only: Benchmarks to measure; empty for all.
        times: Whether to time steps; otherwise only what no machine changes is measured, operations and sizes.

    Raises:
        ConfigError: There is no such benchmark, or the file has times of another machine.
        DataError: The file is damaged.
        Stopped: A signal has asked for the end.
        RuntimeError: After an error of which the GPU has not recovered; the same command goes on behind it.
    """
    unknown = sorted(set(only) - set(config.benchmarks))
    if unknown:
        there = ", ".join(config.benchmarks)
        raise ConfigError(f"{config.path} runs no benchmark {', '.join(unknown)}; it has: {there}")
    here = environment()["hardware"]
    measured = read_measured(path) if path.is_file() else Measured(here)
    if not measured.of_machine(here):
        if any("seconds" in step for step in measured.steps.values()):
            raise ConfigError(f"{path} was measured on another machine: name another file, or remove it")
        measured.hardware = here
    for work in workload(config):
        known = measured.steps.get(work.key, {})
        needed = {"checkpoint_bytes"}
        if work.epochs:
            needed |= {"image_flops", "seconds"} if times else {"image_flops"}
        enough = "problem" in known or needed <= set(known)
        if (not only or work.benchmark in only) and not enough:
            measured.steps[work.key] = _or_problem(work.key, partial(_step, config, work, times))
            measured.save(path)
            _recover()
    of = config.benchmarks.__getitem__
    for name, method, curve, members in exports(config):
        key = f"{name}/{method}/{curve}"
        if (not only or name in only) and key not in measured.export_bytes:
            weighed = partial(_export, of, of(name), of(name).methods[method], members[0].point)
            if "bytes" in (found := _or_problem(key, weighed)):
                measured.export_bytes[key] = found["bytes"]
                measured.save(path)
    measured.save(path)


def _or_problem(key: str, of: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what is measured, or why it cannot be, and say it."""
    try:
        found = of()
    except Stopped:
        raise
    except torch.cuda.OutOfMemoryError:
        found = {"problem": "a batch does not fit into the memory of the GPU"}
    except Exception as error:  # whatever fails, the others must not wait for it
        reason = str(error).strip().partition("\n")[0]
        found = {"problem": f"failed with {type(error).__name__}: {reason}"}
    print(f"{key}: {found}", file=sys.stderr, flush=True)
    return found


def _recover() -> None:
    """Free what the last training had on the GPU: the next one's memory is counted."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # raises where the GPU is of no use to this process any more
        torch.cuda.empty_cache()


def _step(config: Config, work: Work, times: bool) -> dict[str, Any]:
    benchmark = config.benchmarks[work.benchmark]
    method, of = benchmark.methods[work.method], config.benchmarks.__getitem__
    torch.manual_seed(0)
    recipe = untrained_recipe(of, benchmark, method, work.phase, work.runs[0].point)
    size = {"checkpoint_bytes": tensor_bytes(recipe.model.state_dict())}
    if not work.epochs:
        return size
    noise = get_task(benchmark.config.task), training_size(benchmark), class_count(benchmark)
    timed = vars(step_time(recipe, *noise, config.run.compute)) if times else size
    return {**timed, "image_flops": step_flops(recipe, *noise)}


def _export(of: Lookup, benchmark: Benchmark, method: MethodOnBenchmark, point: str) -> dict[str, Any]:
    exported = untrained_export(of, benchmark, method, point)
    return {"bytes": sum(map(tensor_bytes, (exported.device.plain(), exported.server.plain())))}
