"""Reads which runs take published weights, from `released/` beside the run file. No torch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sc2.config.explain import choices
from sc2.config.reader import Reader, files_of
from sc2.config.resolved import Benchmark, MethodOnBenchmark
from sc2.config.yaml_files import Content
from sc2.methods import get_method, method_names
from sc2.released.spec import Released, ReleasedRuns

FOLDER = "released"


def file_of(folder: Path, benchmark: str) -> Path:
    """Return the file with the published weights of a benchmark, whether it is there or not."""
    return folder / FOLDER / f"{benchmark}.yaml"


def with_released(reader: Reader, benchmarks: Mapping[str, Benchmark]) -> dict[str, Benchmark]:
    """Return the benchmarks with the published weights of their runs, and check the files.

    A file may name operating points that the run file does not run: they are left out.
    """
    for file in sorted((reader.folder / FOLDER).glob("*.yaml")):
        if not files_of(reader.folder, "benchmarks", file.stem):
            reader.add(file, (), f"there is no benchmark {file.stem}: remove this file, or rename it")
    return {name: _with_released(reader, benchmark) for name, benchmark in benchmarks.items()}


def _with_released(reader: Reader, benchmark: Benchmark) -> Benchmark:
    file = file_of(reader.folder, benchmark.name)
    content = reader.read(file) if file.is_file() else None
    runs = None if content is None else reader.model(ReleasedRuns, Content(((file, content),)), content)
    if runs is None:
        return benchmark
    methods = dict(benchmark.methods)
    for name, points in runs.methods.items():
        if name not in method_names():
            reader.add(file, ("methods", name), f"unknown method; {choices(name, method_names())}")
        elif _sound(reader, file, name, points) and name in methods:
            methods[name] = _method(reader, file, methods[name], points)
    for method in methods.values():
        source = methods.get(method.first_from or "")
        if source is not None and method.points[0] in source.released:
            message = (
                f"{method.name} starts from a training at this point (chain.first_from): remove one of the two keys"
            )
            reader.add(file, ("methods", source.name, method.points[0]), message)
    return replace(benchmark, methods=methods)


def _sound(reader: Reader, file: Path, name: str, points: Mapping[str, Released]) -> bool:
    method = get_method(name)
    if not method.phases():
        reader.add(file, ("methods", name), "is not trained, so that it has no weights: remove this key")
        return False
    problems = {point: method.rate_axis.problem(point) for point in points}
    for point, problem in problems.items():
        if problem is not None:
            reader.add(file, ("methods", name, point), f'{problem} (it says "{point}")')
    return not any(problems.values())


def _method(reader: Reader, file: Path, method: MethodOnBenchmark, points: Mapping[str, Released]) -> MethodOnBenchmark:
    own = {point: released for point, released in points.items() if point in method.points}
    if own and method.chained is not None:
        message = "its points are trained one after another (chain): remove this key, or that of the benchmark's file"
        reader.add(file, ("methods", method.name), message)
    return replace(method, released=own)
