"""Coding under tables that are chosen by coded neighbours.

`sc2.entropy.neighbourhood` says which table is chosen, `sc2.entropy.neighbour_counts` makes the tables.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sc2.entropy.coder import StreamDecoder, StreamEncoder, TableCoder
from sc2.entropy.neighbourhood import CLASSES, LEVELS, level, put, steps, tables_at
from sc2.entropy.tables import Groups, Integers


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
