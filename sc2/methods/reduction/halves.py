"""The two halves of CR+BQ: the device sends one quantised tensor and its range."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.limits import largest_latent, refuse_foreign_latent
from sc2.data.normalise import normalise, to_batch
from sc2.data.spec import PixelSpec
from sc2.errors import WireError
from sc2.methods.reduction.affine import Quantized, dequantize, from_bytes, quantize, to_bytes
from sc2.methods.reduction.network import ReductionNetwork, expansion, reduction
from sc2.methods.reduction.params import AXIS, ReductionArch
from sc2.split.content import HalfContent
from sc2.split.method import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.split.wire import Payload


class QuantizedContent(HalfContent):
    """What either half is built from.

    Attributes:
        channels: C, the channels of z.
        state: Weights of the half's networks.
    """

    channels: int
    state: dict[str, Tensor]


class QuantizedDeviceContent(QuantizedContent):
    """What the device half is built from.

    Attributes:
        encoder_channels: Channels of the encoder's convolutions, without the last.
        halvings: How many times the encoder halves the resolution.
        input: How pixels become the encoder's input.
    """

    encoder_channels: list[int]
    halvings: int
    input: PixelSpec


class QuantizedServerContent(QuantizedContent):
    """What the server half is built from.

    Attributes:
        decoder_channels: Channels of the decoder's convolutions, without the last.
        target: Channels at the cut, T.
        output_relu: Whether a ReLU ends the decoder.
        shape: z's channels, height and width; None where images differ in size.
        largest: Largest short and long side of z.
        cut: Stage whose output the decoder reproduces.
        backbone: The whole task model.
        num_classes: Its classes.
    """

    decoder_channels: list[int]
    target: int
    output_relu: bool
    shape: list[int] | None
    largest: tuple[int, int]
    cut: str
    backbone: NetworkSpec
    num_classes: int


class QuantizedDevice(DeviceHalf):
    """The encoder and the quantiser; no tables."""

    def __init__(self, content: QuantizedDeviceContent) -> None:
        self.network = reduction(content.channels, content.encoder_channels, content.halvings)
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.tables = {}
        self.input = content.input

    def analyse(self, pixels: np.ndarray) -> Quantized:
        """Return the quantised z [1, C, h, w] of one image, uint8 [H, W, 3]."""
        assert self.network is not None
        with torch.no_grad():
            return quantize(self.network(normalise(to_batch(pixels), self.input)))

    def code(self, latent: Quantized) -> Payload:
        """Write scale, zero point and symbols [1, C, h, w]; the shape on the wire is (C, h, w)."""
        _, channels, height, width = latent.symbols.shape
        return Payload((to_bytes(latent),), (channels, height, width))


class QuantizedServer(ServerHalf):
    """The decoder and the rest of the backbone."""

    def __init__(self, content: QuantizedServerContent) -> None:
        backbone = build_network(content.backbone, content.num_classes)
        decoder = expansion(content.channels, content.decoder_channels, content.target, output_relu=content.output_relu)
        self.network = nn.Sequential()
        self.network.add_module("decoder", decoder)
        self.network.add_module("tail", backbone.after(content.cut))
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.shape: tuple[int, ...] | None = None if content.shape is None else tuple(content.shape)
        self.channels, self.largest = content.channels, content.largest

    def decode(self, payload: Payload) -> Tensor:
        """Return z_hat [1, C, h, w]."""
        if len(payload.streams) != 1 or not self._possible(payload.shape):
            expected = self.shape or f"{self.channels} × h × w"
            raise WireError(f"a payload for this model has one stream and the shape {expected}")
        refuse_foreign_latent((payload.shape[1], payload.shape[2]), self.largest)
        return dequantize(from_bytes(payload.streams[0], (1, *payload.shape)))

    def _possible(self, shape: tuple[int, ...]) -> bool:
        if self.shape is not None:
            return shape == self.shape
        # Four positions more than the halved image, of which at least one must remain.
        return len(shape) == 3 and shape[0] == self.channels and min(shape[1:]) > 4

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for z_hat [B, C, h, w]."""
        with torch.no_grad():
            return self.network(batch)


def split_reduction(network: ReductionNetwork, context: BuildContext[ReductionArch]) -> Export:
    """Split a trained network after the quantiser."""
    arch, channels, size = context.arch, AXIS.parse(context.point), context.input.square
    encoder = network.encoder.state_dict()
    rest = {f"decoder.{name}": value for name, value in network.decoder.state_dict().items()}
    rest |= {f"tail.{name}": value for name, value in network.tail.state_dict().items()}
    shape = None
    if size is not None:
        with torch.no_grad():
            shape = list(network.encoder.eval()(torch.zeros(1, 3, size, size)).shape[1:])
    device = QuantizedDeviceContent(
        channels=channels,
        encoder_channels=arch.encoder_channels,
        halvings=network.halvings,
        input=context.input.pixels,
        state=encoder,
    )
    server = QuantizedServerContent(
        channels=channels,
        decoder_channels=arch.decoder_channels,
        target=network.target,
        output_relu=arch.output_relu,
        shape=shape,
        largest=largest_latent(network.encoder.eval(), context.input),
        cut=arch.cut,
        backbone=context.teacher.backbone,
        num_classes=context.num_classes,
        state=rest,
    )
    return Export(device, server, encoder)
