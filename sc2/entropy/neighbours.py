"""Coding under tables that are chosen by coded neighbours, and those tables, counted on training images.

`sc2.entropy.neighbourhood` says which table is chosen.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sc2.entropy.coder import StreamDecoder, StreamEncoder, TableCoder
from sc2.entropy.counts import count_keyed, smoothed, tables_of_rows
from sc2.entropy.neighbourhood import CLASSES, LEVELS, level, put, steps, tables_at
from sc2.entropy.tables import Groups, Integers

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
        put(encoder, self.coder, symbols.numpy(), self.low)

    def take(self, decoder: StreamDecoder, height: int, width: int) -> Tensor:
        """Return the next symbols of a stream, int32 [1, C, height, width].

        Raises:
            WireError: No encoder can have written the stream for this shape.
        """
        values = np.zeros((self.channels, height, width), dtype=np.int32)
        # With a row above and a column before, which are outside.
        levels = np.full((self.channels, height + 1, width + 1), level(0, self.low), dtype=np.int32)
        first = np.arange(self.channels, dtype=np.int32)[:, None] * CLASSES
        for rows, columns in steps(height, width):
            above, left = levels[:, rows, columns + 1], levels[:, rows + 1, columns]
            groups = Groups.of((first + LEVELS * above + left).reshape(-1))
            step = decoder.take(self.coder, groups).reshape(self.channels, -1)
            values[:, rows, columns] = step
            levels[:, rows + 1, columns + 1] = level(step, self.low)
        return torch.from_numpy(values).unsqueeze(0)

    def bits(self, symbols: Tensor) -> float:
        """Return the ideal code length of symbols int32 [1, C, h, w] under the tables, in bits."""
        return self.coder.bits(symbols.numpy().reshape(-1), self.indexes(symbols).reshape(-1))

    def indexes(self, symbols: Tensor) -> Integers:
        """Return the table of each symbol, int32 [B, C, h, w], of symbols of that shape."""
        return tables_at(symbols.numpy(), self.low)


def count_neighbours(symbols: Tensor, size: int, *, first: int) -> Tensor:
    """Count the symbols of each channel and class.

    Args:
        symbols: Integers [B, C, h, w]; none below 0 if `first` is 0.
        size: Columns of the result; see `counts.count_keyed`.
        first: Symbol of the first column; below 0 for signed symbols.

    Returns:
        int64 [9C, size] on the symbols' device.
    """
    tables = torch.from_numpy(tables_at(symbols.cpu().numpy(), _low(first)))
    keys = tables.long().to(symbols.device)
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


def _low(first: int) -> int:
    return -1 if first < 0 else 0
