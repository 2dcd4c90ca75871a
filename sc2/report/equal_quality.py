"""The table for readers: what each method sends, and what its encoder costs, at equal quality.

The same choice as in `fewest_bytes.csv` without a limit on the encoder: of the measured points that stay within a loss
of the teacher's quality, the one with the fewest bytes. Where a method has no such point the cell is a dash.
"""

import math
from collections.abc import Sequence

from sc2.report.fewest_bytes import MAX_LOSS_POINTS, Measured, fewest, measured
from sc2.report.looks import is_corner
from sc2.report.markdown import Markup, escaped, in_a_sentence, number, table
from sc2.report.series import MethodFacts, Tables, teacher_value

_LEVELS = tuple(loss for loss in MAX_LOSS_POINTS if loss > 1)
"""The levels that are shown; few points of a short schedule come within one point."""


def section(tables: Tables) -> list[str]:
    """Return heading, explanation and table: a row per method, a column per level of quality above zero.

    Nothing where there is no such level, because the teacher itself is worth no more than what may be lost.

    Raises:
        DataError: The teacher's multiply-accumulates are zero.
    """
    teacher = teacher_value(tables)
    losses = [loss for loss in _LEVELS if loss < teacher]
    if not losses:
        return []
    found = {
        name: (title, [_best(points, teacher - loss) for loss in losses])
        for name, (title, points) in measured(tables).items()
    }
    splits = {name: cells for name, (_, cells) in found.items() if not is_corner(tables.facts_of(name).family)}
    smallest = [_smallest(splits, column) for column in range(len(losses))]
    rows = []
    for name, (title, cells) in found.items():
        facts = tables.facts_of(name)
        shown = [_cell(point, facts, lead == name) for point, lead in zip(cells, smallest, strict=True)]
        costs = list(dict.fromkeys(_cost(point) for point in cells if point is not None))
        rows.append((title, *shown, "; ".join(costs) or "–"))
    unit = tables.quality.unit
    levels = [f"≥ {number(teacher - loss, 1)}{unit}" for loss in losses]
    together = ", ".join(number(loss) for loss in losses)
    return [
        "## At equal quality",
        f"Fewest bytes per image of a measured point that loses at most {together} points of the teacher's "
        f"{in_a_sentence(tables.quality.label)}, and what the encoder of those points costs. Bold: the "
        "fewest of all methods that leave the answer to the server. A dash: no point reaches it.",
        table(("method", *levels, "encoder: KB, MACs in % of the teacher's"), rows, numbers_from=1),
    ]


def _best(points: Sequence[Measured], min_quality: float) -> Measured | None:
    return fewest(points, min_quality, "encoder_kb", math.inf)[0]


def _smallest(splits: dict[str, list[Measured | None]], column: int) -> str | None:
    """Return the method with the fewest bytes in a column; corners are no splits: they send nothing of the image."""
    sizes = {name: point.data_bytes for name, cells in splits.items() if (point := cells[column]) is not None}
    return min(sizes, key=lambda name: sizes[name]) if sizes else None


def _cell(point: Measured | None, facts: MethodFacts, bold: bool) -> str:
    if point is None:
        return "–"
    text = number(point.data_bytes) if point.data_bytes >= 100 else number(point.data_bytes, 1)
    mark = "**" if bold else ""
    return Markup(f"{mark}{text} B{mark} ({escaped(facts.point(point.point))})")


def _cost(point: Measured) -> str:
    return f"{number(point.encoder_kb, 1)}, {number(point.encoder_macs_pct, 1)} %"
