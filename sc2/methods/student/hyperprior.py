"""The two hyperpriors and their small networks: y to z, and z to scales and means of y.

Source: docs/papers.md#hyperprior-bottlenecks.

    y [B, C, h, w] ─ conv5×5/2 ─ act ─ conv5×5/2 ─► z [B, L, ⌈(h+1)/4⌉, ⌈(w+1)/4⌉]
    z_hat ─ conv^T5×5/2 ─ LeakyReLU ─ conv^T5×5/2 ─ LeakyReLU ─ conv5×5 ─► scales [B, C, …], or with means [B, 2C, …]

No convolution has a bias. h_s maps a z of side n to a side of 4n - 1, which is y's side for images whose side is a
multiple of 16; for others y is padded with zeros at the right and bottom to the next 4n - 1, and h_s's output beyond y
is cropped.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from sc2.methods.student.params import Prior

Transform = Callable[[int, int], nn.Sequential]
"""Builds h_a or h_s for the channels of y and z."""


def scale_analysis(channels: int, hyper_channels: int) -> nn.Sequential:
    """Return h_a of the scale hyperprior: |y| [B, C, h, w] to z [B, L, zh, zw]."""
    return nn.Sequential(*_analysis(_PaddedMagnitude(), nn.ReLU(), channels, hyper_channels))


def scale_synthesis(channels: int, hyper_channels: int) -> nn.Sequential:
    """Return h_s of the scale hyperprior: 22,400 parameters for 24 and 16 channels."""
    return _synthesis(hyper_channels, hyper_channels, channels)


def mean_scale_analysis(channels: int, hyper_channels: int) -> nn.Sequential:
    """Return h_a of the mean-scale hyperprior: 16,000 parameters for 24 and 16 channels."""
    return nn.Sequential(*_analysis(_Padded(), nn.LeakyReLU(), channels, hyper_channels))


def mean_scale_synthesis(channels: int, hyper_channels: int) -> nn.Sequential:
    """Return h_s of the mean-scale hyperprior, scales before means: 44,800 parameters for 24 and 16 channels."""
    return _synthesis(hyper_channels, hyper_channels * 3 // 2, 2 * channels)


def _analysis(first: nn.Module, activation: nn.Module, channels: int, hyper_channels: int) -> list[nn.Module]:
    return [
        first,
        nn.Conv2d(channels, hyper_channels, 5, stride=2, padding=1, bias=False),
        activation,
        nn.Conv2d(hyper_channels, hyper_channels, 5, stride=2, padding=2, bias=False),
    ]


def _synthesis(hyper_channels: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(hyper_channels, hyper_channels, 5, stride=2, padding=1, bias=False),
        nn.LeakyReLU(),
        nn.ConvTranspose2d(hyper_channels, hidden, 5, stride=2, padding=1, bias=False),
        nn.LeakyReLU(),
        nn.Conv2d(hidden, out, 5, bias=False),
    )


class _Padded(nn.Module):
    """Pads with zeros at the right and bottom up to the next side of the form 4n - 1."""

    def forward(self, y: Tensor) -> Tensor:
        height, width = y.shape[2:]
        return functional.pad(y, (0, (3 - width) % 4, 0, (3 - height) % 4))


class _PaddedMagnitude(_Padded):
    """The same for |y|: a scale does not depend on the sign."""

    def forward(self, y: Tensor) -> Tensor:
        return super().forward(y.abs())


NETWORKS: dict[Prior, tuple[Transform, Transform]] = {
    "scale_hyperprior": (scale_analysis, scale_synthesis),
    "mean_scale_hyperprior": (mean_scale_analysis, mean_scale_synthesis),
}
"""h_a and h_s of each hyperprior."""
