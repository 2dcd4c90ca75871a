"""Coding under tables that are chosen by coded neighbours: the symbols above and to the left, in the same channel.

    level of a symbol v     0 for v ≤ low, 1 for v = low + 1, 2 above; low is -1 for signed symbols and 0 for others
    class of a position     3 · level above + level to the left; outside the latent a symbol counts as 0
    table of a symbol       9 · channel + class

Symbols are coded in steps along diagonals, because then both neighbours of a whole step are known: step s holds the
positions with row + column = s of all channels. The tables are counted on training images. All of it is in whole
numbers: two comparisons and an addition per symbol.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sc2.entropy.coder import StreamDecoder, StreamEncoder, TableCoder
from sc2.entropy.counts import count_keyed, smoothed, tables_of_rows
from sc2.entropy.tables import Groups, Integers

CLASSES = 9
_LEVELS = 3
_POOLED_WEIGHT = 8
"""How many symbols the distribution of the whole channel counts for in that of a class."""


class NeighbourCoder:
    """Codes symbols [1, C, h, w] with nine tables per channel.

    Args:
        tables: `cdf` int32 [9C, L], `cdf_length` int32 [9C], `offset` int32 [9C]; `low` int32 [1].
    """

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        self.coder = TableCoder.of(tables)
        self.channels = len(tables["cdf"]) // CLASSES
        self.low = int(tables["low"])

    def put(self, encoder: StreamEncoder, symbols: Tensor) -> None:
        """Append symbols, int32 [1, C, h, w], to a stream."""
        values, indexes = symbols[0].numpy(), self.indexes(symbols)[0]
        for rows, columns in steps(*values.shape[1:]):
            groups = Groups.of(indexes[:, rows, columns].reshape(-1))
            encoder.put(self.coder, values[:, rows, columns].reshape(-1), groups)

    def take(self, decoder: StreamDecoder, height: int, width: int) -> Tensor:
        """Return the next symbols of a stream, int32 [1, C, height, width].

        Raises:
            WireError: No encoder can have written the stream for this shape.
        """
        values = np.zeros((self.channels, height, width), dtype=np.int32)
        # With a row above and a column before, which are outside.
        levels = np.full((self.channels, height + 1, width + 1), _level(0, self.low), dtype=np.int32)
        first = np.arange(self.channels, dtype=np.int32)[:, None] * CLASSES
        for rows, columns in steps(height, width):
            above, left = levels[:, rows, columns + 1], levels[:, rows + 1, columns]
            groups = Groups.of((first + _LEVELS * above + left).reshape(-1))
            step = decoder.take(self.coder, groups).reshape(self.channels, -1)
            values[:, rows, columns] = step
            levels[:, rows + 1, columns + 1] = _level(step, self.low)
        return torch.from_numpy(values).unsqueeze(0)

    def bits(self, symbols: Tensor) -> float:
        """Return the ideal code length of symbols int32 [1, C, h, w] under the tables, in bits."""
        return self.coder.bits(symbols.numpy().reshape(-1), self.indexes(symbols).reshape(-1))

    def indexes(self, symbols: Tensor) -> Integers:
        """Return the table of each symbol, int32 [B, C, h, w], of symbols of that shape."""
        keys: Integers = keys_of(symbols, self.low).int().numpy()
        return keys


def keys_of(symbols: Tensor, low: int) -> Tensor:
    """Return the table of each symbol, int64 [B, C, h, w], of integers of that shape."""
    levels = torch.nn.functional.pad(symbols.long(), (1, 0, 1, 0)).sub(low).clamp(0, _LEVELS - 1)
    classes = _LEVELS * levels[..., :-1, 1:] + levels[..., 1:, :-1]
    return classes + CLASSES * torch.arange(symbols.shape[1], device=symbols.device).view(-1, 1, 1)


def count_neighbours(symbols: Tensor, size: int, *, first: int) -> Tensor:
    """Count the symbols of each channel and class.

    Args:
        symbols: Integers [B, C, h, w]; none below 0 if `first` is 0.
        size: Columns of the result; see `counts.count_keyed`.
        first: Symbol of the first column; below 0 for signed symbols.

    Returns:
        int64 [9C, size] on the symbols' device.
    """
    keys = keys_of(symbols, _low(first))
    return count_keyed(symbols, keys, CLASSES * symbols.shape[1], size, first=first)


def neighbour_tables(counts: Tensor, *, first: int) -> dict[str, Tensor]:
    """Return the tables of `NeighbourCoder`.

    A class is seldom seen in some channels; so its channel's distribution over all classes counts for some symbols in
    each of them, and all classes of a channel have the same values.

    Args:
        counts: int64 [9C, A], from `count_neighbours`.
        first: Symbol of the first column.
    """
    rows = []
    for by_class in counts.cpu().view(-1, CLASSES, counts.shape[1]).numpy():
        symbol, pooled = smoothed(by_class.sum(0), first)
        used = by_class[:, symbol - first : symbol - first + len(pooled) - 1]
        for row in np.append(used, by_class[:, -1:], axis=1):
            # The channel's distribution as that many symbols more, in whole numbers.
            rows.append((symbol, row * pooled.sum() + _POOLED_WEIGHT * pooled))
    return tables_of_rows(rows) | {"low": torch.tensor([_low(first)])}


def steps(height: int, width: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield rows and columns of the positions of each step, in the order of rows."""
    return iter(_steps(height, width))


@lru_cache(maxsize=16)
def _steps(height: int, width: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    diagonals = []
    for step in range(height + width - 1):
        rows = np.arange(max(0, step - width + 1), min(step, height - 1) + 1)
        diagonals.append((rows, step - rows))
    return diagonals


def _level(symbols: NDArray[np.int32] | int, low: int) -> NDArray[np.int32]:
    """Return the levels of symbols, int32 of the same shape, without an overflow at the largest numbers."""
    return np.greater(symbols, low).astype(np.int32) + np.greater(symbols, low + 1)


def _low(first: int) -> int:
    return -1 if first < 0 else 0
