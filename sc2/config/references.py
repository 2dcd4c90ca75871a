"""Checks references between the parts of a configuration. No torch."""

import fnmatch
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from sc2.config.explain import choices
from sc2.config.reader import Reader, files_of
from sc2.config.resolved import Benchmark, MethodOnBenchmark
from sc2.config.schema import BenchmarkConfig, MethodGrid, RunConfig
from sc2.config.yaml_files import Content
from sc2.methods import get_method
from sc2.tasks import get_task


def check_references(reader: Reader, run: RunConfig, benchmarks: Mapping[str, Benchmark], run_file: Path) -> None:
    """Check that everything a benchmark takes from another one is built by the same run file."""
    for name, benchmark in benchmarks.items():
        (file,) = files_of(reader.folder, "benchmarks", name)
        body = _body_problem(benchmark, run, benchmarks, run_file)
        if body is not None:
            reader.add(file, ("teacher", "body_from"), body)
        for index, anchor in enumerate(benchmark.config.anchors):
            if anchor not in benchmark.config.methods:
                message = f"it is no method of this benchmark; {choices(anchor, sorted(benchmark.config.methods))}"
                reader.add(file, ("anchors", index), message)
        if getattr(benchmark.dataset, "evaluates_only", False):
            _check_nothing_is_trained(reader, benchmark, file)
        for method in benchmark.methods.values():
            problem = _encoder_problem(method, run, benchmarks, run_file)
            if problem is not None:
                reader.add(file, ("methods", method.name, "encoder_from"), problem)
            problem = _sweep_problem(method, run, run_file)
            if problem is not None:
                reader.add(file, ("methods", method.name, "share_sweep"), problem)
            problem = _first_problem(method, run, benchmark, run_file)
            if problem is not None:
                reader.add(file, ("methods", method.name, "chain", "first_from"), problem)


def _check_nothing_is_trained(reader: Reader, benchmark: Benchmark, file: Path) -> None:
    """Check that nothing has to be trained on a data set that only evaluates."""
    reason = f"the data set {benchmark.config.dataset} only evaluates (train_folder: null)"
    if benchmark.config.teacher.source == "train":
        reader.add(file, ("teacher", "source"), f"{reason}: use published weights, or give it training images")
    for name in benchmark.methods:
        if get_method(name).phases():
            message = f"{reason}, and {name} is trained: remove it from the run file, or give the data set images"
            reader.add(file, ("methods", name), message)


def check_groups(reader: Reader, run: RunConfig, source: Content) -> None:
    """Check that the benchmarks of each group are run."""
    for name, members in run.groups.items():
        for position, member in enumerate(members):
            if member not in run.benchmarks:
                where = ("groups", name, position)
                message = f"is not run here; {choices(member, sorted(run.benchmarks))}"
                reader.add(source.file_of(where), where, message)


def check_grid(reader: Reader, name: str, grid: MethodGrid, source: Content) -> bool:
    """Check that a grid asks for nothing that its method does not have; return whether that is so.

    Args:
        reader: Collects the problems.
        name: The method.
        grid: Its grid on a benchmark.
        source: The content of the benchmark's file.
    """
    method = get_method(name)
    problems = {}
    if grid.encoder_from is not None and not method.takes_encoder:
        problems["encoder_from"] = f"{name} has no encoder to take from another benchmark: remove this key"
    if grid.seeds and not method.phases():
        problems["seeds"] = f"{name} is not trained, so that no seed changes anything: remove this key"
    if grid.chain is not None and not method.phases():
        problems["chain"] = f"{name} is not trained, so that there are no weights to start from: remove this key"
    elif grid.chain is not None and grid.encoder_from is not None and method.trains_encoder_only:
        problems["chain"] = f"{name} is taken whole from {grid.encoder_from} (encoder_from): remove one of the two keys"
    if grid.at and not method.phases():
        problems["at"] = f"{name} is not trained, so that there is no phase to change: remove this key"
    elif grid.at and grid.chain is not None:
        problems["at"] = "in a chain, chain.params says what differs: remove one of the two keys"
    if grid.share_sweep and not method.phases():
        problems["share_sweep"] = f"{name} is not trained, so that there is nothing to share: remove this key"
    elif grid.share_sweep and grid.chain is not None:
        problems["share_sweep"] = "in a chain each point waits for the one before: remove this key, or `chain`"
    elif grid.share_sweep and grid.encoder_from is not None and method.trains_encoder_only:
        problems["share_sweep"] = f"{name} is taken whole from {grid.encoder_from} (encoder_from): remove this key"
    for key in ("chain", "at", "share_sweep") if method.one_training else ():
        if getattr(grid, key):
            problems[key] = f"one training gives {name} every operating point: remove this key"
    for key, problem in problems.items():
        where = ("methods", name, key)
        reader.add(source.file_of(where), where, problem)
    return not problems


def points_at(reader: Reader, name: str, grid: MethodGrid, points: Sequence[str], source: Content) -> list[list[str]]:
    """Return the points that each entry of `at` means, and check that there are some, and none twice.

    Args:
        reader: Collects the problems.
        name: The method.
        grid: Its grid on a benchmark.
        points: Its operating points there.
        source: The content of the benchmark's file.
    """
    meant: list[list[str]] = []
    for position, entry in enumerate(grid.at):
        for number, pattern in enumerate(entry.points):
            if not fnmatch.filter(points, pattern):
                keys: tuple[Any, ...] = ("methods", name, "at", position, "points", number)
                message = (
                    f'is no operating point here, and matches none (it says "{pattern}"); {choices(pattern, points)}'
                )
                reader.add(source.file_of(keys), keys, message)
        own = [point for point in points if any(fnmatch.fnmatchcase(point, pattern) for pattern in entry.points)]
        twice = sorted({point for point in own if any(point in others for others in meant)})
        if twice:
            keys = ("methods", name, "at", position, "points")
            message = f"also listed in an entry before: take {', '.join(twice)} out of one of them"
            reader.add(source.file_of(keys), keys, message)
        meant.append(own)
    return meant


def _sweep_problem(method: MethodOnBenchmark, run: RunConfig, run_file: Path) -> str | None:
    """Say why the points of a method cannot be trained together (`share_sweep`); None if they can, or are not."""
    if not method.share_sweep:
        return None
    compute = run.compute
    if compute.gpus > 1 or compute.micro_batch is not None:
        return f"needs whole batches in one process: remove this key, or compute.gpus and micro_batch in {run_file}"
    for phase in get_method(method.name).phases():
        sizes: dict[Any, str] = {}
        for point in method.points:
            sizes.setdefault(getattr(method.phase(phase, point), "batch_size", None), point)
        if len(sizes) > 1:
            named = " and ".join(f"{size} at {point}" for size, point in sizes.items())
            return f"the batches of {phase} differ ({named}): give all points the same batch_size, or remove this key"
    return None


def check_chain(reader: Reader, method: MethodOnBenchmark, source: Content) -> None:
    """Check that the points of a chain have weights of the same shapes.

    Args:
        reader: Collects the problems.
        method: A method on a benchmark, with a chain or without.
        source: The content of the benchmark's file.
    """
    known = get_method(method.name)
    if method.chained is None or any(known.rate_axis.problem(point) for point in method.points):
        return
    for before, point in pairwise(method.points):
        if known.architecture(method.arch, before) != known.architecture(method.arch, point):
            where = ("methods", method.name, "chain")
            message = f"the weights have other shapes at {point} than at {before}: remove this key or one of the points"
            reader.add(source.file_of(where), where, message)
            return


def check_points(reader: Reader, method: MethodOnBenchmark, source: Content) -> None:
    """Check that a method's operating points go with its architecture.

    Args:
        reader: Collects the problems.
        method: A method on a benchmark.
        source: The content of the benchmark's file.
    """
    known = get_method(method.name)
    for position, point in enumerate(method.points):
        problem = None if known.rate_axis.problem(point) else known.point_problem(method.arch, point)
        if problem is not None:
            where = ("methods", method.name, "points", position)
            reader.add(source.file_of(where), where, problem)


def check_batch_sizes(
    reader: Reader, config: BenchmarkConfig, params: Any, source: Content, keys: tuple[Any, ...]
) -> None:
    """Check the training phases of a method's parameters, if it has any, as `check_batch_size` does."""
    for name, phase in getattr(params, "phases", ()):
        check_batch_size(reader, config, phase, source, (*keys, "phases", name))


def check_batch_size(
    reader: Reader, config: BenchmarkConfig, training: Any, source: Content, keys: tuple[Any, ...]
) -> None:
    """Check that a training has enough images per step for the task's head.

    Args:
        reader: Collects the problems.
        config: The benchmark.
        training: Parameters of a training; one without a batch size is not checked.
        source: The content of the benchmark's file.
        keys: Where the parameters are in it.
    """
    least, given = get_task(config.task).least_batch, getattr(training, "batch_size", None)
    if given is not None and given < least:
        where = (*keys, "batch_size")
        message = f"must be at least {least} in {config.task}: its head normalises over the batch (it says {given})"
        reader.add(source.file_of(where), where, message)


def _body_problem(
    benchmark: Benchmark, run: RunConfig, benchmarks: Mapping[str, Benchmark], run_file: Path
) -> str | None:
    name = getattr(benchmark.config.teacher, "body_from", None)
    if name is None:
        return None
    if name not in benchmarks:
        return f"there is no benchmark {name!r} in {run_file}: add it there under benchmarks"
    source = benchmarks[name]
    there = source.teacher_seeds(run)
    missing = [seed for seed in benchmark.teacher_seeds(run) if seed not in there]
    if source.config.teacher.source == "train" and missing:
        return (
            f"{name} has no teacher of seed {', '.join(missing)}: add it to the seeds of one of its methods, or remove "
            f"it from those here; seeds there: {', '.join(there)}"
        )
    return None


def _first_problem(method: MethodOnBenchmark, run: RunConfig, benchmark: Benchmark, run_file: Path) -> str | None:
    """Say why the first point of a method's chain cannot start from another method (`first_from`); None if it can."""
    name = method.first_from
    if name is None:
        return None
    if name == method.name:
        return "names the method itself: remove this key, or write another one"
    source = benchmark.methods.get(name)
    if source is None:
        return f"{run_file} does not run {name} on {benchmark.name}: add it there under benchmarks"
    own, other = get_method(method.name), get_method(name)
    if (own.family, list(own.phases())) != (other.family, list(other.phases())) or other.one_training:
        return f"{name} has another network or other training phases than {method.name}: write one of its family"
    if source.first_from is not None:
        return f"{name} itself starts from {source.first_from}: write that one"
    if method.points[0] not in source.points:
        return f"{name} has no point {method.points[0]}, the first one here; {choices(method.points[0], source.points)}"
    missing = [seed for seed in method.seeds(run) if seed not in source.seeds(run)]
    if missing:
        return f"{name} has no run with seed {', '.join(missing)}: add it to its seeds, or remove it from those here"
    here, there = (each.arch.model_dump() for each in (method, source))
    different = [key for key in here if key in there and here[key] != there[key]]
    return f"{name} has another {', '.join(different)}: give both the same, or remove this key" if different else None


def _encoder_problem(
    method: MethodOnBenchmark, run: RunConfig, benchmarks: Mapping[str, Benchmark], run_file: Path
) -> str | None:
    if method.encoder_from is None:
        return None
    source = benchmarks.get(method.encoder_from)
    if source is None or method.name not in source.methods:
        return f"{run_file} does not run {method.name} on {method.encoder_from}: add it there under benchmarks"
    if source.methods[method.name].encoder_from is not None:
        return f"the encoder of {method.encoder_from} is itself taken from another benchmark: use that one"
    missing = [point for point in method.points if point not in source.methods[method.name].points]
    if missing:
        return (
            f"{method.encoder_from} has no run of {method.name} at {', '.join(missing)}: add the points there, or "
            "remove them here"
        )
    there = source.methods[method.name].seeds(run)
    missing = [seed for seed in method.seeds(run) if seed not in there]
    if missing:
        return (
            f"{method.encoder_from} has no run of {method.name} with seed {', '.join(missing)}: add it to its seeds "
            f"there, or remove it from those here; seeds there: {', '.join(there)}"
        )
    return None
