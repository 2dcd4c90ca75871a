"""Titles and names from outside stand in figures, pictures and pages as they are, whatever they hold."""

import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from pydantic import ValidationError

from sc2.config.schema import MethodFile
from sc2.report import lettering, overview, plot, style
from sc2.report.layout import Layout
from sc2.report.markdown import Markup, code, escaped, table
from sc2.report.pictures import classification, detection, segmentation
from sc2.report.series import Context
from tests.unit.test_figures import DIGITS, FIGURES, TITLES, load, make, plot_job, texts_of

__all__ = ["make"]  # a fixture

TEXTS = [
    "cost $5_ or $6_{",
    r"$\alpha$ and \$ and \frac{",
    "_under_ *star* ~~100 %~~ `tick` ``",
    "<b>&amp; | [x](y) -- ![z] # \\",
    "写真の数字",
    "Ζώα, звери, 동물, पशु, חיות, حيوانات",
]
Make = Callable[..., dict[str, Path]]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("title", "method"), list(zip(TEXTS[::2], TEXTS[1::2], strict=True)))
def test_a_figure_shows_any_title_and_name_as_it_is(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, title: str, method: str
) -> None:
    monkeypatch.setitem(TITLES, "entropic_student", f"_{method}")
    paths = make(DIGITS)
    job = plot_job(paths, tmp_path / "made", figure=name, title=title)
    plot.run(job)
    assert ElementTree.parse(job.outputs["svg"]).getroot().tag.endswith("svg")
    figure = plot.render(name, load(paths), Context(title, tuple(DIGITS)))
    texts = [found for found in figure.findobj(Text) if isinstance(found, Text)]
    assert title in [found.get_text().replace("\n", " ") for found in texts]
    assert any(found.startswith(f"_{method}") for found in texts_of(figure))
    assert not any(found.get_parse_math() for found in texts)


def test_an_overview_shows_any_name_as_it_is(make: Make, tmp_path: Path) -> None:
    with style.applied():
        figure = overview.draw(TEXTS[0], [TEXTS[1]], [load(make(DIGITS))])
    style.save(figure, tmp_path / "a.svg", tmp_path / "a.png", TEXTS[3])
    assert figure.axes[0].get_title(loc="left") == TEXTS[1]


@pytest.mark.parametrize("text", TEXTS)
def test_a_picture_shows_any_name_of_a_class_as_it_is(tmp_path: Path, text: str) -> None:
    boxes = {"boxes": np.array([[1.0, 1, 6, 6]]), "labels": np.array([0])}
    shown: list[tuple[Any, Any]] = [
        *((classification, 0), (classification, torch.tensor([1.0, 0.0]))),
        *((detection, boxes), (segmentation, np.ones((8, 8), np.uint8))),
    ]
    for module, answer in shown:
        with style.applied():
            figure = Figure(figsize=(2, 2))
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            axes.imshow(np.zeros((8, 8, 3), np.uint8))
            module.draw(axes, answer, [text, "other"])
        style.save_picture(figure, tmp_path / "a.webp")
        [written] = axes.texts
        assert written.get_text().startswith(text)
        assert not written.get_parse_math()


# Letters that no font has


def titled(title: str) -> Figure:
    with style.applied():
        return Layout([]).figure(title)[0]


def test_letters_that_no_font_has_are_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lettering, "_FURTHER", ())
    style.save(titled("写真 and 写 again"), tmp_path / "a.svg", tmp_path / "a.png", "t")
    said = capsys.readouterr().err
    assert said.count("\n") == said.count("warning: a.svg: no font here has 写 (U+5199), 真 (U+771F); boxes stand") == 1
    style.save(titled("Latin, Ζώα, звери"), tmp_path / "a.svg", tmp_path / "a.png", "t")
    assert capsys.readouterr().err == ""


@lettering.told("x")
def warn() -> None:
    warnings.warn("something else", UserWarning, stacklevel=1)


def test_other_warnings_are_left_alone() -> None:
    with pytest.warns(UserWarning, match="something else"):
        warn()


def test_a_letter_that_the_first_font_lacks_is_taken_from_the_next_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = (
        font_manager.get_font(font_manager.findfont(family)).get_charmap() for family in ("DejaVu Sans", "STIXGeneral")
    )
    letter = chr(min(set(other) - set(first)))
    pixels = []
    for further in (("No such font",), ("No such font", "STIXGeneral")):
        monkeypatch.setattr(lettering, "_FURTHER", further)
        assert lettering.families() == ["DejaVu Sans", *further[1:]]
        style.save(titled(letter), tmp_path / "a.svg", tmp_path / "a.png", "t")
        assert (letter in capsys.readouterr().err) == (len(further) == 1)
        pixels.append((tmp_path / "a.png").read_bytes())
    assert pixels[0] != pixels[1]


def test_lines_are_broken_by_what_they_measure() -> None:
    assert lettering.wrapped("one two three", 8) == "one two\nthree"
    assert lettering.wrapped("数字" * 6, 8) == "\n".join(["数字数字"] * 3)
    assert [lettering.width(text) for text in ("", "abc", "数字 a")] == [0, 3, 6]


# Pages


def shown(markdown: str) -> str:
    """What a reader of a page sees of one paragraph or cell: no formatting may be left."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).disable("linkify").parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "text_special", "code_inline"}
    return "".join(child.content for child in inline)


@pytest.mark.parametrize("text", [*TEXTS, "# 1. a", "a_b c_d _e_ __f__", "<!-- x -->", "&copy;"])
def test_a_page_shows_any_text_as_it_is(text: str) -> None:
    assert shown(f"# {escaped(text)}") == text
    assert shown(f"Made by {code(text)}.") == f"Made by {text}."
    cells = table(("a", "b"), [(text, Markup("`c`"))], numbers_from=1)
    assert shown(cells) == f"ab{text}c"


def test_dollars_make_no_formula_and_words_keep_their_underscores() -> None:
    assert escaped("$5 and $6") == r"\$5 and \$6"
    assert escaped("layer2_q1_s1") == "layer2_q1_s1"
    assert escaped("two\nlines") == "two lines"


@pytest.mark.parametrize("title", ["a\x07b", "a\nb", "\ud800", " "])
def test_titles_without_a_glyph_are_refused_in_the_configuration(title: str) -> None:
    with pytest.raises(ValidationError, match="title"):
        MethodFile.model_validate({"title": title})
    assert MethodFile.model_validate({"title": "folded\n"}).title == "folded"
