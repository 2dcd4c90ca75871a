"""Model size: small modules by hand, and the conformance numbers of the published bottleneck."""

import pytest
import torch
from torch import nn

from sc2.entropy.counts import tables_of_counts
from sc2.entropy.densities import gaussian_tables
from sc2.errors import CheckpointError
from sc2.measure.size import parameter_bytes, parameter_count, state_bits, table_bytes


class Shared(nn.Module):
    """One linear layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = self.first


def entropy_bottleneck_state(channels: int, table: int) -> dict[str, torch.Tensor]:
    """State of CompressAI 1.2.8's entropy bottleneck (filters 3,3,3,3); `table` is the width of its CDF table."""
    shapes = {"quantiles": (1, 3), "matrices.0": (3, 1), "matrices.4": (1, 3), "biases.4": (1, 1)}
    shapes |= {f"matrices.{i}": (3, 3) for i in (1, 2, 3)}
    shapes |= {f"{name}.{i}": (3, 1) for name in ("biases", "factors") for i in range(4)}
    state = {name: torch.zeros(channels, *shape) for name, shape in shapes.items()}
    state |= {"target": torch.zeros(3), "likelihood_lower_bound.bound": torch.zeros(1)}
    state |= {name: torch.zeros(channels, dtype=torch.int32) for name in ("_offset", "_cdf_length")}
    return state | {"_quantized_cdf": torch.zeros(channels, table, dtype=torch.int32)}


def test_parameters() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 5, bias=False), nn.BatchNorm2d(8))
    assert parameter_count(module) == 3 * 8 * 25 + 16
    assert parameter_bytes(module) == 4 * 616
    assert parameter_bytes(module.half()) == 2 * 616
    assert parameter_count(nn.ReLU()) == 0
    assert parameter_count(Shared()) == 16


def test_tables_count_without_what_pads_their_rows() -> None:
    counts = torch.zeros(2, 21, dtype=torch.int64)
    counts[0, 10], counts[1, 8], counts[1, 12] = 5, 1, 1
    # Symbols -10 … 9; the first channel uses 0 alone, the second -2 … 2; each has an escape, and a count more.
    tables = tables_of_counts(counts, first=-10)
    assert tables["cdf"].shape == (2, 7)
    entries = 3 + 7
    assert table_bytes(tables) == 4 * (entries + 2 + 2)
    named = {f"z.{name}": table for name, table in tables.items()}
    assert table_bytes({**named, "medians": torch.zeros(2)}) == 4 * (entries + 2 + 2 + 2)
    gaussians = gaussian_tables()
    assert table_bytes(gaussians) == sum(table.numel() * table.element_size() for table in gaussians.values())
    assert table_bytes({}) == 0


def test_state_bits_counts_buffers() -> None:
    # weight, bias, mean, variance: 4 × 8 floats; num_batches_tracked: one 64-bit integer
    assert state_bits(nn.BatchNorm2d(8).state_dict()) == 4 * 8 * 32 + 64
    assert state_bits(Shared().state_dict()) == 2 * 16 * 32
    assert state_bits({}) == 0


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        (torch.float64, 64),
        (torch.int64, 64),
        (torch.float32, 32),
        (torch.int32, 32),
        (torch.float16, 16),
        (torch.bfloat16, 16),
        (torch.int16, 16),
        (torch.int8, 8),
        (torch.uint8, 8),
        (torch.bool, 2),
    ],
)
def test_bits_per_type(dtype: torch.dtype, bits: int) -> None:
    assert state_bits({"x": torch.zeros(3, 5, dtype=dtype)}) == 15 * bits


def test_conformance_of_the_published_bottleneck() -> None:
    bottleneck = entropy_bottleneck_state(24, table=23)
    # Parameters are the floats but for 4 constants.
    floats = sum(tensor.numel() for tensor in bottleneck.values() if tensor.is_floating_point())
    assert floats - 4 == 1_464
    assert state_bits(bottleneck) == 4_503_936 - 4_437_760


def test_entry_that_is_no_tensor() -> None:
    with pytest.raises(CheckpointError, match=r"'x._extra_state' of the state is a dict"):
        state_bits({"x._extra_state": {}})
