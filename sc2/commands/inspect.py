"""`sc2 inspect`: what a split costs before anything is trained, without data or weights.

The split is built, exported and counted by the same code as in a run, but with random weights. Parameters, MACs and
shapes do not depend on the weights; the size of the coding tables does, slightly.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sc2.backbones.build import build_network
from sc2.commands.aligned import aligned
from sc2.commands.untrained import Lookup, class_count, untrained_export
from sc2.config.load import load_benchmark
from sc2.config.resolved import Benchmark, MethodOnBenchmark
from sc2.config.schema import POINT
from sc2.data.geometry import nominal_size
from sc2.errors import ConfigError, DataError
from sc2.measure.macs import count_macs
from sc2.measure.size import parameter_count
from sc2.methods import get_method
from sc2.report.columns import quality_of
from sc2.report.markdown import number
from sc2.runs.export import count_costs

NONE = "–"


def inspect(config_path: Path, method: str, benchmark: str, point: str, results: Path, *, as_json: bool) -> str:
    """Return what a split costs, and its measurements if it has been evaluated.

    Args:
        config_path: The run file; the benchmark's file is next to it, whether or not the run file lists it.
        method: Name of the method.
        benchmark: Name of the benchmark.
        point: Any operating point that the method allows, in the benchmark's grid or not.
        results: Folder of the results.
        as_json: Whether to return a JSON object instead of tables.

    Raises:
        ConfigError: There is no such method or benchmark, the method has no grid there or does not support the task,
            the point is not allowed, or the network cannot be built.
        DataError: A measurement is damaged.
    """
    get_method(method)  # an unknown method is reported first
    loaded = load_benchmark(config_path, benchmark)
    resolved = _method_on(loaded, method, point)
    described = {
        "benchmark": benchmark,
        "benchmark_title": loaded.config.title,
        "method": method,
        "method_title": resolved.title,
        "rate_axis": get_method(method).rate_axis.name,
        "point": point,
        "in_grid": point in resolved.points,
        "costs": untrained_costs(partial(load_benchmark, config_path), loaded, resolved, point),
        "teacher": _teacher_costs(loaded),
        "evaluations": _evaluations(results / "evaluate" / benchmark / method / point, loaded.config.task),
    }
    return json.dumps(described, indent=2, ensure_ascii=False) if as_json else _text(described, loaded.config.task)


def untrained_costs(of: Lookup, benchmark: Benchmark, method: MethodOnBenchmark, point: str) -> dict[str, Any]:
    """Build and export a split with random weights (seed 0), and return its costs (`sc2.runs.export.count_costs`)."""
    exported = untrained_export(of, benchmark, method, point)
    return count_costs(get_method(method.name), exported, nominal_size(benchmark.config.input))


def _method_on(benchmark: Benchmark, method: str, point: str) -> MethodOnBenchmark:
    if method in benchmark.skipped:
        task, reason = benchmark.config.task, benchmark.skipped[method]
        raise ConfigError(f"{method} does not support the task {task} of {benchmark.name}: {reason}")
    if method not in benchmark.methods:
        there = ", ".join(benchmark.methods)
        raise ConfigError(
            f"{method} has no grid on {benchmark.name}: add it under the key methods of "
            f"benchmarks/{benchmark.name}.yaml; methods with a grid: {there}"
        )
    axis = get_method(method).rate_axis
    problem = axis.problem(point) if POINT.fullmatch(point) else f"{axis.name} must be a plain number, e.g. 0.16"
    if problem is not None:
        grid = ", ".join(benchmark.methods[method].points)
        raise ConfigError(f"--point {point}: {problem}; the benchmark's grid is: {grid}")
    return benchmark.methods[method]


def _teacher_costs(benchmark: Benchmark) -> dict[str, int]:
    width, height = nominal_size(benchmark.config.input)
    # With real values: which proposals a detector keeps depends on them.
    model = build_network(benchmark.network, class_count(benchmark))
    return {"params": parameter_count(model), "macs": count_macs(model, torch.zeros(1, 3, height, width))}


def _evaluations(folder: Path, task: str) -> list[dict[str, Any]]:
    """Return payload, quality and table size of every evaluated seed (rule `evaluate`)."""
    quality = [column.name for column in quality_of(task).columns]
    keys = ["seed", "images", "payload_bytes_mean", *quality, "encoder_table_bytes", "record_id"]
    evaluations = []
    for path in sorted(folder.glob("seed*/summary.json")):
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            evaluations.append({key: summary[key] for key in keys})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged ({error}); see `sc2 verify`") from error
    return evaluations


def _text(described: dict[str, Any], task: str) -> str:
    where = "in the benchmark's grid" if described["in_grid"] else "not in the benchmark's grid"
    heading = f"{described['method_title']} on {described['benchmark_title']}"
    shape = " × ".join(map(str, described["costs"]["latent_shape"]))
    return "\n".join(
        [
            heading,
            f"{described['rate_axis']} {described['point']} ({where}); counted on a split with random weights",
            "",
            _costs_table(described["costs"], described["teacher"]),
            "",
            f"latent shape: {shape} (input of the server's network)",
            "",
            _evaluations_table(described, task),
        ]
    )


def _costs_table(costs: dict[str, Any], whole: dict[str, int]) -> str:
    shipped = costs["encoder_param_bytes"] + costs["encoder_table_bytes"]
    rows = [
        ["", "device", "server", "teacher"],
        ["parameters", number(costs["encoder_params"]), number(costs["server_params"]), number(whole["params"])],
        ["MACs per image", number(costs["encoder_macs"]), number(costs["server_macs"]), number(whole["macs"])],
        ["parameters, bytes", number(costs["encoder_param_bytes"]), NONE, NONE],
        ["coding tables, bytes", number(costs["encoder_table_bytes"]), NONE, NONE],
        ["to ship, bytes", number(shipped), NONE, NONE],
        ["encoder by sc2bench's rule, KB", number(costs["sc2bench_encoder_kb"], 1), NONE, NONE],
    ]
    return aligned(rows, numbers_from=1)


def _evaluations_table(described: dict[str, Any], task: str) -> str:
    run = "/".join(described[key] for key in ("benchmark", "method", "point"))
    if not described["evaluations"]:
        target = f"results/evaluate/{run}/seed0/summary.json"
        return f"not evaluated yet; with this point in the run file: snakemake --cores all {target}"
    quality = [column.name for column in quality_of(task).columns]
    header = ["seed", "record", "images", "payload bytes, mean", *quality, "coding tables, bytes"]
    rows = [
        [
            row["seed"],
            row["record_id"],
            number(row["images"]),
            number(row["payload_bytes_mean"], 1),
            *(NONE if row[name] is None else number(row[name], 2) for name in quality),
            number(row["encoder_table_bytes"]),
        ]
        for row in described["evaluations"]
    ]
    return "evaluated:\n" + aligned([header, *rows], numbers_from=2)
