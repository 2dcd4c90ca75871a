"""Checks references between the parts of a configuration. No torch."""

from collections.abc import Mapping
from pathlib import Path

from sc2.config.explain import choices
from sc2.config.reader import Reader
from sc2.config.resolved import Benchmark, MethodOnBenchmark
from sc2.config.schema import RunConfig
from sc2.methods import get_method, method_names


def check_references(reader: Reader, benchmarks: Mapping[str, Benchmark], run_file: Path) -> None:
    """Check that everything a benchmark takes from another one is built by the same run file."""
    for name, benchmark in benchmarks.items():
        file = reader.folder / "benchmarks" / f"{name}.yaml"
        body_from = getattr(benchmark.config.teacher, "body_from", None)
        if body_from is not None and body_from not in benchmarks:
            message = f"there is no benchmark {body_from!r} in {run_file}: add it there under benchmarks"
            reader.add(file, ("teacher", "body_from"), message)
        anchor = benchmark.config.anchor
        if anchor is not None and anchor not in benchmark.methods:
            message = f"{run_file} does not run it here; {choices(anchor, sorted(benchmark.methods))}"
            reader.add(file, ("anchor",), message)
        for method in benchmark.methods.values():
            problem = _encoder_problem(method, benchmarks, run_file)
            if problem is not None:
                reader.add(file, ("methods", method.name, "encoder_from"), problem)


def check_groups(reader: Reader, run: RunConfig, run_file: Path) -> None:
    """Check that the benchmarks of each group are run."""
    for name, members in run.groups.items():
        for position, member in enumerate(members):
            if member not in run.benchmarks:
                message = f"is not run here; {choices(member, sorted(run.benchmarks))}"
                reader.add(run_file, ("groups", name, position), message)


def check_seeds(reader: Reader, run: RunConfig, run_file: Path) -> None:
    """Check that what gets seeds of its own is run, and trained."""
    methods = sorted({method for names in run.benchmarks.values() for method in names} & set(method_names()))
    for name in run.method_seeds:
        if name not in methods:
            reader.add(run_file, ("method_seeds", name), f"is not run here; {choices(name, methods)}")
        elif not get_method(name).phases():
            reader.add(
                run_file, ("method_seeds", name), "is not trained, so that no seed changes anything: take it out"
            )


def _encoder_problem(method: MethodOnBenchmark, benchmarks: Mapping[str, Benchmark], run_file: Path) -> str | None:
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
    return None
