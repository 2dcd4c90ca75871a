"""Encoder and decoder of the factorised-prior bottleneck (arXiv 2203.08875; docs/papers.md#fp-bottleneck).

    x [B, 3, H, W] ─ conv5×5/2 ─ GDN1 ─ conv5×5/2 ─ GDN1 ─ conv2×2 ─► y [B, C, H/4-1, W/4-1]
    y_hat ─ conv2×2 (pad 1) ─ IGDN1 ─ conv2×2 ─ IGDN1 ─ conv2×2 (pad 1) ─► features [B, T, H/4, W/4]

No convolution has a bias. The papers' g_s ends with its last convolution; a batch norm and a ReLU may follow (ours,
docs/deviations.md).
"""

from collections.abc import Sequence

from torch import nn

from sc2.layers.gdn import GDN1


def analysis(channels: Sequence[int]) -> nn.Sequential:
    """Return g_a, images [B, 3, H, W] to y [B, C, H/4 - 1, W/4 - 1].

    Args:
        channels: Channels of the three convolutions, the last C; the papers' ResNet has [96, 48, 24], in all 138,672
            parameters.
    """
    first, second, latent = channels
    return nn.Sequential(
        nn.Conv2d(3, first, 5, stride=2, padding=2, bias=False),
        GDN1(first),
        nn.Conv2d(first, second, 5, stride=2, padding=2, bias=False),
        GDN1(second),
        nn.Conv2d(second, latent, 2, bias=False),
    )


def synthesis(
    latent: int, channels: Sequence[int], target: int, *, norm: bool = False, relu: bool = False
) -> nn.Sequential:
    """Return g_s, y_hat [B, C, h, w] to features [B, T, h + 1, w + 1].

    The papers' ResNet has 24, [512, 256] and 256: 1,164,032 parameters.

    Args:
        latent: Channels of y_hat, C.
        channels: Channels of the two hidden convolutions.
        target: Channels at the cut, T.
        norm: Whether a batch norm follows the last convolution.
        relu: Whether a ReLU ends it.
    """
    first, second = channels
    end = [*([nn.BatchNorm2d(target)] if norm else []), *([nn.ReLU(inplace=True)] if relu else [])]
    return nn.Sequential(
        nn.Conv2d(latent, first, 2, padding=1, bias=False),
        GDN1(first, inverse=True),
        nn.Conv2d(first, second, 2, bias=False),
        GDN1(second, inverse=True),
        nn.Conv2d(second, target, 2, padding=1, bias=False),
        *end,
    )
