"""Published numbers: every file is good, mistakes are named, figures show them, a table compares them with ours."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.jobs.identity import job
from sc2.report import plot
from sc2.report.columns import KB
from sc2.report.overlay import NOTE, PublishedCurve, published_curves
from sc2.report.published import rows, section
from sc2.report.series import Context, Tables
from tests.configuration import CONFIG, Project
from tests.unit.test_figures import DIGITS, lines_of, load, make  # noqa: F401  (make is a fixture)

PAPERS = "ilsvrc2012_resnet50"


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(CONFIG / "paper.yaml")


# The files


def test_curves_are_those_of_the_papers(config: Config) -> None:
    """Their ends, and how many points there are: docs/papers.md."""
    keys = {"benchmark": PAPERS, "figure": "rate_accuracy"}
    planned = job(config, "plot_figure", keys)
    assert planned is not None
    assert planned.spec["input_px"] == (224, 224)
    found = {(c.method, c.curve): c for c in published_curves(planned.spec["published"], "top1_pct", 224 * 224)}
    assert {key: len(curve.quality) for key, curve in found.items()} == {
        ("entropic_student", ""): 7,
        ("channel_reduction_quantization", ""): 6,
        ("end_to_end", ""): 5,
        ("jpeg", ""): 9,
        ("webp", ""): 7,
        ("bpg", ""): 9,
        **{(f"{prior}", ""): 7 for prior in ("factorized_prior", "scale_hyperprior", "mean_scale_hyperprior")},
        ("joint_autoregressive", ""): 7,
        ("bottleneck_unit", "layer4"): 8,
        ("bottleneck_unit", "layer4.0"): 6,
        ("bottleneck_unit", "layer3.4"): 6,
        ("bottleneck_unit_distilled", "layer4"): 6,
        ("bottleneck_unit_distilled", "layer4.0"): 5,
    }
    student = found["entropic_student", ""]
    assert (student.data_bytes[0], student.quality[0]) == (pytest.approx(0.68 * KB), 60.0)
    assert (student.data_bytes[-1], student.quality[-1]) == (pytest.approx(11.6 * KB), 75.8)
    # 0.0054 bits per pixel of 224 × 224 pixels
    assert found["bottleneck_unit", "layer4"].data_bytes[0] == pytest.approx(0.0054 * 6272)


def test_numbers_say_how_exact_they_are(config: Config) -> None:
    assert len(config.numbers) == 779
    by_what = {(n.method, n.point, n.quantity): n for n in config.numbers if n.benchmark == PAPERS and n.method}
    assert by_what["entropic_student", "5.12", "sc2bench_kb"].margin == pytest.approx(0.02 * 0.68)
    assert by_what["entropic_student", "5.12", "top1_pct"].margin == 0.1
    assert ("jpeg", "60", "top1_pct") not in by_what  # hidden in the published figure
    assert by_what["bottleneck_unit", "layer3.4_q2_s2_k64", "huffman_bytes"].value == 571
    assert {n.reading for n in config.numbers} == {"read", "figure", "computed", "measured", "memory"}


def test_operating_points_are_those_of_the_papers_grid(config: Config) -> None:
    for number in config.numbers:
        if number.benchmark in config.benchmarks and number.method and number.point:
            assert number.point in config.benchmarks[number.benchmark].methods[number.method].points, number


def test_the_default_has_no_published_numbers_in_its_figures() -> None:
    config = load_config(CONFIG / "config.yaml")
    name = next(iter(config.benchmarks))
    figure = job(config, "plot_figure", {"benchmark": name, "figure": "rate_accuracy"})
    tables = job(config, "make_tables", {"benchmark": name})
    assert figure is not None
    assert tables is not None
    assert not {"published", "input_px"} & set(figure.spec)
    assert tables.spec["published"] == []


MISTAKES: dict[str, tuple[int, str, str, str, str]] = {
    # line, column, value, where it is reported, message
    "an unknown method": (2, "method", "entropic_studnt", "line 2.method", "did you mean 'entropic_student'?"),
    "a point that the method cannot have": (2, "point", "β", "line 2.point", "beta must be a plain number"),
    "an unknown benchmark": (3, "benchmark", "imagenet", "line 3.benchmark", "there is no such benchmark"),
    "text for a number": (2, "value", "about 3", "line 2", "value and place must be numbers"),
    "an infinite number": (2, "value", "inf", "line 2.value", "finite"),
    "an unknown way to read": (2, "reading", "guessed", "line 2.reading", "allowed: read, figure, computed"),
    "no source": (2, "source", "", "line 2.source", "at least 1 character"),
    "a tolerance in words": (2, "tolerance", "small", "line 2.tolerance", "must match"),
    "the same number twice": (4, "point", "5.12", "line 4", "the same number as in line 2: remove one of the two"),
    "a place that is left out": (2, "place", "9", "", "the places of the curve Entropic Student (FP) must be 1, 2, …"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, name: str) -> None:
    line, column, value, where, message = MISTAKES[name]
    project = Project(tmp_path)
    path = project.folder / "published/sc2.csv"
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    table[line - 1][table[0].index(column)] = value
    if name == "the same number twice":
        table[3] = list(table[1])
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(table)
    expected = f"published/sc2.csv: {where}" if where else "published/sc2.csv"
    problems = project.problems()
    assert any(place == expected and message in said for place, said in problems), problems


@pytest.mark.parametrize(
    ("spoil", "where", "message"),
    [
        (lambda text: text.replace("benchmark,setting", "setting,benchmark", 1), "line 1", "must be the header"),
        (
            lambda text: text + "one,value,too,few\n",
            "",
            "has 4 values, but must have 13: put text with commas in quotes",
        ),
    ],
)
def test_a_spoilt_table_is_named(tmp_path: Path, spoil: Callable[[str], str], where: str, message: str) -> None:
    project = Project(tmp_path)
    path = project.folder / "published/units.csv"
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    [(place, said)] = project.problems()
    assert place.startswith("published/units.csv")
    assert where in place
    assert message in said


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.folder / "published/units.csv").write_bytes(b"\xff\xfe")
    [(place, said)] = project.problems()
    assert place == "published/units.csv"
    assert "not a table of comma-separated values" in said


# Figures


def number(method: str, place: int, quantity: str, value: float, **changes: Any) -> dict[str, Any]:
    basis = {"method": method, "work": method, "curve": "", "point": "", "place": place, "quantity": quantity}
    return {
        **basis,
        "value": value,
        "unit": "KB",
        "tolerance": 0.5,
        "reading": "figure",
        "source": "a figure",
        **changes,
    }


CURVE = [
    number("entropic_student", 2, "sc2bench_kb", 2.0),
    number("entropic_student", 2, "top1_pct", 79.0),
    number("entropic_student", 1, "top1_pct", 52.0),
    number("entropic_student", 1, "sc2bench_kb", 0.01),
    number("entropic_student", 3, "sc2bench_kb", 9.0),  # its quality is not published
    number("", 1, "sc2bench_kb", 1.0),
    number("", 1, "top1_pct", 1.0),
]


def test_a_rate_and_a_quality_of_one_place_are_a_point() -> None:
    assert published_curves(CURVE, "top1_pct", 64) == (
        PublishedCurve("entropic_student", "", (0.01 * KB, 2.0 * KB), (52.0, 79.0)),
    )
    in_bpp = [number("webp", 1, "bpp", 0.5), number("webp", 1, "top1_pct", 3.0)]
    assert published_curves(in_bpp, "top1_pct", 6400)[0].data_bytes == (400.0,)


def test_published_points_are_hollow_and_inside_the_axes(make: Callable[..., dict[str, Path]]) -> None:  # noqa: F811
    plain = plot.render("rate_accuracy", load(make(DIGITS)), Context("A title", tuple(DIGITS)))
    figure = plot.render("rate_accuracy", load(make(DIGITS)), Context("A title", tuple(DIGITS), CURVE, 64))
    [hollow] = [line for line in lines_of(figure) if line.get_markerfacecolor() == "none"]
    assert len(lines_of(figure)) == len(lines_of(plain)) + 1
    np.testing.assert_allclose(hollow.get_ydata(), [52.0, 79.0])
    ours = {line.get_color(): line for line in lines_of(plain)}
    assert hollow.get_markeredgecolor() in ours
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    assert all(low < x < high for x in hollow.get_xdata())
    assert axes.get_ylim()[0] < 52.0
    assert axes.get_xlabel().endswith(NOTE)
    assert NOTE not in plain.axes[0].get_xlabel()


# The table


def tables_of(values: list[dict[str, Any]]) -> Tables:
    base = {"benchmark": "b", "task": "classification", "curve": "", "sc2bench_encoder_kb": 500.0}
    teacher = pd.DataFrame([{"task": "classification", "top1_pct": 76.2}])
    return Tables(pd.DataFrame([{**base, **row} for row in values]), pd.DataFrame(), teacher)


OURS = [
    {"method": "es", "point": "1", "sc2bench_kb_mean": 2.0, "top1_pct": 70.0},
    {"method": "es", "point": "1", "sc2bench_kb_mean": 2.2, "top1_pct": 71.0},  # another seed
    {"method": "es", "point": "4", "sc2bench_kb_mean": 1.0, "top1_pct": 60.0},
]


@pytest.mark.parametrize(
    ("asked", "ours", "difference", "verdict"),
    [
        (number("es", 1, "sc2bench_kb", 2.5, point="1"), 2.1, -0.4, "within tolerance"),
        (number("es", 1, "top1_pct", 69.9, point="1"), 70.5, 0.6, "outside tolerance"),
        (number("es", 1, "top1_pct", 70.0, point="1"), 70.5, 0.5, "within tolerance"),  # just so
        (number("es", 1, "top1_pct", 70.0, point="2"), None, None, "not run"),
        (number("jpeg", 1, "top1_pct", 70.0, point="10"), None, None, "not run"),
        (number("es", 1, "exrd_kb2", 500.2, point="4"), 500.0, -0.2, "within tolerance"),
        (number("es", 1, "sc2bench_encoder_kb", 499.0), 500.0, 1.0, "outside tolerance"),
        (number("es", 1, "kb_at_75.4_pct", 7.9, point="1"), None, None, "not compared"),
        (number("es", 1, "top1_pct", 70.0, curve="layer4"), None, None, "not compared"),
        (number("", 1, "top1_pct", 70.0), None, None, "not compared"),
        (number("", 1, "teacher_top1_pct", 76.1), 76.2, 0.1, "within tolerance"),
    ],
)
def test_every_number_has_a_verdict(
    asked: dict[str, Any], ours: float | None, difference: float | None, verdict: str
) -> None:
    [row] = rows(tables_of(OURS), [asked])
    assert row["verdict"] == verdict
    assert row["ours"] == (None if ours is None else pytest.approx(ours))
    assert row["difference"] == (None if difference is None else pytest.approx(difference))
    assert (row["published"], row["source"], row["benchmark"]) == (asked["value"], "a figure", "b")


def test_a_page_counts_the_verdicts() -> None:
    asked = [number("es", 1, "top1_pct", 70.4, point="1"), number("es", 2, "top1_pct", 70.0, point="2")]
    heading, text, table = section(pd.DataFrame(rows(tables_of(OURS), asked)).fillna(np.nan))
    assert heading == "## Published numbers"
    assert text.startswith("1 within tolerance, 1 not run;")
    assert "70.40 ± 0.50" in table
    assert section(pd.DataFrame({"verdict": []})) == []
