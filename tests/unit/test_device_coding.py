"""What the device does after its network, without torch: the same integers and bytes as torch's half, always."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sc2.device.latents import ChannelCoder, Rounded
from sc2.device.senders import Analysed, Sender, sender_of
from sc2.entropy.coder import StreamEncoder
from sc2.entropy.exact import ExactNetwork, exact_layers
from sc2.entropy.exact_arrays import exact_network
from sc2.entropy.neighbour_counts import count_neighbours, neighbour_tables
from sc2.entropy.neighbours import NeighbourCoder
from sc2.errors import CheckpointError, WireError
from sc2.methods import get_method
from sc2.methods.learned_codec.halves import Analysed as AnalysedImage
from sc2.methods.reduction.affine import quantize, to_bytes
from sc2.runs.artifact import arrays_of, portable_of
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable
from sc2.split.wire import Payload
from tests.contract.conftest import eight_images, names_with_options
from tests.tiny_halves import tiny_export, tiny_halves


def portable(name: str) -> tuple[DeviceHalf, Portable, Sender]:
    """A tiny device half, its description, and what sends for it without torch."""
    device, _ = tiny_halves(name)
    found = portable_of(name, device, tiny_export(name).device.plain())
    return device, found, sender_of(arrays_of(found.sender))


def network_inputs(name: str, found: Portable, pixels: np.ndarray) -> list[Tensor]:
    """The network's inputs, computed by torch."""
    x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1).unsqueeze(0) / 255
    if found.pixels == "normalised":
        x = (x - 0.5) / 0.25
    if not found.rates:
        return [x]
    return [x, found.sender["positions"][found.step : found.step + 1]]


@pytest.mark.parametrize("name", names_with_options())
def test_the_same_outputs_of_the_network_are_sent_as_the_same_bytes(name: str) -> None:
    device, found, sender = portable(name)
    for image in eight_images()[:3]:
        pixels = np.tile(image, (2, 4, 1)) if get_method(name).family == "learned_codec" else image
        values: tuple[np.ndarray, ...] = (pixels,)
        if found.network is not None:
            with torch.no_grad():
                outputs = found.network(*network_inputs(name, found, pixels))
            values = tuple(each.numpy() for each in (outputs if isinstance(outputs, tuple) else (outputs,)))
        height, width = pixels.shape[:2]
        assert sender.send(Analysed(values, height, width, found.step)) == device.encode(pixels)


def drawn(*shape: int, seed: int) -> Tensor:
    """Values of all sizes, some of them far outside every table, and some between two symbols."""
    generator = torch.Generator().manual_seed(seed)
    values = 3 * torch.randn(shape, generator=generator)
    values.view(-1)[:: max(7, values.numel() // 5)] *= 100
    values.view(-1)[1::11] = values.view(-1)[1::11].floor() + 0.5
    return values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "name", ["entropic_student", "entropic_student_shp", "entropic_student_mshp", "joint_autoregressive"]
)
def test_latents_of_every_kind_are_coded_alike(name: str, seed: int) -> None:
    device: Any
    device, _, sender = portable(name)
    if name == "joint_autoregressive":
        y, z = drawn(1, 3, 4, 8, seed=seed), drawn(1, 2, 1, 2, seed=seed + 10)
        payload = device.code(AnalysedImage(device.coder.coder.symbols(y, z), 64, 128))
        assert sender.send(Analysed((y.numpy(), z.numpy()), 64, 128)) == payload
        return
    y = drawn(1, 2, 3, 5, seed=seed)
    latents: tuple[Tensor, ...] = (y,)
    if name != "entropic_student":
        z_size = device.coder.coder.synthesis.z_size(3, 5)
        latents = (y, drawn(1, 2, *z_size, seed=seed + 10))
    symbols = device.coder.coder.symbols(*latents)
    assert sender.send(Analysed(tuple(each.numpy() for each in latents), 16, 24)) == device.code((symbols, (3, 5)))


@pytest.mark.parametrize("signed", [True, False])
def test_neighbours_choose_the_same_tables(signed: bool) -> None:
    first = -4 if signed else 0
    generator = torch.Generator().manual_seed(3)
    symbols = torch.randint(first, 6, (1, 3, 5, 7), generator=generator, dtype=torch.int32)
    tables = neighbour_tables(count_neighbours(symbols, 12, first=first), first=first)
    coder, expected = ChannelCoder(arrays_of(tables)), StreamEncoder()
    NeighbourCoder(tables).put(expected, symbols)
    assert coder.stream(Rounded((symbols.numpy(),))) == expected.finish()


LAYERS: list[tuple[str, list[nn.Module]]] = [
    ("plain", [nn.Conv2d(4, 6, 3)]),
    ("geometry", [nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2, bias=False)]),
    ("transposed", [nn.ConvTranspose2d(4, 6, 5, stride=2, padding=2, output_padding=1)]),
    ("transposed geometry", [nn.ConvTranspose2d(4, 6, (2, 3), stride=(3, 2), padding=(0, 1), dilation=2, groups=2)]),
    (
        "chain",
        [nn.ConvTranspose2d(4, 4, 5, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 4, 5), nn.ReLU(), nn.Conv2d(4, 2, 1)],
    ),
]


@pytest.mark.parametrize(("name", "layers"), LAYERS, ids=[name for name, _ in LAYERS])
@pytest.mark.parametrize("gain", [1.0, 2.0**14])
def test_networks_in_whole_numbers_give_the_same_numbers(name: str, layers: Sequence[nn.Module], gain: float) -> None:
    generator = torch.Generator().manual_seed(5)
    described = exact_layers(nn.Sequential(*layers))
    x = torch.randint(-(2**12), 2**12, (2, 4, 6, 9), generator=generator).double() * gain
    with torch.no_grad():
        expected = ExactNetwork(described)(x)
    assert np.array_equal(exact_network(arrays_of(described))(x.numpy()), expected.numpy())
    assert expected.abs().max() > 0


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no layer 'pool'; there are: conv, conv_transpose, leaky_relu"):
        exact_network({"0": {"kind": "pool"}})


@pytest.mark.parametrize("values", [[-1.5, 0.25, 3.0], [2.0, 2.0], [-2.0, -2.0], [0.0, 0.0], [1.0, 5.0], [-5.0, -1.0]])
def test_the_affine_quantiser_is_torchs(values: list[float]) -> None:
    x = torch.tensor(values).reshape(1, 1, 1, -1)
    payload = sender_of({"kind": "affine"}).send(Analysed((x.numpy(),), 8, 8))
    assert payload == Payload((to_bytes(quantize(x)),), (1, 1, len(values)))


def test_a_tensor_without_a_range_is_refused() -> None:
    with pytest.raises(WireError, match="cannot be quantised"):
        sender_of({"kind": "affine"}).send(Analysed((np.array([[[[3e38, -3e38]]]], np.float32),), 8, 8))


@pytest.mark.parametrize("content", [{"kind": "radio"}, {}, {"kind": "image"}, {"kind": "latent", "prior": "channels"}])
def test_a_sender_that_cannot_be_built_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="export it again"):
        sender_of(content)
