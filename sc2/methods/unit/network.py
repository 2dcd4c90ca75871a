"""A bottleneck unit inside a frozen network (Datta et al., arXiv 2208.11596), and its two halves.

Source: docs/papers.md#unit-architecture.

    features [C, H, H] ─ depthwise 3×3, stride s ─ 1×1 to k ─ x ─ round(x / q) ─► symbols [k, ⌈H/s⌉, ⌈H/s⌉]
    symbols ─ times q ─ 1×1 to C ─ depthwise transposed, stride s ─► features [C, H, H]

Every convolution is followed by batch norm and ReLU, so symbols are non-negative integers. The last ReLU is omitted
where the network's own features have negative values.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import Features, StagedModel, stage_shape
from sc2.backbones.teacher import teacher_model
from sc2.entropy.counts import count_symbols
from sc2.entropy.logistic_mixture import LogisticMixturePrior
from sc2.errors import ConfigError
from sc2.methods.unit.params import UnitArch
from sc2.methods.unit.point import UnitPoint
from sc2.split.method import BuildContext

COUNTED = 256
"""Columns of the counts: symbols of 255 and above share the last one."""


def unit_encoder(channels: int, latent_channels: int, stride: int) -> nn.Sequential:
    """Return the encoder: features [B, C, H, W] to a non-negative latent [B, k, ⌈H/s⌉, ⌈W/s⌉]."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, latent_channels, 1, bias=False),
        nn.BatchNorm2d(latent_channels),
        nn.ReLU(inplace=True),
    )


def unit_decoder(
    channels: int, latent_channels: int, stride: int, size: int, *, signed: bool = False, exact: bool = True
) -> nn.Sequential:
    """Return the decoder: latent [B, k, ⌈H/s⌉, ⌈H/s⌉] to features [B, C, H, H], H = `size`; ≥ 0 unless `signed`.

    Where it is not `exact`, features may be larger, see `transposed_geometry`.
    """
    kernel, padding, extra = transposed_geometry(size, stride, exact=exact)
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(latent_channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(
            channels,
            channels,
            kernel,
            stride=stride,
            padding=padding,
            output_padding=extra,
            groups=channels,
            bias=False,
        ),
        nn.BatchNorm2d(channels),
    ]
    return nn.Sequential(*layers, *([] if signed else [nn.ReLU(inplace=True)]))


def transposed_geometry(size: int, stride: int, *, exact: bool = True) -> tuple[int, int, int]:
    """Return (kernel, padding, output padding) that expand ⌈size / stride⌉ positions to exactly `size`.

    The published units have no output padding. Where it is needed, they have no padding either and return a larger map:
    15 positions for 14 with stride 2, 17 with stride 4. So it is here unless the size is to be `exact`.

    The last position starts `rest` = 1 … stride places before the end, so kernel - 2·padding + output padding must be
    `rest`. The kernel is 3, or the smallest odd number ≥ stride where windows of 3 would leave gaps; stride 4 with a
    rest of 3 (7 → 2 → 7) keeps the published 3 despite the gap (docs/papers.md#unit-architecture).
    """
    rest = size - (latent_size(size, stride) - 1) * stride
    kernel = 3 if stride <= 3 or (stride, rest) == (4, 3) else stride | 1
    padding = (kernel - rest + 1) // 2
    extra = rest - kernel + 2 * padding
    return (kernel, padding, extra) if exact or not extra else (kernel, 0, 0)


def latent_size(size: int, stride: int) -> int:
    """Return the side ⌈size / stride⌉ of the latent."""
    return -(-size // stride)


class UnitNetwork(nn.Module):
    """The frozen network with a unit at the cut: input [B, 3, H, W] normalised, output the task's.

    The state dict holds only the unit: the network around it, in `front` and `tail`, is the teacher's and the same for
    every unit.

    Raises:
        ConfigError: The network has no such cut, or no square feature map there, or positions would move.
    """

    counts: Tensor

    def __init__(self, context: BuildContext[UnitArch], point: UnitPoint) -> None:
        super().__init__()
        self.step = point.step
        model = teacher_model(context.teacher)
        # In a tuple, so that they are not part of this module's state.
        self._frozen = (model.up_to(point.cut), model.after(point.cut))
        square = context.input.square
        assert square is not None, "a unit needs one fixed input size, i.e. `input.fit: crop`"
        self.channels, self.size = map_shape(model, point.cut, square)
        self.encoder = unit_encoder(self.channels, point.latent_channels, point.stride)
        self.signed, self.exact = context.arch.signed_features, context.arch.exact_size
        if not self.exact and context.teacher.backbone.head is not None:
            raise ConfigError("exact_size: false is for classification: larger maps would move what is predicted")
        sizes = (self.channels, point.latent_channels, point.stride, self.size)
        self.decoder = unit_decoder(*sizes, signed=self.signed, exact=self.exact)
        self.prior = LogisticMixturePrior(point.latent_channels)
        self.register_buffer("counts", torch.zeros(point.latent_channels, COUNTED, dtype=torch.int64))

    @property
    def front(self) -> StagedModel:
        """The network up to the cut."""
        return self._frozen[0]

    @property
    def tail(self) -> StagedModel:
        """The network after the cut."""
        return self._frozen[1]

    @property
    def head(self) -> nn.Module:
        """The frozen network's head."""
        return self.tail.head

    def before(self, images: Tensor) -> Tensor:
        """Return the frozen network's features [B, C, H, W] at the cut for images [B, 3, …], without gradients."""
        with torch.no_grad():
            features: Tensor = self.front(images)
        return features

    def latent(self, features: Tensor) -> Tensor:
        """Return the latent [B, k, h, w] of features [B, C, H, W], divided by the step but not yet rounded."""
        latent: Tensor = self.encoder(features) / self.step
        return latent

    def received(self, latent: Tensor) -> Features:
        """Return the head's input for a latent [B, k, h, w], which is rounded with the gradient of the identity."""
        # The difference is zero and only carries the gradient: the sum is exactly the rounded value.
        rounded = torch.round(latent).detach() + (latent - latent.detach())
        return self.tail.features(self.decoder(rounded * self.step))

    def features(self, x: Tensor) -> Features:
        """Return the head's input for images [B, 3, H, W]."""
        return self.received(self.latent(self.before(x)))

    def count(self, images: Tensor) -> None:
        """Add the symbols of images [B, 3, H, W] to `counts` [k, 256]."""
        with torch.no_grad():
            self.counts += count_symbols(torch.round(self.latent(self.before(images))), COUNTED)

    def forward(self, x: Tensor) -> Any:
        """Run the whole split on images [B, 3, H, W] in one process."""
        return self.head(self.features(x))


def map_shape(model: StagedModel, cut: str, crop: int) -> tuple[int, int]:
    """Return the channels and the side of the square feature map at a cut, for images of side `crop`.

    Raises:
        ConfigError: The network has no such cut, or no square feature map there.
    """
    shape = stage_shape(model, cut, crop)
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ConfigError(f"a bottleneck unit needs a square feature map, but at the cut {cut} there is {shape}")
    return shape[0], shape[1]
