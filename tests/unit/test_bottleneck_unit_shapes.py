"""Shapes, symbols and parameters of the published units.

Source: docs/papers.md#unit-architecture and docs/papers.md#unit-overheads.
"""

import pytest
import torch
from torch.nn import functional

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.measure.size import parameter_count
from sc2.methods.unit.network import latent_size, map_shape, transposed_geometry, unit_decoder, unit_encoder

# Published numbers


@pytest.mark.parametrize(
    ("size", "stride", "latent", "kernel"),
    [(7, 2, 4, 3), (7, 4, 2, 3), (14, 2, 7, 3), (14, 4, 4, 5)],
    ids=["S1 and S2, s = 2", "S1 and S2, s = 4", "S3, s = 2", "S3, s = 4"],
)
@pytest.mark.parametrize("k", [32, 64, 128])
def test_published_shapes(size: int, stride: int, latent: int, kernel: int, k: int) -> None:
    encoder, decoder = unit_encoder(8, k, stride), unit_decoder(8, k, stride, size)
    with torch.no_grad():
        symbols = encoder.eval()(torch.rand(2, 8, size, size))
        features = decoder.eval()(symbols)
    assert tuple(symbols.shape) == (2, k, latent, latent)
    assert tuple(features.shape) == (2, 8, size, size)
    assert decoder[3].kernel_size == (kernel, kernel)
    assert symbols.min() >= 0


def test_the_last_relu_follows_the_networks_own_features() -> None:
    latent = torch.rand(4, 3, 4, 4)
    torch.manual_seed(0)
    rectified = unit_decoder(8, 3, 2, 7)(latent)
    torch.manual_seed(0)
    signed = unit_decoder(8, 3, 2, 7, signed=True)(latent)
    assert signed.min() < 0
    assert torch.equal(signed.relu(), rectified)


@pytest.mark.parametrize(("size", "stride", "per_channel"), [(7, 2, 16), (7, 4, 4), (14, 2, 49), (14, 4, 16)])
def test_published_numbers_of_symbols(size: int, stride: int, per_channel: int) -> None:
    assert latent_size(size, stride) ** 2 == per_channel


@pytest.mark.parametrize(("channels", "k", "published"), [(1024, 64, 77e3), (2048, 32, 88e3), (2048, 128, 285e3)])
def test_published_encoder_parameters(channels: int, k: int, published: float) -> None:
    count = parameter_count(unit_encoder(channels, k, 2))
    assert count == 9 * channels + 2 * channels + channels * k + 2 * k
    assert count == pytest.approx(published, rel=0.005)


@pytest.mark.parametrize(
    ("channels", "k", "size", "published"), [(1024, 64, 14, 0.68e6), (2048, 32, 7, 0.8e6), (2048, 128, 7, 2.39e6)]
)
def test_published_size_of_a_unit(channels: int, k: int, size: int, published: float) -> None:
    """The published files hold a little more than the weights."""
    states = unit_encoder(channels, k, 2).state_dict(), unit_decoder(channels, k, 2, size).state_dict()
    total = sum(tensor.numel() * tensor.element_size() for state in states for tensor in state.values())
    assert 0.94 * published < total < published


@pytest.mark.parametrize(
    ("cut", "channels", "size", "s2", "s4"),
    [("layer4", 2048, 7, 4, 2), ("layer4.0", 2048, 7, 4, 2), ("layer3.4", 1024, 14, 7, 4)],
)
def test_published_cuts_of_a_resnet50(cut: str, channels: int, size: int, s2: int, s4: int) -> None:
    """S1, S2 and S3 at 224 px."""
    with torch.device("meta"):
        model = build_network(NetworkSpec(name="resnet", args={"depth": 50}), 1000)
    assert map_shape(model, cut, 224) == (channels, size)
    assert (latent_size(size, 2), latent_size(size, 4)) == (s2, s4)


# Geometry


def test_the_decoder_gives_the_size_back_and_leaves_no_gap() -> None:
    """For any size and stride; stride 4 with a rest of 3 keeps the published kernel, which leaves gaps."""
    for stride in range(1, 9):
        for size in range(1, 40):
            kernel, padding, extra = transposed_geometry(size, stride)
            latent = torch.ones(1, 1, latent_size(size, stride), latent_size(size, stride))
            reached = functional.conv_transpose2d(
                latent, torch.ones(1, 1, kernel, kernel), stride=stride, padding=padding, output_padding=extra
            )
            assert reached.shape[2:] == (size, size)
            assert 0 <= extra <= 1
            assert bool((reached > 0).all()) == (kernel >= stride or latent.numel() == 1)
            encoder = functional.conv2d(torch.ones(1, 1, size, size), torch.ones(1, 1, 3, 3), stride=stride, padding=1)
            assert encoder.shape == latent.shape


@pytest.mark.parametrize(
    ("size", "stride", "side"),
    [(14, 2, 15), (14, 4, 17), (7, 2, 7), (7, 4, 7)],
    ids=["S3, 2", "S3, 4", "S1, 2", "S1, 4"],
)
def test_published_sizes_where_they_are_not_to_be_exact(size: int, stride: int, side: int) -> None:
    """The same weights as of an exact decoder; another padding, and none in the output."""
    exact, published = (unit_decoder(8, 3, stride, size, exact=value) for value in (True, False))
    published.load_state_dict(exact.state_dict())
    latent = torch.rand(1, 3, latent_size(size, stride), latent_size(size, stride))
    assert published.eval()(latent).shape[2:] == (side, side)
    assert published[3].output_padding == (0, 0)
    assert torch.equal(published(latent), exact.eval()(latent)) == (side == size)
