"""Static coding tables from counted symbols: how often each integer was seen, per channel or other key.

The caller chooses the data; tables depend only on the counts. One count is added to every symbol, and to the escape
that stands for all other values, so that everything can be coded.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sc2.entropy.tables import PRECISION_BITS

Counts = NDArray[np.int64]


def count_symbols(symbols: Tensor, size: int, *, first: int = 0) -> Tensor:
    """Count the symbols of each channel.

    Args:
        symbols: Integers [B, C, h, w] of any integer type.
        size: Columns of the result; the last one counts all symbols that have no column of their own.
        first: Symbol of the first column, at most 0.

    Returns:
        int64 [C, size] on the symbols' device.
    """
    channels = symbols.shape[1]
    keys = torch.arange(channels, device=symbols.device).view(-1, 1, 1).expand(symbols.shape)
    return count_keyed(symbols, keys, channels, size, first=first)


def count_keyed(symbols: Tensor, keys: Tensor, num_keys: int, size: int, *, first: int = 0) -> Tensor:
    """Count symbols by a key of each.

    Args:
        symbols: Integers of any shape and type.
        keys: int64 in 0 … `num_keys` - 1, of the same shape.
        num_keys: Rows of the result.
        size: Columns of the result: symbols from `first` on; the last one counts all others.
        first: Symbol of the first column.

    Returns:
        int64 [num_keys, size] on the symbols' device.
    """
    columns = symbols.long() - first
    columns = columns.where((columns >= 0) & (columns < size), size - 1)
    return torch.bincount((columns + size * keys).flatten(), minlength=num_keys * size).view(num_keys, size)


def tables_of_counts(counts: Tensor, *, first: int = 0) -> dict[str, Tensor]:
    """Return the coder's tables: one per row, from its lowest to its largest counted symbol and 0, and the escape.

    Args:
        counts: int64 [C, A]; the last column counts symbols without an entry of their own.
        first: Symbol of the first column, at most 0.

    Returns:
        `cdf` int32 [C, L], `cdf_length` int32 [C] and `offset` int32 [C], as `TableCoder` expects.
    """
    return tables_of_rows([smoothed(row, first) for row in counts.cpu().numpy()])


def tables_of_rows(rows: Sequence[tuple[int, Counts]]) -> dict[str, Tensor]:
    """Return the coder's tables, each from its first symbol and its positive counts [n], the last one the escape's."""
    frequencies = [_frequencies(row) for _, row in rows]
    cdf = np.zeros((len(rows), max(map(len, frequencies)) + 1), dtype=np.int32)
    for target, row in zip(cdf, frequencies, strict=True):
        target[1 : len(row) + 1] = np.cumsum(row)
    lengths = torch.tensor([len(row) + 1 for row in frequencies], dtype=torch.int32)
    offsets = torch.tensor([first for first, _ in rows], dtype=torch.int32)
    return {"cdf": torch.from_numpy(cdf), "cdf_length": lengths, "offset": offsets}


def smoothed(counts: Counts, first: int) -> tuple[int, Counts]:
    """Return the first symbol of a row [A] that has an entry, and the counts from there on with one added to each.

    The entries are those between the lowest and the largest symbol that occur and 0; the last count is the escape's.
    """
    seen = np.append(np.flatnonzero(counts[:-1]), -first)
    lowest, largest = int(seen.min()), int(seen.max())
    return first + lowest, np.append(counts[lowest : largest + 1], counts[-1]) + 1


def pooled_frequencies(cdf: NDArray[np.int64], escape: NDArray[np.int64]) -> Counts:
    """Return one distribution over all channels, as relative frequencies int64 [A]; the last entry is the escape.

    Every channel has the same number of symbols in an image, so all have the same weight.

    Args:
        cdf: Cumulative counts [C, L] of tables that start at symbol 0.
        escape: Position of the escape in each table, [C].
    """
    pooled = np.zeros(int(escape.max()) + 1, dtype=np.int64)
    for row, last in zip(cdf, escape, strict=True):
        frequencies = np.diff(row[: last + 2])
        pooled[:last] += frequencies[:last]
        pooled[-1] += frequencies[last]
    return pooled


def _frequencies(counts: Counts) -> Counts:
    """Scale positive counts to integers of at least 1 that sum to 2^16."""
    total = 2**PRECISION_BITS
    # In integers of any length: products of counts may have more than 64 bits.
    shares = counts.astype(object) * (total - len(counts)) // int(counts.sum())
    frequencies = shares.astype(np.int64) + 1
    # The remainder goes to the most frequent symbol, where it changes the code lengths least.
    frequencies[np.argmax(frequencies)] += total - frequencies.sum()
    return frequencies
