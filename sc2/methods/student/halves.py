"""The two halves of a network with an entropy-coded bottleneck."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import stage_channels
from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.limits import largest_latent, refuse_foreign_latent
from sc2.data.normalise import normalise
from sc2.data.spec import PixelSpec
from sc2.errors import WireError
from sc2.layers.bottleneck import analysis, synthesis
from sc2.layers.prior_content import DevicePrior, PriorContent
from sc2.layers.priors import PriorKind
from sc2.methods.student.params import B
from sc2.split.batches import BatchedDevice, Outputs, Rounding, by_size
from sc2.split.content import HalfContent
from sc2.split.method import BuildContext, Export, ServerHalf
from sc2.split.wire import Payload

if TYPE_CHECKING:
    from sc2.methods.student.network import StudentNetwork


class StudentDeviceContent(HalfContent):
    """What the device half is built from.

    Attributes:
        encoder_channels: Channels of g_a's convolutions.
        input: How pixels become g_a's input.
        state: Weights of g_a.
        prior: The device's end of the entropy model.
    """

    encoder_channels: list[int]
    input: PixelSpec
    state: dict[str, Tensor]
    prior: DevicePrior


class StudentServerContent(HalfContent):
    """What the server half is built from.

    Attributes:
        latent_channels: Channels of y.
        decoder_channels: Channels of g_s's hidden convolutions.
        output_norm: Whether a batch norm follows g_s's last convolution.
        output_relu: Whether a ReLU ends g_s.
        cut: Stage whose output g_s reproduces.
        largest: Largest short and long side of y.
        backbone: The whole task model.
        num_classes: Number of its classes.
        state: Weights of g_s (`decoder.…`) and of the rest of the task model (`tail.…`).
        prior: The server's end of the entropy model.
    """

    latent_channels: int
    decoder_channels: list[int]
    output_norm: bool
    output_relu: bool
    cut: str
    largest: tuple[int, int]
    backbone: NetworkSpec
    num_classes: int
    state: dict[str, Tensor]
    prior: PriorContent


class StudentDevice(BatchedDevice):
    """g_a and the device's end of the prior: everything on the device."""

    def __init__(self, content: StudentDeviceContent, prior: PriorKind) -> None:
        self.encoder: nn.Module = analysis(content.encoder_channels)
        self.encoder.load_state_dict(content.state)
        self.coder = prior.encoder(content.prior)
        self.tables = self.coder.tables
        self.network = nn.ModuleDict({"encoder": self.encoder})
        if self.coder.network is not None:
            self.network["prior"] = self.coder.network
        self.network.eval().requires_grad_(False)
        self.input = content.input

    def outputs(self, images: Tensor) -> Outputs:
        """Return y [B, C, h, w], and what the prior's networks make of it."""
        return self.coder.outputs(self.encoder(normalise(images, self.input)))

    def chosen(self, outputs: Outputs, size: tuple[int, int], rounding: Rounding) -> list[tuple[Any, tuple[int, int]]]:
        """Return the symbols of each image, and the size (h, w) of its latent."""
        shape = int(outputs[0].shape[2]), int(outputs[0].shape[3])
        return [(symbols, shape) for symbols in self.coder.chosen(outputs, rounding)]

    def code(self, latent: tuple[Any, tuple[int, int]]) -> Payload:
        """Range-code the symbols; the shape on the wire is the latent's (h, w)."""
        symbols, shape = latent
        return Payload((self.coder.encode(symbols),), shape)

    def bits(self, latent: tuple[Any, tuple[int, int]]) -> float:
        """Return the ideal code length of the result of `analyse` under the device's tables (bits)."""
        return self.coder.bits(latent[0])


class StudentServer(ServerHalf):
    """The server's end of the prior, g_s and the rest of the backbone."""

    def __init__(self, content: StudentServerContent, prior: PriorKind) -> None:
        backbone = build_network(content.backbone, content.num_classes)
        target = stage_channels(backbone, content.cut)
        ends = {"norm": content.output_norm, "relu": content.output_relu}
        decoder = synthesis(content.latent_channels, content.decoder_channels, target, **ends)
        self.network: nn.Module = nn.Sequential()
        self.network.add_module("decoder", decoder)
        self.network.add_module("tail", backbone.after(content.cut))
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.coder = prior.decoder(content.prior)
        self.largest = content.largest

    def decode(self, payload: Payload) -> Tensor:
        """Return y_hat [1, C, h, w]."""
        return self.coder.decode(payload.streams, *self._size(payload), payload.version)

    def decode_all(self, payloads: Sequence[Payload]) -> list[Tensor]:
        """Return y_hat [1, C, h, w] of each payload; neighbours of one size are decoded together."""
        return by_size(payloads, self._size, self.coder)

    def _size(self, payload: Payload) -> tuple[int, int]:
        if len(payload.shape) != 2:
            raise WireError("a payload of the Entropic Student has two shape integers, the latent's height and width")
        height, width = payload.shape
        refuse_foreign_latent((height, width), self.largest)
        return height, width

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for latents [B, C, h, w]."""
        with torch.no_grad():
            return self.network(batch)


def split_student(network: "StudentNetwork", context: BuildContext[B]) -> Export:
    """Split a trained network after the entropy coder, with fresh coding tables."""
    arch = context.arch
    prior = network.prior.export()
    encoder = network.encoder.state_dict()
    rest = {f"decoder.{name}": value for name, value in network.decoder.state_dict().items()}
    rest |= {f"tail.{name}": value for name, value in network.tail.state_dict().items()}
    device = StudentDeviceContent(
        encoder_channels=arch.encoder_channels, input=context.input.pixels, state=encoder, prior=prior.device
    )
    server = StudentServerContent(
        latent_channels=arch.latent_channels,
        decoder_channels=arch.decoder_channels,
        output_norm=arch.output_norm,
        output_relu=arch.output_relu,
        cut=arch.cut,
        largest=largest_latent(network.encoder.eval(), context.input),
        backbone=context.teacher.backbone,
        num_classes=context.num_classes,
        state=rest,
        prior=prior.server,
    )
    return Export(device, server, encoder | prior.upstream_state)
