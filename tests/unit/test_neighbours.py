"""Tables chosen by coded neighbours: the classes, the counted tables, and what both ends make of them."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sc2.entropy.coder import StreamDecoder, StreamEncoder, TableCoder
from sc2.entropy.counts import count_symbols, tables_of_counts
from sc2.entropy.neighbour_counts import count_neighbours, neighbour_tables
from sc2.entropy.neighbourhood import CLASSES, steps, tables_at
from sc2.entropy.neighbours import NeighbourCoder
from sc2.errors import WireError

SIGNED, UNSIGNED = -127, 0
both = pytest.mark.parametrize("first", [SIGNED, UNSIGNED], ids=["signed", "unsigned"])


def latents(first: int, number: int = 40, channels: int = 3, side: int = 9, seed: int = 0) -> Tensor:
    """Symbols [B, C, side, side] whose size depends on their neighbours': a smooth field in units of its noise."""
    generator = torch.Generator().manual_seed(seed)
    field = torch.randn(number, channels, side + 4, side + 4, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(field, 5, stride=1) * torch.tensor([4.0, 8.0, 16.0]).view(1, 3, 1, 1)
    symbols = torch.round(smooth).int()
    return symbols if first else symbols.abs()


@cache
def fitted(first: int) -> NeighbourCoder:
    return NeighbourCoder(neighbour_tables(count_neighbours(latents(first), 256, first=first), first=first))


def encoded(coder: NeighbourCoder, symbols: Tensor) -> bytes:
    encoder = StreamEncoder()
    coder.put(encoder, symbols)
    return encoder.finish()


def decoded(coder: NeighbourCoder, data: bytes, height: int, width: int) -> Tensor:
    decoder = StreamDecoder(data)
    symbols = coder.take(decoder, height, width)
    decoder.finish()
    return symbols


@both
def test_classes_are_those_of_the_page(first: int) -> None:
    """Symbol by symbol, as docs/wire-format.md has it."""
    symbols, low = latents(first, number=20), -1 if first else 0
    tables = tables_at(symbols.numpy(), low)

    def level(b: int, c: int, row: int, column: int) -> int:
        value = int(symbols[b, c, row, column]) if row >= 0 and column >= 0 else 0
        return 0 if value <= low else 1 if value == low + 1 else 2

    for b, c, row, column in product(range(20), range(3), range(9), range(9)):
        expected = 9 * c + 3 * level(b, c, row - 1, column) + level(b, c, row, column - 1)
        assert int(tables[b, c, row, column]) == expected
    assert len(np.unique(tables)) == 27, "all classes occur"


def test_a_step_holds_what_its_neighbours_have_been_coded_for() -> None:
    for height, width in ((1, 1), (1, 7), (5, 1), (4, 6), (6, 4)):
        seen: set[tuple[int, int]] = set()
        for rows, columns in steps(height, width):
            here = list(zip(rows.tolist(), columns.tolist(), strict=True))
            assert here == sorted(here)
            needed = {(row - 1, column) for row, column in here} | {(row, column - 1) for row, column in here}
            assert {at for at in needed if min(at) >= 0} <= seen
            seen |= set(here)
        assert seen == set(product(range(height), range(width)))


@both
def test_counts_are_by_channel_and_class(first: int) -> None:
    symbols = latents(first)
    counts = count_neighbours(symbols, 256, first=first)
    assert counts.shape == (3 * CLASSES, 256)
    assert counts.sum() == symbols.numel()
    whole = count_symbols(symbols, 256, first=first)
    assert torch.equal(counts.view(3, CLASSES, -1).sum(1), whole)
    split = count_neighbours(symbols[:7], 256, first=first) + count_neighbours(symbols[7:], 256, first=first)
    assert torch.equal(split, counts), "an image does not depend on the others"


@both
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (5, 1), (9, 9), (3, 8)])
def test_any_latent_survives(first: int, height: int, width: int) -> None:
    coder, generator = fitted(first), torch.Generator().manual_seed(height)
    for spread in (0, 1, 5, 1e6, 1e9):
        drawn = torch.round(spread * torch.randn(1, 3, height, width, generator=generator))
        symbols = drawn.clamp(-(2**29), 2**29).int()
        symbols = symbols if first else symbols.abs()
        data = encoded(coder, symbols)
        assert torch.equal(decoded(coder, data, height, width), symbols)
        assert len(data) < coder.bits(symbols) / 8 + 1.01


def test_both_ends_agree_on_ten_thousand_latents() -> None:
    for first in (SIGNED, UNSIGNED):
        coder = fitted(first)
        generator = np.random.default_rng(3)
        for _ in range(5_000):
            height, width = generator.integers(1, 4, 2).tolist()
            values = generator.integers(-2 if first else 0, 4, (1, 3, height, width)).astype(np.int32)
            symbols = torch.from_numpy(values)
            assert torch.equal(decoded(coder, encoded(coder, symbols), height, width), symbols)


@both
def test_neighbours_that_tell_something_save_bytes(first: int) -> None:
    coder, test = fitted(first), latents(first, seed=1)
    static = TableCoder.of(tables_of_counts(count_symbols(latents(first), 256, first=first), first=first))
    indexes = np.repeat(np.arange(3, dtype=np.int32), 81)
    before = sum(len(static.encode(each.numpy().reshape(-1), indexes)) for each in test)
    after = sum(len(encoded(coder, each.unsqueeze(0))) for each in test)
    assert after < 0.9 * before


@both
def test_neighbours_that_tell_nothing_cost_little(first: int) -> None:
    generator = np.random.default_rng(0)
    values = torch.from_numpy(generator.integers(-2 if first else 0, 3, (200, 1, 9, 9)).astype(np.int32))
    coder = NeighbourCoder(neighbour_tables(count_neighbours(values[:150], 256, first=first), first=first))
    ideal = values[150:].numel() * np.log2(5 if first else 3)
    assert coder.bits(values[150:]) < 1.02 * ideal


@both
def test_a_channel_that_was_never_seen_can_be_coded(first: int) -> None:
    coder = NeighbourCoder(neighbour_tables(torch.zeros(CLASSES, 256, dtype=torch.int64), first=first))
    symbols = torch.tensor([[[[0, 3], [1, 0]]]], dtype=torch.int32)
    assert torch.equal(decoded(coder, encoded(coder, symbols), 2, 2), symbols)
    assert [row[: coder.coder.escape[0] + 2].tolist() for row in coder.coder.cdf[:1]] == [[0, 32768, 65536]]


def test_a_class_that_was_never_seen_has_its_channels_distribution() -> None:
    counts = torch.zeros(CLASSES, 5, dtype=torch.int64)
    counts[4] = torch.tensor([0, 100, 300, 100, 0])
    tables = neighbour_tables(counts, first=-2)
    assert tables["offset"].tolist() == [-1] * CLASSES
    shares = [np.diff(row) / 2**16 for row in tables["cdf"].numpy()]
    np.testing.assert_allclose(shares[0], np.array([101, 301, 101, 1]) / 504, atol=1e-4)
    mixed = np.array([100, 300, 100, 0]) * 504 + 8 * np.array([101, 301, 101, 1])
    np.testing.assert_allclose(shares[4], mixed / mixed.sum(), atol=1e-4)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.binary(max_size=12), st.integers(1, 3), st.integers(1, 4))
def test_only_what_the_encoder_writes_is_read(data: bytes, height: int, width: int) -> None:
    coder = fitted(SIGNED)
    try:
        symbols = decoded(coder, data, height, width)
    except WireError:
        return
    assert encoded(coder, symbols) == data
