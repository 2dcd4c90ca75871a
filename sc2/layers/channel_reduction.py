"""CR+BQ: an encoder with few output channels, quantised to 8 bits, and its decoder (arXiv 2007.15818).

Source: docs/papers.md#channel-reduction-quantization.

    x [B, 3, H, W] ─ conv7×7/2 ─ pool/2 ─ four conv2×2 (pad 1) ─► z [B, C, H/4+4, W/4+4] ─ 8 bits
    z_hat ─ four conv2×2 ─► features of the cut [B, T, H/4, W/4] ─ rest of the backbone ─► logits

Modules, order and default widths are those of the published models: 24 modules, the first 12 on the device. All
convolutions are free of biases. Only the number of poolings depends on where the backbone is cut: stride 4 has one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sc2.backbones.base import Features, StagedModel, build_backbone, stage_shape
from sc2.backbones.dilation import PROBE_PX
from sc2.data.limits import largest_side
from sc2.data.normalise import normalise, to_batch
from sc2.errors import ConfigError, WireError
from sc2.layers.affine import Quantized, dequantize, from_bytes, quantize, through_quantizer, to_bytes
from sc2.layers.student import reference_model
from sc2.methods.base import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.wire import Payload


def reduction(channels: int, widths: Sequence[int], halvings: int = 2) -> nn.Sequential:
    """Return the encoder: images [B, 3, H, W] to z [B, channels, H/2^halvings + 4, W/2^halvings + 4].

    Args:
        channels: C, what goes over the link; the rate axis.
        widths: Channels of the four convolutions before; the papers' [64, 64, 256, 64] has 157,760 + 256·C parameters.
        halvings: How often the resolution is halved: once by the first convolution, then by poolings.
    """
    first, second, third, fourth = widths
    pools = [nn.MaxPool2d(3, stride=2, padding=1) for _ in range(halvings - 1)]
    return nn.Sequential(
        nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(inplace=True),
        pools[0] if len(pools) == 1 else nn.Sequential(*pools),
        _conv(first, second, padding=1),
        nn.BatchNorm2d(second),
        _conv(second, third, padding=1),
        nn.BatchNorm2d(third),
        nn.ReLU(inplace=True),
        _conv(third, fourth, padding=1),
        nn.BatchNorm2d(fourth),
        _conv(fourth, channels, padding=1),
    )


def expansion(channels: int, widths: Sequence[int], target: int, *, output_relu: bool = True) -> nn.Sequential:
    """Return the decoder: z [B, channels, h, w] to features [B, target, h - 4, w - 4].

    Args:
        channels: C.
        widths: Channels of the three hidden convolutions; the papers' are [64, 128, 256].
        target: Channels at the cut.
        output_relu: Whether a ReLU comes last, as in a ResNet; not where the backbone's features have both signs.
    """
    first, second, third = widths
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        _conv(channels, first),
        nn.BatchNorm2d(first),
        _conv(first, second),
        nn.BatchNorm2d(second),
        nn.ReLU(inplace=True),
        _conv(second, third),
        nn.BatchNorm2d(third),
        _conv(third, target),
        nn.BatchNorm2d(target),
        nn.ReLU(inplace=True) if output_relu else nn.Identity(),
    )


def _conv(channels: int, out: int, padding: int = 0) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 2, padding=padding, bias=False)


class ReductionNetwork(nn.Module):
    """Encoder, decoder and the rest of the reference model after the cut.

    Input [B, 3, H, W] normalised, output the task's. While the encoder is in train mode z stays as it is: the
    published training knows nothing of the quantiser. Else every image's z is quantised, as on the wire.
    """

    def __init__(self, context: BuildContext) -> None:
        super().__init__()
        arch, channels = context.arch, int(context.point)
        teacher = reference_model(context)
        target, halvings = _target(teacher, arch["cut"], context.input.get("crop") or PROBE_PX)
        self.encoder = reduction(channels, arch["encoder_channels"], halvings)
        self.decoder = expansion(channels, arch["decoder_channels"], target, output_relu=arch["output_relu"])
        self.tail = teacher.after(arch["cut"])
        self.halvings, self.target = halvings, target

    @property
    def head(self) -> nn.Module:
        """What follows the body."""
        return self.tail.head

    def features(self, x: Tensor) -> Features:
        """Return what the head takes."""
        z = self.encoder(x)
        return self.tail.features(self.decoder(z if self.encoder.training else through_quantizer(z)))

    def forward(self, x: Tensor) -> Any:
        """Run the whole split in one process."""
        return self.head(self.features(x))


def _target(model: StagedModel, cut: str, size: int) -> tuple[int, int]:
    """Return the channels at a cut, and how often images of side `size` have been halved there."""
    channels, height, _ = stage_shape(model, cut, size)
    side, halvings = size, 0
    while side > height:
        side, halvings = (side + 1) // 2, halvings + 1
    if side != height or halvings == 0:
        raise ConfigError(
            f"the features at the cut {cut!r} have a side of {height} for images of {size}; channel reduction imitates "
            "features whose side is the image's halved once or more: choose another cut, or another crop"
        )
    return channels, halvings


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
        backbone = build_backbone(blob["backbone"], blob["num_classes"])
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
