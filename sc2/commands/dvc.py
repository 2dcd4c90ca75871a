"""`sc2 dvc`: writes `dvc.yaml`, which lists the results of a run file for DVC. No torch."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from sc2.commands.run_file import DEFAULT
from sc2.config.reader import files_of
from sc2.config.resolved import Config
from sc2.jobs.plan import examples, runs, trainings
from sc2.report.columns import quality_of

_HEADER = """\
# Written by `sc2 dvc` from the run file {run}: do not edit.
#
# How the results of the run are shared: git ignores `results/`, dvc.lock lists its content, `sc2 push` uploads it and
# `sc2 pull` fetches it. Only Snakemake decides what has to run; the stages here are coarse, and each calls it once.
#
# To publish a run:   snakemake --cores all && sc2 push && git add dvc.lock   (or `make push`)
# To fetch one:       sc2 pull   (or `make pull`)
# `dvc exp run` and `dvc repro` need the results in place: without them they stop at dvc.lock.
#
# `persist: true` everywhere: otherwise DVC removes the outputs before it calls Snakemake, which then starts over.
# A params file without keys means all of its keys: DVC compares values, so a comment in it changes nothing.
"""


def write_dvc(config: Config, path: Path) -> None:
    """Write `dvc.yaml` for a run file."""
    path.write_text(dvc_text(config), encoding="utf-8")


def dvc_text(config: Config) -> str:
    """Return `dvc.yaml` for a run file."""
    metrics = [
        path
        for name, benchmark in config.benchmarks.items()
        for seed in benchmark.teacher_seeds(config.run)
        for path in _results("teachers", [name], f"seed{seed}/evaluation.json")
    ]
    parts: dict[str, Any] = {"stages": _stages(config), "metrics": metrics, "plots": list(_plots(config))}
    header = _HEADER.format(run=_relative(config.path))
    return "\n".join([header, *(_dumped({key: part}) for key, part in parts.items())])


def outputs(config: Config) -> list[str]:
    """Return the folders of results that a run file makes."""
    return [folder for stage in _stages(config).values() for out in stage["outs"] for folder in out]


def _stages(config: Config) -> dict[str, Any]:
    """Return the five stages: a target of the workflow each, with the folders that it reads and writes."""
    names = list(config.benchmarks)
    trained = [name for name in names if any(trainings(config, run) for run in runs(config, name))]
    shown = [name for name in names if examples(config, name)]
    data, teachers, exports = _results("data", config.datasets), _results("teachers", names), _results("export", names)
    measured = [*_results("evaluate", names), *_results("latency", names)]
    shown_data = _results("data", dict.fromkeys(config.benchmarks[name].config.dataset for name in shown))
    taken = [name for name in names if any(method.released for method in config.benchmarks[name].methods.values())]
    made = [*_results("train", trained), *_results("released", taken), *exports]
    drawn = [*_results("tables", names), *_results("figures", names), *_results("channels", names)]
    drawn += [*_results("examples", shown), *_results("groups", config.run.groups)]
    datasets = [_relative(config.path.parent / "datasets" / f"{name}.yaml") for name in config.datasets]
    methods = _relative(config.path.parent / "methods")
    return {
        "data": _stage(config, "data", [], data, datasets),
        "teachers": _stage(config, "teachers", data, teachers),
        "train": _stage(config, "models", [methods, *data, *teachers], made),
        "evaluate": _stage(config, "evaluations", [*data, *exports], measured),
        "figures": _stage(config, "all", [*shown_data, *_results("export", shown), *teachers, *measured], drawn),
    }


def _stage(config: Config, target: str, reads: list[str], makes: list[str], more: Iterable[str] = ()) -> dict[str, Any]:
    run = _relative(config.path)
    files = [*_with_extended(config.path.parent, ".", config.path.stem), *_benchmark_files(config), *more]
    return {
        "cmd": f"snakemake --cores all {target}" + ("" if run == DEFAULT.as_posix() else f" --configfile {run}"),
        "deps": ["sc2", "workflow", *reads],
        "params": [{file: None} for file in files],
        "outs": [{folder: {"persist": True}} for folder in makes],
    }


def _relative(path: Path) -> str:
    """Return a path relative to the project's folder."""
    return Path(os.path.relpath(path)).as_posix()


def _results(kind: str, names: Iterable[str], file: str = "") -> list[str]:
    return [f"results/{kind}/{name}" + (f"/{file}" if file else "") for name in names]


def _benchmark_files(config: Config) -> list[str]:
    """Return the files of the benchmarks, each after the files that it extends."""
    names = config.benchmarks
    return list(
        dict.fromkeys(file for name in names for file in _with_extended(config.path.parent, "benchmarks", name))
    )


def _with_extended(folder: Path, kind: str, name: str) -> list[str]:
    """Return a configuration file after the files that it extends."""
    (path,) = files_of(folder, kind, name)
    parent = yaml.safe_load(path.read_text(encoding="utf-8")).get("extends")
    return [*([] if parent is None else _with_extended(folder, kind, parent)), _relative(path)]


def _plots(config: Config) -> Iterator[str | dict[str, Any]]:
    """Yield a plot of quality over bytes for each benchmark, drawn by DVC itself, and the figures."""
    for name, benchmark in config.benchmarks.items():
        quality = quality_of(benchmark.config.task)
        yield {
            f"rate_accuracy/{name}": {
                "title": f"{quality.label.removesuffix(' (%)')} over payload",
                "x": "payload_bytes_mean",
                "x_label": "payload, bytes per image",
                "y": {f"results/tables/{name}/rate_quality.csv": quality.primary},
                "y_label": quality.label,
                "template": "scatter",
            }
        }
    for name in config.benchmarks:
        yield from (f"results/figures/{name}/{figure}.svg" for figure in config.run.figures)
    yield from _results("channels", config.benchmarks, "latency.svg")
    yield from _results("groups", config.run.groups, "overview.svg")


class _Dumper(yaml.SafeDumper):
    """Writes list items indented, and null as nothing."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists too."""
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))


def _dumped(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
