"""What the results page holds: sentences from the tables, looks, bytes per image, traces; nothing from elsewhere."""

import copy
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib.path
import numpy as np
import pandas as pd
import pytest

from sc2.cli import main
from sc2.errors import DataError
from sc2.page import marks
from sc2.page.content import content
from sc2.page.html import page
from sc2.page.points import histogram
from sc2.page.present import present
from sc2.page.sentences import at_equal_bytes, at_equal_quality
from sc2.page.snapshot import snapshots
from sc2.report.looks import LOOKS
from sc2.report.series import MethodFacts, read_tables
from tests import results_tree
from tests.conftest import ROOT
from tests.result_page import content_of
from tests.results_tree import COMMIT, FACTS, POINTS, sizes

RATIO = {
    **{"max_loss_points": 5.0, "min_quality": 70.0, "method": "webp", "method_title": "WebP"},
    **{"other_method": "entropic_student", "other_method_title": "Student", "told_apart": True},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of a small benchmark; read only."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        results_tree.write(Path("results"))
        results_tree.model(Path("results"))
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the results for one test."""
    shutil.copytree(made / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return Path("results")


@pytest.fixture(scope="module")
def computed(made: Path) -> dict[str, Any]:
    """What the page shows of them; read only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        return content(present(Path("results")), lambda line: None)


@pytest.fixture
def shown(computed: dict[str, Any]) -> dict[str, Any]:
    """A copy of it for one test."""
    return copy.deepcopy(computed)


@pytest.fixture
def tables(made: Path) -> Any:
    """The tables."""
    folder = made / "results" / "tables" / "b"
    return read_tables({name: folder / f"{name}.csv" for name in ("rate_quality", "latency", "teacher")}, FACTS)


@pytest.mark.parametrize(
    ("ratio", "low", "high", "apart", "told"),
    [
        (0.38, 0.30, 0.46, True, "WebP needs 62 ± 8 % fewer bytes than Student at 70.0 % top-1 accuracy."),
        # The other way round: 1 / 2.5 is 60 % fewer, and the ends change places.
        (2.5, 2.0, 4.0, True, "Student needs 60 % fewer bytes than WebP at 70.0 % top-1 accuracy (95 % interval 50"),
        (0.8, 0.5, 1.2, False, "WebP needs 20 % fewer bytes, and the 95 % interval reaches from 50 % fewer to 20"),
        (0.5, math.nan, math.nan, False, "WebP needs 50 % fewer bytes than Student at 70.0 % top-1 accuracy on these"),
        (4.0, 0.0, 9.0, False, "Student needs 75 % fewer bytes than WebP at 70.0 % top-1 accuracy on these test"),
    ],
)  # fmt: skip
def test_a_pair_is_told_in_a_sentence(
    tables: Any, ratio: float, low: float, high: float, apart: bool, told: str
) -> None:
    row = {**RATIO, "byte_ratio": ratio, "byte_ratio_low": low, "byte_ratio_high": high, "told_apart": apart}
    [sentence] = at_equal_quality(tables, pd.DataFrame([row]))
    assert told in sentence["text"]
    assert sentence["pair"] == ["entropic_student", "webp"]
    assert ("cannot be told apart" in sentence["text"]) == (not apart and math.isfinite(low) and low > 0)


def test_the_better_of_two_points_comes_first(tables: Any) -> None:
    row = {
        **{"method": "webp", "method_title": "WebP", "point": "10", "payload_bytes_mean": 300.0},
        **{"other_method": "entropic_student", "other_method_title": "Student", "other_point": "1"},
        **{"other_payload_bytes_mean": 200.0, "difference_points": -18.0, "difference_points_low": -20.0},
        **{"difference_points_high": -15.0, "told_apart": True, "only_right": 4.0, "only_other_right": 40.0},
        "mcnemar_p": 0.001,
    }
    [sentence] = at_equal_bytes(tables, pd.DataFrame([row]))
    assert sentence["text"] == (
        "Student β=1 (200 B) has 18.0 points more top-1 accuracy than WebP q=10 (300 B) (95 % interval 15.0 … 20.0; "
        "40 images are right with the first only, 4 with the second only)."
    )
    unsure = {**row, "told_apart": False, "mcnemar_p": math.nan}
    [sentence] = at_equal_bytes(tables, pd.DataFrame([unsure]))
    assert sentence["text"].startswith("Student β=1 (200 B) cannot be told from WebP q=10 (300 B)")
    assert "right" not in sentence["text"]


def test_the_bytes_of_all_images_can_be_unpacked() -> None:
    steps, counts = histogram(np.array([5.0, 3.0, 9.0, 5.0]))
    assert (steps, counts) == ([3, 2, 4], [1, 2, 1])
    assert np.repeat(np.cumsum(steps), counts).tolist() == [3, 5, 5, 9]


@pytest.mark.parametrize("method", LOOKS)
def test_every_method_stands_out_from_both_pages(method: str) -> None:
    its = marks.looks_of(LOOKS[method])
    assert marks.contrast(its["light"], marks.LIGHT_PAGE) >= 3
    assert marks.contrast(its["dark"], marks.DARK_PAGE) >= 3
    numbers = [abs(float(number)) for number in re.findall(r"-?\d+\.?\d*", its["shape"])]
    assert 0.5 < max(numbers) < 1.42
    assert its["shape"].startswith("M")


def test_shapes_are_those_of_the_figures() -> None:
    assert marks.shape("s") == "M-1,1L1,1L1,-1L-1,-1Z"
    assert "C" in marks.shape("o")
    assert marks.shape("^") != marks.shape("v")
    assert matplotlib.path.Path.CURVE4 in marks._LETTERS


def test_contrast_is_that_of_the_standard() -> None:
    assert marks.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert marks.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert marks.legible("#000000", marks.LIGHT_PAGE) == "#000000"


def test_every_point_has_its_numbers_its_trace_and_its_command(shown: dict[str, Any]) -> None:
    [benchmark] = shown["benchmarks"]
    points = {(curve["method"], p["point"]): p for curve in benchmark["curves"] for p in curve["points"]}
    assert set(points) == set(POINTS)
    student = points["entropic_student", "1"]
    assert student["label"] == "β=1"
    assert student["bytes"][0] == pytest.approx(sum(sizes(200.0)) / 200)
    assert student["times"]["device"] == pytest.approx([4.0, 3.6, 4.4])
    assert not student["times"]["local"]
    assert points["local_model", "8"]["times"]["local"]
    [run] = student["runs"]
    path = "results/evaluate/b/entropic_student/1/seed0/summary.json"
    assert run["command"] == f"snakemake --cores all --force {path} --configfile config/mine.yaml"
    assert run["commit"] == COMMIT["commit"]
    assert run["trace"].startswith(f"evaluate b/entropic_student/1/0  {run['record']}")
    assert "file results/raw.txt  sha256 " in run["trace"]
    assert benchmark["reached"]["5"] == {"webp": "50", "entropic_student": "1", "local_model": "8"}
    assert benchmark["loaded"] == ["webp"]


def test_published_curves_and_tables_are_in_it_as_they_are(shown: dict[str, Any], results: Path) -> None:
    [benchmark] = shown["benchmarks"]
    [curve] = benchmark["published"]
    assert curve["method"] == "webp"
    assert curve["quality"] == (75.0, 86.0)
    made = {path.stem: path.read_text() for path in results.glob("*/b/*.csv")}
    assert benchmark["tables"] == made
    assert {"rate_quality", "end_to_end", "break_even"} <= set(made)


def test_the_page_needs_nothing_from_elsewhere(shown: dict[str, Any]) -> None:
    shown["benchmarks"][0]["title"] = "</script><b>&amp;"
    text = page(shown)
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "</script><b>" not in text
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", markup)
    assert not re.search(r"@import|url\(", markup)
    assert content_of(text) == json.loads(json.dumps(shown))
    assert "{{" not in markup
    assert "University of Washington" in markup


def test_the_command_writes_the_page(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "-o", "out/page.html"]) == 0
    assert "out/page.html: 1.0 MB" in capsys.readouterr().out
    assert Path("out/page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in Path("out").iterdir()] == ["page.html"]


def test_what_is_missing_is_named_with_the_command_that_makes_it(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--benchmark", "other"]) == 2
    assert "no tables and no snapshot of benchmark 'other'; there are those of b" in capsys.readouterr().err
    assert main(["report", "--results", "nowhere"]) == 2
    assert "snakemake --cores all report" in capsys.readouterr().err
    (results / "figures/b/rate_accuracy.prov.json").unlink()
    assert main(["report"]) == 2
    error = capsys.readouterr().err
    assert "snakemake --cores all results/figures/b/rate_accuracy.svg" in error
    assert not Path("report").exists()


def test_a_benchmark_without_results_is_shown_from_its_snapshot(results: Path) -> None:
    intervals = [f"{name}_{end}" for name in ("top1_pct", "payload_bytes_mean") for end in ("low", "high")]
    results_tree.snapshot(Path("reference"), "s", (*intervals, "timed_bytes_p50", "loaded"))
    shutil.copytree("reference/s", "reference/b")
    (Path("reference") / "group").mkdir()
    (Path("reference/group") / "snapshot.prov.json").write_text("{}")
    facts = {"webp": MethodFacts("codec", "q="), "entropic_student": MethodFacts("student", "β=")}
    found = snapshots(Path("reference"), facts)
    assert [snapshot.name for snapshot in found] == ["b", "s"]
    shown = content(found[1:], lambda line: None)
    [benchmark] = shown["benchmarks"]
    assert (benchmark["title"], benchmark["snapshot"], benchmark["images"]) == ("Digits s", "reference/s", 200)
    points = {(curve["method"], p["point"]): p for curve in benchmark["curves"] for p in curve["points"]}
    assert set(points) == set(POINTS)
    student = points["entropic_student", "1"]
    assert student["label"] == "β=1"
    assert student["bytes"] == [pytest.approx(sum(sizes(200.0)) / 200, rel=1e-5), None, None]
    assert (student["quality"], student["sizes"], student["times"]) == ([88.0, None, None], None, None)
    assert student["runs"][0]["record"] == "a" * 16
    assert not any(benchmark["reached"].values())
    assert benchmark["equal_quality"] == benchmark["equal_bytes"] == []
    assert set(benchmark["tables"]) == {"rate_quality", "comparison", "latency", "teacher"}
    assert [picture["method"] for picture in benchmark["pictures"]] == ["webp"]
    assert page(shown).startswith("<!doctype html>")


def test_results_are_shown_before_a_snapshot_of_the_same_benchmark(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results_tree.snapshot(Path("docs/reference"), "s")
    shutil.copytree("docs/reference/s", "docs/reference/b")
    assert main(["report"]) == 0
    told = capsys.readouterr().err
    assert "b: tables, rows per image and records of 6 runs" in told
    assert "s: the snapshot docs/reference/s" in told
    assert main(["report", "--results", "nowhere", "--benchmark", "b", "-o", "b.html"]) == 0
    assert "b: the snapshot docs/reference/b" in capsys.readouterr().err


def test_every_committed_snapshot_can_be_shown() -> None:
    found = snapshots(ROOT / "docs" / "reference", {})
    shown = content(found, lambda line: None)
    for snapshot, benchmark in zip(found, sorted(shown["benchmarks"], key=lambda one: one["name"]), strict=True):
        assert benchmark["name"] == snapshot.name
        methods = set(snapshot.tables.rate_quality["method"])
        assert {curve["method"] for curve in benchmark["curves"]} == methods
    json.dumps(shown, allow_nan=False)


def test_a_dirty_tree_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results_tree.write(Path("results"), git={**COMMIT, "dirty": True, "dirty_sha256": "ff"})
    shown = content(present(Path("results")), lambda line: None)
    assert shown["commit"] == {"commits": ["c0ffee000000"], "dirty": ["Digits b"]}
    assert {run["dirty"] for c in shown["benchmarks"][0]["curves"] for p in c["points"] for run in p["runs"]} == {"yes"}


def test_a_run_without_rows_per_image_is_named(results: Path) -> None:
    path = results / "evaluate/b/webp/50/seed0/samples.parquet"
    path.unlink()
    with pytest.raises(DataError, match=re.escape(str(path))):
        content(present(results), lambda line: None)
