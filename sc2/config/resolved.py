"""The validated configuration: what to run, with all parameters. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sc2.backbones.spec import NetworkSpec
from sc2.config.schema import BenchmarkConfig, RunConfig
from sc2.measure.published import Ordering, PublishedNumber
from sc2.methods import get_method
from sc2.released.spec import Released
from sc2.strict import Strict
from sc2.tasks import get_task
from sc2.tasks.base import HeadParams


@dataclass(frozen=True)
class MethodOnBenchmark:
    """A method's resolved grid on one benchmark.

    Attributes:
        name: Name of the method.
        title: Its name for readers.
        points: Operating points.
        params: Its parameters.
        encoder_from: The benchmark whose encoder it takes, if any.
        own_seeds: Seeds that its grid lists; empty where it has those of the run file (`seeds`).
        chained: Parameters of all points that start from the weights of another one: the point before or, of the first
            point, that of `first_from`; None without such a chain.
        at: Parameters of the points that have their own.
        released: Published weights by operating point, which take the place of a training.
        share_sweep: Whether one job trains all points, as far as they can be trained at the same time.
        first_from: The method from whose weights at the same point the first point of a chain starts, if any.
    """

    name: str
    title: str
    points: list[str]
    params: Strict
    encoder_from: str | None = None
    own_seeds: Sequence[str] = ()
    chained: Strict | None = None
    at: Mapping[str, Strict] = field(default_factory=dict)
    released: Mapping[str, Released] = field(default_factory=dict)
    first_from: str | None = None
    share_sweep: bool = False

    def seeds(self, run: RunConfig) -> list[str]:
        """Return the seeds of its runs, as many as the run file allows: its first one for a method without training."""
        if not get_method(self.name).phases():
            return run.seeds[:1]
        return (list(self.own_seeds) or run.seeds)[: run.max_seeds]

    @property
    def arch(self) -> Strict:
        """The parameters, except those of the training phases."""
        arch = get_method(self.name).Arch
        return arch.model_validate({name: getattr(self.params, name) for name in arch.model_fields})

    def chained_from(self, point: str) -> tuple[str, str] | None:
        """Return method and point with whose weights the first phase of a point starts; None if it starts afresh."""
        if self.chained is None or point not in self.points:
            return None
        place = self.points.index(point)
        if place:
            return self.name, self.points[place - 1]
        return None if self.first_from is None else (self.first_from, point)

    def released_at(self, point: str, seed: str) -> Released | None:
        """Return the published weights that a run has instead of a training; None if it is trained."""
        released = self.released.get(point)
        return released if released is not None and released.seed == seed else None

    def phase(self, name: str, point: str) -> Strict:
        """Return the parameters of a training phase at a point."""
        params = self.at.get(point) or (self.params if self.chained_from(point) is None else self.chained)
        phase = getattr(params.phases, name)  # type: ignore[union-attr]  # only methods with phases are asked
        assert isinstance(phase, Strict)
        return phase


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with its data set and its methods resolved.

    Attributes:
        name: Name of its file.
        config: Content of its file.
        dataset: Configuration of its data set.
        methods: The methods that run on it, in the order of the tables.
        skipped: The requested methods that cannot run on its task, each with the reason.
        head: Parameters of its teacher's head.
    """

    name: str
    config: BenchmarkConfig
    dataset: Strict
    methods: dict[str, MethodOnBenchmark]
    skipped: dict[str, str] = field(default_factory=dict)
    head: HeadParams = field(default_factory=HeadParams)

    def teacher_seeds(self, run: RunConfig) -> list[str]:
        """Return the seeds of its teachers: those of all its runs if they are trained, else the run file's first.

        A fetched teacher is one file, whatever the seed of a run.
        """
        if self.config.teacher.source != "train":
            return run.seeds[:1]
        return list(dict.fromkeys(seed for method in self.methods.values() for seed in method.seeds(run)))

    @property
    def network(self) -> NetworkSpec:
        """The teacher's network."""
        return get_task(self.config.task).network(self.config.teacher.backbone, self.head)


@dataclass(frozen=True)
class Config:
    """The whole validated configuration: what to run, with all parameters."""

    path: Path
    run: RunConfig
    benchmarks: dict[str, Benchmark]
    orderings: dict[str, Ordering] = field(default_factory=dict)
    numbers: Sequence[PublishedNumber] = ()

    @cached_property
    def datasets(self) -> dict[str, Strict]:
        """Data sets that the benchmarks use, by name."""
        return {benchmark.config.dataset: benchmark.dataset for benchmark in self.benchmarks.values()}
