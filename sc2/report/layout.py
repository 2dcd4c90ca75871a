"""Size of a figure and its legends: below the axes for a few curves, beside them and by family for many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from sc2.report.lettering import width as width_of
from sc2.report.lettering import wrapped
from sc2.report.looks import family_title, in_order

WIDTH, HEIGHT = 5.5, 4.0
"""Size of a figure with one row of legend (inches)."""

MANY = 8
"""Largest number of entries that go below the axes."""

_AXES_WIDTH, _AXES_HEIGHT = 6.4, 5.2
"""Room for the axes beside a legend by family, and their least height (inches)."""

_CHARACTER, _LEGEND_HANDLE = 4.7, 52.0
"""Widths in the legend, of a character and of what stands beside the text (points)."""

_ROW_BELOW, _ROW_BESIDE, _HEADING_GAP = 0.19, 0.2, 0.75
"""Height of a row of a legend below or beside the axes (inches), and room above a heading (rows)."""

_PADDING = 0.2
"""Height around a legend beside the axes (inches)."""

_TITLE_CHARACTERS_PER_INCH = 12

Side = Literal["left", "center"]
_SIDES: dict[Side, Literal["outside lower left", "outside lower center"]] = {
    "left": "outside lower left",
    "center": "outside lower center",
}


@dataclass(frozen=True)
class Entry:
    """One entry of the legend.

    Attributes:
        family: Family of the method.
        handle: What is drawn; its label is the text.
    """

    family: str
    handle: Artist

    @property
    def text(self) -> str:
        """Text of the entry."""
        return str(self.handle.get_label())


@dataclass(frozen=True)
class Layout:
    """How large a figure is and where its legend goes.

    Attributes:
        entries: Entries of the legend in the order of the methods, possibly none.
        columns: Entries in a row below the axes; as many as fit by default.
        side: Where a legend below the axes starts.
        always_beside: Whether the legend stands beside the axes also with few entries.
        more_rows: Rows that another key needs in the same column, when the legend stands beside the axes.
    """

    entries: Sequence[Entry]
    columns: int | None = None
    side: Side = "center"
    always_beside: bool = False
    more_rows: int = 0

    @property
    def beside(self) -> bool:
        """Whether the legend stands beside the axes, by family."""
        return self.always_beside or len(self.entries) > MANY

    def figure(self, title: str) -> tuple[Figure, Axes]:
        """Return an empty figure with its axes, and `title` above them."""
        figure = self.canvas()
        axes = figure.add_subplot()
        axes.set_title(wrapped(title, self.title_characters), loc="left")
        return figure, axes

    @property
    def title_characters(self) -> int:
        """Characters in a line of the title."""
        return round(_TITLE_CHARACTERS_PER_INCH * (_AXES_WIDTH if self.beside else WIDTH))

    def canvas(self, axes_size: tuple[float, float] = (_AXES_WIDTH, _AXES_HEIGHT)) -> Figure:
        """Return an empty figure that grows with its legend, so that the axes keep their size.

        Args:
            axes_size: Room for the axes beside a legend by family (inches).
        """
        figure = Figure(figsize=self._size(*axes_size), layout="constrained")
        FigureCanvasAgg(figure)
        return figure

    def _size(self, width: float, height: float) -> tuple[float, float]:
        if self.beside:
            longest = max(width_of(entry.text) for entry in self.entries)
            groups = self._groups()
            rows = len(self.entries) + len(groups) * (1 + _HEADING_GAP) + self.more_rows
            return width + (_CHARACTER * longest + _LEGEND_HANDLE) / 72, max(height, _ROW_BESIDE * rows + _PADDING)
        rows = -(-len(self.entries) // (self.columns or self._fitting())) if self.entries else 0
        return WIDTH, HEIGHT + _ROW_BELOW * max(0, rows - 1)

    def _fitting(self) -> int:
        """Return the largest number of columns, up to four, that fits into the figure, filled column by column."""
        lengths = np.array([width_of(entry.text) for entry in self.entries])
        for columns in range(min(4, len(lengths)), 1, -1):
            parts = np.array_split(lengths, columns)
            if sum(_CHARACTER * int(part.max()) + _LEGEND_HANDLE for part in parts) <= WIDTH * 72:
                return columns
        return 1

    def _groups(self) -> dict[str, list[Entry]]:
        """Return the entries by the title of their family, in the order of the families."""
        return {
            family_title(family): [entry for entry in self.entries if entry.family == family]
            for family in in_order(entry.family for entry in self.entries)
        }

    def legend(self, figure: Figure) -> None:
        """Put the legend where it covers nothing."""
        if not self.entries:
            return
        if not self.beside:
            figure.legend(
                handles=[entry.handle for entry in self.entries], loc=_SIDES[self.side],
                ncols=self.columns or self._fitting(), frameon=False, handlelength=3.2,
            )  # fmt: skip
            return
        handles: list[Artist] = []
        headings: list[int] = []
        for title, members in self._groups().items():
            headings.append(len(handles))
            handles += [Line2D([], [], linestyle="none", label=title), *(entry.handle for entry in members)]
        drawn = figure.legend(handles=handles, loc="outside right upper", frameon=False, handlelength=3.2)
        _set_headings(drawn.get_texts(), headings)


def _set_headings(texts: Sequence[Text], headings: Sequence[int]) -> None:
    """Make some entries headings: bold, with room above."""
    for number, index in enumerate(headings):
        texts[index].set_fontweight("bold")
        texts[index].set_text(("\n" if number else "") + texts[index].get_text())
