"""Reads and validates the configuration: every problem is collected, and named with file, key and fix. No torch."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sc2.config.explain import choices, explain, key_text
from sc2.config.found import backbone_arguments, backbone_names, dataset_kinds, figure_names
from sc2.config.resolved import Benchmark, Config, MethodOnBenchmark
from sc2.config.schema import BenchmarkConfig, MethodFile, MethodGrid, RunConfig
from sc2.config.yaml_files import Content, merge, read_yaml
from sc2.errors import ConfigError
from sc2.methods import get_method, method_names
from sc2.split.method import Method
from sc2.strict import Strict, is_name
from sc2.tasks import get_task
from sc2.tasks.base import HeadParams
from sc2.teachers.spec import FetchedTeacher

Model = TypeVar("Model", bound=BaseModel)


@dataclass
class _Loader:
    """Collects problems while files are read, so that the user sees all of them at once."""

    folder: Path
    problems: list[str] = field(default_factory=list)

    def add(self, file: Path, keys: Sequence[Any], message: str) -> None:
        where = f"{file}: {key_text(keys)}" if keys else str(file)
        self.problems.append(f"{where}\n    {message}")

    def file(self, kind: str, name: str, asked_by: tuple[Path, Sequence[Any]]) -> Path | None:
        """Return the file of a benchmark, data set or method, if there is one."""
        file = self.folder / kind / f"{name}.yaml"
        if is_name(name) and file.is_file():
            return file
        near = sorted(path.stem for path in file.parent.glob("*.yaml"))
        self.add(*asked_by, f"there is no file {file}; {choices(name, near)}")
        return None

    def read(self, file: Path) -> dict[str, Any] | None:
        try:
            content, problems = read_yaml(file)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            self.add(file, (), f"not valid YAML, {where}{error.problem or error.context}")
            return None
        except (yaml.YAMLError, ValueError, OSError) as error:
            self.add(file, (), f"not a text file in YAML: {' '.join(str(error).split())}")
            return None
        if problems:
            for keys, problem in problems:
                self.add(file, keys, problem)
            return None
        if not isinstance(content, dict):
            self.add(file, (), "must be a mapping of keys to values, `key: value` on each line")
            return None
        return content

    def model(self, kind: type[Model], source: Content, content: Any, prefix: tuple[str, ...] = ()) -> Model | None:
        try:
            return kind.model_validate(content)
        except ValidationError as error:
            for keys, message in explain(kind, content, error):
                self.add(source.file_of((*prefix, *keys)), (*prefix, *keys), message)
            return None

    def benchmark_content(self, file: Path) -> Content | None:
        """Read a benchmark's file and those that it extends."""
        files: list[tuple[Path, Mapping[str, Any]]] = []
        names: list[str] = []
        while True:
            names.append(file.stem)
            content = self.read(file)
            if content is None:
                return None
            files.insert(0, (file, content))
            parent = content.get("extends")
            if not isinstance(parent, str):
                return Content(tuple(files))
            if parent in names:
                circle = " → ".join([*names, parent])
                self.add(file, ("extends",), f"goes round in a circle: {circle}; take it out of one of them")
                return None
            found = self.file("benchmarks", parent, (file, ("extends",)))
            if found is None:
                return None
            file = found

    def dataset(self, name: str, asked_by: Path) -> Strict | None:
        file = self.file("datasets", name, (asked_by, ("dataset",)))
        content = None if file is None else self.read(file)
        if file is None or content is None:
            return None
        kinds = dataset_kinds()
        if "kind" not in content:
            self.add(file, ("kind",), f"this key is required: add it; {choices('', kinds)}")
            return None
        kind = content["kind"]
        if kind not in kinds:
            self.add(file, ("kind",), f"unknown kind of data set; {choices(kind, kinds)}")
            return None
        params: type[Strict] = importlib.import_module(f"sc2.data.{kind}").Params
        return self.model(params, Content(((file, content),)), content)

    def method(self, name: str, config: BenchmarkConfig, source: Content) -> MethodOnBenchmark | None:
        keys = ("methods", name)
        file = self.file("methods", name, (source.file_of(keys), keys))
        content = None if file is None else self.read(file)
        if file is None or content is None:
            return None
        own = Content(((file, content),))
        defaults = self.model(MethodFile, own, content)
        if defaults is None:
            return None
        method, grid = get_method(name), config.methods.get(name, MethodGrid())
        self.points(method, defaults.points, own, ("points",))
        self.points(method, grid.points, source, (*keys, "points"))
        points = grid.points or defaults.points
        if not points:
            self.add(source.file_of(keys), (*keys, "points"), f"this key is required: add it, here or to {file}")
        # The defaults are checked alone first, so that a fault is reported in the file that holds it.
        if self.model(method.Params, own, defaults.params, ("params",)) is None:
            return None
        params = self.model(method.Params, source, merge(defaults.params, grid.params), (*keys, "params"))
        if params is None:
            return None
        for phase in getattr(params, "phases", ()):  # pairs of name and parameters
            self.batch_size(config, phase[1], source, (*keys, "params", "phases", phase[0]))
        resolved = MethodOnBenchmark(name, defaults.title, points, params, grid.encoder_from)
        for key, network in method.networks(resolved.arch).items():
            self.network(network.name, network.args, source, (*keys, "params", key))
        if grid.encoder_from is not None and not method.takes_encoder:
            at = (*keys, "encoder_from")
            self.add(source.file_of(at), at, f"{name} has no encoder to take from another benchmark: take it out")
        if method.one_size and config.input.fit != "crop":
            message = f"{name} is made for inputs of one size: set input.fit to crop, or take {name} off the run file"
            self.add(source.file_of(keys), keys, message)
        return resolved

    def points(self, method: Method[Any], points: Sequence[str], source: Content, keys: tuple[str, ...]) -> None:
        """Check operating points against the method's axis."""
        for position, point in enumerate(points):
            problem = method.rate_axis.problem(point)
            if problem is not None:
                where = (*keys, position)
                self.add(source.file_of(where), where, f'{problem} (it says "{point}")')

    def has_points(self, name: str) -> bool:
        """Say whether a method's own file has operating points, so that a benchmark need not list them."""
        file = self.folder / "methods" / f"{name}.yaml"
        return file.is_file() and "points" in (self.read(file) or {})

    def head(self, config: BenchmarkConfig, source: Content) -> HeadParams | None:
        """Check the head, and whether the input fits the task."""
        task, teacher = get_task(config.task), config.teacher
        try:
            task.check_input(config.input)
        except ConfigError as error:
            self.add(source.file_of(("input",)), ("input",), str(error))
        if isinstance(teacher, FetchedTeacher):
            if config.task != "classification":
                where = ("teacher", "source")
                message = "published teachers are classifiers: train one, with teacher.body_weights to start from"
                self.add(source.file_of(where), where, message)
            return task.Head()
        self.batch_size(config, teacher.training, source, ("teacher", "training"))
        return self.model(task.Head, source, teacher.head, ("teacher", "head"))

    def batch_size(self, config: BenchmarkConfig, training: Any, source: Content, keys: tuple[Any, ...]) -> None:
        """Check that a training has the images per step that the task's head needs."""
        least, given = get_task(config.task).least_batch, getattr(training, "batch_size", None)
        if given is not None and given < least:
            where = (*keys, "batch_size")
            message = f"must be at least {least} in {config.task}: its head normalises over the batch (it says {given})"
            self.add(source.file_of(where), where, message)

    def network(self, name: str, args: Iterable[str], source: Content, keys: tuple[Any, ...]) -> None:
        """Check a network's name and the names of its arguments, without importing it."""
        if name not in backbone_names():
            where = (*keys, "name")
            self.add(source.file_of(where), where, f"unknown network; {choices(name, backbone_names())}")
            return
        allowed = backbone_arguments(name)
        for argument in args:
            if argument not in allowed:
                where = (*keys, "args", argument)
                self.add(source.file_of(where), where, f"unknown argument of {name}; {choices(argument, allowed)}")

    def benchmark(self, name: str, methods: list[str] | None, run_file: Path) -> Benchmark | None:
        """Resolve a benchmark with some of its methods, or with all that have operating points (None)."""
        asked_by = (run_file, ("benchmarks", name) if methods is not None else ())
        file = self.file("benchmarks", name, asked_by)
        source = None if file is None else self.benchmark_content(file)
        config = None if source is None else self.model(BenchmarkConfig, source, source.merged)
        if file is None or source is None or config is None:
            return None
        dataset = self.dataset(config.dataset, source.file_of(("dataset",)))
        backbone = config.teacher.backbone
        self.network(backbone.name, backbone.args, source, ("teacher", "backbone"))
        head = self.head(config, source)
        for method in sorted(set(config.methods) - set(method_names())):
            keys = ("methods", method)
            self.add(source.file_of(keys), keys, f"unknown method; {choices(method, method_names())}")
        for position, method in enumerate(config.examples.methods):
            if method not in config.methods and not self.has_points(method):
                where = ("examples", "methods", position)
                self.add(source.file_of(where), where, f"has no grid here; {choices(method, sorted(config.methods))}")
        if methods is None:
            methods = [name for name in method_names() if name in config.methods or self.has_points(name)]
        resolved, skipped = {}, {}
        for position, method in enumerate(methods):
            if method not in method_names():
                self.add(run_file, (*asked_by[1], position), f"unknown method; {choices(method, method_names())}")
            elif method not in config.methods and not self.has_points(method):
                message = f"{method!r} has no grid: add it under the key methods of {file}, or take it off here"
                self.add(run_file, (*asked_by[1], position), message)
            else:
                found = self.method(method, config, source)
                reason = get_method(method).unsupported(config.task)
                if reason is not None:
                    skipped[method] = reason
                elif found is not None:
                    resolved[method] = found
        if skipped and len(skipped) == len(methods):
            listed = "; ".join(f"{method}: {reason}" for method, reason in skipped.items())
            self.add(*asked_by, f"none of its methods can run on the task {config.task}; {listed}")
        if dataset is None or head is None:
            return None
        return Benchmark(name, config, dataset, resolved, skipped, head)

    def references(self, benchmarks: Mapping[str, Benchmark], run_file: Path) -> None:
        """Check that what a benchmark takes from another one is built by the same run file."""
        for name, benchmark in benchmarks.items():
            file = self.folder / "benchmarks" / f"{name}.yaml"
            body_from = getattr(benchmark.config.teacher, "body_from", None)
            if body_from is not None and body_from not in benchmarks:
                message = f"there is no benchmark {body_from!r} in {run_file}: add it there under benchmarks"
                self.add(file, ("teacher", "body_from"), message)
            for method in benchmark.methods.values():
                problem = self._encoder_problem(method, benchmarks, run_file)
                if problem is not None:
                    self.add(file, ("methods", method.name, "encoder_from"), problem)

    def groups(self, run: RunConfig, run_file: Path) -> None:
        """Check that what is compared is run."""
        for name, members in run.groups.items():
            for position, member in enumerate(members):
                if member not in run.benchmarks:
                    message = f"is not run here; {choices(member, sorted(run.benchmarks))}"
                    self.add(run_file, ("groups", name, position), message)

    @staticmethod
    def _encoder_problem(method: MethodOnBenchmark, benchmarks: Mapping[str, Benchmark], run_file: Path) -> str | None:
        if method.encoder_from is None:
            return None
        other = benchmarks.get(method.encoder_from)
        if other is None or method.name not in other.methods:
            return f"{run_file} does not run {method.name} on {method.encoder_from}: add it there under benchmarks"
        if other.methods[method.name].encoder_from is not None:
            return f"the encoder of {method.encoder_from} is itself taken from another benchmark: name that one"
        missing = [point for point in method.points if point not in other.methods[method.name].points]
        if missing:
            return (
                f"{method.encoder_from} has no run of {method.name} at {', '.join(missing)}: add the points there, or "
                "take them off here"
            )
        return None


def load_config(path: Path | str) -> Config:
    """Read a run file and everything it refers to.

    Args:
        path: The run file, e.g. `config/config.yaml`; the other files are looked up beside it.

    Raises:
        ConfigError: Something is wrong; the message lists every problem with file, key and fix.
    """
    path = Path(path)
    loader = _Loader(path.parent)
    run = _run_file(loader, path)
    benchmarks: dict[str, Benchmark] = {}
    if run is not None:
        for position, figure in enumerate(run.figures):
            if figure not in figure_names():
                loader.add(path, ("figures", position), f"unknown figure; {choices(figure, figure_names())}")
        for name, methods in run.benchmarks.items():
            benchmark = loader.benchmark(name, methods, path)
            if benchmark is not None:
                benchmarks[name] = benchmark
        if not loader.problems:
            loader.references(benchmarks, path)
            loader.groups(run, path)
    if loader.problems or run is None:
        raise _all_problems(loader)
    return Config(path, run, benchmarks)


def load_benchmark(path: Path | str, name: str) -> Benchmark:
    """Read one benchmark with every method that has operating points on it, whether or not the run file runs it.

    Args:
        path: The run file, beside which the benchmark's file is looked up.
        name: The benchmark.

    Raises:
        ConfigError: There is no such benchmark, or something is wrong in its files.
    """
    path = Path(path)
    loader = _Loader(path.parent)
    benchmark = loader.benchmark(name, None, path)
    if loader.problems or benchmark is None:
        raise _all_problems(loader)
    return benchmark


def load_titles(path: Path | str) -> dict[str, str]:
    """Return the title of every method by name, from its file beside a run file; the name where there is no file.

    Raises:
        ConfigError: A method's file is wrong.
    """
    loader, titles = _Loader(Path(path).parent), {}
    for name in method_names():
        file = loader.folder / "methods" / f"{name}.yaml"
        content = loader.read(file) if file.is_file() else {"title": name}
        found = None if content is None else loader.model(MethodFile, Content(((file, content),)), content)
        titles[name] = name if found is None else found.title
    if loader.problems:
        raise _all_problems(loader)
    return titles


def _all_problems(loader: _Loader) -> ConfigError:
    # Two benchmarks may share the file that holds a fault.
    problems = list(dict.fromkeys(loader.problems))
    heading = f"the configuration has {len(problems)} problem{'s' if len(problems) > 1 else ''}:"
    return ConfigError("\n".join([heading, *(f"  {problem}" for problem in problems)]))


def _run_file(loader: _Loader, path: Path) -> RunConfig | None:
    try:
        there = path.is_file()
    except OSError:  # a name that is too long
        there = False
    if not there:
        near = sorted(file.stem for file in path.parent.glob("*.yaml"))
        help = choices(path.stem, near) if near else "call this in the project's folder, or name one with --config"
        loader.add(path, (), f"there is no such run file; {help}")
        return None
    content = loader.read(path)
    return None if content is None else loader.model(RunConfig, Content(((path, content),)), content)
