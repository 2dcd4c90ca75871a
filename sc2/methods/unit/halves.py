"""The two halves of a network with a bottleneck unit; each holds the stages of the frozen network that it runs."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.normalise import normalise
from sc2.data.spec import PixelSpec
from sc2.entropy.coder import TableCoder
from sc2.entropy.counts import pooled_frequencies, tables_of_counts
from sc2.entropy.huffman import HuffmanCode
from sc2.entropy.tables import Integers, rows_in_order
from sc2.errors import WireError
from sc2.methods.unit.network import UnitNetwork, latent_size, unit_decoder, unit_encoder
from sc2.methods.unit.params import UnitArch
from sc2.methods.unit.point import UnitPoint
from sc2.split.batches import BatchedDevice, Outputs, Rounding
from sc2.split.content import HalfContent
from sc2.split.method import BuildContext, Export, ServerHalf
from sc2.split.wire import Payload


class UnitContent(HalfContent):
    """What both halves of a unit are built from.

    Attributes:
        backbone: The network around the unit.
        num_classes: Classes of the task.
        cut: Stage or block whose output is the unit's input.
        channels: Channels of the features at the cut, C.
        size: Side of the square feature map at the cut, H.
        latent_channels: Channels of the latent, k.
        stride: Stride of the unit's depthwise convolutions, s.
        step: Width of the quantiser's intervals, q.
        signed: Whether the features at the cut have negative values.
        exact: Whether the decoder returns maps of `size`.
        state: Weights of the half's stages of the network and of its part of the unit.
        tables: `cdf`, `cdf_length` and `offset` of the coder, one row for each of the k channels.
    """

    backbone: NetworkSpec
    num_classes: int
    cut: str
    channels: int
    size: int
    latent_channels: int
    stride: int
    step: float
    signed: bool
    exact: bool
    state: dict[str, Tensor]
    tables: dict[str, Tensor]


class UnitDeviceContent(UnitContent):
    """What the device half is built from; `input` says how pixels are normalised."""

    input: PixelSpec


class UnitServerContent(UnitContent):
    """What the server half is built from."""


class UnitDevice(BatchedDevice):
    """The stages up to the cut, the unit's encoder and the coder."""

    def __init__(self, content: UnitDeviceContent) -> None:
        front = build_network(content.backbone.body, content.num_classes).up_to(content.cut)
        encoder = unit_encoder(content.channels, content.latent_channels, content.stride)
        self.network = _frozen({"front": front, "encoder": encoder}, content.state)
        self.step = content.step
        self.tables = content.tables
        self.coder = TableCoder.of(content.tables)
        self.input = content.input

    def outputs(self, images: Tensor) -> Outputs:
        """Return the latent [B, k, h, w] in units of a symbol."""
        assert self.network is not None
        return (self.network(normalise(images, self.input)) / self.step,)

    def chosen(self, outputs: Outputs, size: tuple[int, int], rounding: Rounding) -> list[Tensor]:
        """Return the symbols of each image, int32 [1, k, h, w]."""
        return list(rounding(*outputs).int().split(1))

    def code(self, latent: Tensor) -> Payload:
        """Range-code symbols [1, k, h, w]; the shape on the wire is (h, w)."""
        return Payload((self.coder.encode(*_flat(latent)),), (int(latent.shape[2]), int(latent.shape[3])))

    def bits(self, latent: Tensor) -> float:
        """Return the ideal code length of symbols [1, k, h, w] under the tables, one per channel (bits)."""
        return self.coder.bits(*_flat(latent))

    def huffman_bytes(self, latent: Tensor) -> int:
        """Return the bytes of symbols [1, k, h, w] in the published coder: one static Huffman code for all channels."""
        return self._huffman.num_bytes(_flat(latent)[0])

    def order0_bytes(self, latent: Tensor) -> float:
        """Return the ideal code length of symbols [1, k, h, w] under one static table for all channels (bytes)."""
        symbols, _ = _flat(latent)
        return self._order0.bits(symbols, np.zeros_like(symbols)) / 8

    @cached_property
    def _pooled(self) -> np.ndarray:
        return pooled_frequencies(self.coder.cdf, self.coder.escape)

    @cached_property
    def _huffman(self) -> HuffmanCode:
        return HuffmanCode.of(self._pooled.tolist())

    @cached_property
    def _order0(self) -> TableCoder:
        counts = torch.from_numpy(self._pooled).unsqueeze(0)
        return TableCoder.of(tables_of_counts(counts))


class UnitServer(ServerHalf):
    """The coder, the unit's decoder and the stages after the cut."""

    def __init__(self, content: UnitServerContent) -> None:
        sizes = (content.channels, content.latent_channels, content.stride, content.size)
        decoder = unit_decoder(*sizes, signed=content.signed, exact=content.exact)
        tail = build_network(content.backbone, content.num_classes).after(content.cut)
        self.network = _frozen({"decoder": decoder, "tail": tail}, content.state)
        self.coder = TableCoder.of(content.tables)
        self.step = content.step
        self.channels = content.latent_channels
        self.side = latent_size(content.size, content.stride)

    def decode(self, payload: Payload) -> Tensor:
        """Return x_hat [1, k, h, w]."""
        if len(payload.streams) != 1 or payload.shape != (self.side, self.side):
            raise WireError(
                f"this unit's payload has one stream and the shape {self.side}×{self.side}, "
                f"not {len(payload.streams)} and {'×'.join(map(str, payload.shape)) or 'none'}"
            )
        indexes = rows_in_order(range(self.channels), self.side**2)
        symbols = self.coder.decode(payload.streams[0], indexes, payload.version)
        return torch.from_numpy(symbols).reshape(1, self.channels, self.side, self.side) * self.step

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for latents [B, k, h, w]."""
        with torch.no_grad():
            return self.network(batch)


def split_unit(network: UnitNetwork, context: BuildContext[UnitArch], point: UnitPoint) -> Export:
    """Split a network after its unit's encoder, with coding tables built from the unit's counts."""
    tables = tables_of_counts(network.counts)
    encoder = _state({"front": network.front, "encoder": network.encoder})
    rest = _state({"decoder": network.decoder, "tail": network.tail})
    server = UnitServerContent(
        backbone=context.teacher.backbone,
        num_classes=context.num_classes,
        cut=point.cut,
        channels=network.channels,
        size=network.size,
        latent_channels=point.latent_channels,
        stride=point.stride,
        step=point.step,
        signed=network.signed,
        exact=network.exact,
        state=rest,
        tables=tables,
    )
    common = server.model_copy(update={"state": encoder})
    device = UnitDeviceContent(**dict(common), input=context.input.pixels)
    return Export(device, server, encoder | {f"tables.{name}": table for name, table in tables.items()})


def _flat(symbols: Tensor) -> tuple[Integers, Integers]:
    """Return symbols [1, k, h, w] as [n], and the table index of each, [n]."""
    channels, positions = symbols.shape[1], symbols.shape[2] * symbols.shape[3]
    return symbols.numpy().reshape(-1), rows_in_order(range(channels), positions)


def _state(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()}


def _frozen(parts: Mapping[str, nn.Module], state: Mapping[str, Tensor]) -> nn.Sequential:
    network = nn.Sequential()
    for name, module in parts.items():
        network.add_module(name, module)
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
