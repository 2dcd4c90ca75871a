"""Every figure draws what the tables hold, looks the same twice, and carries the id of its record."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from PIL import Image

from sc2.config.found import figure_names
from sc2.drawing import DrawingJob
from sc2.errors import DataError
from sc2.job import RunningJob
from sc2.jobs.stages import STAGES
from sc2.measure.resampling import proportion_interval
from sc2.report import axes, looks, plot, style, tables
from sc2.report.series import Context, Tables, collect, read_tables
from tests.measured import sample_inputs

TITLES = {"jpeg": "JPEG", "webp": "WebP", "entropic_student": "Entropic Student (FP)", "later_method": "Later method"}
RECORD = "0123456789abcdef"
FIGURES = ("exrd", "rate_accuracy", "rate_accuracy_families", "three_way")

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


def row(
    method: str, axis: str, point: str, seed: str, size: float, top1: float, kb: float, macs: int
) -> dict[str, Any]:
    keys = {"benchmark": "b", "task": "classification", "method": method, "method_title": TITLES[method], "curve": ""}
    sizes = {f"payload_bytes_{name}": size for name in ("mean", "std", "p50", "p95", "p99")}
    sizes |= {
        "container_bytes_mean": size + 40,
        "session_bytes_mean": size + 3,
        "sc2bench_kb_mean": size / 1024,
        "sc2bench_kb_std": 0.0,
    }
    costs: dict[str, Any] = {
        "encoder_params": int(256 * kb),
        "encoder_param_bytes": int(1024 * kb),
        "encoder_table_bytes": 0,
    }
    costs |= {
        "sc2bench_encoder_kb": kb,
        "encoder_macs": macs,
        "server_params": 9,
        "server_macs": 9,
        "device_model": "c0de",
    }
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
        its |= {"benchmark": "b", "seed": "0", "task": "classification", "record_id": "b" * 16}
        inputs: dict[str, Path | list[Path]] = {"summaries": paths, "latencies": [], "switches": []}
        inputs |= {"teachers": [write_json(tmp_path / "t.json", its)], **sample_inputs(tmp_path, rows, [its])}
        outputs = {name: tmp_path / f"{name}.csv" for name in STAGES["make_tables"].outputs}
        spec = {"methods": list(curves), "anchors": [next(iter(curves))], "orderings": {}, "published": []}
        tables.run(RunningJob("make_tables", {"benchmark": "b"}, spec, inputs, outputs, RECORD))
        return outputs

    return write


def facts(method: str) -> dict[str, str]:
    """What a job's spec says of a method."""
    symbol = {"jpeg": "q=", "webp": "q=", "entropic_student": "β="}.get(method, "")
    return {"name": method, "family": {"entropic_student": "student"}.get(method, "codec"), "symbol": symbol}


def load(paths: dict[str, Path]) -> Tables:
    return read_tables(paths, [facts(method) for method in TITLES])


def render(name: str, paths: dict[str, Path], curves: dict[str, Curve]) -> Figure:
    return plot.render(name, load(paths), Context("A title", tuple(curves)))


def lines_of(figure: Figure) -> list[Any]:
    """The methods' lines: those with a marker and a line through it."""
    return [line for line in figure.axes[0].lines if line.get_marker() not in ("None", None)]


def bands_of(figure: Figure) -> list[Any]:
    return [patch for patch in figure.axes[0].collections if isinstance(patch, FillBetweenPolyCollection)]


def texts_of(figure: Figure) -> list[str]:
    written = [text.get_text() for text in figure.axes[0].texts]
    return written + [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_every_module_of_figures_is_known() -> None:
    assert figure_names() == sorted([*FIGURES, "rate_accuracy_variants"])


ONE = {"entropic_student": ("beta", ["1"], (100.0, 100.0), (70.0, 70.0), 24.7, 5_120_000)}
CODECS = {method: DIGITS[method] for method in ("jpeg", "webp")}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("curves", [DIGITS, ONE, CODECS], ids=["all", "one", "codecs"])
def test_every_figure_draws(make: Callable[..., dict[str, Path]], name: str, curves: dict[str, Curve]) -> None:
    figure = render(name, make(curves), curves)
    assert "Teacher resnet_small: 88.4 %" in texts_of(figure)
    assert [line for line in figure.axes[0].lines if set(np.asarray(line.get_ydata())) == {88.4}]
    assert len(bands_of(figure)) == len(lines_of(figure))


@pytest.mark.parametrize("name", FIGURES)
def test_several_seeds_draw_bands(make: Callable[..., dict[str, Path]], name: str) -> None:
    curves = {"entropic_student": DIGITS["entropic_student"]}
    bands = bands_of(render(name, make(curves, seeds=2), curves))
    assert len(bands) == 1
    # Wilson's interval of 85 and 86 % of 200 images, widened by the standard error of two seeds 0.8 points apart.
    ends = [100 * proportion_interval(right, 200).high for right in (170, 172)]
    last = bands[0].get_paths()[0].vertices[:, 1]
    assert last.max() == pytest.approx(85.4 + np.hypot(np.mean(ends) - 85.4, 1.96 * 0.4), abs=1e-3)


def test_rate_accuracy_draws_each_point_in_rate_order(make: Callable[..., dict[str, Path]]) -> None:
    figure = render("rate_accuracy", make(IMAGENETTE), IMAGENETTE)
    by_colour = {line.get_color(): line for line in lines_of(figure)}
    student = by_colour[looks.look("entropic_student", "student").colour]
    np.testing.assert_allclose(student.get_xdata(), np.geomspace(9000, 1500, 4) / 1024, rtol=1e-5)
    assert student.get_ydata()[[0, -1]] == pytest.approx([95.1, 84])
    assert figure.axes[0].get_xlabel() == "Data size per image (KB = 1024 B)"
    assert {"β=0.64", "q=10", "q=100"} <= set(texts_of(figure))


def test_exrd_multiplies_kilobytes_and_names_what_it_leaves_out(make: Callable[..., dict[str, Path]]) -> None:
    figure = render("exrd", make(IMAGENETTE), IMAGENETTE)
    (student,) = lines_of(figure)
    np.testing.assert_allclose(student.get_xdata(), 131.2 * np.geomspace(9000, 1500, 4) / 1024, rtol=1e-5)
    assert "Not shown: JPEG, WebP (no encoder to ship" in figure.axes[0].get_xlabel()
    assert "no method here has an encoder to ship" in texts_of(render("exrd", make(CODECS), CODECS))


def test_three_way_disc_areas_are_proportional_to_encoder_size(make: Callable[..., dict[str, Path]]) -> None:
    curves = {
        **{"jpeg": DIGITS["jpeg"], "entropic_student": ("beta", ["1", "2"], (200.0, 100.0), (60.0, 80.0), 40.0, 10**6)},
        "later_method": ("layer", ["a", "b"], (200.0, 100.0), (60.0, 80.0), 10.0, 2 * 10**9),
    }
    figure = render("three_way", make(curves), curves)
    areas = [set(discs.get_sizes()) for discs in figure.axes[0].collections if isinstance(discs, PathCollection)]
    assert areas == [{0.0}, {576.0}, {144.0}]
    texts = texts_of(figure)
    assert "JPEG: no encoder" in texts
    assert "Later method: encoder 10 KB, 2 G MACs" in texts
    assert {"4 KB", "20 KB"} <= set(texts)
    handles = [handle for handle in figure.legends[1].legend_handles if isinstance(handle, Line2D)]
    key = {handle.get_label(): handle.get_markersize() ** 2 for handle in handles}
    assert key["20 KB"] == pytest.approx(576 * 20 / 40)


@pytest.mark.parametrize("name", FIGURES)
def test_texts_cover_neither_points_nor_each_other(make: Callable[..., dict[str, Path]], name: str) -> None:
    figure = render(name, make(DIGITS), DIGITS)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    boxes = [text.get_window_extent() for text in panel.texts if isinstance(text, Annotation)]
    assert not [1 for i, box in enumerate(boxes) for other in boxes[:i] if box.overlaps(other)]
    points = np.concatenate([panel.transData.transform(line.get_xydata()) for line in lines_of(figure)])
    assert not [1 for box in boxes for x, y in points if box.contains(x, y)]
    assert all(panel.bbox.x0 <= box.x0 and box.x1 <= panel.bbox.x1 for box in boxes)
    legends = [legend.get_window_extent() for legend in figure.legends]
    around = panel.get_tightbbox()
    assert around is not None
    assert not [1 for legend in legends if legend.overlaps(around)]


def test_every_text_is_at_least_eight_points(make: Callable[..., dict[str, Path]]) -> None:
    figure = render("three_way", make(DIGITS), DIGITS)
    ticks = [*figure.axes[0].get_xticklabels(), *figure.axes[0].get_yticklabels()]
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    assert min(text.get_fontsize() for text in [*ticks, *legends, *figure.axes[0].texts]) >= 8


def test_ticks_are_round_few_and_plain() -> None:
    assert axes.log_ticks(25, 3000) == [50, 100, 200, 500, 1000, 2000]
    assert axes.log_ticks(0.02, 0.3) == [0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3]
    for low, width in product((0.013, 1.7, 420), (0.5, 1, 3, 6)):
        assert 2 <= len(axes.log_ticks(low, low * 10**width)) <= 9
    assert [axes.plain(value) for value in (0.05, 1.5, 200.0, 2000.0, 1e6, 2e7)] == [
        *("0.05", "1.5", "200", "2,000"),
        *("10⁶", "2×10⁷"),
    ]


def plot_job(paths: dict[str, Path], folder: Path, **changes: Any) -> DrawingJob:
    folder.mkdir(exist_ok=True)
    spec = {"figure": "rate_accuracy", "title": "A <title> & more", "methods": list(map(facts, DIGITS)), **changes}
    outputs = {"svg": folder / "rate_accuracy.svg", "png": folder / "rate_accuracy.png"}
    return DrawingJob("plot_figure", {"benchmark": "b", "figure": "rate_accuracy"}, spec, paths, outputs, RECORD)


def test_the_same_tables_give_the_same_bytes_whatever_the_record_and_the_commit(
    make: Callable[..., dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another record id, folder, time and checkout: only the record beside the figure may show them."""
    paths = make(DIGITS)
    first = plot_job(paths, tmp_path / "first")
    second = replace(plot_job(paths, tmp_path / "second"), record_id="f" * 16, label="another")
    plot.run(first)
    monkeypatch.chdir(tmp_path)  # no git checkout
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    plot.run(second)
    for name, path in first.outputs.items():
        assert path.read_bytes() == second.outputs[name].read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()
        assert RECORD.encode() not in path.read_bytes()
    assert "A &lt;title&gt; &amp; more" in first.outputs["svg"].read_text()
    with Image.open(first.outputs["png"]) as image:
        assert image.size == (1100, 800)
        assert image.info["Title"] == "A <title> & more"


def test_a_figure_of_uncommitted_work_is_the_same_with_a_line_below(
    make: Callable[..., dict[str, Path]], tmp_path: Path
) -> None:
    """Nothing of the figure itself moves, and the line lies inside the picture."""
    clean = plot_job(make(DIGITS), tmp_path / "clean")
    dirty = replace(plot_job(make(DIGITS), tmp_path / "dirty"), uncommitted=True)
    plot.run(clean)
    plot.run(dirty)
    plain, told = (job.outputs["svg"].read_text() for job in (clean, dirty))
    assert f"<!-- {style.UNCOMMITTED} -->" in told
    assert style.UNCOMMITTED not in plain
    with Image.open(clean.outputs["png"]) as before, Image.open(dirty.outputs["png"]) as after:
        width, height = before.size
        strip = np.asarray(after.convert("RGB").crop((0, height, *after.size)))
        assert after.size == (width, height + 0.2 * style.PNG_DPI)
        assert after.crop((0, 0, width, height)).tobytes() == before.tobytes()
    ink = np.argwhere((strip < 200).any(axis=2))
    assert len(ink) > 200
    assert (ink.min(axis=0) >= 2).all()
    assert (ink.max(axis=0) < (strip.shape[0] - 2, width / 2)).all()


def test_what_cannot_be_drawn_is_said(make: Callable[..., dict[str, Path]], tmp_path: Path) -> None:
    paths = make(DIGITS)
    with pytest.raises(DataError, match="rate_quality has no run of bpg"):
        plot.run(plot_job(paths, tmp_path, methods=[facts("bpg")]))
    paths["rate_quality"].write_text(paths["rate_quality"].read_text().replace(",800.000", ",0.000"))
    with pytest.raises(DataError, match="method 'jpeg' has a run with an empty payload"):
        plot.run(plot_job(paths, tmp_path))


def test_a_method_without_runs_is_left_out(make: Callable[..., dict[str, Path]]) -> None:
    found = collect(load(make(CODECS)), ["webp", "bpg", "jpeg"])
    assert [series.method for series in found] == ["webp", "jpeg"]
