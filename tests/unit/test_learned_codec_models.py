"""Learned codecs against CompressAI's own models: weights, latents, sizes; odd image sizes; exact context."""

from contextlib import suppress
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.normalise import normalise, to_batch
from sc2.data.spec import PixelSpec
from sc2.entropy.exact import ExactNetwork, exact_layers
from sc2.entropy.exact_arrays import ONE
from sc2.errors import CheckpointError, WireError
from sc2.methods import get_method
from sc2.methods.learned_codec.context import ContextModel, Step, context_layers, steps
from sc2.methods.learned_codec.network import InputCompression, build_codec
from sc2.methods.learned_codec.transforms import analysis, mean_scale_analysis, scale_analysis, synthesis
from sc2.split.method import Export
from sc2.split.wire import Payload, pack, unpack

METHODS = {
    "factorized_prior": "FactorizedPrior",
    "scale_hyperprior": "ScaleHyperprior",
    "mean_scale_hyperprior": "MeanScaleHyperprior",
    "joint_autoregressive": "JointAutoregressiveHierarchicalPriors",
}
HYPER = [name for name in METHODS if name != "factorized_prior"]
N, M = 6, 8
SIDE = 65
INPUT = {"resize": SIDE, "crop": SIDE, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.25] * 3}
PIXELS = PixelSpec(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
SIZES = [(1, 1), (1, 70), (70, 1), (63, 65), (64, 64), (225, 223)]


def lively(codec: nn.Module) -> nn.Module:
    """Give a fresh model latents of several units, scales to match, and means and medians off zero."""
    parts: Any = codec
    with torch.no_grad():
        parts.g_a[-1].weight.mul_(30)
        if hasattr(parts, "h_a"):
            parts.h_a[-1].weight.mul_(5)
            last = parts.entropy_parameters[-1] if hasattr(parts, "entropy_parameters") else parts.h_s[-1]
            last = last if hasattr(last, "weight") else parts.h_s[-2]
            last.weight.mul_(3)
            last.bias.uniform_(0.3, 3)
        parts.entropy_bottleneck.quantiles[:, 0, 1].uniform_(-0.4, 0.4)
    return codec.eval()


@pytest.fixture(scope="module")
def teacher() -> dict[str, Any]:
    torch.manual_seed(3)
    backbone = NetworkSpec(name="small_resnet", args={"width": 4})
    return {
        "task": "classification",
        "backbone": backbone.model_dump(),
        "classes": ["a", "b", "c"],
        "state": build_network(backbone, 3).state_dict(),
    }


class Split:
    """A method with lively weights: the whole network, and both of its halves."""

    def __init__(self, name: str, teacher: dict[str, Any]) -> None:
        torch.manual_seed(5)
        self.method = get_method(name)
        context = self.method.context({"channels": [[N, M]]}, "3", INPUT, teacher)
        self.network = InputCompression(context, METHODS[name]).eval()
        lively(self.network.codec)
        self.exported: Export = self.method.export(context, self.network.state_dict())
        self.device: Any = self.method.load_device(self.exported.device.plain())
        self.server: Any = self.method.load_server(self.exported.server.plain())


@pytest.mark.parametrize("name", METHODS)
def test_weights_of_other_parameters_are_refused(teacher: dict[str, Any], name: str) -> None:
    """They can be those of another benchmark (`encoder_from`), which may set its own."""
    method = get_method(name)
    state = InputCompression(method.context({"channels": [[N, M]]}, "3", INPUT, teacher), METHODS[name]).state_dict()
    wider = method.context({"channels": [[N, M + 1]]}, "3", INPUT, teacher)
    with pytest.raises(CheckpointError, match="give the method the same parameters on both"):
        method.export(wider, state)


@pytest.fixture(scope="module", params=METHODS)
def made(request: pytest.FixtureRequest, teacher: dict[str, Any]) -> Split:
    return Split(request.param, teacher)


def photo(height: int, width: int) -> np.ndarray:
    """An image uint8 with large shapes and some grain."""
    rows, columns = np.mgrid[:height, :width]
    shapes = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 11)], 2)
    grain = np.random.default_rng(height * width).normal(0, 8, shapes.shape)
    return np.clip(127 + 90 * shapes + grain, 0, 255).astype(np.uint8)


# The same networks as CompressAI's


@pytest.mark.parametrize("codec", METHODS.values())
def test_the_halves_networks_take_compressais_weights_and_agree(codec: str) -> None:
    torch.manual_seed(0)
    model: Any = lively(build_codec(codec, N, M))
    ours = {"g_a": analysis(N, M), "g_s": synthesis(N, M)}
    if codec == "ScaleHyperprior":
        ours["h_a"] = scale_analysis(M, N)
    elif codec != "FactorizedPrior":
        ours["h_a"] = mean_scale_analysis(M, N)
    x = torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        y = model.g_a(x)
        inputs = {"g_a": x, "g_s": y, "h_a": y}
        for name, network in ours.items():
            network.load_state_dict(model.get_submodule(name).state_dict())
            given = inputs[name].abs() if (name, codec) == ("h_a", "ScaleHyperprior") else inputs[name]
            expected = model.get_submodule(name)(given)
            torch.testing.assert_close(network(inputs[name]), expected, rtol=1e-4, atol=1e-4)


def test_bytes_and_images_are_compressais(made: Split) -> None:
    """Its own coder on the same image: about as many bytes, and nearly the same picture from them."""
    model: Any = build_codec(made.network.codec.__class__.__name__, N, M)
    model.load_state_dict(made.network.codec.state_dict())
    model.eval().update(force=True)
    pixels = photo(128, 192)
    payload = made.device.encode(pixels)
    with torch.no_grad():
        reference = model.compress(to_batch(pixels).float() / 255)
        expected = model.decompress(**reference)["x_hat"]
    theirs = sum(len(strings[0]) for strings in reference["strings"])
    assert theirs > 200
    # An escaped symbol, of which an untrained codec has many, takes fewer bits.
    assert -12 - 0.05 * theirs <= payload.num_bytes - theirs <= 0.01 * theirs + 4
    received = made.server.reconstruct(made.server.receive(payload), 128, 192)
    # Means in steps of 2^-12 can move a value that lies between two symbols; most of the picture is the same.
    assert (received - expected).abs().median() < 1e-3
    assert (received - expected).abs().mean() < 0.01


# Every size through the wire


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_what_arrives_is_what_the_network_sees_in_process(made: Split, height: int, width: int) -> None:
    pixels = photo(height, width)
    container = pack(made.device.encode(pixels), b"12345678")
    latent = made.server.receive(unpack(container, b"12345678"))
    images, expected, _ = made.network.reconstruct(normalise(to_batch(pixels), PIXELS))
    assert torch.equal(images, to_batch(pixels).float() / 255)
    torch.testing.assert_close(made.server.reconstruct(latent, height, width), expected, rtol=1e-4, atol=1e-5)
    assert expected.shape == (1, 3, height, width)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_estimated_and_real_size_agree(made: Split, height: int, width: int) -> None:
    analysed = made.device.analyse(photo(height, width))
    real, bits = made.device.code(analysed).num_bytes, made.method.estimate_bits(made.device, analysed)
    assert bits is not None
    assert abs(real - bits / 8) <= max(0.02 * real, 16)


def test_the_answer_is_that_of_the_benchmarks_size(made: Split) -> None:
    pixels = photo(SIDE, SIDE)
    answer = made.server.answer(made.server.decode(made.device.encode(pixels)))
    torch.testing.assert_close(answer, made.network(normalise(to_batch(pixels), PIXELS)), rtol=1e-3, atol=1e-4)
    with pytest.raises(WireError, match=r"the sent image is \(65, 64\), but the network takes \(65, 65\)"):
        made.server.decode(made.device.encode(photo(64, 65)))


@pytest.mark.parametrize("shape", [(), (64,), (0, 64), (64, 0), (64, 64, 1)])
def test_a_shape_that_is_no_image_is_refused(made: Split, shape: tuple[int, ...]) -> None:
    streams = made.device.encode(photo(64, 64)).streams
    with pytest.raises(WireError, match="two shape integers"):
        made.server.receive(Payload(streams, shape))
    with pytest.raises(WireError):
        made.server.receive(Payload((*streams, b"x"), (64, 64)))


def test_a_larger_batch_is_reconstructed_in_parts(made: Split) -> None:
    latent = torch.cat([made.server.receive(made.device.encode(photo(64, 64)))] * 18)
    images = made.server.reconstruct(latent, 60, 61)
    assert images.shape == (18, 3, 60, 61)
    torch.testing.assert_close(images[17], images[0])


def test_the_device_counts_all_that_it_runs(made: Split) -> None:
    """Weights of g_a, h_a, h_s and the context networks, as many as CompressAI's but for what the mask hides."""
    parts: Any = made.network.codec
    names = ("g_a", "h_a", "h_s", "entropy_parameters")
    expected = sum(p.numel() for name in names if hasattr(parts, name) for p in getattr(parts, name).parameters())
    if hasattr(parts, "context_prediction"):
        expected += M * 2 * M * 15 + 2 * M
    biases_of_nothing = sum(p.numel() == 0 for p in made.device.network.parameters())
    assert sum(p.numel() for p in made.device.network.parameters()) == expected - biases_of_nothing


# The context model


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (6, 1), (4, 4), (5, 9), (16, 16)])
def test_steps_visit_every_position_once_and_after_all_that_it_sees(height: int, width: int) -> None:
    when = np.full((height, width), -1)
    for number, step in enumerate(steps(height, width)):
        at = np.unravel_index(step.here.numpy(), when.shape)
        assert (when[at] == -1).all()
        when[at] = number
    assert (when >= 0).all()
    for row, column in product(range(height), range(width)):
        above = when[max(0, row - 2) : row, max(0, column - 2) : column + 3]
        before = when[row, max(0, column - 2) : column]
        assert (above < when[row, column]).all()
        assert (before < when[row, column]).all()


def walked(seed: int, height: int, width: int, batch: int = 1) -> tuple[Any, Tensor, Tensor, Tensor, Tensor]:
    """Walk a random latent; returns the model, side information, y_hat, and scales and means that were used."""
    torch.manual_seed(seed)
    parts: Any = lively(build_codec(METHODS["joint_autoregressive"], N, M))
    side = torch.round(torch.randn(batch, 2 * M, height, width, dtype=torch.float64) * ONE)
    y = torch.randn(batch, M, height, width, dtype=torch.float64) * 4
    used = torch.zeros(2, batch, M, height, width, dtype=torch.float64)

    def rounded(step: Step, scales: Tensor, means: Tensor) -> Tensor:
        for values, part in zip(used, (scales, means), strict=True):
            values.flatten(2)[:, :, step.here] = part
        return torch.round(y.flatten(2)[:, :, step.here] - means / ONE)

    latent = ContextModel(context_layers(parts)).walk(side, rounded)
    return parts, side, latent, used[0], used[1]


@pytest.mark.parametrize(("height", "width", "batch"), [(4, 4, 1), (1, 5, 1), (7, 3, 3)])
def test_the_walk_uses_what_one_masked_convolution_over_the_result_gives(height: int, width: int, batch: int) -> None:
    """An independent way to the same parameters: all positions at once, with the mask, from the finished latent."""
    parts, side, latent, scales, means = walked(1, height, width, batch)
    masked = nn.Conv2d(M, 2 * M, 5, padding=2)
    with torch.no_grad():
        masked.weight.copy_(parts.context_prediction.weight * parts.context_prediction.mask)
        masked.bias.copy_(parts.context_prediction.bias)
        context = ExactNetwork(exact_layers(nn.Sequential(masked)))(latent)
        found = ExactNetwork(exact_layers(parts.entropy_parameters))(torch.cat((side, context), 1))
    assert torch.equal(found, torch.cat((scales, means), 1))
    assert scales.std() > 0.1 * ONE


def test_the_walk_in_whole_numbers_is_close_to_compressais_in_floating_point() -> None:
    parts, side, latent, scales, means = walked(2, 5, 6)
    with torch.no_grad():
        context = parts.context_prediction((latent / ONE).float())
        found = parts.entropy_parameters(torch.cat(((side / ONE).float(), context), 1))
    torch.testing.assert_close((torch.cat((scales, means), 1) / ONE).float(), found, rtol=0.01, atol=0.01)


def test_threads_do_not_change_a_bit(teacher: dict[str, Any]) -> None:
    made, pixels = Split("joint_autoregressive", teacher), photo(100, 90)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        payload = made.device.encode(pixels)
        torch.set_num_threads(2)
        other = made.server.receive(payload)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(made.server.receive(payload), other)


def test_a_damaged_stream_is_refused_or_gives_other_values(teacher: dict[str, Any]) -> None:
    made = Split("joint_autoregressive", teacher)
    payload = made.device.encode(photo(64, 64))
    right = made.server.receive(payload)
    [stream] = payload.streams
    for damaged in (stream[: len(stream) // 2], stream + b"\1\2\3", bytes([stream[0] ^ 0x55]) + stream[1:]):
        with suppress(WireError):
            assert not torch.equal(made.server.receive(Payload((damaged,), (64, 64))), right)
