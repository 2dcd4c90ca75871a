"""Small texts beside points, placed where they cover neither points, lines nor each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from sc2.report.layout import MANY
from sc2.report.looks import is_corner, text_colour
from sc2.report.series import Series, Values
from sc2.report.style import INK, look_of

FONT_SIZE = 8.0
_STEP = 3.0
"""Distance between the points that stand for a line when overlap is counted (pixels)."""

_CLEAR, _SLACK = 9.0, 4.0
"""How far its own marker reaches, and how much nearer another point may be to a text (pixels)."""

_OUTSIDE, _ON_TEXT, _ON_OTHER = 10_000.0, 1_000.0, 3.0
_LIMIT = 4.0
"""Overlap beyond which a rate point stays unwritten; a missing label is better than an unreadable one."""


@dataclass(frozen=True)
class Spot:
    """One place where a text may go: an offset from its anchor (points) and the anchor's corner of the text."""

    x: float
    y: float
    dx: float
    dy: float
    ha: str
    va: str


@dataclass
class Placer:
    """Places texts one by one on finished axes; the order of the calls is the order of preference.

    The layout is frozen first, so that what was measured is what both file formats show.
    """

    figure: Figure
    axes: Axes
    taken: list[Bbox] = field(default_factory=list)
    ink: NDArray[np.float64] = field(init=False)
    markers: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")
        with_markers = [line for line in self.axes.lines if line.get_marker() not in ("None", None)]
        self.markers = np.concatenate([np.empty((0, 2)), *_corners(with_markers)])
        self.ink = _ink(_corners(self.axes.lines), self.markers)

    def write(self, text: str, spots: Sequence[Spot], colour: str = INK) -> Annotation:
        """Write `text` at the first of the spots with the least overlap."""
        options = [self._write(text, spot, colour) for spot in spots]
        costs = [self._cost(_box(option)) for option in options]
        return self._keep(options, int(np.argmin(costs)))

    def write_beside(self, text: str, spots: Sequence[Spot], colour: str) -> Annotation | None:
        """Write `text` beside a point where it plainly belongs to it, or nowhere in a crowd."""
        options = [self._write(text, spot, colour) for spot in spots]
        boxes = [_box(option) for option in options]
        costs = [self._cost(box) + self._doubt(box, self._pixels(spot)) for box, spot in zip(boxes, spots, strict=True)]
        best = int(np.argmin(costs))
        if costs[best] <= _LIMIT:
            return self._keep(options, best)
        for option in options:
            option.remove()
        return None

    def _keep(self, options: Sequence[Annotation], best: int) -> Annotation:
        """Remove all options but one."""
        for number, option in enumerate(options):
            if number != best:
                option.remove()
        self.taken.append(_box(options[best]))
        return options[best]

    def _write(self, text: str, spot: Spot, colour: str) -> Annotation:
        return self.axes.annotate(
            text, (spot.x, spot.y), (spot.dx, spot.dy), textcoords="offset points", ha=spot.ha, va=spot.va,
            fontsize=FONT_SIZE, color=colour, zorder=5,
        )  # fmt: skip

    def _cost(self, box: Bbox) -> float:
        """Return how much of what is already drawn the text would cover."""
        covered = np.all((self.ink >= box.min) & (self.ink <= box.max), axis=1).sum()
        on_text = sum(bool(box.overlaps(other)) for other in self.taken)
        within = self.axes.bbox
        outside = box.x0 < within.x0 or box.x1 > within.x1 or box.y0 < within.y0 or box.y1 > within.y1
        return float(covered) + _ON_TEXT * on_text + _OUTSIDE * outside

    def _doubt(self, box: Bbox, point: NDArray[np.float64]) -> float:
        """Return how easily the text is read as another point's: what lies between, and whether another is nearer."""
        way = _line(point, np.asarray(box.get_points(), dtype=np.float64).mean(axis=0))
        way = way[np.hypot(*(way - point).T) > _CLEAR]
        to_ink = np.hypot(*(self.ink[:, None, :] - way[None, :, :]).transpose(2, 0, 1))
        crossed = (to_ink.min(axis=0, initial=np.inf) < _STEP).sum()
        to_markers = np.hypot(*(self.markers - np.clip(self.markers, box.min, box.max)).T)
        to_own = float(np.hypot(*(point - np.clip(point, box.min, box.max))))
        return float(crossed) + _ON_OTHER * bool(np.any(to_markers < to_own - _SLACK))

    def _pixels(self, spot: Spot) -> NDArray[np.float64]:
        return np.asarray(self.axes.transData.transform((spot.x, spot.y)), dtype=np.float64)


def label_corners(placer: Placer, drawn: Iterable[tuple[Series, Values]]) -> None:
    """Write the names of the corners beside their points, in their colour.

    Args:
        placer: Places the texts.
        drawn: Each curve with the x of its points.
    """
    for series, x in drawn:
        if is_corner(series.facts.family):
            spots = _around(float(x[0]), float(series.quality[0]))
            placer.write(series.title, spots, text_colour(look_of(series).colour))


def label_ends(placer: Placer, drawn: Sequence[tuple[Series, Values]]) -> None:
    """Write the rate point beside the first and last point of every curve, in its colour, where it fits.

    Among many curves a rate point says little and hides much: then none is written.

    Args:
        placer: Places the texts.
        drawn: Each curve with the x of its points.
    """
    curves = [(series, x) for series, x in drawn if not is_corner(series.facts.family)]
    for series, x in curves if len(drawn) <= MANY else ():
        colour = text_colour(look_of(series).colour)
        for index in sorted({0, len(series.points) - 1}):
            text = series.facts.point(series.points[index])
            placer.write_beside(text, _around(float(x[index]), float(series.quality[index])), colour)


def label_teacher(placer: Placer, text: str, teacher: float) -> None:
    """Write the teacher's name and quality on its line, left of the middle where there is room."""
    to_data = placer.axes.transAxes + placer.axes.transData.inverted()
    positions = [float(to_data.transform((part, 0.0))[0]) for part in (0.015, 0.25, 0.5)]
    placer.write(
        text, [Spot(x, teacher, 0, dy, "left", va) for dy, va in ((2.5, "bottom"), (-2.5, "top")) for x in positions]
    )


def _around(x: float, y: float) -> list[Spot]:
    """Return spots around a point, near ones first."""
    spots = []
    for distance in (6.0, 9.0, 13.0):
        diagonal = 0.75 * distance
        spots += [
            Spot(x, y, diagonal, -diagonal, "left", "top"),
            Spot(x, y, distance, 0, "left", "center"),
            Spot(x, y, -diagonal, diagonal, "right", "bottom"),
            Spot(x, y, 0, -distance, "center", "top"),
            Spot(x, y, 0, distance, "center", "bottom"),
            Spot(x, y, -distance, 0, "right", "center"),
            Spot(x, y, diagonal, diagonal, "left", "bottom"),
            Spot(x, y, -diagonal, -diagonal, "right", "top"),
        ]
    return spots


def _box(text: Annotation) -> Bbox:
    return text.get_window_extent().padded(1.5)


def _corners(lines: Iterable[Line2D]) -> list[NDArray[np.float64]]:
    """Return the pixels of the points of each line."""
    return [line.get_transform().transform(np.asarray(line.get_xydata(), dtype=np.float64)) for line in lines]


def _ink(corners: Iterable[NDArray[np.float64]], markers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pixels along every line, and a small cross of them for every marker."""
    arms = np.array([[0, 0], [6, 0], [-6, 0], [0, 6], [0, -6]], dtype=np.float64)
    # A marker weighs more than the line through it.
    pixels = [markers + arm for arm in arms] * 2
    for line in corners:
        pixels += [_line(start, end) for start, end in pairwise(line)]
    return np.concatenate(pixels)


def _line(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pixels from `start` to `end`, one per step."""
    count = max(2, int(np.hypot(*(end - start)) / _STEP))
    return start + np.linspace(0.0, 1.0, count)[:, None] * (end - start)
