"""Our options of the entropy-coded bottleneck: what ends g_s, and what g_s gets in training."""

from typing import Any

import pytest
import torch
from torch import nn

from sc2.layers.bottleneck import synthesis
from sc2.methods.student.ends import ENDS
from sc2.methods.student.params import HyperpriorArch, Prior
from sc2.methods.student.trained_priors import trained_prior
from tests.contract.conftest import make_case, teacher_of

TINY_INPUT = {"resize": 32, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def test_a_relu_clips_what_the_papers_decoder_gives() -> None:
    torch.manual_seed(0)
    linear, clipped = synthesis(4, [8, 8], 6), synthesis(4, [8, 8], 6, relu=True)
    clipped.load_state_dict(linear.state_dict())
    y_hat = torch.randn(3, 4, 7, 7)
    torch.testing.assert_close(clipped(y_hat), linear(y_hat).clamp(min=0), rtol=0, atol=0)
    assert not isinstance(linear[-1], nn.ReLU)


def test_a_norm_scales_and_shifts_each_channel() -> None:
    torch.manual_seed(0)
    linear, normed = synthesis(4, [8, 8], 6), synthesis(4, [8, 8], 6, norm=True).eval()
    normed.load_state_dict(linear.state_dict(), strict=False)
    norm = normed[-1]
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        for index, values in enumerate((norm.running_mean, norm.running_var, norm.weight, norm.bias)):
            assert values is not None
            values.copy_(torch.linspace(1, 2, 6) + index)
    y_hat = torch.randn(3, 4, 7, 7)
    mean, variance, weight, bias = (torch.linspace(1, 2, 6).view(-1, 1, 1) + index for index in range(4))
    expected = (linear(y_hat) - mean) / (variance + norm.eps).sqrt() * weight + bias
    torch.testing.assert_close(normed(y_hat), expected)


@pytest.mark.parametrize("name", ENDS)
def test_mixed_quantisation_rounds_for_the_decoder_and_adds_noise_for_the_bits(name: Prior) -> None:
    def trained(quantiser: str) -> Any:
        torch.manual_seed(0)
        arch = HyperpriorArch(encoder_channels=[8, 8, 6], hyper_channels=4, quantiser=quantiser)
        return trained_prior(name, arch).train()

    noisy, mixed = trained("noise"), trained("mixed")
    y = (5 * torch.randn(2, 6, 7, 7)).requires_grad_()
    torch.manual_seed(1)
    y_noise, expected = noisy(y)
    torch.manual_seed(1)
    y_hat, likelihoods = mixed(y)
    for ours, theirs in zip(likelihoods, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert (y_noise - y).abs().max() <= 0.5
    if name != "mean_scale_hyperprior":
        # Before any training the medians are zero; only h_s predicts other means.
        torch.testing.assert_close(y_hat, y.round())
    assert (y_hat - y).abs().max() <= 0.5 + 1e-6
    (gradient,) = torch.autograd.grad(y_hat.sum(), y)
    torch.testing.assert_close(gradient, torch.ones_like(y))
    torch.testing.assert_close(mixed.eval()(y)[0], noisy.eval()(y)[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["entropic_student", "end_to_end"])
def test_both_ends_of_a_split_have_them(name: str) -> None:
    changed = {"output_relu": True, "output_norm": True, "quantiser": "mixed"}
    case = make_case(name, "0.5", TINY_INPUT, teacher_of("classification"), changed)
    params = case.method.phase_params(next(iter(case.params["phases"])), next(iter(case.params["phases"].values())))
    torch.manual_seed(3)
    network = case.method.training(params, case.context).model.eval()
    case.state = network.state_dict()
    pixels = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8).numpy()
    device, server = case.device(), case.server()
    received = server.decode(device.code(device.analyse(pixels)))
    assert (server.network.decoder(received) >= 0).all()
    images = (torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
    with torch.no_grad():
        torch.testing.assert_close(server.answer(received), network(images))
