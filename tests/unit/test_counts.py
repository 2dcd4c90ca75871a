"""Tables of counted symbols: what is counted, what is smoothed, and what it costs on the wire."""

import numpy as np
import pytest
import torch

from sc2.entropy.coder import TableCoder
from sc2.entropy.counts import count_symbols, pooled_frequencies, tables_of_counts
from sc2.entropy.logistic_mixture import LogisticMixturePrior
from sc2.entropy.tables import PRECISION_BITS


def test_symbols_are_counted_per_channel_and_large_ones_together() -> None:
    symbols = torch.tensor([[[[0, 0], [1, 9]], [[2, 2], [2, 3]]], [[[0, 1], [1, 3]], [[0, 4], [400, 5]]]])
    assert count_symbols(symbols, 4).tolist() == [[3, 3, 0, 2], [1, 0, 3, 4]]
    assert count_symbols(symbols.float(), 500).sum().item() == symbols.numel()


def frequencies(counts: list[list[int]]) -> list[list[int]]:
    tables = tables_of_counts(torch.tensor(counts))
    return [
        np.diff(row[:length]).tolist() for row, length in zip(tables["cdf"].numpy(), tables["cdf_length"], strict=True)
    ]


def test_a_table_ends_at_the_largest_symbol_seen_and_every_entry_is_codable() -> None:
    first, second, third = frequencies([[10, 0, 5, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 7]])
    assert [len(first), len(second), len(third)] == [4, 2, 5]
    for row in (first, second, third):
        assert sum(row) == 2**PRECISION_BITS
        assert min(row) > 0
    # Counts with one on top: 11, 1, 6, 1 of 19.
    assert first == pytest.approx([11 / 19 * 2**16, 1 / 19 * 2**16, 6 / 19 * 2**16, 1 / 19 * 2**16], abs=4)
    assert second == [2**15, 2**15]


def test_a_million_to_one_is_still_codable() -> None:
    [row] = frequencies([[10**12, 1, 0, 0]])
    assert row[1:] == [1, 1]


def test_coded_bits_are_those_of_the_counted_distribution() -> None:
    generator = np.random.default_rng(0)
    probabilities = [0.6, 0.25, 0.1, 0.05]
    symbols = generator.choice(4, (1, 1, 200, 200), p=probabilities)
    coder = TableCoder.of(tables_of_counts(count_symbols(torch.from_numpy(symbols), 16)))
    flat = symbols.reshape(-1).astype(np.int32)
    entropy = -sum(p * np.log2(p) for p in np.bincount(flat) / len(flat))
    assert coder.bits(flat, np.zeros_like(flat)) / len(flat) == pytest.approx(entropy, rel=1e-3)
    # What was never seen is escaped, not lost.
    flat[:3] = 4, 77, 5000
    assert coder.decode(coder.encode(flat, np.zeros_like(flat)), np.zeros_like(flat)).tolist() == flat.tolist()


def test_channels_weigh_the_same_in_the_pooled_distribution() -> None:
    coder = TableCoder.of(tables_of_counts(torch.tensor([[999_999, 0, 0, 0], [999, 1998, 2997, 0]])))
    pooled = pooled_frequencies(coder.cdf, coder.escape) / 2 / 2**PRECISION_BITS
    assert pooled == pytest.approx([(1 + 1 / 6) / 2, 1 / 6, 1 / 4, 0], abs=1e-3)
    assert pooled.sum() == 1


def test_likelihoods_of_whole_numbers_sum_to_one() -> None:
    torch.manual_seed(0)
    prior = LogisticMixturePrior(3)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter))
    everything = torch.arange(-400.0, 401).view(1, 1, 1, -1).expand(2, 3, 1, -1)
    torch.testing.assert_close(prior.likelihood(everything).sum(-1), torch.ones(2, 3, 1))


def test_one_logistic_density_in_closed_form() -> None:
    prior = LogisticMixturePrior(1, components=1)
    with torch.no_grad():
        prior.centres.fill_(1.0)
        prior.log_scales.fill_(np.log(2))
    # The interval from -1/2 to 1/2 under a logistic density around 1 of scale 2.
    expected = 1 / (1 + np.exp(0.25)) - 1 / (1 + np.exp(0.75))
    assert prior.likelihood(torch.zeros(1, 1, 1, 1)).item() == pytest.approx(expected, rel=1e-5)
    assert prior.bits(torch.zeros(2, 1, 1, 1)).item() == pytest.approx(-2 * np.log2(expected), rel=1e-5)


def test_impossible_values_have_a_finite_price() -> None:
    assert LogisticMixturePrior(1).bits(torch.full((1, 1, 1, 1), 1e6)).item() == pytest.approx(np.log2(1e9), rel=1e-3)


def test_signed_symbols_are_counted_around_zero() -> None:
    symbols = torch.tensor([-3, -2, -2, 0, 1, 4, 200, -200]).view(1, 1, 2, 4)
    counts = count_symbols(symbols, 8, first=-3)
    # Columns -3 … 3; the last one holds 4, 200 and -200.
    assert counts.tolist() == [[1, 2, 0, 1, 1, 0, 0, 3]]
    tables = tables_of_counts(counts, first=-3)
    assert tables["offset"].tolist() == [-3]
    assert tables["cdf_length"].tolist() == [7], "-3 … 1 and the escape"
    only_positive = tables_of_counts(torch.tensor([[0, 0, 0, 0, 5, 0]]), first=-2)
    assert (only_positive["offset"].tolist(), only_positive["cdf_length"].tolist()) == ([0], [5]), "0, 1, 2, the escape"


def test_counts_of_any_size_are_scaled() -> None:
    tables = tables_of_counts(torch.tensor([[2**60, 2**60, 0]]))
    assert tables["cdf"].tolist() == [[0, 32768, 65535, 65536]]
