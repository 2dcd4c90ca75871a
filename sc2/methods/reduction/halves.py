"""The two halves of CR+BQ: what the device sends is one quantised tensor, its range beside it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.data.limits import largest_side
from sc2.data.normalise import normalise, to_batch
from sc2.errors import WireError
from sc2.methods.reduction.affine import Quantized, dequantize, from_bytes, quantize, to_bytes
from sc2.methods.reduction.network import ReductionNetwork, expansion, reduction
from sc2.split.method import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.split.wire import Payload


class QuantizedDevice(DeviceHalf):
    """The encoder and the quantiser; no tables."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = reduction(blob["channels"], blob["encoder_channels"], blob["halvings"])
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.tables = {}
        self.input = blob["input"]

    def analyse(self, pixels: np.ndarray) -> Quantized:
        """Return z [1, C, h, w] of one image, quantised."""
        assert self.network is not None
        with torch.no_grad():
            return quantize(self.network(normalise(to_batch(pixels), self.input)))

    def code(self, latent: Quantized) -> Payload:
        """Write scale, zero point and symbols; the shape on the wire is z's channels, height and width."""
        _, channels, height, width = latent.symbols.shape
        return Payload((to_bytes(latent),), (channels, height, width))


class QuantizedServer(ServerHalf):
    """The decoder and the rest of the backbone."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        backbone = build_network(blob["backbone"], blob["num_classes"])
        decoder = expansion(blob["channels"], blob["decoder_channels"], blob["target"], output_relu=blob["output_relu"])
        self.network = nn.Sequential()
        self.network.add_module("decoder", decoder)
        self.network.add_module("tail", backbone.after(blob["cut"]))
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.shape: tuple[int, ...] | None = None if blob["shape"] is None else tuple(blob["shape"])
        self.channels, self.largest = blob["channels"], blob["largest"]

    def decode(self, payload: Payload) -> Tensor:
        """Return z_hat [1, C, h, w]."""
        if len(payload.streams) != 1 or not self._possible(payload.shape):
            expected = self.shape or f"{self.channels} × h × w, at most {self.largest} a side"
            raise WireError(f"a payload for this model has one stream and the shape {expected}")
        return dequantize(from_bytes(payload.streams[0], (1, *payload.shape)))

    def _possible(self, shape: tuple[int, ...]) -> bool:
        if self.shape is not None:
            return shape == self.shape
        # Four positions more than the halved image: at least one of it must be left.
        return len(shape) == 3 and shape[0] == self.channels and all(4 < side <= self.largest for side in shape[1:])

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for z_hat [B, C, h, w]."""
        with torch.no_grad():
            return self.network(batch)


def split_reduction(network: ReductionNetwork, context: BuildContext) -> Export:
    """Cut a trained network behind the quantiser."""
    arch, channels, size = context.arch, int(context.point), context.input.get("crop")
    encoder = network.encoder.state_dict()
    rest = {f"decoder.{name}": value for name, value in network.decoder.state_dict().items()}
    rest |= {f"tail.{name}": value for name, value in network.tail.state_dict().items()}
    shape = None
    if size is not None:
        with torch.no_grad():
            shape = list(network.encoder.eval()(torch.zeros(1, 3, size, size)).shape[1:])
    device = {
        "channels": channels,
        "encoder_channels": list(arch["encoder_channels"]),
        "halvings": network.halvings,
        "input": context.pixels,
        "state": encoder,
    }
    server = {
        "channels": channels,
        "decoder_channels": list(arch["decoder_channels"]),
        "target": network.target,
        "output_relu": arch["output_relu"],
        "shape": shape,
        "largest": largest_side(context.input),
        "cut": arch["cut"],
        "backbone": dict(context.teacher["backbone"]),
        "num_classes": len(context.teacher["classes"]),
        "state": rest,
    }
    return Export(device, server, encoder)
