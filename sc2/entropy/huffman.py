"""A static canonical Huffman code over small non-negative integers, with an escape for larger ones.

The last code word announces a symbol outside the code, which follows as an Elias gamma number; the bits of an image are
zero-padded to whole bytes.
"""

import heapq
from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from sc2.errors import WireError


def code_lengths(frequencies: Sequence[int]) -> list[int]:
    """Return the length in bits of each code word of an optimal prefix code.

    Args:
        frequencies: At least two positive weights.
    """
    assert len(frequencies) > 1, "a prefix code needs two words"
    assert min(frequencies) > 0, "a word that never occurs has no optimal length"
    lengths = [0] * len(frequencies)
    # The running number breaks ties the same way everywhere.
    order = count()
    heap = [(int(weight), next(order), [word]) for word, weight in enumerate(frequencies)]
    heapq.heapify(heap)
    while len(heap) > 1:
        lightest, second = heapq.heappop(heap), heapq.heappop(heap)
        words = lightest[2] + second[2]
        for word in words:
            lengths[word] += 1
        heapq.heappush(heap, (lightest[0] + second[0], next(order), words))
    return lengths


class HuffmanCode:
    """Codes non-negative integers; the i-th length is for symbol i, the last one for the escape."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.escape = len(lengths) - 1
        self.words = _canonical_words(self.lengths)
        self._symbols = {word: symbol for symbol, word in enumerate(self.words)}

    @classmethod
    def of(cls, frequencies: Sequence[int]) -> "HuffmanCode":
        """Build the optimal code for the given frequencies; the last one is for the escape."""
        return cls(code_lengths(frequencies))

    def num_bytes(self, symbols: NDArray[np.int32]) -> int:
        """Return how many bytes `encode` returns for symbols, int32 [n], without coding them."""
        entries = np.minimum(symbols, self.escape)
        outside = symbols[entries == self.escape].tolist()
        bits = int(self.lengths[entries].sum()) + sum(len(_gamma(value - self.escape + 1)) for value in outside)
        return -(-bits // 8)

    def encode(self, symbols: NDArray[np.int32]) -> bytes:
        """Return the bytes of symbols, int32 [n], none of them negative."""
        bits = "".join(self._bits_of(symbol) for symbol in symbols.tolist())
        return bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))

    def decode(self, data: bytes, number: int) -> NDArray[np.int32]:
        """Return `number` symbols, int32 [number].

        Raises:
            WireError: The data end before the last symbol.
        """
        bits = "".join(f"{byte:08b}" for byte in data)
        symbols, position = np.empty(number, dtype=np.int32), 0
        for index in range(number):
            symbol, position = self._next(bits, position)
            symbols[index] = symbol
        return symbols

    def _bits_of(self, symbol: int) -> str:
        if symbol < self.escape:
            return self.words[symbol]
        return self.words[self.escape] + _gamma(symbol - self.escape + 1)

    def _next(self, bits: str, position: int) -> tuple[int, int]:
        """Return the symbol at a position, and the position of the next one."""
        end = position + 1
        while bits[position:end] not in self._symbols:
            end += 1
            _check_end(end, bits)
        symbol = self._symbols[bits[position:end]]
        if symbol < self.escape:
            return symbol, end
        zeros = len(bits[end:]) - len(bits[end:].lstrip("0"))
        number_end = end + 2 * zeros + 1
        _check_end(number_end, bits)
        return self.escape + int(bits[end:number_end], 2) - 1, number_end


def _canonical_words(lengths: NDArray[np.int64]) -> list[str]:
    """Return the canonical code words: consecutive numbers, by length and then by symbol."""
    words = [""] * len(lengths)
    number, previous = 0, 0
    for symbol in np.argsort(lengths, kind="stable").tolist():
        length = int(lengths[symbol])
        number <<= length - previous
        words[symbol], previous = f"{number:0{length}b}", length
        number += 1
    return words


def _gamma(number: int) -> str:
    """Return the Elias gamma code of a positive number: as many zeros as it has bits after the first, then its bits."""
    return f"{number:b}".rjust(2 * number.bit_length() - 1, "0")


def _check_end(end: int, bits: str) -> None:
    if end > len(bits):
        raise WireError(f"{len(bits) // 8} bytes of Huffman code end inside a symbol")
