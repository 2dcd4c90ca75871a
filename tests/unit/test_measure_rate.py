"""Distributions against numpy, and upstream's data size."""

import math
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

from sc2.errors import ConfigError, DataError
from sc2.measure.percentile import percentile
from sc2.measure.rate import distribution, sc2bench_kb
from sc2.split.wire import Payload
from tests.pickles import address_slack


def test_closed_form() -> None:
    assert distribution([7]) == {"mean": 7, "std": 0, "p50": 7, "p95": 7, "p99": 7}
    assert distribution(list(range(101))) == {"mean": 50, "std": math.sqrt(850), "p50": 50, "p95": 95, "p99": 99}
    assert percentile([4, 1], 25) == 1.75
    assert percentile([4, 1], 0) == 1
    assert percentile([4, 1], 100) == 4


@pytest.mark.parametrize("size", [1, 2, 3, 10, 997])
def test_agrees_with_numpy(size: int) -> None:
    values = np.random.default_rng(size).lognormal(6, 1, size)
    ours = distribution(values.tolist())
    expected = [values.mean(), values.std(), *np.percentile(values, [50, 95, 99])]
    np.testing.assert_allclose(np.array([*ours.values()], dtype=float), expected, rtol=1e-12, atol=1e-9)


def test_order_does_not_matter() -> None:
    values = [random.Random(1).uniform(0, 1e6) for _ in range(1)] + [1e16, 1.0, -1e16, 3.3]
    assert distribution(values) == distribution(values[::-1])


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_no_distribution(values: list[float]) -> None:
    with pytest.raises(DataError):
        distribution(values)


def test_percent_out_of_range() -> None:
    with pytest.raises(DataError):
        percentile([1], 101)


def test_codec_kb_is_the_file() -> None:
    assert sc2bench_kb(Payload((b"x" * 1024,), ()), "codec") == 1
    assert sc2bench_kb(Payload((b"x" * 700, b"y" * 68), ()), "codec") == 0.75


@pytest.mark.parametrize("size", [0, 10, 42, 255, 256, 696, 4_000, 60_000, 100_000])
@pytest.mark.parametrize("shape", [(15, 15), (55, 55), (300, 200)])
def test_learned_kb_adds_the_overhead_that_was_measured_upstream(size: int, shape: tuple[int, int]) -> None:
    overhead = 1024 * sc2bench_kb(Payload((b"x" * size,), shape), "learned") - size
    assert 103 <= overhead <= 124


def test_learned_kb_of_a_hyperprior() -> None:
    payload = Payload((b"x" * 2000, b"y" * 300), (14, 14))
    assert 1024 * sc2bench_kb(payload, "learned") - payload.num_bytes == 116


@pytest.mark.parametrize("shape", [(1, 60, 60), (12, 60, 60), (3, 20, 20), (64, 32, 32)])
def test_kb_of_a_quantised_tensor_is_that_of_upstreams_pickle(shape: tuple[int, int, int]) -> None:
    import torch
    from torchdistill.common.tensor_util import quantize_tensor

    symbols = math.prod(shape)
    size = 1024 * sc2bench_kb(Payload((bytes(5 + symbols),), shape), "quantized")
    upstream = pickle.dumps({"z": quantize_tensor(torch.randn(1, *shape), 8)}, protocol=4)
    slack, overhead = address_slack(2), size - symbols
    assert abs(size - sys.getsizeof(upstream)) <= slack
    # Numbers above 65,535 take more bytes in the pickle.
    assert abs(overhead - 794) <= slack if symbols < 65_536 else 794 - slack < overhead < 810


def test_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="codec, codec_feature, learned, quantized"):
        sc2bench_kb(Payload((), ()), "video")  # type: ignore[arg-type]


def test_needs_no_torch_for_codecs() -> None:
    program = (
        "import sys; from sc2.split.wire import Payload; from sc2.measure.rate import sc2bench_kb, distribution;"
        "import sc2.measure.codec_headers, sc2.measure.latency;"
        "sc2bench_kb(Payload((b'x',), ()), 'codec'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
