"""Reads and validates the configuration: every problem is collected, and named with file, key and fix. No torch."""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sc2.config.base import Strict
from sc2.config.schema import BenchmarkConfig, MethodFile, RunConfig
from sc2.errors import ConfigError
from sc2.methods import get_method, method_names

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class MethodOnBenchmark:
    """A method's resolved grid on one benchmark."""

    name: str
    title: str
    points: list[str]
    params: Strict


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with its data set and its methods resolved."""

    name: str
    config: BenchmarkConfig
    dataset: Strict
    methods: dict[str, MethodOnBenchmark]


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


@dataclass
class _Loader:
    """Collects problems while files are read, so that the user sees all of them at once."""

    folder: Path
    problems: list[str] = field(default_factory=list)

    def add(self, file: Path, key: str, message: str) -> None:
        where = f"{file}: {key}" if key else str(file)
        self.problems.append(f"{where}\n    {message}")

    def yaml(self, file: Path, what: str) -> dict[str, Any] | None:
        if not file.is_file():
            near = sorted(path.stem for path in file.parent.glob("*.yaml"))
            self.add(file, "", f"there is no such {what}; {_choices(file.stem, near)}")
            return None
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            self.add(file, "", f"not valid YAML: {' '.join(str(error).split())}")
            return None
        if not isinstance(content, dict):
            self.add(file, "", "must be a mapping of keys to values")
            return None
        return content

    def model(self, kind: type[Model], content: Mapping[str, Any], file: Path, prefix: str = "") -> Model | None:
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                key = ".".join([*([prefix] if prefix else []), *map(str, detail["loc"])])
                self.add(file, key, _explain(kind, dict(detail)))
            return None

    def benchmark_content(self, name: str, seen: tuple[str, ...] = ()) -> tuple[Path, dict[str, Any] | None]:
        file = self.folder / "benchmarks" / f"{name}.yaml"
        content = self.yaml(file, "benchmark")
        parent = content.get("extends") if content else None
        if not content or not isinstance(parent, str):
            return file, content
        if parent in (*seen, name):
            self.add(file, "extends", f"goes round in a circle: {' → '.join([*seen, name, parent])}")
            return file, None
        _, base = self.benchmark_content(parent, (*seen, name))
        return file, None if base is None else merge(base, content)

    def dataset(self, name: str) -> Strict | None:
        file = self.folder / "datasets" / f"{name}.yaml"
        content = self.yaml(file, "data set")
        if content is None:
            return None
        kinds = dataset_kinds()
        kind = content.get("kind")
        if kind not in kinds:
            self.add(file, "kind", f"{kind!r} is no kind of data set; {_choices(str(kind), kinds)}")
            return None
        params: type[Strict] = importlib.import_module(f"sc2.data.{kind}").Params
        return self.model(params, content, file)

    def method(self, name: str, task: str, benchmark_file: Path, grid: Any) -> MethodOnBenchmark | None:
        file = self.folder / "methods" / f"{name}.yaml"
        if name not in method_names():
            self.add(benchmark_file, f"methods.{name}", f"no such method; {_choices(name, method_names())}")
            return None
        content = self.yaml(file, "method file")
        defaults = None if content is None else self.model(MethodFile, content, file)
        if defaults is None:
            return None
        method = get_method(name)
        reason = method.unsupported(task)
        if reason is not None:
            self.add(benchmark_file, f"methods.{name}", f"does not support {task}: {reason}; take it off the run file")
        for point in grid.points:
            problem = method.rate_axis.problem(point)
            if problem is not None:
                self.add(benchmark_file, f"methods.{name}.points", f'"{point}": {problem}')
        params = self._method_params(method.Params, name, defaults, grid.params, file, benchmark_file)
        return None if params is None else MethodOnBenchmark(name, defaults.title, grid.points, params)

    def _method_params(
        self,
        kind: type[Strict],
        name: str,
        defaults: MethodFile,
        overrides: dict[str, Any],
        file: Path,
        benchmark: Path,
    ) -> Strict | None:
        # The defaults are checked alone first, so that a fault is reported in the file that holds it.
        if self.model(kind, defaults.params, file, "params") is None:
            return None
        return self.model(kind, merge(defaults.params, overrides), benchmark, f"methods.{name}.params")

    def benchmark(self, name: str, methods: list[str], run_file: Path) -> Benchmark | None:
        file, content = self.benchmark_content(name)
        config = None if content is None else self.model(BenchmarkConfig, content, file)
        if config is None:
            return None
        dataset = self.dataset(config.dataset)
        if config.teacher.backbone.name not in backbone_names():
            choices = _choices(config.teacher.backbone.name, backbone_names())
            self.add(file, "teacher.backbone.name", f"no such network; {choices}")
        resolved = {}
        for method in methods:
            if method not in config.methods:
                choices = _choices(method, sorted(config.methods))
                self.add(run_file, f"benchmarks.{name}", f"{method!r} has no grid in {file} (key methods); {choices}")
                continue
            found = self.method(method, config.task, file, config.methods[method])
            if found is not None:
                resolved[method] = found
        return None if dataset is None else Benchmark(name, config, dataset, resolved)


def load_config(path: Path | str) -> Config:
    """Read a run file and everything it refers to.

    Args:
        path: The run file, e.g. `config/config.yaml`; the other files are looked up beside it.

    Raises:
        ConfigError: Something is wrong; the message lists every problem with file, key and fix.
    """
    path = Path(path)
    loader = _Loader(path.parent)
    content = loader.yaml(path, "run file")
    run = None if content is None else loader.model(RunConfig, content, path)
    benchmarks: dict[str, Benchmark] = {}
    if run is not None:
        figures = figure_names()
        for figure in set(run.figures) - set(figures):
            loader.add(path, "figures", f"no figure {figure!r}; {_choices(figure, figures)}")
        for name, methods in run.benchmarks.items():
            benchmark = loader.benchmark(name, methods, path)
            if benchmark is not None:
                benchmarks[name] = benchmark
    if loader.problems or run is None:
        count = len(loader.problems)
        heading = f"the configuration has {count} problem{'s' if count > 1 else ''}:"
        raise ConfigError("\n".join([heading, *(f"  {problem}" for problem in loader.problems)]))
    return Config(path, run, benchmarks)


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the keys of `override` put over it; mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in override.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def dataset_kinds() -> list[str]:
    """Return the kinds of data set: files in `sc2/data/` that declare `Params`."""
    return _files_with("data", "class Params(")


def backbone_names() -> list[str]:
    """Return the networks: files in `sc2/backbones/` that declare `build`."""
    return _files_with("backbones", "def build(")


def figure_names() -> list[str]:
    """Return the figures: files in `sc2/report/figures/` that declare `draw`."""
    return _files_with("report/figures", "def draw(")


def _files_with(folder: str, declaration: str) -> list[str]:
    # Read, not imported: networks import torch, figures import matplotlib, and this runs when the workflow is parsed.
    paths = (Path(__file__).parents[1] / folder).glob("*.py")
    return sorted(path.stem for path in paths if f"\n{declaration}" in path.read_text(encoding="utf-8"))


def _choices(given: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(given, allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(allowed) or 'none yet'}"


def _explain(kind: type[BaseModel], detail: dict[str, Any]) -> str:
    given = detail.get("input")
    if detail["type"] == "extra_forbidden":
        allowed = sorted(_fields_at(kind, detail["loc"][:-1]))
        return f"unknown key; {_choices(str(detail['loc'][-1]), allowed)}"
    if detail["type"] == "missing":
        return "this key is required: add it"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "string_type" and isinstance(given, int | float):
        return f'{given!r} must be a string: write "{given}" in quotes'
    return f"{message} (it says {given!r})"


def _fields_at(kind: type[BaseModel], loc: tuple[Any, ...]) -> set[str]:
    """Names of the fields that the model reached through `loc` has, as far as they can be told."""
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})

    def options(node: dict[str, Any]) -> list[dict[str, Any]]:
        if "$ref" in node:
            return options(definitions[node["$ref"].rsplit("/", 1)[-1]])
        branches = [*node.get("anyOf", []), *node.get("oneOf", [])]
        return [node, *(found for branch in branches for found in options(branch))]

    nodes = options(schema)
    for part in loc:
        step = []
        for node in nodes:
            child = node.get("properties", {}).get(part) or node.get("additionalProperties") or node.get("items")
            if isinstance(child, dict):
                step.extend(options(child))
        # A discriminated union adds its tag to the path, which is no key of the file.
        nodes = step or nodes
    return {name for node in nodes for name in node.get("properties", {})}
