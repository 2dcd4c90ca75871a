"""Multiply-accumulates against closed forms and the published numbers of whole networks."""

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.errors import ConfigError
from sc2.measure.macs import count_macs


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(6, 8, 3), 6 * 8 * 9 * 30 * 30),
        (nn.Conv2d(6, 8, 3, padding=1, bias=False), 6 * 8 * 9 * 32 * 32),
        (nn.Conv2d(6, 8, 5, stride=2, padding=2), 6 * 8 * 25 * 16 * 16),
        (nn.Conv2d(6, 8, 2, stride=3), 6 * 8 * 4 * 11 * 11),
        (nn.Conv2d(6, 8, 3, dilation=2), 6 * 8 * 9 * 28 * 28),
        (nn.Conv2d(6, 8, (1, 3), groups=2), 3 * 8 * 3 * 32 * 30),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6), 6 * 9 * 32 * 32),
        (nn.ConvTranspose2d(6, 8, 5, stride=2, padding=2, output_padding=1), 6 * 8 * 25 * 32 * 32),
        (nn.ConvTranspose2d(6, 8, 4, stride=2, groups=2), 6 * 4 * 16 * 32 * 32),
        (nn.Linear(32, 10), 6 * 32 * 32 * 10),
        (nn.Linear(32, 10, bias=False), 6 * 32 * 32 * 10),
        (nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)), 0),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_closed_form(layer: nn.Module, expected: int, batch: int) -> None:
    assert count_macs(layer, torch.zeros(batch, 6, 32, 32)) == batch * expected


def test_functions_and_products() -> None:
    assert count_macs(torch.matmul, torch.zeros(4, 5, 6), torch.zeros(4, 6, 7)) == 4 * 5 * 6 * 7
    assert count_macs(lambda x: x @ x.T, torch.zeros(5, 6)) == 5 * 6 * 5
    # GDN's norm is a 1 × 1 convolution
    assert count_macs(lambda x: x / functional.conv2d(x, torch.ones(8, 8, 1, 1)), torch.ones(1, 8, 4, 4)) == 64 * 16


def test_attention_counts_on_every_device() -> None:
    query = torch.zeros(1, 2, 50, 16)
    assert count_macs(functional.scaled_dot_product_attention, query, query, query) == 2 * 2 * 50 * 50 * 16


@pytest.mark.parametrize("batch_first", [True, False])
def test_multi_head_attention_by_hand(batch_first: bool) -> None:
    """Three sequences: 5 queries of width 8, 7 keys of width 6 and values of width 4, in two heads."""
    attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=4, batch_first=batch_first)
    tensors = [torch.zeros(3, length, width) for length, width in ((5, 8), (7, 6), (7, 4))]
    inputs = tensors if batch_first else [tensor.transpose(0, 1) for tensor in tensors]
    projections = 5 * 8 * 8 + 7 * 6 * 8 + 7 * 4 * 8 + 5 * 8 * 8
    products = 2 * (5 * 7 * 8)
    assert count_macs(attention, *inputs) == 3 * (projections + products)


def test_a_transformer_layer_by_hand() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, dim_feedforward=32, batch_first=True)
    attention = 4 * 10 * 16 * 16 + 2 * 10 * 10 * 16
    assert count_macs(layer, torch.zeros(2, 10, 16)) == 2 * (attention + 2 * 10 * 16 * 32)


def test_einsum_by_hand() -> None:
    one, other = torch.zeros(2, 3, 5, 7), torch.zeros(2, 3, 6, 7)
    assert count_macs(lambda: torch.einsum("bhid,bhjd->bhij", one, other)) == 2 * 3 * 5 * 6 * 7
    assert count_macs(lambda: torch.einsum("bhid, bhjd -> bhij", [one, other])) == 2 * 3 * 5 * 6 * 7
    with pytest.raises(ConfigError, match=r"einsum '\.\.\.id,\.\.\.jd' has no count"):
        count_macs(lambda: torch.einsum("...id,...jd", one, other))


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers_by_hand(kind: Any, gates: int) -> None:
    """Two layers in both directions: the second one takes the outputs of both."""
    network = kind(6, 8, num_layers=2, bidirectional=True, batch_first=True)
    per_position = 2 * gates * 8 * (6 + 8) + 2 * gates * 8 * (16 + 8)
    assert count_macs(network, torch.zeros(3, 11, 6)) == 3 * 11 * per_position


class Scaled(nn.Module):
    """A module whose matrix is applied by an operator that nobody counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return (x[..., None, :] * self.weight).sum(-1)


def test_a_module_with_a_matrix_and_no_counted_operator_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"Scaled has the weights weight, but none of its operators is counted"):
        count_macs(nn.Sequential(nn.Linear(4, 4), Scaled()), torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="Embedding has the weights weight"):
        count_macs(nn.Embedding(4, 4), torch.zeros(2, dtype=torch.int64))
    # Nothing is watched any more.
    assert Scaled()(torch.ones(1, 4)).tolist() == [[4, 4, 4, 4]]


def test_norms_have_weights_and_no_products() -> None:
    assert count_macs(nn.Sequential(nn.LayerNorm((3, 4)), nn.GroupNorm(1, 3), nn.PReLU()), torch.zeros(2, 3, 4)) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda x: torch.tensordot(x, x, 2),
        lambda x: torch.mv(x, x[0]),
        lambda x: functional.bilinear(x, x, torch.ones(2, 4, 4)),
        nn.LSTMCell(4, 4),
        lambda x: nn.Bilinear(4, 4, 2)(x, x),
    ],
)
def test_an_operator_without_a_count_is_an_error(call: Any) -> None:
    with pytest.raises(ConfigError, match="has no count"):
        count_macs(call, torch.ones(4, 4))


@pytest.mark.parametrize(
    ("network", "millions", "tolerance"),
    [(torchvision.models.resnet50, 4_089, 0.005), (torchvision.models.mobilenet_v2, 300, 0.01)],
)
def test_published_networks(network: type, millions: int, tolerance: float) -> None:
    assert count_macs(network(weights=None), torch.zeros(1, 3, 224, 224)) == pytest.approx(
        millions * 1e6, rel=tolerance
    )


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("small_resnet", {}),
        ("resnet", {"depth": 18}),
        ("efficientnet_lite", {}),
        ("mobilenet_v3", {}),
        ("regnety", {}),
        ("hybrid_vit", {}),
    ],
)
def test_every_network_as_torch_counts_it(name: str, args: dict[str, Any]) -> None:
    network = build_network(NetworkSpec(name=name, args=args), 10).eval()
    image = torch.zeros(1, 3, 224, 224)
    counter = FlopCounterMode(display=False)
    # torch has no count for the fused attention kernel of the CPU; the plain one consists of counted products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        network(image)
    assert count_macs(network, image) == counter.get_total_flops() // 2 > 0


def test_published_encoder() -> None:
    def norm(channels: int) -> nn.Module:
        return nn.Conv2d(channels, channels, 1)  # what GDN executes

    encoder = nn.Sequential(
        nn.Conv2d(3, 96, 5, 2, 2, bias=False),
        norm(96),
        nn.Conv2d(96, 48, 5, 2, 2, bias=False),
        norm(48),
        nn.Conv2d(48, 24, 2, bias=False),
    )
    assert count_macs(encoder, torch.zeros(1, 3, 224, 224)) == pytest.approx(588e6, rel=0.001)


class Probe(nn.Module):
    """Notes whether it runs with gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.frozen = nn.BatchNorm2d(2).eval()
        self.grad_enabled = True

    def forward(self, x: Tensor) -> Tensor:
        self.grad_enabled = torch.is_grad_enabled()
        if x.shape[0] == 2:
            raise RuntimeError("two images")
        return self.frozen(self.norm(x))


@pytest.mark.parametrize("batch", [1, 2])
def test_module_is_left_as_it_was(batch: int) -> None:
    probe = Probe().train(True)
    probe.frozen.eval()
    if batch == 1:
        count_macs(probe, torch.ones(1, 2, 4, 4))
    else:
        with pytest.raises(RuntimeError, match="two images"):
            count_macs(probe, torch.ones(2, 2, 4, 4))
    assert [module.training for module in (probe, probe.norm, probe.frozen)] == [True, True, False]
    assert not probe.grad_enabled
    assert probe.norm.num_batches_tracked == 0
    assert torch.is_grad_enabled()
