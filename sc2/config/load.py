"""Reads and validates the configuration; every problem is reported with file, key and fix. No torch."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import filterfalse
from pathlib import Path
from typing import Any

from sc2.config.explain import choices
from sc2.config.found import backbone_arguments, backbone_names, dataset_kinds, figure_names
from sc2.config.published import read_numbers, read_orderings
from sc2.config.reader import Reader
from sc2.config.references import (
    check_batch_size,
    check_batch_sizes,
    check_chain,
    check_grid,
    check_groups,
    check_points,
    check_references,
    points_at,
)
from sc2.config.released import with_released
from sc2.config.resolved import Benchmark, Config, MethodOnBenchmark
from sc2.config.schema import BenchmarkConfig, MethodFile, MethodGrid, RunConfig
from sc2.config.variants import grid_of
from sc2.config.yaml_files import Content, merge
from sc2.errors import ConfigError
from sc2.methods import base_of, get_method, is_method, method_names
from sc2.split.method import Method
from sc2.strict import Strict
from sc2.tasks import get_task
from sc2.tasks.base import HeadParams
from sc2.teachers.spec import FetchedTeacher


class _Loader(Reader):
    """Resolves a benchmark: its data set, teacher and methods."""

    def dataset(self, name: str, asked_by: Path) -> Strict | None:
        file = self.file("datasets", name, (asked_by, ("dataset",)))
        source = None if file is None else self.extended("datasets", file)
        if file is None or source is None:
            return None
        content, kinds = source.merged, dataset_kinds()
        if not isinstance(content.pop("extends", ""), str):
            self.add(file, ("extends",), "must be the name of a data set: a file in datasets/, without .yaml")
            return None
        if "kind" not in content:
            self.add(file, ("kind",), f"this key is required: add it; {choices('', kinds)}")
            return None
        kind = content["kind"]
        if kind not in kinds:
            self.add(source.file_of(("kind",)), ("kind",), f"unknown kind of data set; {choices(kind, kinds)}")
            return None
        params: type[Strict] = importlib.import_module(f"sc2.data.{kind}").Params
        return self.model(params, source, content)

    def method(self, name: str, config: BenchmarkConfig, source: Content) -> MethodOnBenchmark | None:
        keys = ("methods", name)
        file = self.file("methods", base_of(name), (source.file_of(keys), keys))
        content = None if file is None else self.read(file)
        if file is None or content is None:
            return None
        own = Content(((file, content),))
        defaults = self.model(MethodFile, own, content)
        if defaults is None:
            return None
        method, grid = get_method(name), grid_of(self, name, config, source)
        self.points(method, defaults.points, own, ("points",))
        self.points(method, grid.points, source, (*keys, "points"))
        points = grid.points or defaults.points
        if not points:
            self.add(source.file_of(keys), (*keys, "points"), f"this key is required: add it, here or to {file}")
        # The defaults are checked alone first, so that an error is reported for the file that contains it.
        if self.model(method.Params, own, defaults.params, ("params",)) is None:
            return None
        content = merge(defaults.params, grid.params)
        params = self.model(method.Params, source, content, (*keys, "params"))
        if params is None:
            return None
        check_batch_sizes(self, config, params, source, (*keys, "params"))
        chained, at = None, {}
        if check_grid(self, name, grid, source):
            at = self.at_points(name, grid, points, content, config, source)
            if grid.chain is not None:
                chained = self.phases(
                    name, content, grid.chain.params.phases, config, source, (*keys, "chain", "params")
                )
        title, first_from = grid.title or defaults.title, None if grid.chain is None else grid.chain.first_from
        resolved = MethodOnBenchmark(
            name, title, points, params, grid.encoder_from, grid.seeds, chained, at, {}, first_from, grid.share_sweep
        )
        check_chain(self, resolved, source)
        check_points(self, resolved, source)
        for key, network in method.networks(resolved.arch).items():
            self.network(network.name, network.args, source, (*keys, "params", key))
        if method.one_size and config.input.fit != "crop":
            message = f"{name} needs inputs of one size: set input.fit to crop, or remove {name} from the run file"
            self.add(source.file_of(keys), keys, message)
        return resolved

    def at_points(
        self,
        name: str,
        grid: MethodGrid,
        points: list[str],
        content: Mapping[str, Any],
        config: BenchmarkConfig,
        source: Content,
    ) -> dict[str, Strict]:
        """Return the parameters of the points that have their own, where the rest of a grid has those of `content`."""
        own: dict[str, Strict] = {}
        for position, meant in enumerate(points_at(self, name, grid, points, source)):
            where = ("methods", name, "at", position)
            params = self.phases(name, content, grid.at[position].phases, config, source, where)
            own |= {} if params is None else dict.fromkeys(meant, params)
        return own

    def phases(
        self,
        name: str,
        content: Mapping[str, Any],
        phases: Mapping[str, Any],
        config: BenchmarkConfig,
        source: Content,
        keys: tuple[Any, ...],
    ) -> Strict | None:
        """Return a method's parameters with other phases, None if they are not valid."""
        params = self.model(get_method(name).Params, source, merge(content, {"phases": phases}), keys)
        if params is not None:
            check_batch_sizes(self, config, params, source, keys)
        return params

    def points(self, method: Method[Any], points: Sequence[str], source: Content, keys: tuple[str, ...]) -> None:
        """Check operating points against the method's axis."""
        for position, point in enumerate(points):
            problem = method.rate_axis.problem(point)
            if problem is not None:
                where = (*keys, position)
                self.add(source.file_of(where), where, f'{problem} (it says "{point}")')

    def has_points(self, name: str) -> bool:
        """Return whether a method's own file has operating points, so that a benchmark need not list them."""
        file = self.folder / "methods" / f"{name}.yaml"
        return file.is_file() and "points" in (self.read(file) or {})

    def head(self, config: BenchmarkConfig, source: Content) -> HeadParams | None:
        """Check the parameters of the head, and whether the input fits the task."""
        task, teacher = get_task(config.task), config.teacher
        try:
            task.check_input(config.input)
        except ConfigError as error:
            self.add(source.file_of(("input",)), ("input",), str(error))
        if isinstance(teacher, FetchedTeacher):
            if task.published_by and teacher.source not in task.published_by:
                where = ("teacher", "source")
                message = (
                    f"publishes no network for {task.name}; {choices(teacher.source, task.published_by)}, or train it"
                )
                self.add(source.file_of(where), where, message)
        else:
            check_batch_size(self, config, teacher.training, source, ("teacher", "training"))
        return self.model(task.Head, source, teacher.head, ("teacher", "head"))

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
        """Resolve a benchmark with the given methods, or with all that have operating points (None)."""
        asked_by = (run_file, ("benchmarks", name) if methods is not None else ())
        file = self.file("benchmarks", name, asked_by)
        source = None if file is None else self.extended("benchmarks", file)
        config = None if source is None else self.model(BenchmarkConfig, source, source.merged)
        if file is None or source is None or config is None:
            return None
        dataset = self.dataset(config.dataset, source.file_of(("dataset",)))
        backbone = config.teacher.backbone
        self.network(backbone.name, backbone.args, source, ("teacher", "backbone"))
        head = self.head(config, source)
        for method in sorted(filterfalse(is_method, config.methods)):
            keys = ("methods", method)
            self.add(source.file_of(keys), keys, f"unknown method; {choices(method, method_names())}")
        for position, method in enumerate(config.examples.methods):
            if method not in config.methods and not self.has_points(method):
                where = ("examples", "methods", position)
                self.add(source.file_of(where), where, f"has no grid here; {choices(method, sorted(config.methods))}")
        if methods is None:
            own = [name for name in method_names() if name in config.methods or self.has_points(name)]
            methods = [*own, *(name for name in config.methods if is_method(name) and name != base_of(name))]
        resolved, skipped = {}, {}
        for position, method in enumerate(methods):
            if not is_method(method):
                self.add(run_file, (*asked_by[1], position), f"unknown method; {choices(method, method_names())}")
            elif method not in config.methods and not self.has_points(method):
                message = f"{method!r} has no grid: add it under the key methods of {file}, or remove it here"
                self.add(run_file, (*asked_by[1], position), message)
            else:
                on_benchmark = self.method(method, config, source)
                reason = get_method(method).unsupported(config.task)
                if reason is not None:
                    skipped[method] = reason
                elif on_benchmark is not None:
                    resolved[method] = on_benchmark
        if skipped and len(skipped) == len(methods):
            listed = "; ".join(f"{method}: {reason}" for method, reason in skipped.items())
            self.add(*asked_by, f"none of its methods supports the task {config.task}; {listed}")
        if dataset is None or head is None:
            return None
        return Benchmark(name, config, dataset, resolved, skipped, head)


def load_config(path: Path | str) -> Config:
    """Read a run file and everything it refers to.

    Args:
        path: The run file, e.g. `config/config.yaml`; the other files are next to it.

    Raises:
        ConfigError: Something is wrong; the message lists every problem with file, key and fix.
    """
    path = Path(path)
    loader = _Loader(path.parent)
    source = _run_file(loader, path)
    run = None if source is None else loader.model(RunConfig, source, source.merged)
    benchmarks: dict[str, Benchmark] = {}
    if run is not None and source is not None:
        for position, figure in enumerate(run.figures):
            if figure not in figure_names():
                where = ("figures", position)
                loader.add(source.file_of(where), where, f"unknown figure; {choices(figure, figure_names())}")
        for name, methods in run.benchmarks.items():
            benchmark = loader.benchmark(name, methods, source.file_of(("benchmarks", name)))
            if benchmark is not None:
                benchmarks[name] = benchmark
        if not loader.problems:
            check_references(loader, run, benchmarks, path)
            check_groups(loader, run, source)
            benchmarks = with_released(loader, benchmarks)
    orderings, numbers = read_orderings(loader), read_numbers(loader)
    if loader.problems or run is None:
        raise loader.error()
    return Config(path, run, benchmarks, orderings, numbers)


def load_benchmark(path: Path | str, name: str) -> Benchmark:
    """Read one benchmark with every method that has operating points, whether or not the run file runs it.

    Args:
        path: The run file; the benchmark's file is in `benchmarks/` next to it.
        name: The benchmark.

    Raises:
        ConfigError: There is no such benchmark, or its files have errors.
    """
    path = Path(path)
    loader = _Loader(path.parent)
    benchmark = loader.benchmark(name, None, path)
    if loader.problems or benchmark is None:
        raise loader.error()
    return benchmark


def load_titles(path: Path | str) -> dict[str, str]:
    """Return every method's title by name, from its file next to a run file; its name if there is no file.

    Raises:
        ConfigError: A method's file has errors.
    """
    loader, titles = _Loader(Path(path).parent), {}
    for name in method_names():
        file = loader.folder / "methods" / f"{name}.yaml"
        content = loader.read(file) if file.is_file() else {"title": name}
        method_file = None if content is None else loader.model(MethodFile, Content(((file, content),)), content)
        titles[name] = name if method_file is None else method_file.title
    if loader.problems:
        raise loader.error()
    return titles


def _run_file(loader: _Loader, path: Path) -> Content | None:
    try:
        there = path.is_file()
    except OSError:  # a name that is too long
        there = False
    if not there:
        near = sorted(file.stem for file in path.parent.glob("*.yaml"))
        help = choices(path.stem, near) if near else "run this in the project's folder, or set --config"
        loader.add(path, (), f"there is no such run file; {help}")
        return None
    return loader.extended(".", path)
