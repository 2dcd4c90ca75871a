"""CR+BQ: an encoder with few output channels, quantised to 8 bits, and its decoder (arXiv 2007.15818).

Source: docs/papers.md#channel-reduction-quantization.

    x [B, 3, H, W] ─ conv7×7/2 ─ pool/2 ─ four conv2×2 (pad 1) ─► z [B, C, H/4+4, W/4+4] ─ 8 bits
    z_hat ─ four conv2×2 ─► features of the cut [B, T, H/4, W/4] ─ rest of the backbone ─► logits

Modules, order and default widths are those of the published models: 24 modules, the first 12 on the device. All
convolutions are without biases. Only the number of poolings depends on where the backbone is cut: stride 4 has one.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from sc2.backbones.base import Features, StagedModel, stage_shape
from sc2.backbones.dilation import PROBE_PX
from sc2.backbones.teacher import teacher_model
from sc2.errors import ConfigError
from sc2.methods.reduction.affine import through_quantizer
from sc2.methods.reduction.params import AXIS, ReductionArch
from sc2.split.method import BuildContext


def reduction(channels: int, widths: Sequence[int], halvings: int = 2) -> nn.Sequential:
    """Return the encoder: images [B, 3, H, W] to z [B, C, H/2^halvings + 4, W/2^halvings + 4].

    Args:
        channels: C, the channels sent over the link; the rate axis.
        widths: Channels of the four convolutions before; the papers' [64, 64, 256, 64] has 157,760 + 256·C parameters.
        halvings: How many times the resolution is halved: once by the first convolution, then by poolings.
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
    """Return the decoder: z [B, C, h, w] to features [B, T, h - 4, w - 4].

    Args:
        channels: Channels of z, C.
        widths: Channels of the three hidden convolutions; the papers' are [64, 128, 256].
        target: Channels at the cut, T.
        output_relu: Whether the last layer is a ReLU, as in a ResNet; false where the features have both signs.
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
    """Encoder, decoder and the rest of the teacher after the cut.

    Input [B, 3, H, W] normalised, output the task's. While the encoder is in train mode z is not quantised, as in the
    published training. Otherwise each image's z is quantised, as on the wire.
    """

    def __init__(self, context: BuildContext[ReductionArch]) -> None:
        super().__init__()
        arch, channels = context.arch, AXIS.parse(context.point)
        teacher = teacher_model(context.teacher)
        target, halvings = _target(teacher, arch.cut, context.input.square or PROBE_PX)
        self.encoder = reduction(channels, arch.encoder_channels, halvings)
        self.decoder = expansion(channels, arch.decoder_channels, target, output_relu=arch.output_relu)
        self.tail = teacher.after(arch.cut)
        self.halvings, self.target = halvings, target

    @property
    def head(self) -> nn.Module:
        """The part after the body."""
        return self.tail.head

    def features(self, x: Tensor) -> Features:
        """Return the head's input for images [B, 3, H, W]."""
        z = self.encoder(x)
        return self.tail.features(self.decoder(z if self.encoder.training else through_quantizer(z)))

    def forward(self, x: Tensor) -> Any:
        """Run the whole split on images [B, 3, H, W] in one process."""
        return self.head(self.features(x))


def _target(model: StagedModel, cut: str, size: int) -> tuple[int, int]:
    """Return the channels at a cut, and how many times images of side `size` have been halved there."""
    channels, height, _ = stage_shape(model, cut, size)
    side, halvings = size, 0
    while side > height:
        side, halvings = (side + 1) // 2, halvings + 1
    if side != height or halvings == 0:
        raise ConfigError(
            f"the features at the cut {cut!r} have a side of {height} for images of {size}; channel reduction needs "
            "features whose side is the image's, halved one or more times: choose another cut, or another crop"
        )
    return channels, halvings
