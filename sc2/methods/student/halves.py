"""The two halves of a network with an entropy-coded bottleneck."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sc2.backbones.base import stage_channels
from sc2.backbones.build import build_network
from sc2.data.limits import largest_side
from sc2.data.normalise import normalise, to_batch
from sc2.errors import WireError
from sc2.layers.priors import PriorKind
from sc2.methods.student.bottleneck import analysis, synthesis
from sc2.methods.student.network import StudentNetwork
from sc2.split.method import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.split.wire import Payload


class StudentDevice(DeviceHalf):
    """g_a and the device's end of the prior: all that the device holds."""

    def __init__(self, blob: Mapping[str, Any], prior: PriorKind) -> None:
        self.encoder: nn.Module = analysis(blob["encoder_channels"])
        self.encoder.load_state_dict(blob["state"])
        self.coder = prior.encoder(blob["prior"])
        self.tables = self.coder.tables
        self.network = nn.ModuleDict({"encoder": self.encoder})
        if self.coder.network is not None:
            self.network["prior"] = self.coder.network
        self.network.eval().requires_grad_(False)
        self.input = blob["input"]

    def analyse(self, pixels: np.ndarray) -> tuple[Any, tuple[int, int]]:
        """Return the symbols of one image, and height and width of its latent."""
        with torch.no_grad():
            y = self.encoder(normalise(to_batch(pixels), self.input))
            return self.coder.symbols(y), (int(y.shape[2]), int(y.shape[3]))

    def code(self, latent: tuple[Any, tuple[int, int]]) -> Payload:
        """Range-code the symbols; the shape on the wire is the latent's height and width."""
        symbols, shape = latent
        return Payload(self.coder.encode(symbols), shape)

    def bits(self, latent: tuple[Any, tuple[int, int]]) -> float:
        """Return the ideal code length of what `analyse` returned under the device's tables, in bits."""
        return self.coder.bits(latent[0])


class StudentServer(ServerHalf):
    """The server's end of the prior, g_s and the rest of the backbone."""

    def __init__(self, blob: Mapping[str, Any], prior: PriorKind) -> None:
        backbone = build_network(blob["backbone"], blob["num_classes"])
        target = stage_channels(backbone, blob["cut"])
        decoder = synthesis(blob["latent_channels"], blob["decoder_channels"], target)
        self.network: nn.Module = nn.Sequential()
        self.network.add_module("decoder", decoder)
        self.network.add_module("tail", backbone.after(blob["cut"]))
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.coder = prior.decoder(blob["prior"])
        self.largest = blob["largest"]

    def decode(self, payload: Payload) -> Tensor:
        """Return y_hat [1, C, h, w]."""
        if len(payload.shape) != 2:
            raise WireError("a payload of the Entropic Student has two shape integers, the latent's height and width")
        height, width = payload.shape
        # A latent is never larger than the image; a larger claim is damage and would only cost memory.
        if not (0 < height <= self.largest and 0 < width <= self.largest):
            raise WireError(f"a latent of {height}×{width} cannot come from an image of side {self.largest}")
        return self.coder.decode(payload.streams, height, width)

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for latents [B, C, h, w]."""
        with torch.no_grad():
            return self.network(batch)


def split_student(network: StudentNetwork, context: BuildContext) -> Export:
    """Cut a trained network after the entropy coder, with coding tables built anew."""
    arch = context.arch
    prior = network.prior.export()
    encoder = network.encoder.state_dict()
    rest = {f"decoder.{name}": value for name, value in network.decoder.state_dict().items()}
    rest |= {f"tail.{name}": value for name, value in network.tail.state_dict().items()}
    device = {
        "encoder_channels": list(arch["encoder_channels"]),
        "input": context.pixels,
        "state": encoder,
        "prior": prior.device,
    }
    server = {
        "latent_channels": arch["encoder_channels"][-1],
        "decoder_channels": list(arch["decoder_channels"]),
        "cut": arch["cut"],
        "largest": largest_side(context.input),
        "backbone": dict(context.teacher["backbone"]),
        "num_classes": len(context.teacher["classes"]),
        "state": rest,
        "prior": prior.server,
    }
    return Export(device, server, encoder | prior.upstream_state)
