"""Splits with gains: the rates, the prior, the limits of the encoder, the tables on the wire, the budget, the plan."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import logistic

from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.entropy.coder import TableCoder
from sc2.entropy.counts import count_symbols, tables_of_counts
from sc2.errors import ConfigError, WireError
from sc2.jobs.identity import job
from sc2.jobs.plan import Run, encoder_from, exported, trainings
from sc2.measure.macs import count_macs
from sc2.measure.size import parameter_count
from sc2.methods import get_method
from sc2.methods.gained.params import LARGEST_SYMBOL, PatchArch
from sc2.methods.gained.rates import LogisticPrior, RateScale, rate_weights
from sc2.methods.gained.transforms import PATCH
from sc2.split.method import DeviceHalf
from sc2.split.rates import at_rate, within
from sc2.split.wire import Payload
from tests.configuration import DEFAULT, Mistake, assert_named, put
from tests.contract.conftest import Case, eight_images, make_case, phase_recipe, run_recipe, teacher_of

METHOD = "gained_student"
METHODS = [METHOD, "entropic_student_joint"]
NAME = "photodigits_small_resnet"
INPUT = {"resize": 32, "crop": 32, "mean": [0.5] * 3, "std": [0.25] * 3}


# Rates


def test_between_two_rates_the_factor_is_their_geometric_mean() -> None:
    scale = RateScale(torch.tensor([[1.0, 4.0], [9.0, 1.0], [2.0, 2.0]]).log())
    factors = scale.factors(rate_weights(torch.tensor([0.0, 0.5, 1.0, 1.25, 2.0]), 3))[..., 0, 0]
    expected = torch.tensor([[1, 4], [3, 2], [9, 1], [9**0.75 * 2**0.25, 2**0.25], [2, 2]])
    torch.testing.assert_close(factors, expected)


@given(st.floats(0, 5), st.integers(6, 9))
def test_the_weights_of_a_rate_sum_to_one_and_give_its_position(position: float, count: int) -> None:
    weights = rate_weights(torch.tensor([position], dtype=torch.float64), count)[0]
    assert float(weights.sum()) == pytest.approx(1)
    assert float((weights * torch.arange(count)).sum()) == pytest.approx(position)
    assert int((weights > 0).sum()) <= 2


def test_the_bits_are_those_of_a_logistic_density_over_an_interval() -> None:
    prior = LogisticPrior(2, 3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        prior.location.copy_(torch.randn(2, 3, generator=generator))
        prior.log_scale.copy_(torch.randn(2, 3, generator=generator))
    y = 3 * torch.randn(4, 3, 2, 2, generator=generator)
    chosen = torch.tensor([0, 1, 1, 0])
    bits = prior.bits(y, rate_weights(chosen.float(), 2))
    for index, rate in enumerate(chosen.tolist()):
        location, scale = prior.location[rate].detach().numpy(), prior.log_scale[rate].detach().exp().numpy()
        density = logistic(location[:, None, None], scale[:, None, None])
        values = y[index].double().numpy()
        expected = -np.log2(density.cdf(values + 0.5) - density.cdf(values - 0.5)).sum()
        assert bits[index].item() == pytest.approx(expected, rel=1e-4)


# The encoder's limits


def test_the_default_encoder_is_small_enough_at_224_px() -> None:
    arch = PatchArch()
    encoder = PATCH.encoder(PATCH.encoder_args(arch), len(arch.prices)).eval()
    gain = RateScale(torch.zeros(len(arch.prices), arch.latent_channels))
    # Layer by layer (docs/method.md): stem, two blocks, latent, scales, gains.
    assert parameter_count(encoder) + parameter_count(gain) == 18_528 + 2 * 39_840 + 3_104 + 1_728 + 192
    rates = rate_weights(torch.tensor([2.0]), len(arch.prices))
    macs = count_macs(lambda: encoder(torch.zeros(1, 3, 224, 224), rates))
    assert parameter_count(encoder) + parameter_count(gain) <= 140_000
    assert macs <= 100_000_000
    positions = 28 * 28
    block = positions * (25 * 96 + 2 * 96 * 192)
    assert macs == positions * (192 * 96 + 96 * 32) + 2 * block + 3 * len(arch.prices) * 96


@pytest.mark.parametrize("benchmark", [NAME, "imagenette_efficientnet_lite0"])
def test_the_encoders_of_the_benchmarks_are_within_the_limits_at_224_px(root: Path, benchmark: str) -> None:
    import yaml

    content = yaml.safe_load((root / f"config/benchmarks/{benchmark}.yaml").read_text())
    params = content["methods"][METHOD]["params"]
    arch = PatchArch.model_validate({name: value for name, value in params.items() if name != "phases"})
    encoder = PATCH.encoder(PATCH.encoder_args(arch), len(arch.prices)).eval()
    rates = rate_weights(torch.tensor([0.0]), len(arch.prices))
    assert parameter_count(encoder) <= 140_000
    assert count_macs(lambda: encoder(torch.zeros(1, 3, 224, 224), rates)) <= 100_000_000


# Tables and payloads


def test_counted_tables_begin_at_the_smallest_symbol_and_end_at_the_largest() -> None:
    symbols = torch.tensor([-2.0, -2, 0, 1, 1, 1]).reshape(1, 1, 2, 3)
    counts = count_symbols(symbols, 12, first=-5)
    assert counts.tolist() == [[0, 0, 0, 2, 0, 1, 3, 0, 0, 0, 0, 0]]
    tables = tables_of_counts(counts, first=-5)
    assert (tables["offset"].tolist(), tables["cdf_length"].tolist()) == ([-2], [6])
    # One count more for each of -2 … 1 and the escape: 3, 1, 2, 4, 1 of 11.
    widths = np.diff(tables["cdf"][0].numpy()) / 2**16
    np.testing.assert_allclose(widths, np.array([3, 1, 2, 4, 1]) / 11, atol=1e-4)


def test_symbols_outside_the_columns_count_as_escapes_on_both_sides() -> None:
    counts = count_symbols(torch.tensor([-9, -3, 3, 9]).reshape(1, 1, 2, 2), 8, first=-3)
    assert counts.tolist() == [[1, 0, 0, 0, 0, 0, 1, 2]]


def tables_of(half: Any) -> dict[str, torch.Tensor]:
    """Return copies of the integers that a half codes or decodes with."""
    return {name: torch.from_numpy(getattr(half.coder, name).copy()) for name in ("cdf", "offset", "escape")}


def equal_tables(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(table, other[name]) for name, table in one.items())


def test_both_ends_agree_on_ten_thousand_random_latents(complete: Case) -> None:
    device, server = complete.device(), complete.server()
    generator = torch.Generator().manual_seed(0)
    tables, export = tables_of(device), complete.export()
    assert len(tables["cdf"]) == 4 * len(device.rates)
    assert equal_tables(tables_of(server), tables)
    assert equal_tables(export.device.plain()["tables"], export.server.plain()["tables"])
    for index in range(10_000):
        half: Any = device.at(device.rates[index % len(device.rates)])
        spread = 10.0 ** float(torch.rand(1, generator=generator) * 3 - 1)
        symbols = torch.round(spread * torch.randn(1, 4, 1, 2, generator=generator)).int()
        payload = half.code(symbols)
        received: Any = server
        decoded = received.coder.decode(payload.streams[0], half._flat(symbols)[1])
        assert decoded.tolist() == symbols.flatten().tolist()
    assert equal_tables(tables_of(device), tables)
    assert equal_tables(tables_of(server), tables)


def test_a_rate_that_the_model_does_not_have_is_refused(trained: Case, images: np.ndarray) -> None:
    server, payload = trained.server(), trained.device().encode(images[0])
    with pytest.raises(WireError, match="rate 5, but this model has rates 0 … 4"):
        server.decode(Payload(payload.streams, (5, *payload.shape[1:])))
    with pytest.raises(WireError, match="three integers"):
        server.decode(Payload(payload.streams, payload.shape[1:]))


# One half, every rate


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return eight_images()


def after_epochs(name: str, changed: Mapping[str, Any] | None = None) -> Case:
    """Return a method after some epochs on eight images."""
    case = make_case(name, "2", INPUT, teacher_of("classification"), changed)
    case.params["phases"]["joint"]["epochs"] = 30
    recipe = phase_recipe(case, "joint", seed=0)
    run_recipe(recipe, case, eight_images(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]), seed=0)
    case.state = recipe.model.state_dict()
    return case


@pytest.fixture(scope="module")
def trained() -> Case:
    """The method, with rates between the trained ones."""
    return after_epochs(METHOD)


@pytest.fixture(scope="module", params=METHODS)
def complete(request: pytest.FixtureRequest, config: Config) -> Case:
    """Both methods with all rates that they have in the default run."""
    name = str(request.param)
    return after_epochs(name, {"prices": config.benchmarks[NAME].methods[name].params.model_dump()["prices"]})


def mean_bytes(device: DeviceHalf, images: np.ndarray) -> float:
    return float(np.mean([device.encode(image).num_bytes for image in images]))


def test_bytes_rise_with_the_rate_also_between_the_trained_ones(complete: Case, images: np.ndarray) -> None:
    device = complete.device()
    assert device.rates == ("0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5")
    sizes = [mean_bytes(device.at(rate), images) for rate in device.rates]
    assert all(fewer < more for fewer, more in pairwise(sizes)), sizes


def test_a_half_at_another_rate_sends_what_the_export_of_that_rate_sends(trained: Case, images: np.ndarray) -> None:
    device = trained.device()
    for rate in ("0", "1.5"):
        context = trained.method.context(trained.context.arch.model_dump(), rate, INPUT, teacher_of("classification"))
        export = trained.method.export(context, trained.state)
        other = trained.method.load_device(export.device.plain())
        assert [device.at(rate).encode(image) for image in images] == [other.encode(image) for image in images]


@settings(max_examples=40, deadline=None)
@given(budget=st.integers(1, 400), index=st.integers(0, 7))
def test_a_budget_is_never_exceeded_and_the_next_rate_would_exceed_it(
    trained: Case, images: np.ndarray, budget: int, index: int
) -> None:
    device, image = trained.device(), images[index]
    sizes = {rate: device.at(rate).encode(image).num_bytes for rate in device.rates}
    if min(sizes.values()) > budget:
        with pytest.raises(
            ConfigError, match=f"at least {min(sizes.values())} bytes, more than the budget of {budget}"
        ):
            within(device, image, budget, sent_bytes=lambda payload: payload.num_bytes)
        return
    payload = within(device, image, budget, sent_bytes=lambda payload: payload.num_bytes)
    assert payload.num_bytes <= budget
    sent = device.rates[payload.shape[0]]
    assert all(sizes[rate] > budget for rate in device.rates[payload.shape[0] + 1 :])
    assert sizes[sent] == payload.num_bytes


def test_a_rate_that_the_half_does_not_have_is_refused(trained: Case) -> None:
    device = trained.device()
    with pytest.raises(ConfigError, match=r"does not have the rate 7; it has: 0, 0\.5, 1, 1\.5, 2"):
        at_rate(device, "7")
    codec = make_case("jpeg", "50", INPUT, teacher_of("classification")).device()
    with pytest.raises(ConfigError, match="has one rate, and not 60"):
        at_rate(codec, "60")


def test_a_split_with_one_rate_is_sent_within_a_budget_or_not_at_all(images: np.ndarray) -> None:
    codec = make_case("jpeg", "50", INPUT, teacher_of("classification")).device()
    size = codec.encode(images[0]).num_bytes
    assert within(codec, images[0], size, sent_bytes=lambda payload: payload.num_bytes).num_bytes == size
    with pytest.raises(ConfigError, match=f"at least {size} bytes"):
        within(codec, images[0], size - 1, sent_bytes=lambda payload: payload.num_bytes)


# The plan


@pytest.fixture(scope="module")
def config(root: Path) -> Config:
    return load_config(root / "config" / "config.yaml")


def test_one_training_gives_every_point(config: Config) -> None:
    points = config.benchmarks[NAME].methods[METHOD].points
    runs = [Run(NAME, METHOD, point, "0") for point in points]
    assert [trainings(config, run) for run in runs] == [["joint"], *[[]] * (len(points) - 1)]
    assert [exported(config, run) for run in runs] == [[(runs[0], "joint")]] * len(points)
    planned = [
        job(config, "train", {"benchmark": NAME, "method": METHOD, "point": point, "seed": "0", "phase": "joint"})
        for point in points
    ]
    assert [found is not None for found in planned] == [True, *[False] * (len(points) - 1)]


def test_a_dense_task_takes_the_encoder_of_the_one_training(config: Config) -> None:
    run = Run("photodigits_detection", METHOD, "0", "0")
    assert encoder_from(config, run, "joint") == [Run(NAME, METHOD, "0", "0")]


ONE = "one training gives gained_student every operating point: remove this key"
QUICKER = {"phases": {"joint": {"epochs": 2}}}
MISTAKES: dict[str, Mistake] = {
    "a chain": (
        DEFAULT,
        put("methods", METHOD, "chain", {"params": QUICKER}),
        "config.yaml",
        f"{DEFAULT}: methods.{METHOD}.chain",
        [ONE],
    ),
    "parameters of a point": (
        DEFAULT,
        put("methods", METHOD, "at", [{"points": ["1"], **QUICKER}]),
        "config.yaml",
        f"{DEFAULT}: methods.{METHOD}.at",
        [ONE],
    ),
    "a rate beyond the last": (
        DEFAULT,
        put("methods", METHOD, "points", ["0", "6"]),
        "config.yaml",
        f"{DEFAULT}: methods.{METHOD}.points[1]",
        ["rate 6: there are the rates 0 … 5 in steps of 0.5"],
    ),
    "a rate between": (
        DEFAULT,
        put("methods", METHOD, "points", ["0.3"]),
        "config.yaml",
        f"{DEFAULT}: methods.{METHOD}.points[0]",
        ["rate 0.3", "take another point"],
    ),
    "features first without a hint at the cut": (
        DEFAULT,
        put("methods", METHOD, "params", {"hints": ["layer4"], "phases": {"joint": {"features_first": 0.5}}}),
        "config.yaml",
        f"{DEFAULT}: methods.{METHOD}.params",
        ["features_first trains on the hint at the cut alone: hints must name layer2"],
    ),
    "rising prices": (
        DEFAULT,
        put("methods", METHOD, "params", "prices", [0.1, 0.2]),
        "config.yaml",
        f"{DEFAULT}: methods.{METHOD}.params",
        ["prices must be positive, each lower than the one before"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])


def test_the_methods_are_one_family() -> None:
    assert {get_method(name).family for name in METHODS} == {"gained"}


def test_tables_are_as_long_as_what_is_counted_allows() -> None:
    tables = tables_of_counts(torch.zeros(3, 2 * LARGEST_SYMBOL + 2, dtype=torch.int64), first=-LARGEST_SYMBOL)
    coder = TableCoder.of(tables)
    symbols = np.array([0, 5, -200], dtype=np.int32)
    indexes = np.arange(3, dtype=np.int32)
    assert coder.decode(coder.encode(symbols, indexes), indexes).tolist() == symbols.tolist()
