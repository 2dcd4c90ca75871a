"""docs/method.md and docs/curves.md are what is written from the committed snapshots."""

from pathlib import Path

import pandas as pd
import pytest

from tests import curves_page
from tests.method_page import BEGIN, END, PAGE, PICTURE, QUALITY, draw, section, written


def test_the_page_of_the_curves_is_written_from_its_template() -> None:
    assert curves_page.page() == curves_page.PAGE.read_text(encoding="utf-8"), "run make pages"


def test_the_page_has_the_results_of_the_snapshots() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert written(text, section()) == text, "run make pages"


def test_the_figure_of_the_page_is_drawn_from_the_snapshots(tmp_path: Path) -> None:
    draw(tmp_path / PICTURE)
    assert (tmp_path / PICTURE).read_bytes() == PAGE.with_name(PICTURE).read_bytes(), "run make pages"
    assert f"]({PICTURE})" in PAGE.read_text(encoding="utf-8")


def test_only_what_is_between_the_markers_is_written() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert written(text, f"{BEGIN}\nnew\n{END}\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


@pytest.mark.parametrize("benchmark", QUALITY)
def test_every_point_of_a_snapshot_is_listed(root: Path, benchmark: str) -> None:
    rows = pd.read_csv(root / f"docs/reference/{benchmark}/rate_quality.csv", dtype=str)
    [title] = rows.loc[rows["method"] == "gained_student", "method_title"].unique()
    assert section().count(f"| {title} | ") >= rows.loc[rows["method"] == "gained_student", "point"].nunique()
