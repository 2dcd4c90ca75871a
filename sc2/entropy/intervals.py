"""Tables as the decoder looks them up: bounds of entries (docs/wire-format.md#the-range-coder)."""

import numpy as np
from numpy.typing import NDArray

from sc2.entropy.tables import PRECISION_BITS, Tables

PARTS_BITS = 24
"""The coder sees intervals, each some of 2^24 parts."""
BUCKETS_BITS = 10
"""By so many bits of a part the decoder looks up the first entry that it may belong to."""

Intervals = tuple[NDArray[np.uint32], NDArray[np.uint16]]
"""The bounds of each table's entries in parts, [T, L], the last one again where a row is longer; and the entry of the
first part of each bucket, [T, 2^BUCKETS_BITS]."""


def intervals(tables: Tables) -> Intervals:
    """Return the intervals of tables."""
    entries = tables.escape[:, None] + 1
    at = np.arange(tables.cdf.shape[1])
    bounds = tables.cdf * (2**PARTS_BITS - entries) // 2**PRECISION_BITS + at
    bounds[at >= entries] = 2**PARTS_BITS
    parts = np.arange(2**BUCKETS_BITS) << (PARTS_BITS - BUCKETS_BITS)
    firsts = [np.searchsorted(row, parts, side="right") - 1 for row in bounds]
    return bounds.astype(np.uint32), np.array(firsts, dtype=np.uint16)
