"""A backbone whose first stages are replaced by an entropy-coded bottleneck: the network and its two halves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sc2.backbones.base import Features, StagedModel, build_backbone, stage_channels
from sc2.data.limits import largest_side
from sc2.data.normalise import normalise, to_batch
from sc2.errors import CheckpointError, WireError
from sc2.layers.fp_bottleneck import analysis, synthesis
from sc2.layers.priors import FACTORIZED, PriorKind
from sc2.methods.base import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.wire import Payload


def reference_model(context: BuildContext) -> StagedModel:
    """Return the reference model with its weights, in eval mode and without gradients."""
    teacher = build_backbone(context.teacher["backbone"], len(context.teacher["classes"]))
    teacher.load_state_dict(context.teacher["state"])
    return teacher.eval().requires_grad_(False)


def head_of(network: nn.Module) -> nn.Module:
    """Return the head of a split network, whatever its class."""
    return network.get_submodule("tail.stages.head")


def take_over(network: nn.Module, state: Mapping[str, Tensor], parts: Sequence[str]) -> None:
    """Put weights of the same method's network on another benchmark into parts of a network.

    Args:
        network: Changed in place.
        state: State dict of the other network.
        parts: Names of submodules; what the other network has under them must fit exactly.

    Raises:
        CheckpointError: The weights do not fit: the two benchmarks give the method different parameters.
    """
    for part in parts:
        own = {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}
        try:
            network.get_submodule(part).load_state_dict(own)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"the {part} of the encoder_from benchmark does not fit; give the method the same parameters on both "
                f"benchmarks: {reason}"
            ) from error


class StudentNetwork(nn.Module):
    """g_a, prior, g_s and the rest of the reference model after the cut.

    Input [B, 3, H, W] normalised, H and W multiples of 4; output the task's. In training mode the latent gets uniform
    noise, in eval mode it is rounded as on the wire.
    """

    def __init__(self, context: BuildContext, prior: PriorKind = FACTORIZED) -> None:
        super().__init__()
        arch = context.arch
        teacher = reference_model(context)
        self.encoder = analysis(arch["encoder_channels"])
        with torch.no_grad():
            self.encoder[-1].weight.mul_(arch["latent_gain"])  # type: ignore[operator]  # modules are looked up by name
        self.prior = prior.trained(arch)
        channels = stage_channels(teacher, arch["cut"])
        self.decoder = synthesis(arch["encoder_channels"][-1], arch["decoder_channels"], channels)
        self.tail = teacher.after(arch["cut"]).requires_grad_(True)

    @property
    def head(self) -> nn.Module:
        """What follows the body."""
        return self.tail.head

    def features(self, x: Tensor) -> Features:
        """Return what the head takes."""
        y_hat, _ = self.prior(self.encoder(x))
        return self.tail.features(self.decoder(y_hat))

    def forward(self, x: Tensor) -> Any:
        """Run the whole split in one process."""
        return self.head(self.features(x))


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
        backbone = build_backbone(blob["backbone"], blob["num_classes"])
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
