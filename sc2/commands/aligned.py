"""Tables in a terminal."""

from collections.abc import Sequence

GAP = "  "


def aligned(rows: Sequence[Sequence[str]], *, numbers_from: int | None = None) -> str:
    """Return rows with their columns aligned, without trailing spaces.

    Args:
        rows: Cells, equally many in every row.
        numbers_from: First column that is aligned to the right; by default none.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = len(widths) if numbers_from is None else numbers_from
    return "\n".join(_line(cells, widths, first) for cells in rows)


def _line(cells: Sequence[str], widths: Sequence[int], first: int) -> str:
    padded = (
        cell.ljust(width) if column < first else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return GAP.join(padded).rstrip()
