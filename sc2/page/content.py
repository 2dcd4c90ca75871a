"""Everything that the page shows, as JSON types; the browser computes nothing of it but the channel's formula."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from sc2.measure.channel import PRESETS
from sc2.page.points import curves, methods, rounded
from sc2.page.present import Present
from sc2.page.sentences import at_equal_bytes, at_equal_quality
from sc2.report.fewest_bytes import MAX_LOSS_POINTS
from sc2.report.looks import family_title, in_order
from sc2.report.markdown import in_a_sentence
from sc2.report.overlay import published_curves
from sc2.report.series import Tables, teacher_value
from sc2.report.table_io import read_table
from sc2.report.timed import TimedPoint, reaching
from sc2.version import VERSION


def content(benchmarks: Sequence[Present], progress: Callable[[str], None]) -> dict[str, Any]:
    """Return what the page shows.

    Args:
        benchmarks: Benchmarks to show, at least one.
        progress: Is told what is being read.

    Raises:
        DataError: A table, a record or the rows of a run are missing or unreadable.
        ProvenanceError: A record is damaged.
    """
    shown = []
    for benchmark in benchmarks:
        progress(f"{benchmark.name}: {benchmark.told}")
        shown.append(_benchmark(benchmark))
    by_method = methods(benchmarks)
    families = in_order(method["family"] for method in by_method.values())
    return {
        "version": VERSION,
        "commit": _commit(benchmarks),
        "presets": [asdict(preset) for preset in PRESETS],
        "losses": list(MAX_LOSS_POINTS),
        "families": [{"name": family, "title": family_title(family)} for family in families],
        "methods": by_method,
        "benchmarks": sorted(shown, key=lambda benchmark: benchmark["task"]),
    }


def _commit(benchmarks: Sequence[Present]) -> dict[str, Any]:
    """Return the commits that the tables were made at, and the titles of benchmarks that a dirty tree has made."""
    states = [(benchmark.title, benchmark.made.git) for benchmark in benchmarks]
    commits = sorted({str(state["commit"])[:12] for _, state in states if state.get("commit")})
    return {"commits": commits, "dirty": [title for title, state in states if state.get("dirty")]}


def _benchmark(benchmark: Present) -> dict[str, Any]:
    tables, files = benchmark.tables, benchmark.table_files
    teacher, quality = tables.teacher.iloc[0], tables.quality
    loaded = list(tables.latency.loc[tables.latency["loaded"].astype(bool), "method"].unique())
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "snapshot": benchmark.snapshot,
        "task": str(teacher["task"]),
        "images": int(teacher["images"]),
        "quality": {"label": quality.label, "unit": quality.unit, "short": in_a_sentence(quality.label)},
        "teacher": {
            "name": str(teacher["teacher"]),
            "quality": rounded(teacher_value(tables)),
            "macs": int(teacher["macs"]),
        },
        "cpus": sorted({str(cpu) for cpu in tables.latency["cpu"]}) if not tables.latency.empty else [],
        "loaded": [str(method) for method in loaded],
        "curves": curves(benchmark),
        "reached": _reached(tables, benchmark.timed),
        "published": _published(benchmark, tables),
        "equal_quality": _sentences(benchmark, "byte_ratios", at_equal_quality),
        "equal_bytes": _sentences(benchmark, "paired", at_equal_bytes),
        "pictures": [_picture(benchmark, method, path) for method, path in benchmark.pictures.items()],
        "tables": {name: path.read_text(encoding="utf-8") for name, path in files.items()},
    }


def _reached(tables: Tables, timed: Sequence[TimedPoint]) -> dict[str, dict[str, str]]:
    """Return by loss the point of each method that keeps the quality with the fewest bytes."""
    return {
        f"{loss:g}": {method: point.point for method, point in reaching(tables, timed, loss).items()}
        for loss in MAX_LOSS_POINTS
    }


def _published(benchmark: Present, tables: Tables) -> list[dict[str, Any]]:
    numbers, pixels = benchmark.published
    return [asdict(curve) for curve in published_curves(numbers, tables.quality.primary, pixels)]


def _sentences(
    benchmark: Present, name: str, told: Callable[[Tables, pd.DataFrame], Iterable[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return what is said of a table of pairs; nothing where a snapshot of an older version has none."""
    files = benchmark.table_files
    return [] if benchmark.snapshot and name not in files else list(told(benchmark.tables, read_table(files[name])))


def _picture(benchmark: Present, method: str, path: Path) -> dict[str, str]:
    titles = dict(
        zip(benchmark.tables.rate_quality["method"], benchmark.tables.rate_quality["method_title"], strict=True)
    )
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    title = titles.get(method, method)
    return {
        "method": method,
        "title": f"{title} on {benchmark.title}",
        "alt": f"The first test images with the truth, and what is predicted from {title} at falling rates; "
        "below each prediction the bytes of that image.",
        "src": f"data:image/webp;base64,{encoded}",
    }
