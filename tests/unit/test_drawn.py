"""Figures that are drawn from tables on pages of docs/."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.drawn import DRAWINGS, Drawing, draw
from tests.generated import marks, put, table

drawings = pytest.mark.parametrize("drawing", DRAWINGS, ids=[drawing.figure for drawing in DRAWINGS])


@drawings
def test_a_committed_figure_is_drawn_from_the_table_on_its_page(drawing: Drawing, tmp_path: Path) -> None:
    draw(drawing, ROOT / "docs", tmp_path / "drawn.svg")
    assert (tmp_path / "drawn.svg").read_bytes() == (ROOT / "docs" / drawing.figure).read_bytes(), "run: make pages"
    assert f"({drawing.figure})" in (ROOT / "docs" / drawing.page).read_text(encoding="utf-8")


@drawings
def test_another_number_gives_another_figure(drawing: Drawing, tmp_path: Path) -> None:
    text = (ROOT / "docs" / drawing.page).read_text(encoding="utf-8")
    before = drawing.rows(ROOT / "docs")[0][drawing.column]
    (tmp_path / drawing.page).write_text(text.replace(f"| {before} |", f"| {2 * float(before):.1f} |"))
    for folder, name in ((ROOT / "docs", "one.svg"), (tmp_path, "other.svg")):
        draw(drawing, folder, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() != (tmp_path / "other.svg").read_bytes()


def test_a_table_is_found_by_its_column_among_those_of_its_command(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n".join(["| a | x |", "|---|---:|", "| 0 | 0 |", *marks("make it"), *marks("make more")]))
    put(page, "make it", ["| a | b |", "|---|---:|", "| 1 | 2 |", "| 3 | 4 |", "", "| c |", "|---|", "| 5 |"])
    assert table(page, "make it", "b") == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert table(page, "make it", "c") == [{"c": "5"}]
    for command, column in (("make it", "x"), ("make more", "a")):
        with pytest.raises(ValueError, match=f"0 tables of `{command}` have a column '{column}'"):
            table(page, command, column)
    put(page, "make more", ["| d |", "|---|"])
    with pytest.raises(ValueError, match="is empty; run the command"):
        table(page, "make more", "d")
