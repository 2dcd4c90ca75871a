"""Every figure draws what the tables hold, looks the same twice, and carries the id of its record."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image

from sc2.errors import ConfigError, DataError, ProvenanceError
from sc2.job import RunningJob
from sc2.report import looks, plot, style, tables
from sc2.report.metadata import figure_record_id, figure_title
from sc2.report.series import Context, Tables, collect

TITLES = {"jpeg": "JPEG", "webp": "WebP", "entropic_student": "Entropic Student (FP)", "later_method": "Later method"}
RECORD = "0123456789abcdef"
FIGURES = ("exrd", "rate_accuracy", "three_way")

# method: rate axis, points, (first, last) payload (bytes), (worst, best) top-1 (%), encoder (KB), encoder MACs
Curve = tuple[str, list[str], tuple[float, float], tuple[float, float], float, int]
QUALITIES = [str(quality) for quality in range(10, 101, 10)]
DIGITS: dict[str, Curve] = {
    "jpeg": ("quality", QUALITIES, (800, 2500), (50, 86), 0, 0),
    "webp": ("quality", QUALITIES, (280, 1500), (64, 87), 0, 0),
    "entropic_student": ("beta", ["0.25", "0.5", "1", "4", "16"], (300, 30), (60, 85), 24.7, 5_120_000),
}
IMAGENETTE: dict[str, Curve] = {
    "jpeg": ("quality", QUALITIES, (2900, 20000), (70, 96.4), 0, 0),
    "webp": ("quality", QUALITIES, (2300, 15000), (81, 96.6), 0, 0),
    "entropic_student": ("beta", ["0.01", "0.04", "0.16", "0.64"], (9000, 1500), (84, 95.1), 131.2, 98_000_000),
}


def write_json(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def summaries(curves: dict[str, Curve], seeds: int) -> list[dict[str, Any]]:
    """Rows on a saturating curve between the ends of each method; a later seed is slightly larger and better."""
    rows = []
    for (method, curve), seed in product(curves.items(), range(seeds)):
        axis, points, (first, last), (worst, best), encoder_kb, macs = curve
        sizes = np.geomspace(first, last, len(points)) * (1 + 0.05 * seed)
        rise = np.log(sizes / sizes.min()) / np.log(sizes.max() / sizes.min()) if len(points) > 1 else np.ones(1)
        for point, size, part in zip(points, sizes, rise, strict=True):
            top1 = worst + (best - worst) * (1 - (1 - part) ** 2.5) + 0.8 * seed
            rows.append(row(method, axis, point, str(seed), float(size), float(top1), encoder_kb, macs))
    return rows


def row(method: str, axis: str, point: str, seed: str, size: float, top1: float, kb: float, macs: int) -> dict[str, Any]:
    keys = {"benchmark": "b", "task": "classification", "method": method, "method_title": TITLES[method]}
    sizes = {f"payload_bytes_{name}": size for name in ("mean", "std", "p50", "p95", "p99")}
    sizes |= {"container_bytes_mean": size + 40, "sc2bench_kb_mean": size / 1024, "sc2bench_kb_std": 0.0}
    costs = {"encoder_params": int(256 * kb), "encoder_param_bytes": int(1024 * kb), "encoder_table_bytes": 0}
    costs |= {"sc2bench_encoder_kb": kb, "encoder_macs": macs, "server_params": 9, "server_macs": 9}
    more = {"trained": kb > 0, "rate_axis": axis, "point": point, "seed": seed, "record_id": "a" * 16, "images": 500}
    nulls = {"codec_header_bytes_mean": None, "estimated_bits_mean": None}
    return {**keys, **sizes, **costs, **more, **nulls, "top1_pct": top1, "top5_pct": 99.0}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Return a function that writes the three tables of some curves and returns their paths."""

    def write(curves: dict[str, Curve], seeds: int = 1, teacher: float = 88.4) -> dict[str, Path]:
        rows = summaries(curves, seeds)
        paths = [write_json(tmp_path / f"s{number}.json", row) for number, row in enumerate(rows)]
        its = {"teacher": "resnet_small", "images": 500, "top1_pct": teacher, "top5_pct": 99.1, "params": 7, "macs": 7}
        its |= {"benchmark": "b", "task": "classification", "record_id": "b" * 16}
        inputs = {"summaries": paths, "latencies": [], "teacher": write_json(tmp_path / "t.json", its)}
        outputs = {name: tmp_path / f"{name}.csv" for name in ("rate_quality", "latency", "teacher")}
        tables.run(RunningJob("make_tables", {"benchmark": "b"}, {"methods": list(curves)}, inputs, outputs, RECORD))
        return outputs

    return write


def load(paths: dict[str, Path]) -> Tables:
    return Tables(*(tables.read_table(paths[name]) for name in ("rate_quality", "latency", "teacher")))


def render(name: str, paths: dict[str, Path], curves: dict[str, Curve]) -> Figure:
    return plot.render(name, load(paths), Context("A title", tuple(curves)))
