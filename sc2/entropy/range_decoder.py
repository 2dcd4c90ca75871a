"""The loops of the range decoder, as docs/wire-format.md describes it, compiled by numba.

numba compiles them on first use and keeps the result beside this file, or in the user's cache where that is read-only.
Loading it takes half a second in a process of its own, so only what decodes imports this module.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from sc2.entropy.intervals import BUCKETS_BITS, PARTS_BITS

Words = NDArray[np.uint32]
State = NDArray[np.uint64]
"""uint64 [3]: *range*, *offset*, and the words that have been read."""

_PARTS, _PARTS_SHIFT = np.uint64(1 << PARTS_BITS), np.uint64(PARTS_BITS)
_BUCKET_SHIFT = np.uint64(PARTS_BITS - BUCKETS_BITS)
_WORD, _WORD_SHIFT = np.uint64(1 << 32), np.uint64(32)
_ONE = np.uint64(1)


def first_state(words: Words) -> State:
    """Return the state before the first interval of a stream of at least two words, uint32 [n]."""
    return np.array([2**64 - 1, int(words[0]) << 32 | int(words[1]), 2], dtype=np.uint64)


def _take(words: Any, state: Any, bounds: Any, firsts: Any, tables: Any, sizes: Any, entries: Any) -> bool:
    """Decode the entries of some groups, each under one table, and move the state behind them.

    Args:
        words: The stream, uint32 [n].
        state: Changed, unless the result is false.
        bounds: Bounds of the tables' entries in parts, uint32 [T, L + 1].
        firsts: Entry that the first part of each bucket belongs to, uint16 [T, 2^BUCKETS_BITS].
        tables: Table of each group, int32 [G].
        sizes: Symbols in each group, int64 [G].
        entries: Where the entries are written, int32 [sum of sizes].

    Returns:
        Whether an encoder can have written this.
    """
    size, offset, read = state
    at = 0
    for group in range(len(tables)):
        bound, first = bounds[tables[group]], firsts[tables[group]]
        for _ in range(sizes[group]):
            scale = size >> _PARTS_SHIFT
            part = offset // scale
            if part >= _PARTS:
                return False
            entry = np.int64(first[part >> _BUCKET_SHIFT])
            while bound[entry + 1] <= part:
                entry += 1
            entries[at] = entry
            at += 1
            start = np.uint64(bound[entry])
            offset -= scale * start
            size = scale * (np.uint64(bound[entry + 1]) - start)
            if size < _WORD:
                size <<= _WORD_SHIFT
                offset <<= _WORD_SHIFT
                if read < len(words):
                    offset |= np.uint64(words[read])
                read += _ONE
    state[0], state[1], state[2] = size, offset, read
    return True


_TYPES = "boolean(uint32[::1], uint64[::1], uint32[:, ::1], uint16[:, ::1], int32[::1], int64[::1], int32[::1])"
take = numba.njit(_TYPES, cache=True, error_model="numpy")(_take)


def take_bits(words: Words, state: State, bits: int) -> int | None:
    """Decode a number of so many bits (at most 24), all of which are equally likely, and move the state behind it.

    Returns:
        The number; None if no encoder can have written this.
    """
    size, offset, read = map(int, state)
    scale = size >> PARTS_BITS
    number = offset // scale >> (PARTS_BITS - bits)
    if number >= 1 << bits:
        return None
    width = scale << (PARTS_BITS - bits)
    size, offset = width, offset - number * width
    if size < 1 << 32:
        following = int(words[read]) if read < len(words) else 0
        size, offset, read = size << 32, offset << 32 | following, read + 1
    state[:] = size, offset, read
    return number
