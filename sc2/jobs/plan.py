"""Which runs exist and what each job depends on. Used by the workflow, the command line and `sc2 verify`. No torch.

`sc2.jobs.identity.job` defines a job's identity: the part of the configuration that it reads (`spec`) and the code
that it runs (`modules`, hashed with everything they import). A parameter that is not in the spec cannot reach the job.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sc2.config.resolved import Benchmark, Config, MethodOnBenchmark
from sc2.config.schema import ANCHORS
from sc2.methods import get_method
from sc2.released.spec import Released

Keys = Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """Benchmark × method × operating point × seed."""

    benchmark: str
    method: str
    point: str
    seed: str


def runs(config: Config, benchmark: str, method_name: str | None = None) -> Iterator[Run]:
    """Yield the runs of a benchmark, or of one method on it, in the order of the tables: by method, point, seed."""
    for method in config.benchmarks[benchmark].methods.values():
        if method_name not in (None, method.name):
            continue
        for point in method.points:
            for seed in method.seeds(config.run):
                yield Run(benchmark, method.name, point, seed)


def skipped(config: Config) -> list[str]:
    """Return a line for each method in the run file that has no runs, with the reason."""
    return [
        f"{benchmark.name}: {method} is skipped, it does not support the task {benchmark.config.task}: {reason}"
        for benchmark in config.benchmarks.values()
        for method, reason in benchmark.skipped.items()
    ]


def anchors(benchmark: Benchmark) -> list[str]:
    """Return the methods that a benchmark's curves are compared with."""
    asked = [method for method in benchmark.config.anchors if method in benchmark.methods]
    return asked or [next(method for method in (*ANCHORS, *benchmark.methods) if method in benchmark.methods)]


def phases(method: str) -> list[str]:
    """Return a method's training phases in order, none for a codec."""
    return list(get_method(method).phases())


def phases_before(method: str, phase: str) -> list[str]:
    """Return the phase whose checkpoint `phase` starts from, as a list of at most one."""
    names = phases(method)
    position = names.index(phase)
    return names[max(0, position - 1) : position]


def previous(config: Config, run: Run, phase: str) -> list[tuple[Run, str]]:
    """Return run and phase whose checkpoint a phase starts from, as a list of at most one.

    It is the phase before or, for a first phase in a chain of points, the same phase of the point before, which for the
    first point may be one of another method. Where the encoder comes from elsewhere, no phase trains it, and the last
    one of the point before has trained all the rest.
    """
    before = phases_before(run.method, phase)
    if before:
        return [(run, name) for name in before]
    method = _method(config, run)
    start = method.chained_from(run.point) if method is not None else None
    if method is None or start is None:
        return []
    source = replace(run, method=start[0], point=start[1])
    return [(source, phase if method.encoder_from is None else phases(source.method)[-1])]


def swept(config: Config, run: Run, phase: str) -> list[Run]:
    """Return the runs at other points whose phase is trained with a run's (`share_sweep`), in their order."""
    method = _method(config, run)
    if method is None or not method.share_sweep:
        return []
    others = (replace(run, point=point) for point in method.points if point != run.point)
    return [other for other in others if phase in trainings(config, other)]


def sweeps(config: Config) -> list[tuple[str, str, str]]:
    """Return benchmark, method and seed of all runs whose points are trained together."""
    return [
        (benchmark.name, method.name, seed)
        for benchmark in config.benchmarks.values()
        for method in benchmark.methods.values()
        if method.share_sweep
        for seed in method.seeds(config.run)
    ]


def last_phase(method: str) -> list[str]:
    """Return a method's last training phase, as a list of at most one."""
    return phases(method)[-1:]


def trainings(config: Config, run: Run) -> list[str]:
    """Return the phases that a run trains, in order; none if it takes everything from another run, or has weights."""
    here = _trained_elsewhere(config, run) is None and released(config, run) is None
    return phases(run.method) if here else []


def released(config: Config, run: Run) -> Released | None:
    """Return the published weights that a run has instead of a training; None if it is trained."""
    method = _method(config, run)
    return None if method is None else method.released_at(run.point, run.seed)


def exported(config: Config, run: Run) -> list[tuple[Run, str]]:
    """Return the run and the phase whose checkpoint a run exports, as a list of at most one."""
    return [(_trained_elsewhere(config, run) or run, phase) for phase in last_phase(run.method)]


def _method(config: Config, run: Run) -> MethodOnBenchmark | None:
    """Return the method of a run with its grid, None where it is not run there."""
    benchmark = config.benchmarks.get(run.benchmark)
    return None if benchmark is None else benchmark.methods.get(run.method)


def _trained_elsewhere(config: Config, run: Run) -> Run | None:
    method = _method(config, run)
    if method is None or method.released_at(run.point, run.seed) is not None:
        return None
    source = taken_whole(method)
    if source is not None:
        return replace(run, benchmark=source)
    first = trained_point(method, run.point)
    return None if first == run.point else replace(run, point=first)


def trained_point(method: MethodOnBenchmark, point: str) -> str:
    """Return the operating point whose training gives the weights of a point: itself, or the grid's first one."""
    return method.points[0] if get_method(method.name).one_training else point


def taken_whole(method: MethodOnBenchmark) -> str | None:
    """Return the benchmark from whose run a method takes all its trained parts, None if it trains them itself."""
    return method.encoder_from if get_method(method.name).trains_encoder_only else None


def teacher_seed(config: Config, benchmark: str, seed: str) -> str:
    """Return the seed of the teacher that runs with a seed use: the same, or that of the one fetched teacher."""
    seeds = config.benchmarks[benchmark].teacher_seeds(config.run)
    return seed if seed in seeds else seeds[0]


def body_from(config: Config, benchmark: str, seed: str) -> list[tuple[str, str]]:
    """Return benchmark and seed of the teacher that a teacher starts from, as a list of at most one."""
    name = getattr(config.benchmarks[benchmark].config.teacher, "body_from", None)
    return [] if name is None else [(name, teacher_seed(config, name, seed))]


def encoder_from(config: Config, run: Run, phase: str) -> list[Run]:
    """Return the run from which a phase takes its encoder and entropy model, as a list of at most one."""
    method = config.benchmarks[run.benchmark].methods.get(run.method)
    if method is None or method.encoder_from is None or phases_before(run.method, phase):
        return []
    source = replace(run, benchmark=method.encoder_from)
    return [_trained_elsewhere(config, source) or source]


def examples(config: Config, benchmark: str) -> list[str]:
    """Return the methods of a benchmark whose predictions are drawn."""
    resolved = config.benchmarks[benchmark]
    return [method for method in resolved.config.examples.methods if method in resolved.methods]


def first_seed(config: Config, benchmark: str, method: str) -> Iterator[Run]:
    """Yield a method's runs on a benchmark with the first seed, by point."""
    first = config.benchmarks[benchmark].methods[method].seeds(config.run)[0]
    return (run for run in runs(config, benchmark, method) if run.seed == first)
