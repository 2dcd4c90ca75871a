"""Figures beside tables that stand on pages of docs/, drawn from those tables: `python -m tests.drawn`, a part of
`make pages`.

A table was measured once, on a machine that the page names; the figure shows what the table says, and is drawn again
whenever that changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sc2.report import style
from sc2.report.axes import plain
from tests.conftest import ROOT
from tests.generated import table

OWN, OTHER, MEASURED = "#777777", "#0072b2", "#d55e00"
MODELS = {"D": OWN, "s": OTHER}
"""Markers and colours of the two formulas for a link."""
_WIDTH, _ROW, _REST = 7.2, 0.26, 1.35
"""Width of a figure, height of a row, and height of all else (inches)."""

Row = dict[str, str]


@dataclass(frozen=True)
class Drawing:
    """A figure of a page.

    Attributes:
        page: Name of the page.
        command: The command that wrote the table.
        column: A column that no other table of the command has.
        figure: Name of the figure, beside the page.
        draw: Draws the rows of the table.
    """

    page: str
    command: str
    column: str
    figure: str
    draw: Callable[[list[Row]], Figure]

    def rows(self, docs: Path) -> list[Row]:
        """Return the table as it stands on the page."""
        return table(docs / self.page, self.command, self.column)


def neighbours(rows: list[Row]) -> Figure:
    """Draw how many bytes each method sends under tables that neighbours choose, of those under its own."""
    figure, axes = _canvas(len(rows), "Bytes under tables that coded neighbours choose, against a method's own")
    axes.set_xscale("linear")
    axes.axvline(0.0, color=OWN, linewidth=1.0)
    for y, row in enumerate(rows):
        own = float(row["bytes"])
        both, above = (100 * (float(row[column]) / own - 1) for column in ("by neighbours", "by the one above"))
        axes.plot([0, both], [y, y], color="#bbbbbb", zorder=1)
        axes.plot(above, y, "o", markerfacecolor="white", markeredgecolor=OTHER)
        axes.plot(both, y, "o", color=OTHER)
        text = (
            f"{own:,.0f} → {float(row['by neighbours']):,.0f} B" if own >= 100 else f"{own} → {row['by neighbours']} B"
        )
        axes.annotate(text, (0, y), (7, 0), textcoords="offset points", va="center", fontsize=7.5)
    _rows(axes, [f"{row['method']}, {row['point']} ({row['own tables']})" for row in rows])
    axes.xaxis.set_major_formatter("{x:g} %")
    axes.set_xlabel("Change of the bytes per image")
    axes.margins(x=0.05)
    axes.set_xlim(right=14)
    axes.set_xticks([tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= 0])
    both_mark = Line2D([], [], marker="o", linestyle="none", color=OTHER)
    above_mark = Line2D([], [], marker="o", linestyle="none", markerfacecolor="white", markeredgecolor=OTHER)
    texts = ["by the symbols above and to the left: nine tables a channel", "by the one above alone: three"]
    _legend(figure, [both_mark, above_mark], texts)
    return figure


def links(rows: list[Row]) -> Figure:
    """Draw the latency over each shaped link as it was measured, and how far two formulas are off."""
    figure, axes, beside = _canvas(len(rows), "Latency over a shaped link, measured and modelled", parts=(3, 2))
    beside.axvline(0.0, color=MEASURED, linewidth=1.0)
    for y, row in enumerate(rows):
        measured, late = float(row["measured p50, ms"]), float(row["p95, ms"])
        axes.plot([measured, late], [y, y], color=MEASURED, linewidth=1.2)
        axes.plot(measured, y, "o", color=MEASURED, markersize=4.5)
        for column, marker in (("formula, ms", "D"), ("predicted, ms", "s")):
            off = 100 * (float(row[column]) / measured - 1)
            beside.plot(off, y, marker, color=MODELS[marker], markersize=4.5)
    _rows(axes, [f"{row['method'].replace('`', '')}, {row['link']}" for row in rows])
    axes.set_xlabel("From the image to its answer (ms)")
    beside.set_xlabel("Error of the model (%)")
    beside.grid(axis="y", visible=False)
    marks = [Line2D([], [], marker="o", color=MEASURED, markersize=4.5)]
    marks += [
        Line2D([], [], marker=marker, linestyle="none", color=colour, markersize=4.5)
        for marker, colour in MODELS.items()
    ]
    _legend(figure, marks, ["measured, median to p95", "formula", "predicted, with all headers"])
    return figure


def _canvas(rows: int, title: str, parts: Sequence[int] = (1,)) -> tuple[Any, ...]:
    """Return a figure with axes side by side that share their rows; the first have a logarithmic x."""
    figure = Figure(figsize=(_WIDTH, _REST + _ROW * rows), layout="constrained")
    FigureCanvasAgg(figure)
    every = figure.subplots(1, len(parts), sharey=True, squeeze=False, width_ratios=list(parts))[0]
    every[0].set_xscale("log")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure, *every


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(plain)


def _legend(figure: Figure, marks: list[Line2D], texts: list[str]) -> None:
    figure.legend(handles=marks, labels=texts, loc="outside lower center", ncols=len(texts), frameon=False)


DRAWINGS = (
    Drawing("performance.md", "make profile ARGS=tables", "by neighbours", "neighbours.svg", neighbours),
    Drawing("deploying.md", "make deploying ARGS=link", "predicted, ms", "links.svg", links),
)


def draw(drawing: Drawing, docs: Path, target: Path) -> None:
    """Draw a figure of the pages in a folder to a file; equal tables give equal bytes."""
    with style.applied():
        figure = drawing.draw(drawing.rows(docs))
        figure.savefig(target, format="svg", metadata={"Title": drawing.figure, "Date": None, "Creator": "sc2"})


def main() -> None:
    """Draw all of them."""
    docs = ROOT / "docs"
    for drawing in DRAWINGS:
        draw(drawing, docs, docs / drawing.figure)
        print(f"drawn: docs/{drawing.figure}, from docs/{drawing.page}")


if __name__ == "__main__":
    main()
