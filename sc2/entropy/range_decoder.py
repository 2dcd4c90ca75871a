"""The loops of the range decoder, as docs/wire-format.md describes it, compiled by numba.

numba compiles them on first use and keeps the result beside this file, or in the user's cache where that is read-only;
where neither can be written, or what is kept is damaged, each process compiles anew. Loading it takes half a second in
a process of its own, so only what decodes imports this module.
"""

import pickle
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from sc2.entropy.intervals import BUCKETS_BITS, PARTS_BITS, Intervals
from sc2.entropy.tables import Groups, Integers

Words = NDArray[np.uint32]
State = NDArray[np.uint64]
"""uint64 [3]: *range*, *offset*, and the words that have been read."""

_WORD, _WORD_SHIFT = np.uint64(1 << 32), np.uint64(32)
_ONE = np.uint64(1)


def first_state(words: Words) -> State:
    """Return the state before the first interval of a stream of at least two words, uint32 [n]."""
    return np.array([2**64 - 1, int(words[0]) << 32 | int(words[1]), 2], dtype=np.uint64)


def take(words: Words, state: State, intervals: Intervals, groups: Groups) -> Integers | None:
    """Decode the entries of some groups of n symbols, each under one table, and move the state behind them.

    Returns:
        The entries, int32 [n]; None if no encoder can have written this, and the state is as it was.
    """
    entries = np.empty(len(groups), dtype=np.int32)
    bits = np.uint64(PARTS_BITS), np.uint64(BUCKETS_BITS)
    return entries if _LOOP(words, state, *bits, *intervals, groups.tables, groups.sizes, entries) else None


def _loop(
    words: Any,
    state: Any,
    parts_bits: Any,
    buckets_bits: Any,
    bounds: Any,
    firsts: Any,
    tables: Any,
    sizes: Any,
    entries: Any,
) -> bool:
    """Write the entries and return whether an encoder can have written this.

    What is imported comes as an argument: numba looks at this file alone to tell whether what it keeps is outdated.
    """
    size, offset, read = state
    parts, shift = _ONE << parts_bits, parts_bits - buckets_bits
    at = 0
    for group in range(len(tables)):
        bound, first = bounds[tables[group]], firsts[tables[group]]
        for _ in range(sizes[group]):
            scale = size >> parts_bits
            part = offset // scale
            if part >= parts:
                return False
            entry = np.int64(first[part >> shift])
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


def _compiled() -> Any:
    arrays = "uint32[:, ::1], uint16[:, ::1], int32[::1], int64[::1], int32[::1]"
    types = f"boolean(uint32[::1], uint64[::1], uint64, uint64, {arrays})"
    try:
        return numba.njit(types, cache=True, error_model="numpy")(_loop)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError):
        return numba.njit(types, error_model="numpy")(_loop)


_LOOP = _compiled()


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
