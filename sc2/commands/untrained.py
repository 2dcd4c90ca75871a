"""Trainings and exports of a configuration with random weights, for what is counted or timed without data."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sc2.backbones.build import build_network
from sc2.backbones.teacher import TeacherCheckpoint
from sc2.config.resolved import Benchmark, MethodOnBenchmark
from sc2.errors import ConfigError
from sc2.methods import get_method
from sc2.split.method import BuildContext, Export

Lookup = Callable[[str], Benchmark]
"""Returns the benchmark of a name: that from which a method takes its encoder."""


def class_count(benchmark: Benchmark) -> int:
    """Return the number of classes: of the teacher's outputs that are kept, or else of the data set.

    Raises:
        ConfigError: The configuration has neither.
    """
    kept = getattr(benchmark.config.teacher, "class_indices", None)
    count = len(kept) if kept is not None else getattr(benchmark.dataset, "num_classes", None)
    if count is None:
        name = benchmark.config.dataset
        raise ConfigError(f"the number of classes of {name} is unknown: add num_classes to datasets/{name}.yaml")
    return int(count)


def untrained_recipe(of: Lookup, benchmark: Benchmark, method: MethodOnBenchmark, phase: str, point: str) -> Any:
    """Return the recipe of a phase, as a run would train it, but with random weights."""
    params = method.phase(phase, point)
    if "start" in type(params).model_fields:  # published weights are not fetched for it
        params = params.model_copy(update={"start": "random"})
    encoder = None
    if method.encoder_from is not None and not get_method(method.name).trains_encoder_only:
        source = of(method.encoder_from)
        encoder = untrained_state(of, source, source.methods[method.name], point)
    return get_method(method.name).training(params, untrained_context(benchmark, method, point, encoder))


def untrained_state(
    of: Lookup, benchmark: Benchmark, method: MethodOnBenchmark, point: str
) -> Mapping[str, Tensor] | None:
    """Return random weights of a method's network, None for a method without training."""
    for phase in get_method(method.name).phases()[-1:]:
        state: Mapping[str, Tensor] = untrained_recipe(of, benchmark, method, phase, point).model.state_dict()
        return state
    return None


def untrained_export(of: Lookup, benchmark: Benchmark, method: MethodOnBenchmark, point: str) -> Export:
    """Build and export a split with random weights (seed 0)."""
    torch.manual_seed(0)
    state = untrained_state(of, benchmark, method, point)
    return get_method(method.name).export(untrained_context(benchmark, method, point), state)


def untrained_context(
    benchmark: Benchmark, method: MethodOnBenchmark, point: str, encoder: Mapping[str, Tensor] | None = None
) -> BuildContext[Any]:
    """Return what a method's network is built from, with a teacher of random weights and classes without names."""
    network, classes = benchmark.network, class_count(benchmark)
    state = build_network(network, classes).state_dict()
    names = [str(index) for index in range(classes)]
    teacher = TeacherCheckpoint(task=benchmark.config.task, backbone=network, classes=names, state=state)
    return BuildContext(method.arch, point, benchmark.config.input, teacher, encoder)
