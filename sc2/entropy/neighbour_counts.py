"""Tables that are chosen by coded neighbours, counted on training images."""

import numpy as np
import torch
from torch import Tensor

from sc2.entropy.counts import count_keyed, smoothed, tables_of_rows
from sc2.entropy.neighbourhood import CLASSES, tables_at

_POOLED_WEIGHT = 8
"""How many symbols the distribution of the whole channel counts for in that of a class."""


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
