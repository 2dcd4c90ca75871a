"""Static coding tables from counted symbols: how often each integer was seen, per channel.

The caller chooses the data; tables depend only on the counts. One count is added to every symbol, and to the escape
that stands for all other values, so that everything can be coded.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sc2.entropy.tables import PRECISION_BITS

Counts = NDArray[np.int64]


def count_symbols(symbols: Tensor, size: int, *, first: int = 0) -> Tensor:
    """Count the symbols of each channel.

    Args:
        symbols: Integers [B, C, h, w] of any type.
        size: Columns of the result; the last one counts all symbols that have no column of their own.
        first: Symbol of the first column.

    Returns:
        int64 [C, size] on the symbols' device.
    """
    channels = symbols.shape[1]
    per_channel = symbols.transpose(0, 1).reshape(channels, -1).long() - first
    per_channel[(per_channel < 0) | (per_channel >= size)] = size - 1
    row = torch.arange(channels, device=symbols.device).unsqueeze(1) * size
    return torch.bincount((per_channel + row).flatten(), minlength=channels * size).view(channels, size)


def tables_of_counts(counts: Tensor, *, first: int = 0) -> dict[str, Tensor]:
    """Return the coder's tables: one per channel, from its smallest counted symbol to its largest, then the escape.

    A table begins at 0 or below, and has at least one entry.

    Args:
        counts: int64 [C, A]; the last column counts symbols without an entry of their own.
        first: Symbol of the first column, 0 or below.

    Returns:
        `cdf` int32 [C, L], `cdf_length` int32 [C] and `offset` int32 [C], as `TableCoder` expects.
    """
    offsets = [_smallest(row, first) for row in counts.cpu().numpy()]
    rows = [
        _frequencies(_trimmed(row[offset - first :])) for row, offset in zip(counts.cpu().numpy(), offsets, strict=True)
    ]
    cdf = np.zeros((len(rows), max(map(len, rows)) + 1), dtype=np.int32)
    for target, row in zip(cdf, rows, strict=True):
        target[1 : len(row) + 1] = np.cumsum(row)
    lengths = torch.tensor([len(row) + 1 for row in rows], dtype=torch.int32)
    return {"cdf": torch.from_numpy(cdf), "cdf_length": lengths, "offset": torch.tensor(offsets, dtype=torch.int32)}


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


def _smallest(counts: Counts, first: int) -> int:
    """Return the smallest counted symbol of a row, at most 0."""
    seen = np.flatnonzero(counts[:-1])
    return min(0, first + int(seen[0])) if len(seen) else 0


def _trimmed(counts: Counts) -> Counts:
    """Return a row with one count added to each symbol up to the largest that occurs, and the escape at its end."""
    seen = np.flatnonzero(counts[:-1])
    used = int(seen[-1]) + 1 if len(seen) else 1
    return np.append(counts[:used], counts[-1]) + 1


def _frequencies(counts: Counts) -> Counts:
    """Scale positive counts to integers of at least 1 that sum to 2^16."""
    total = 2**PRECISION_BITS
    frequencies = counts * (total - len(counts)) // counts.sum() + 1
    # The remainder goes to the most frequent symbol, where it changes the code lengths least.
    frequencies[np.argmax(frequencies)] += total - frequencies.sum()
    return frequencies
