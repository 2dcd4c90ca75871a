"""The figure with a panel per variant: what stands in which panel."""

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sc2.report import plot
from sc2.report.figures.rate_accuracy_variants import _OVER
from sc2.report.looks import look
from sc2.report.series import Context
from tests.unit.test_many_curves import tables_of

METHODS = ["bpg", "entropic_student", "entropic_student.slow", "gained_student", "gained_student.wide", "local_model"]


def drawn(methods: Sequence[str]) -> Figure:
    figure = plot.render("rate_accuracy_variants", tables_of(methods), Context("A title", tuple(methods)))
    figure.draw_without_rendering()
    return figure


@pytest.fixture(scope="module")
def figure() -> Figure:
    return drawn(METHODS)


def sizes(methods: str | Line2D) -> list[float]:
    """The bytes of a method's points, or of a drawn line's."""
    if isinstance(methods, Line2D):
        return np.asarray(methods.get_xdata(), dtype=float).tolist()
    return tables_of(METHODS).rate_quality.query("method == @methods")["payload_bytes_mean"].tolist()


def lines(axes: Axes, colour: str) -> list[list[float]]:
    return [sizes(line) for line in axes.lines if line.get_color() == colour and len(sizes(line)) == 4]


def test_a_panel_for_every_curve_but_the_first_and_the_corners(figure: Figure) -> None:
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Entropic student", "Entropic student.slow", "Gained student", "Gained student.wide"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("in colour: what is named above", "in grey: what it differs from"),
        "Local model",
    ]


def test_a_variant_stands_over_its_method_and_a_method_over_the_first(figure: Figure) -> None:
    over = [lines(axes, _OVER) for axes in figure.axes]
    assert over == [[sizes(name)] for name in ("bpg", "entropic_student", "bpg", "gained_student")]
    families = {"entropic_student": "student", "gained_student": "gained"}
    for axes, method in zip(figure.axes, METHODS[1:5], strict=True):
        colour = look(method, families.get(method, "other")).colour
        assert lines(axes, colour) == [sizes(method)], method
        assert sum(len(sizes(line)) == 4 for line in axes.lines) == 2


def test_every_panel_has_the_same_axes_the_teacher_and_the_corner(figure: Figure) -> None:
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    for axes in figure.axes:
        assert [line for line in axes.lines if set(np.asarray(line.get_ydata())) == {74.5}]
        assert [line for line in axes.lines if line.get_marker() == look("local_model", "corner").marker]
    written = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text() != "//"]
    assert written == ["Teacher resnet: 74.5 %", "Local model"]


@pytest.mark.parametrize("methods", [["bpg"], ["local_model"], ["local_model", "bpg"]])
def test_a_single_curve_has_a_panel(methods: list[str]) -> None:
    [axes] = drawn(methods).axes
    assert axes.get_title(loc="left") == methods[-1].replace("_", " ").capitalize()
