"""The validated configuration: what to run, and every parameter of it. No torch."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sc2.config.schema import BenchmarkConfig, RunConfig
from sc2.strict import Strict
from sc2.tasks import get_task
from sc2.tasks.base import HeadParams


@dataclass(frozen=True)
class MethodOnBenchmark:
    """A method's resolved grid on one benchmark."""

    name: str
    title: str
    points: list[str]
    params: Strict
    encoder_from: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with its data set and its methods resolved.

    Attributes:
        name: Name of its file.
        config: What its file says.
        dataset: Configuration of its data set.
        methods: The methods that run on it, in the order of the tables.
        skipped: The methods asked for that cannot run on its task, with the reason that they declare.
        head: Parameters of its teacher's head.
    """

    name: str
    config: BenchmarkConfig
    dataset: Strict
    methods: dict[str, MethodOnBenchmark]
    skipped: dict[str, str] = field(default_factory=dict)
    head: HeadParams = field(default_factory=HeadParams)

    @property
    def network(self) -> dict[str, Any]:
        """The teacher as `sc2.backbones.build.build_network` takes it."""
        backbone = self.config.teacher.backbone.model_dump(mode="json")
        return get_task(self.config.task).network(backbone, self.head.model_dump(mode="json"))


@dataclass(frozen=True)
class Config:
    """The whole validated configuration: what to run and every parameter of it."""

    path: Path
    run: RunConfig
    benchmarks: dict[str, Benchmark]

    @cached_property
    def datasets(self) -> dict[str, Strict]:
        """Data sets that the benchmarks use, by name."""
        return {benchmark.config.dataset: benchmark.dataset for benchmark in self.benchmarks.values()}
