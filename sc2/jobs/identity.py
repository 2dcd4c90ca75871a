"""What identifies a job: the part of the configuration that it reads (spec), and the code that it runs (modules)."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sc2.config.published import TEACHER
from sc2.config.resolved import Benchmark, Config, MethodOnBenchmark
from sc2.data.geometry import nominal_size
from sc2.jobs.plan import Keys, anchors, phases, phases_before, runs, taken_whole, trained_point
from sc2.jobs.stages import STAGES
from sc2.methods import get_method, module_of
from sc2.provenance.fingerprint import Fingerprint, fingerprint


class Code:
    """Hashes of code, each computed once: what is planned together is planned for one state of the files."""

    def __init__(self) -> None:
        self._known: dict[tuple[frozenset[str], frozenset[str]], Fingerprint] = {}

    def of(self, modules: Iterable[str], without: frozenset[str]) -> Fingerprint:
        """Return `fingerprint` of some modules, as it was when it was first asked for."""
        key = frozenset(modules), without
        if key not in self._known:
            self._known[key] = fingerprint(key[0], without=without)
        return self._known[key]


@dataclass(frozen=True)
class Job:
    """One job of the plan, identified without its inputs."""

    stage: str
    keys: dict[str, str]
    spec: dict[str, Any]
    modules: tuple[str, ...]
    known: Code = field(default_factory=Code, compare=False, repr=False)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Hash of the code that the job runs."""
        return self.known.of(self.modules, STAGES[self.stage].never_calls)

    @property
    def code(self) -> str:
        """Digest of the code that the job runs."""
        return self.fingerprint.digest

    @property
    def id(self) -> str:
        """Identifier that changes exactly when the job's configuration or code changes."""
        text = json.dumps([self.stage, self.keys, self.spec], sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:12]}-{self.code[:12]}"


def job(config: Config, stage: str, keys: Keys, code: Code | None = None) -> Job | None:
    """Return the job that the configuration plans for these keys, None if there is none.

    Args:
        config: The configuration.
        stage: The stage.
        keys: Its wildcards.
        code: Hashes that are known already, for a plan of many jobs; by default they are computed anew.
    """
    if stage not in STAGES or set(keys) != set(STAGES[stage].keys):
        return None
    described = _CONFIG_STAGES[stage](config, keys) if stage in _CONFIG_STAGES else _of_benchmark(config, stage, keys)
    if described is None:
        return None
    spec, modules = described
    if STAGES[stage].gpu and (arithmetic := config.run.compute.changed):
        spec |= {"arithmetic": arithmetic}
    return Job(stage, dict(keys), spec, (STAGES[stage].module, *modules), code or Code())


Described = tuple[dict[str, Any], tuple[str, ...]]


def _prepare_data(config: Config, keys: Keys) -> Described | None:
    dataset = config.datasets.get(keys["dataset"])
    if dataset is None:
        return None
    content = dataset.model_dump(mode="json")
    return {"name": keys["dataset"], "dataset": content}, (f"sc2.data.{content['kind']}",)


def _compare_tasks(config: Config, keys: Keys) -> Described | None:
    members = config.run.groups.get(keys["group"])
    if members is None:
        return None
    benchmarks = [config.benchmarks[name] for name in members]
    titles = [benchmark.config.title for benchmark in benchmarks]
    methods = dict.fromkeys(name for benchmark in benchmarks for name in benchmark.methods)
    inputs = [_input(benchmark) for benchmark in benchmarks]
    return {"benchmarks": members, "titles": titles, "inputs": inputs, "methods": method_facts(methods)}, ()


def method_facts(methods: Iterable[str]) -> list[dict[str, str]]:
    """Return what figures and pages need to know about some methods, in that order; only the spec reaches them."""
    named = ((name, get_method(name)) for name in methods)
    return [{"name": name, "family": method.family, "symbol": method.rate_axis.symbol} for name, method in named]


def _of_benchmark(config: Config, stage: str, keys: Keys) -> Described | None:
    benchmark = config.benchmarks.get(keys["benchmark"])
    if benchmark is None:
        return None
    if stage in _BENCHMARK_STAGES:
        return _BENCHMARK_STAGES[stage](config, benchmark, keys)
    method = benchmark.methods.get(keys["method"])
    known = method is not None and keys["point"] in method.points and keys["seed"] in method.seeds(config.run)
    return _RUN_STAGES[stage](benchmark, method, keys) if known and method is not None else None


def _train_teacher(config: Config, benchmark: Benchmark, keys: Keys) -> Described | None:
    teacher = benchmark.config.teacher.model_dump(mode="json")
    if teacher["source"] != "train" or keys["seed"] not in benchmark.teacher_seeds(config.run):
        return None
    spec = {"task": benchmark.config.task, "input": _input(benchmark)}
    spec |= {"augment": benchmark.config.augment.model_dump(mode="json")}
    return {**spec, "teacher": _with_head(benchmark, teacher)}, _task_modules(benchmark)


def _fetch_teacher(config: Config, benchmark: Benchmark, keys: Keys) -> Described | None:
    teacher = benchmark.config.teacher.model_dump(mode="json")
    if teacher["source"] == "train" or keys["seed"] not in benchmark.teacher_seeds(config.run):
        return None
    return {"task": benchmark.config.task, "teacher": _with_head(benchmark, teacher)}, _task_modules(benchmark)


def _with_head(benchmark: Benchmark, teacher: dict[str, Any]) -> dict[str, Any]:
    return {**teacher, "head": benchmark.head.model_dump(mode="json")}


def _evaluate_teacher(config: Config, benchmark: Benchmark, keys: Keys) -> Described | None:
    if keys["seed"] not in benchmark.teacher_seeds(config.run):
        return None
    return {"task": benchmark.config.task, "input": _input(benchmark)}, _task_modules(benchmark)


def _draw_examples(config: Config, benchmark: Benchmark, keys: Keys) -> Described | None:
    examples, method = benchmark.config.examples, benchmark.methods.get(keys["method"])
    if method is None or method.name not in examples.methods:
        return None
    symbol = get_method(method.name).rate_axis.symbol
    spec: dict[str, Any] = {"task": benchmark.config.task, "title": benchmark.config.title}
    spec |= {"method_title": method.title}
    spec |= {"symbol": symbol, "points": method.points, "images": examples.images, "input": _input(benchmark)}
    drawn = f"sc2.report.pictures.{benchmark.config.task}"
    return spec, (drawn, *_run_modules(benchmark, method))


def _make_tables(config: Config, benchmark: Benchmark, keys: Keys) -> Described:
    # The runs are listed, so that `sc2 verify` notices a table without a new run, without asking the workflow.
    listed = [f"{run.method}/{run.point}/{run.seed}" for run in runs(config, benchmark.name)]
    task, methods = benchmark.config.task, list(benchmark.methods)
    known = {*methods, TEACHER}
    orderings = {
        name: ordering.model_dump(mode="json", exclude={"tasks"})
        for name, ordering in config.orderings.items()
        if {ordering.method, ordering.other} <= known and task in (ordering.tasks or [task])
    }
    spec = {"methods": methods, "anchors": anchors(benchmark), "runs": listed}
    return {**spec, "orderings": orderings, "published": _published(config, benchmark)}, (f"sc2.tasks.{task}",)


def _published(config: Config, benchmark: Benchmark) -> list[dict[str, Any]]:
    """Return the published numbers of a benchmark, each with its tolerance in its own unit."""
    own = (number for number in config.numbers if number.benchmark == benchmark.name)
    left_out = {"benchmark", "setting"}
    return [number.model_dump(mode="json", exclude=left_out) | {"tolerance": number.margin} for number in own]


def _plot_figure(config: Config, benchmark: Benchmark, keys: Keys) -> Described | None:
    if keys["figure"] not in config.run.figures:
        return None
    spec: dict[str, Any] = {"figure": keys["figure"], "title": benchmark.config.title}
    spec |= {"methods": method_facts(benchmark.methods)}
    curves = [number for number in _published(config, benchmark) if number["place"] is not None]
    spec |= {"published": curves, "input_px": nominal_size(benchmark.config.input)} if curves else {}
    return spec, (f"sc2.report.figures.{keys['figure']}",)


def _model_latency(config: Config, benchmark: Benchmark, keys: Keys) -> Described:
    own = [[run.method, run.point, run.seed] for run in runs(config, benchmark.name)]
    return {"title": benchmark.config.title, "methods": method_facts(benchmark.methods), "runs": own}, ()


def _snapshot(config: Config, benchmark: Benchmark, keys: Keys) -> Described:
    methods = method_facts(benchmark.methods)
    return {"title": benchmark.config.title, "config": str(config.path.name), "methods": methods}, ()


def _train(benchmark: Benchmark, method: MethodOnBenchmark, keys: Keys) -> Described | None:
    released = method.released_at(keys["point"], keys["seed"])
    elsewhere = taken_whole(method) is not None or trained_point(method, keys["point"]) != keys["point"]
    if keys["phase"] not in phases(method.name) or elsewhere or released is not None:
        return None
    spec = _run_spec(benchmark, method, keys)
    # A phase sees only its own parameters, so that a later phase can change and rerun alone.
    spec |= {"phase": method.phase(keys["phase"], keys["point"]).model_dump(mode="json")}
    spec |= {"augment": benchmark.config.augment.model_dump(mode="json")}
    if not phases_before(method.name, keys["phase"]):
        source, point = method.chained_from(keys["point"]) or (method.name, None)
        taken = {"encoder_from": method.encoder_from, "chained_from": point}
        taken |= {"first_from": None if source == method.name else source}
        spec |= {name: value for name, value in taken.items() if value is not None}
    return spec, _run_modules(benchmark, method)


def _convert_released(benchmark: Benchmark, method: MethodOnBenchmark, keys: Keys) -> Described | None:
    released = method.released_at(keys["point"], keys["seed"])
    if released is None:
        return None
    # Where the file is does not matter, only which it is.
    hashes = released.model_dump(
        mode="json", exclude={"file": True, "seed": True, "frequencies": {"file"}}, exclude_none=True
    )
    spec = _run_spec(benchmark, method, keys) | {"released": hashes}
    spec |= {"class_indices": getattr(benchmark.config.teacher, "class_indices", None)}
    return spec, (*_run_modules(benchmark, method), f"sc2.released.{get_method(method.name).family}")


def _export(benchmark: Benchmark, method: MethodOnBenchmark, keys: Keys) -> Described:
    spec, source = _run_spec(benchmark, method, keys), taken_whole(method)
    return spec if source is None else spec | {"encoder_from": source}, _run_modules(benchmark, method)


def _evaluate(benchmark: Benchmark, method: MethodOnBenchmark, keys: Keys) -> Described:
    spec = {"task": benchmark.config.task, "title": method.title, "input": _input(benchmark)}
    return spec, _run_modules(benchmark, method)


def _measure_latency(config: Config, benchmark: Benchmark, keys: Keys) -> Described | None:
    method = benchmark.methods.get(keys["method"])
    if method is None:
        return None
    # One job for all runs: most of its time is the start of the process.
    own = [[run.point, run.seed] for run in runs(config, benchmark.name, method.name)]
    spec = {"input": _input(benchmark), "runs": own, "latency": benchmark.config.latency.model_dump(mode="json")}
    return spec, _run_modules(benchmark, method)


_CONFIG_STAGES: dict[str, Callable[[Config, Keys], Described | None]] = {
    "prepare_data": _prepare_data,
    "compare_tasks": _compare_tasks,
    "snapshot_group": _compare_tasks,
}


_BENCHMARK_STAGES: dict[str, Callable[[Config, Benchmark, Keys], Described | None]] = {
    "train_teacher": _train_teacher,
    "fetch_teacher": _fetch_teacher,
    "evaluate_teacher": _evaluate_teacher,
    "measure_latency": _measure_latency,
    "draw_examples": _draw_examples,
    "make_tables": _make_tables,
    "plot_figure": _plot_figure,
    "model_latency": _model_latency,
    "snapshot": _snapshot,
}


_RUN_STAGES: dict[str, Callable[[Benchmark, MethodOnBenchmark, Keys], Described | None]] = {
    "train": _train,
    "convert_released": _convert_released,
    "export": _export,
    "evaluate": _evaluate,
}


def _input(benchmark: Benchmark) -> dict[str, Any]:
    return benchmark.config.input.model_dump(mode="json")


def _backbone_modules(benchmark: Benchmark) -> tuple[str, ...]:
    return (f"sc2.backbones.{benchmark.config.teacher.backbone.name}",)


def _task_modules(benchmark: Benchmark) -> tuple[str, ...]:
    return (*_backbone_modules(benchmark), f"sc2.tasks.{benchmark.config.task}")


def _run_modules(benchmark: Benchmark, method: MethodOnBenchmark) -> tuple[str, ...]:
    built = get_method(method.name).networks(method.arch).values()
    own = (f"sc2.backbones.{network.name}" for network in built)
    return (module_of(method.name), *_task_modules(benchmark), *own)


def _run_spec(benchmark: Benchmark, method: MethodOnBenchmark, keys: Keys) -> dict[str, Any]:
    return {"arch": method.arch.model_dump(mode="json"), "input": _input(benchmark)}
