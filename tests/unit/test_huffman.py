"""The static Huffman code is a prefix code, optimal, and decodes what it codes."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from sc2.entropy.huffman import HuffmanCode, code_lengths
from sc2.errors import WireError

FREQUENCIES = [[1, 1], [5, 1, 1], [1, 1, 2, 4, 8, 16], [7, 7, 7, 7], [1000, 1, 1, 1, 1], [3, 9, 1, 4, 4]]


@pytest.mark.parametrize("frequencies", [*FREQUENCIES, list(range(1, 60))])
def test_lengths_fill_the_code_space(frequencies: list[int]) -> None:
    """Kraft's sum is exactly one: no word could be shorter without another growing."""
    assert sum(Fraction(1, 2**length) for length in code_lengths(frequencies)) == 1


@pytest.mark.parametrize("frequencies", FREQUENCIES)
def test_no_prefix_code_is_shorter(frequencies: list[int]) -> None:
    """Against all lengths that Kraft's inequality allows: every one of them is some prefix code's."""
    lengths = range(1, len(frequencies))
    allowed = (c for c in product(lengths, repeat=len(frequencies)) if sum(Fraction(1, 2**x) for x in c) <= 1)
    best = min(sum(f * x for f, x in zip(frequencies, c, strict=True)) for c in allowed)
    assert sum(f * x for f, x in zip(frequencies, code_lengths(frequencies), strict=True)) == best


def test_powers_of_two_cost_their_entropy() -> None:
    assert code_lengths([1, 1, 2, 4, 8]) == [4, 4, 3, 2, 1]


def test_words_are_canonical() -> None:
    """Words of a length are consecutive numbers in the order of the symbols, shorter ones before longer ones."""
    assert HuffmanCode([2, 1, 3, 3]).words == ["10", "0", "110", "111"]


@pytest.mark.parametrize("frequencies", [*FREQUENCIES, list(range(1, 60))])
def test_round_trip_with_and_without_escapes(frequencies: list[int]) -> None:
    code, generator = HuffmanCode.of(frequencies), np.random.default_rng(0)
    for largest in (len(frequencies) - 1, 200, 100_000):
        symbols = generator.integers(0, largest, 100).astype(np.int32)
        data = code.encode(symbols)
        assert code.decode(data, len(symbols)).tolist() == symbols.tolist()
        assert code.num_bytes(symbols) == len(data)


def test_bytes_of_known_symbols() -> None:
    """Words 0, 10 and the escape 11; symbol 5 is the fourth beyond the code: 11 then 00100."""
    code = HuffmanCode([1, 2, 2])
    assert code.encode(np.array([0, 1, 5], dtype=np.int32)) == bytes([0b01011001, 0b00000000])
    assert code.num_bytes(np.array([0, 1, 5], dtype=np.int32)) == 2
    assert code.encode(np.array([], dtype=np.int32)) == b""


def test_an_end_inside_a_symbol_is_refused() -> None:
    code = HuffmanCode([1, 2, 2])
    for data, number in ((b"\x00", 9), (b"\xff", 5), (b"\xc0", 1)):
        with pytest.raises(WireError, match="end inside a symbol"):
            code.decode(data, number)
