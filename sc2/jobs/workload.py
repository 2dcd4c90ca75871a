"""What a configuration asks for, in groups of trainings whose steps cost the same. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sc2.config.resolved import Benchmark, Config
from sc2.data.geometry import nominal_size
from sc2.jobs.plan import Run, runs, trainings
from sc2.methods import get_method


@dataclass(frozen=True)
class Work:
    """Trainings that differ in nothing that a step's cost depends on, save the price of bits and widths of a latent.

    Attributes:
        benchmark: The benchmark.
        method: The method.
        phase: The phase.
        curve: The curve of a method with several, e.g. the cut.
        epochs: Passes over the training split; 0 where published weights are taken as they are.
        batch_size: Images per step.
        runs: The runs that train it.
        arithmetic: In what numbers, and whether compiled, e.g. `bf16-compile`; empty for plain float32.
    """

    benchmark: str
    method: str
    phase: str
    curve: str
    epochs: int
    batch_size: int
    runs: tuple[Run, ...]
    arithmetic: str = ""

    @property
    def key(self) -> str:
        """Its name in a file of measurements."""
        parts = [self.benchmark, self.method, self.curve, self.phase, f"batch{self.batch_size}", self.arithmetic]
        return "/".join(filter(None, parts))

    def steps(self, images: int) -> int:
        """Return the steps of one of the trainings on a number of training images."""
        return self.epochs * (images // self.batch_size)


def workload(config: Config) -> list[Work]:
    """Return all trainings of a configuration's methods in groups, in the order of the tables."""
    groups: dict[tuple[str, str, str, str, int, int], list[Run]] = {}
    for name, benchmark in config.benchmarks.items():
        for run in runs(config, name):
            method = benchmark.methods[run.method]
            for phase in trainings(config, run):
                params: Any = method.phase(phase, run.point)
                curve = get_method(run.method).curve(run.point)
                groups.setdefault((name, run.method, phase, curve, params.epochs, params.batch_size), []).append(run)
    asked = config.run.compute.changed
    arithmetic = "-".join(name if value is True else str(value) for name, value in asked.items())
    return [Work(*keys, tuple(members), arithmetic) for keys, members in groups.items()]


def exports(config: Config) -> Iterator[tuple[str, str, str, list[Run]]]:
    """Yield benchmark, method, curve and runs of the exports that have weights of about the same size."""
    for name, benchmark in config.benchmarks.items():
        for method in benchmark.methods:
            curves: dict[str, list[Run]] = {}
            for run in runs(config, name, method):
                curves.setdefault(get_method(method).curve(run.point), []).append(run)
            yield from ((name, method, curve, members) for curve, members in curves.items())


def training_size(benchmark: Benchmark) -> tuple[int, int]:
    """Return width and height of the largest input that a benchmark trains on, pixels."""
    spec, crop = benchmark.config.input, benchmark.config.augment.scaled_crop
    if crop is None:
        return nominal_size(spec)
    side = -(-crop.side // spec.multiple) * spec.multiple
    return side, side
