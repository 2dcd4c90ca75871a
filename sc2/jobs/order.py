"""Which of the jobs that could start is started first. No torch.

Two things count: a first picture within minutes, and no core that waits for a single long chain of trainings at the
end. Snakemake starts the ready jobs of the highest priority, so the priorities are, from the highest to the lowest:

1. what the first picture needs: example pictures of a method without training, so that only a teacher is trained;
2. data, and trainings by the number of others that wait for them one after another: of two chains, the longer one;
3. everything else that takes one core, which fits in beside the chains;
4. latency: its measurement needs all cores, so that while one of its jobs waits for the last core, or runs, no training
   does; and what is modelled from it, after the figures that are drawn from the same tables.
"""

from functools import cached_property
from graphlib import TopologicalSorter

from sc2.config.resolved import Config
from sc2.jobs.plan import (
    Keys,
    body_from,
    encoder_from,
    examples,
    first_seed,
    last_phase,
    phases,
    previous,
    runs,
    teacher_seed,
    trainings,
)

FIRST, DATA, CHAIN, REST, LATENCY = 1_000_000, 100_000, 2, 1, 0
"""Priorities of the four kinds above; that of a training is `CHAIN` and as much more as trainings wait for it."""

Node = tuple[str, ...]
"""A job: what it is, and the values of its keys. A teacher is one whether it is trained or fetched."""


class Order:
    """The priorities of the jobs of a configuration.

    Args:
        config: The configuration.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def priority(self, stage: str, keys: Keys) -> int:
        """Return the priority of a job; the higher, the sooner it is started."""
        node = _node(stage, *keys.values())
        if node in self.needed_first:
            return FIRST
        match stage:
            case "prepare_data":
                return DATA
            case "measure_latency" | "model_latency":
                return LATENCY
        return CHAIN + self.waiting[node] if node in self.waiting else REST

    @cached_property
    def needed_first(self) -> frozenset[Node]:
        """The jobs behind the first benchmark's first example picture without training; none if there is none."""
        name = next(iter(self.config.benchmarks))
        method = next((method for method in examples(self.config, name) if not phases(method)), None)
        if method is None:
            return frozenset()
        exports = list(first_seed(self.config, name, method))
        nodes = {_node("draw_examples", name, method)}
        nodes |= {_node("export", run.benchmark, run.method, run.point, run.seed) for run in exports}
        teachers = {(name, teacher_seed(self.config, name, run.seed)) for run in exports}
        while teachers:
            nodes |= {_node("train_teacher", *teacher) for teacher in teachers}
            nodes |= {_node("prepare_data", self.config.benchmarks[other].config.dataset) for other, _ in teachers}
            teachers = {source for teacher in teachers for source in body_from(self.config, *teacher)}
        return frozenset(nodes)

    @cached_property
    def waiting(self) -> dict[Node, int]:
        """How many trainings wait for each, one after another: the longest chain behind it."""
        sources = self._sources()
        longest = dict.fromkeys(sources, 0)
        for node in reversed(list(TopologicalSorter(sources).static_order())):
            for source in sources[node]:
                longest[source] = max(longest[source], longest[node] + 1)
        return longest

    def _sources(self) -> dict[Node, set[Node]]:
        """Return, for every training, teachers included, the trainings that it starts from."""
        config, sources = self.config, dict[Node, set[Node]]()
        for name, benchmark in config.benchmarks.items():
            for seed in benchmark.teacher_seeds(config.run):
                teacher = _node("train_teacher", name, seed)
                sources[teacher] = {_node("train_teacher", *other) for other in body_from(config, name, seed)}
            for run in runs(config, name):
                for phase in trainings(config, run):
                    before = previous(config, run, phase)
                    before += [
                        (other, last) for other in encoder_from(config, run, phase) for last in last_phase(run.method)
                    ]
                    node = _node("train", name, run.method, run.point, run.seed, phase)
                    sources[node] = {_node("train_teacher", name, teacher_seed(config, name, run.seed))}
                    sources[node] |= {
                        _node("train", other.benchmark, other.method, other.point, other.seed, earlier)
                        for other, earlier in before
                        if earlier in trainings(config, other)
                    }
        return sources


def _node(stage: str, *values: str) -> Node:
    return ("teacher" if stage in ("train_teacher", "fetch_teacher") else stage, *values)
