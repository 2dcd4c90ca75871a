"""The wavelet start: an orthonormal transform that keeps the picture before anything is trained."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from sc2.methods.learned_codec.network import build_codec
from sc2.methods.learned_codec.wavelet_start import latent_gain, wavelet_start


def pictures() -> Tensor:
    """Smooth pictures with some grain, [4, 3, 64, 64] in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(4, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=64, mode="bilinear")
    return (smooth + 0.02 * torch.randn(4, 3, 64, 64, generator=generator)).clamp(0, 1)


def squared_error(n: int, m: int, weight: float, *, rounded: bool) -> float:
    """Mean squared error of 8-bit values of an untrained codec, with or without rounding the latent."""
    torch.manual_seed(0)
    codec: Any = build_codec("FactorizedPrior", n, m).eval()
    wavelet_start(codec, weight)
    with torch.no_grad():
        images = pictures()
        latent = codec.g_a(images)
        return float((codec.g_s(latent.round() if rounded else latent) - images).square().mean() * 255**2)


def test_with_room_for_all_bands_nothing_is_lost() -> None:
    assert squared_error(192, 768, 0.01, rounded=False) < 0.5


def test_less_room_loses_the_high_frequencies_first() -> None:
    errors = [squared_error(n, 4 * n, 0.01, rounded=False) for n in (4, 12, 24, 48, 192)]
    assert errors == sorted(errors, reverse=True)
    variance = float(pictures().sub(0.5).square().mean() * 255**2)
    assert errors[0] > 0.3 * variance
    assert errors[2] < 0.25 * variance


@pytest.mark.parametrize("weight", [0.01, 0.1])
def test_rounding_costs_what_a_uniform_quantiser_costs(weight: float) -> None:
    """Error of a whole coefficient: 1/12 in units of the squared step, the inverse of the gain."""
    expected = 255**2 / 12 / latent_gain(weight) ** 2
    added = squared_error(192, 768, weight, rounded=True) - squared_error(192, 768, weight, rounded=False)
    # At most: coefficients below half a step round to zero and cost less.
    assert 0.1 * expected < added < 1.3 * expected


def test_the_price_of_a_bit_is_one_at_the_chosen_step() -> None:
    """d(λ · 255² · D / 3) / dR = -1 bit per coefficient, for D = step² / 12 that falls fourfold with every bit."""
    weight = 0.013
    distortion = 1 / 12 / latent_gain(weight) ** 2
    assert weight * 255**2 / 3 * distortion * 2 * math.log(2) == pytest.approx(1)
