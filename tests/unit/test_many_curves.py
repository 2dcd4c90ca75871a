"""Figures with twenty methods, several curves per method, several seeds and the corners."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from sc2.methods import get_method, method_names
from sc2.report import plot, style
from sc2.report.axes import data_axis
from sc2.report.layout import Layout
from sc2.report.looks import FAMILIES, LOOKS, look
from sc2.report.series import Context, MethodFacts, Tables, collect
from sc2.report.snapshot import MAX_BYTES

FIGURES = ("exrd", "rate_accuracy", "rate_accuracy_families", "three_way")
CODECS = ("jpeg", "webp", "bpg", "lossless_image")
UNITS = ("bottleneck_unit", "bottleneck_unit_distilled")
FACTS = {name: MethodFacts(get_method(name).family, get_method(name).rate_axis.symbol) for name in method_names()}
TITLES = [family.title for family in FAMILIES.values()]
# Bytes, top-1 (%) and encoder (KB).
CORNERS = {
    "teacher_on_device": (2.0, 74.5, 4800.0),
    "local_model": (2.0, 64.0, 310.0),
    "lossless_image": (9000.0, 74.5, 0.0),
}


def row(method: str, curve: str, point: str, seed: int, size: float, top1: float, kb: float) -> dict[str, Any]:
    return {
        **{"method": method, "method_title": method.replace("_", " ").capitalize(), "curve": curve, "point": point},
        **{"rate_axis": "beta", "seed": str(seed), "payload_bytes_mean": size, "top1_pct": top1},
        **{"sc2bench_encoder_kb": kb, "encoder_params": 256 * kb, "encoder_macs": 1e5 * kb},
        "codec_header_bytes_mean": float("nan"),
        # As if all images were alike: what is left of an interval is the spread over seeds.
        **{f"payload_bytes_mean_{end}": size for end in ("low", "high")},
        **{f"top1_pct_{end}": top1 for end in ("low", "high")},
    }


def rows(method: str, number: int, seeds: int) -> list[dict[str, Any]]:
    if method in CORNERS:
        size, top1, kb = CORNERS[method]
        return [row(method, "", "label", 0, size, top1, kb)]
    labels = ("layer1", "layer2", "layer3") if method in UNITS else ("",)
    kb = 0.0 if method in CODECS else 20.0 + 5 * number
    return [
        row(method, label, f"{label}{step}", seed, (20 + 30 * number + seed) * 2.0**step, top1 + 4 * step + seed, kb)
        for label, top1 in zip(labels, np.arange(55 + number / 2, 0, -2), strict=False)
        for step in range(4)
        for seed in range(seeds if kb else 1)
    ]


def tables_of(methods: Sequence[str], seeds: int = 1) -> Tables:
    found = [one for number, method in enumerate(methods) for one in rows(method, number, seeds)]
    teacher = pd.DataFrame([{"task": "classification", "teacher": "resnet", "top1_pct": 74.5, "macs": 17e6}])
    return Tables(pd.DataFrame(found), pd.DataFrame(), teacher, FACTS)


def render(name: str, methods: Sequence[str], seeds: int = 1) -> Figure:
    return plot.render(name, tables_of(methods, seeds), Context("A title", tuple(methods)))


@cache
def twenty(name: str) -> Figure:
    figure = render(name, list(LOOKS))
    figure.draw_without_rendering()
    return figure


def entries(figure: Figure) -> list[str]:
    return [text.get_text().strip() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_twenty_methods_have_a_legend_by_family_beside_the_axes(name: str) -> None:
    figure = twenty(name)
    panels = [axes.get_tightbbox() for axes in figure.axes]
    legends = [legend.get_window_extent() for legend in figure.legends]
    assert all(legend.x0 >= panel.x1 for legend in legends for panel in panels if panel is not None)
    assert all(legend.y0 >= 0 and legend.y1 <= figure.bbox.y1 and legend.x1 <= figure.bbox.x1 for legend in legends)
    assert not [1 for one, two in pairwise(legends) if one.overlaps(two)]
    texts = entries(figure)
    assert [text for text in texts if text in TITLES] == TITLES[name == "exrd" :]
    order = [text.partition(":")[0] for text in texts]
    assert order.index("Entropic student") < order.index("Fine tuned split") < order.index("Quantised bottlenecks")
    assert len([text for text in texts if text.startswith("Bottleneck unit, layer")]) == 3
    assert min(text.get_fontsize() for text in figure.legends[0].get_texts()) >= 8


@pytest.mark.parametrize("name", FIGURES)
def test_the_corners_are_named_and_no_text_covers_another(name: str) -> None:
    figure = twenty(name)
    named = {"Teacher on device", "Local model"} | ({"Lossless image"} if name != "exrd" else set())
    written = [text for axes in figure.axes for text in axes.texts if text.get_text() != "//"]
    assert {text.get_text() for text in written} == named | {"Teacher resnet: 74.5 %"}
    boxes = [text.get_window_extent() for text in written]
    assert not [1 for i, box in enumerate(boxes) for other in boxes[:i] if box.overlaps(other)]


def test_several_curves_of_a_method_are_several_lines_in_its_look() -> None:
    figure = render("rate_accuracy", ["jpeg", "bottleneck_unit"])
    assert entries(figure) == ["Jpeg", *(f"Bottleneck unit, layer{number}" for number in (1, 2, 3))]
    lines = {line.get_color(): line for line in figure.axes[0].lines if line.get_marker() == "X"}
    assert set(lines) == {look("bottleneck_unit", "unit", number).colour for number in range(3)}
    assert all(len(np.asarray(line.get_xdata())) == 4 for line in lines.values())
    curves = collect(tables_of(["bottleneck_unit"]), ["bottleneck_unit"])
    assert [(one.curve, one.curve_index, one.points[0]) for one in curves][1] == ("layer2", 1, "layer20")


@pytest.mark.parametrize("name", ["rate_accuracy", "three_way"])
def test_many_curves_have_bars_and_few_have_bands_as_well(name: str) -> None:
    def drawn(figure: Figure) -> tuple[int, int]:
        every = [c for axes in figure.axes for c in axes.collections if isinstance(c, FillBetweenPolyCollection)]
        return len(every), sum(isinstance(c, ErrorbarContainer) for axes in figure.axes for c in axes.containers)

    # All but three codecs and three corners, two of them with three curves.
    assert drawn(render(name, list(LOOKS), seeds=3)) == (0, 16 + 2 * 2)
    assert drawn(twenty(name)) == (0, 0)
    assert drawn(render(name, ["jpeg", "entropic_student", "end_to_end"], seeds=3)) == (2, 2)


def test_bars_span_the_interval_of_the_bytes() -> None:
    figure = render("rate_accuracy", ["entropic_student"], seeds=3)
    [container] = figure.axes[0].containers
    assert isinstance(container, ErrorbarContainer)
    (bars, _) = container.lines[2]
    left, right = bars.get_segments()[0][:, 0]
    # Sizes 20, 21 and 22: mean 21, standard error 1 / √3; the seeds' own intervals reach from 20 … 22 to their mean.
    assert (left, right) == pytest.approx((21 - 1.96 / 3**0.5, 21 + 1.96 / 3**0.5), abs=1e-3)


def axis(series_values: dict[str, list[float]]) -> tuple[Axes, Any]:
    methods = list(series_values)
    table = pd.DataFrame(
        [row(m, "", str(i), 0, size, 50, 0) for m in methods for i, size in enumerate(series_values[m])]
    )
    curves = collect(Tables(table, pd.DataFrame(), tables_of(["jpeg"]).teacher, FACTS), methods)
    with style.applied():
        _, axes = Layout([]).figure("A title")
        return axes, data_axis(axes, curves)


def ticks(axes: Axes) -> list[str]:
    axes.figure.draw_without_rendering()
    return [text.get_text() for text in axes.get_xticklabels()]


def test_a_corner_far_to_the_left_is_beyond_a_break() -> None:
    axes, scale = axis({"jpeg": [100, 800], "teacher_on_device": [0], "local_model": [2], "lossless_image": [5000]})
    zero, two, hundred = scale(np.array([0.0, 2.0, 100.0]))
    assert axes.get_xlim()[0] < zero < two < 80 < hundred == 100
    assert {"0", "2", "100"} <= set(ticks(axes))
    assert "//" in [text.get_text() for text in axes.texts]
    # A length is no position: a spread of zero stays zero.
    assert scale.length(np.array([0.0, 3.0])).tolist() == [0, 3]


def test_a_corner_close_to_the_curves_needs_no_break() -> None:
    axes, scale = axis({"jpeg": [100, 800], "local_model": [40]})
    assert scale(np.array([40.0])).tolist() == [40]
    assert not axes.texts


def test_corners_alone_can_be_drawn() -> None:
    axes, scale = axis({"teacher_on_device": [0]})
    assert axes.get_xlim()[0] < scale(np.array([0.0]))[0] < axes.get_xlim()[1]
    assert "0" in ticks(axes)
    for name in ("exrd", "three_way"):
        render(name, list(CORNERS))


def test_the_discs_are_scaled_by_the_splits_and_a_larger_corner_is_a_ring() -> None:
    figure = render("three_way", ["entropic_student", "teacher_on_device", "jpeg"])
    drawn = [discs for discs in figure.axes[0].collections if isinstance(discs, PathCollection)]
    sizes = [np.asarray(discs.get_sizes()).tolist() for discs in drawn]
    assert sizes[:3] == [[576.0] * 4, [0.0], [34.0**2]]
    legend = [one for one in figure.legends if isinstance(one, Legend)][1]
    assert [text.get_text() for text in legend.get_texts()] == ["4 KB", "20 KB"]


@pytest.mark.parametrize("name", ["rate_accuracy_families", "rate_accuracy_variants", "three_way"])
def test_the_same_bytes_twice(name: str, tmp_path: Path) -> None:
    methods = ["jpeg", "bottleneck_unit", "later_method", "local_model"]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        svg, png = (tmp_path / folder / f"f.{suffix}" for suffix in ("svg", "png"))
        style.save(render(name, methods, seeds=2), svg, png, "A title")
    for suffix in ("svg", "png"):
        assert (tmp_path / "a" / f"f.{suffix}").read_bytes() == (tmp_path / "b" / f"f.{suffix}").read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_a_snapshot_can_hold_the_largest_figures(name: str, tmp_path: Path) -> None:
    style.save(render(name, list(LOOKS), seeds=3), tmp_path / "f.svg", tmp_path / "f.png", "A title")
    assert (tmp_path / "f.svg").stat().st_size < MAX_BYTES
