"""Which table a symbol is coded under, by the symbols above and to the left of it in its channel. No torch.

    level of a symbol v     0 for v ≤ low, 1 for v = low + 1, 2 above; low is -1 for signed symbols and 0 for others
    class of a position     3 · level above + level to the left; outside the latent a symbol counts as 0
    table of a symbol       9 · channel + class

Symbols are coded in steps along diagonals, because then both neighbours of a whole step are known: step s holds the
positions with row + column = s of all channels. All of it is in whole numbers: two comparisons and an addition per
symbol.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sc2.entropy.tables import Groups, Integers

if TYPE_CHECKING:
    from sc2.entropy.coder import StreamEncoder, TableCoder

CLASSES = 9
LEVELS = 3


def level(symbols: Integers | int, low: int) -> Integers:
    """Return the levels of symbols, int32 of the same shape, without an overflow at the largest numbers."""
    levels: Integers = np.greater(symbols, low).astype(np.int32) + np.greater(symbols, low + 1)
    return levels


def tables_at(symbols: Integers, low: int) -> Integers:
    """Return the table of each symbol, int32 [B, C, h, w], of integers of that shape."""
    levels = level(np.pad(symbols, ((0, 0), (0, 0), (1, 0), (1, 0))), low)
    classes = LEVELS * levels[..., :-1, 1:] + levels[..., 1:, :-1]
    tables: Integers = classes + CLASSES * np.arange(symbols.shape[1], dtype=np.int32)[:, None, None]
    return tables


@lru_cache(maxsize=16)
def steps(height: int, width: int) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    """Return rows and columns of the positions of each step, in the order of rows."""
    diagonals = []
    for step in range(height + width - 1):
        rows = np.arange(max(0, step - width + 1), min(step, height - 1) + 1)
        diagonals.append((rows, step - rows))
    return tuple(diagonals)


def put(encoder: StreamEncoder, coder: TableCoder, symbols: Integers, low: int) -> None:
    """Append symbols, int32 [1, C, h, w], to a stream under the tables of a coder."""
    values, indexes = symbols[0], tables_at(symbols, low)[0]
    for rows, columns in steps(*values.shape[1:]):
        groups = Groups.of(indexes[:, rows, columns].reshape(-1))
        encoder.put(coder, values[:, rows, columns].reshape(-1), groups)
