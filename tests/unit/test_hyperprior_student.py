"""Hyperprior bottlenecks of the Entropic Student: the published numbers, any size, both phases.

Source: docs/papers.md#hyperprior-bottlenecks and docs/papers.md#encoder-size.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sc2.entropy.coder import VERSION
from sc2.entropy.exact import ExactNetwork, exact_layers
from sc2.entropy.hyperprior import HyperpriorCoder
from sc2.errors import CheckpointError, WireError
from sc2.layers.bottleneck import analysis
from sc2.layers.prior_content import PriorContent
from sc2.measure.macs import count_macs
from sc2.measure.size import parameter_count, state_bits
from sc2.methods import get_method
from sc2.methods.student.ends import ENDS
from sc2.methods.student.hyperprior import (
    NETWORKS,
    mean_scale_analysis,
    mean_scale_synthesis,
    scale_analysis,
    scale_synthesis,
)
from sc2.methods.student.params import HyperpriorArch, Prior
from sc2.methods.student.trained_priors import TrainedPrior, trained_prior


def arch(channels: int, hyper_channels: int) -> HyperpriorArch:
    return HyperpriorArch(encoder_channels=[8, 8, channels], hyper_channels=hyper_channels)


def trained(kind: Prior, channels: int = 6, hyper_channels: int = 4, steps: int = 80) -> TrainedPrior:
    """A prior fitted for some steps to latents whose spread follows their neighbourhood."""
    torch.manual_seed(0)
    prior = trained_prior(kind, arch(channels, hyper_channels)).train()
    quantiles = {id(parameter) for parameter in prior.quantiles()}
    optimizer = torch.optim.Adam([p for p in prior.parameters() if id(p) not in quantiles], lr=0.01)
    for step in range(steps):
        optimizer.zero_grad()
        _, likelihoods = prior(latents(4, channels, seed=step))
        torch.stack([-torch.log2(p).sum() for p in likelihoods]).sum().backward()
        optimizer.step()
    prior.settle()
    return prior.eval()


def latents(images: int, channels: int = 6, height: int = 15, width: int = 15, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = 7 * torch.rand(images, 1, 4, 4, generator=generator) - 5
    spread = 2 ** nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    values = torch.randn(images, channels, height, width, generator=generator)
    return spread * (values + torch.linspace(-1, 1, channels).view(1, -1, 1, 1))


@pytest.fixture(scope="module", params=NETWORKS)
def prior(request: pytest.FixtureRequest) -> TrainedPrior:
    return trained(request.param)


# The published numbers


@pytest.mark.parametrize(
    ("make", "channels", "expected"),
    [
        (mean_scale_analysis, 24, 16_000),
        (mean_scale_synthesis, 24, 44_800),
        (mean_scale_analysis, 64, 32_000),
        (mean_scale_synthesis, 64, 92_800),
        (scale_analysis, 24, 16_000),
        (scale_synthesis, 24, 22_400),
    ],
)
def test_parameters(make: Callable[[int, int], nn.Sequential], channels: int, expected: int) -> None:
    network = make(channels, 16)
    assert parameter_count(network) == expected
    if make in (mean_scale_synthesis, scale_synthesis):
        assert parameter_count(ExactNetwork(exact_layers(network))) == expected


def test_shapes_and_macs_at_224_px() -> None:
    y = torch.zeros(1, 24, 55, 55)
    h_a, h_s = mean_scale_analysis(24, 16), mean_scale_synthesis(24, 16)
    with torch.no_grad():
        z = h_a(y)
        assert tuple(z.shape) == (1, 16, 14, 14)
        assert tuple(h_s(z).shape) == (1, 48, 55, 55)
        assert tuple(scale_synthesis(24, 16)(scale_analysis(24, 16)(y)).shape) == (1, 24, 55, 55)
    assert count_macs(h_a, y) == pytest.approx(8e6, rel=0.07)
    assert count_macs(h_s, z) == pytest.approx(96e6, rel=0.07)
    assert ExactNetwork(exact_layers(h_s)).input_size(55, 55) == (14, 14)


def test_encoder_size_by_upstreams_rule() -> None:
    """All but g_s of MSHP-24, with tables: 1,568.6 KB, of which 784 are the Gaussian tables."""
    prior = trained_prior("mean_scale_hyperprior", arch(24, 16))
    assert parameter_count(prior.entropy_bottleneck) == 976
    state = prior.export().upstream_state
    bits = state_bits({**{f"g_a.{k}": v for k, v in analysis([96, 48, 24]).state_dict().items()}, **state})
    assert bits == 12_850_144
    assert state_bits({"cdf": state["gaussian_conditional._quantized_cdf"]}) / 8 / 1024 == pytest.approx(783.25)


def test_the_defaults_are_the_papers() -> None:
    for name in ("entropic_student_shp", "entropic_student_mshp"):
        params = get_method(name).Params().model_dump()
        assert (params["encoder_channels"], params["hyper_channels"]) == ([96, 48, 24], 16)
        plain = get_method("entropic_student").Params().model_dump()
        assert {key: params[key] for key in plain} == plain


# Any size


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_size_of_a_latent_has_its_scales(kind: Prior) -> None:
    half = trained(kind, steps=1).export()
    encoder, decoder = ENDS[kind].encoder(half.device), ENDS[kind].decoder(half.server)
    for height, width in [(1, 1), (2, 5), (3, 3), (4, 15), (8, 6), (9, 7), (13, 31), (15, 16), (17, 10)]:
        with torch.no_grad():
            symbols = encoder.symbols(y := latents(1, 6, height, width))
        y_hat = decoder.decode([encoder.encode(symbols)], height, width, VERSION)
        assert y_hat.shape == y.shape
        assert (y_hat - y).abs().max() <= 0.5 + 1e-5
        assert tuple(symbols.z.shape[2:]) == ((height + 4) // 4, (width + 4) // 4)


def test_sizes_of_the_papers_need_no_padding() -> None:
    """A multiple of 16 pixels gives a y of 4n - 1: what h_a sees is y itself."""
    for side in (15, 27, 55):
        y = torch.randn(1, 5, side, side)
        h_a = mean_scale_analysis(5, 3)
        with torch.no_grad():
            torch.testing.assert_close(h_a(y), h_a[1:](y))
            torch.testing.assert_close(scale_analysis(5, 3)[0](y), y.abs())


# Training and the wire


def test_the_forward_pass_in_eval_mode_is_what_the_wire_carries(prior: TrainedPrior) -> None:
    tables = prior.export().server.tables
    coder = HyperpriorCoder(tables)
    with torch.no_grad():
        for seed in range(3):
            y = latents(1, seed=seed)
            y_hat, likelihoods = prior(y)
            symbols = coder.symbols(y, prior.hyper_analysis(y))
            received = coder.decode([coder.encode(symbols)], 15, 15, VERSION)
            assert torch.equal(received, y_hat)
            ideal = sum(-torch.log2(p).sum().item() for p in likelihoods)
            # Tables in steps of 13 % cost a little, and an escape is cheaper than the floor of the density, 30 bits.
            assert coder.bits(symbols) == pytest.approx(ideal, rel=0.06)


def test_a_batch_is_its_images(prior: TrainedPrior) -> None:
    y = latents(3, seed=5)
    with torch.no_grad():
        y_hat, likelihoods = prior(y)
        single = [prior(part[None]) for part in y]
    torch.testing.assert_close(y_hat, torch.cat([one[0] for one in single]))
    torch.testing.assert_close(likelihoods[0], torch.cat([one[1][0] for one in single]), rtol=1e-4, atol=1e-6)


def test_a_hyperprior_pays_where_the_spread_varies() -> None:
    """Side information included, fewer bits than one density per channel."""
    bits = {}
    y = latents(8, 24, seed=99)
    for name in ENDS:
        model = trained(name, 24, steps=100)
        with torch.no_grad():
            _, likelihoods = model(y)
        bits[name] = sum(-torch.log2(p).sum().item() for p in likelihoods)
    assert bits["scale_hyperprior"] < bits["factorized"]
    assert bits["mean_scale_hyperprior"] < 0.97 * bits["scale_hyperprior"]


@pytest.mark.parametrize("kind", ENDS)
def test_eval_mode_gives_the_encoder_no_gradient_and_train_mode_does(kind: Prior) -> None:
    """Frozen in the second phase the prior still runs; upstream's scale hyperprior fails there."""
    model = trained(kind, steps=1)
    y = latents(2).requires_grad_()
    y_hat, likelihoods = model.train()(y)
    (y_hat.sum() + torch.stack([p.sum() for p in likelihoods]).sum()).backward()
    assert y.grad is not None
    assert y.grad.abs().sum() > 0
    rounded, _ = model.eval().requires_grad_(False)(latents(2))
    assert not rounded.requires_grad


def test_an_export_leaves_the_prior_as_it_is(prior: TrainedPrior) -> None:
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    first, second = prior.export(), prior.export()
    after = prior.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert _equal(first.device.model_dump(), second.device.model_dump())
    assert set(first.server.model_dump()) == {"tables"}, "h_a stays on the device"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(one == other)


@pytest.mark.parametrize("kind", ENDS)
def test_a_payload_of_another_prior_is_refused(kind: Prior) -> None:
    decoder = ENDS[kind].decoder(trained(kind, steps=1).export().server)
    with pytest.raises(WireError, match="one stream, not 2"):
        decoder.decode([b"abc"] * 2, 7, 7, VERSION)
    with pytest.raises(WireError, match="one stream, not 2" if kind == "factorized" else "two streams, y and z, not 1"):
        decoder.decode([b"abc"] * (2 if kind == "factorized" else 1), 7, 7, 1)


def test_a_device_half_of_another_prior_is_refused() -> None:
    content = trained("factorized", steps=1).export().device
    assert type(content) is PriorContent
    with pytest.raises(CheckpointError, match="no hyperprior"):
        ENDS["mean_scale_hyperprior"].encoder(content)
