"""Encoders and decoders of the family; every one takes the rates of its batch, float [B, R].

    x [B, 3, H, W] ─ conv p×p/p ─ scale ─ (block ─ scale)* ─ conv 1×1 ─► y [B, C, H/p, W/p]
    y_hat ─ conv 3×3 ─ block* ─ conv 1×1 ─► features at the cut [B, T, H/p, W/p]

    block: x + BN(conv 1×1(ReLU(conv 1×1(BN(depthwise 5×5(x))))))

A scale is a factor per rate and channel. The encoder has convolutions and ReLUs only: batch norms fold into the
convolutions before them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor, nn

from sc2.layers.bottleneck import analysis, synthesis
from sc2.methods.gained.params import A, PatchArch, StridedArch
from sc2.methods.gained.rates import RateScale

EXPANSION = 2


class Block(nn.Module):
    """A residual block: depthwise 5×5, then two 1×1 with a ReLU between them; [B, C, h, w] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x [B, C, h, w] and what the block adds to it."""
        out: Tensor = x + self.body(x)
        return out


class PatchEncoder(nn.Module):
    """Patches, blocks and a scale per rate after each: images [B, 3, H, W] to y [B, C, H/p, W/p].

    Args:
        patch: Side of a patch, p.
        width: Channels of the blocks.
        depth: Number of blocks.
        channels: Channels of y, C.
        rates: Number of trained rates, R.
    """

    def __init__(self, patch: int, width: int, depth: int, channels: int, rates: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, patch, stride=patch)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.scales = nn.ModuleList(RateScale(torch.zeros(rates, width)) for _ in range(depth + 1))
        self.latent = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor, rates: Tensor) -> Tensor:
        """Return y [B, C, H/p, W/p] of images [B, 3, H, W] at rates [B, R]."""
        first, *rest = self.scales
        x = first(self.stem(x), rates)
        for block, scale in zip(self.blocks, rest, strict=True):
            x = scale(block(x), rates)
        y: Tensor = self.latent(x)
        return y


class StridedEncoder(nn.Module):
    """The Entropic Student's encoder, the same at all rates: images [B, 3, H, W] to y [B, C, H/4 - 1, W/4 - 1].

    Args:
        channels: Channels of its convolutions, the last C.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.analysis = analysis(channels)

    def forward(self, x: Tensor, rates: Tensor) -> Tensor:
        """Return y of images x, whatever the rates."""
        y: Tensor = self.analysis(x)
        return y


def patch_decoder(channels: int, width: int, depth: int, target: int, *, upscale: int, relu: bool) -> nn.Sequential:
    """Return the decoder for y_hat [B, C, h, w] to features [B, T, h·u, w·u].

    Args:
        channels: Channels of y_hat, C.
        width: Channels of the blocks.
        depth: Number of blocks.
        target: Channels at the cut, T.
        upscale: Factor on the sides, u: the last convolution makes u² pixels of one.
        relu: Whether a ReLU ends it.
    """
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        *(Block(width) for _ in range(depth)),
        nn.Conv2d(width, upscale**2 * target, 1),
        *([nn.PixelShuffle(upscale)] if upscale > 1 else []),
        *([nn.ReLU(inplace=True)] if relu else []),
    )


def strided_decoder(channels: int, hidden: Sequence[int], target: int, *, relu: bool) -> nn.Sequential:
    """Return the Entropic Student's decoder for y_hat [B, C, h, w] to features [B, T, h + 1, w + 1]."""
    return synthesis(channels, hidden, target, relu=relu)


@dataclass(frozen=True)
class Transforms(Generic[A]):
    """How a method of the family analyses images and synthesises features; stateless.

    Attributes:
        encoder_args: What the encoder is built from, of a method's architecture; plain values.
        encoder: Builds the encoder for them and a number of trained rates.
        decoder_args: What the decoder is built from.
        decoder: Builds the decoder for them and a number of channels at the cut.
        latent_channels: Channels of the latent.
    """

    encoder_args: Callable[[A], dict[str, Any]]
    encoder: Callable[[Mapping[str, Any], int], nn.Module]
    decoder_args: Callable[[A], dict[str, Any]]
    decoder: Callable[[Mapping[str, Any], int], nn.Module]
    latent_channels: Callable[[A], int]


def _patch_encoder_args(arch: PatchArch) -> dict[str, Any]:
    return {"patch": arch.patch, "width": arch.width, "depth": arch.depth, "channels": arch.latent_channels}


def _patch_decoder_args(arch: PatchArch) -> dict[str, Any]:
    sizes = {"channels": arch.latent_channels, "width": arch.decoder_width, "depth": arch.decoder_depth}
    return {**sizes, "upscale": arch.decoder_upscale, "relu": arch.output_relu}


PATCH = Transforms[PatchArch](
    encoder_args=_patch_encoder_args,
    encoder=lambda args, rates: PatchEncoder(**args, rates=rates),
    decoder_args=_patch_decoder_args,
    decoder=lambda args, target: patch_decoder(**args, target=target),
    latent_channels=lambda arch: arch.latent_channels,
)
STRIDED = Transforms[StridedArch](
    encoder_args=lambda arch: {"channels": arch.encoder_channels},
    encoder=lambda args, rates: StridedEncoder(**args),
    decoder_args=lambda arch: {
        **{"channels": arch.latent_channels, "hidden": arch.decoder_channels, "relu": arch.output_relu}
    },
    decoder=lambda args, target: strided_decoder(**args, target=target),
    latent_channels=lambda arch: arch.latent_channels,
)
