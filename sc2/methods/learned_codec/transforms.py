"""The transforms of the learned image codecs, with the layers and parameter names of CompressAI.

Source: docs/papers.md#learned-codecs.

    x [B, 3, H, W] ─ conv5×5/2 ─ GDN ─ conv5×5/2 ─ GDN ─ conv5×5/2 ─ GDN ─ conv5×5/2 ─► y [B, M, H/16, W/16]
    y_hat ─ deconv5×5·2 ─ IGDN ─ deconv5×5·2 ─ IGDN ─ deconv5×5·2 ─ IGDN ─ deconv5×5·2 ─► x_hat [B, 3, H, W]

    y (or |y|) ─ conv3×3 ─ act ─ conv5×5/2 ─ act ─ conv5×5/2 ─► z [B, N, H/64, W/64]

H and W are multiples of 16 (64 with a hyperprior). N is the number of hidden channels, M that of the latent. h_s, the
way back from z, is an exact integer network and not built here (`sc2.entropy.exact`).
"""

from torch import Tensor, nn

from sc2.layers.gdn import GDN1


def analysis(n: int, m: int) -> nn.Sequential:
    """Return g_a: images [B, 3, H, W] in [0, 1] to the latent y [B, M, H/16, W/16]."""
    return nn.Sequential(
        conv(3, n),
        GDN1(n, squared=True),
        conv(n, n),
        GDN1(n, squared=True),
        conv(n, n),
        GDN1(n, squared=True),
        conv(n, m),
    )


def synthesis(n: int, m: int) -> nn.Sequential:
    """Return g_s: the received latent [B, M, h, w] to images [B, 3, 16h, 16w], not yet clamped to [0, 1]."""
    return nn.Sequential(
        deconv(m, n),
        GDN1(n, inverse=True, squared=True),
        deconv(n, n),
        GDN1(n, inverse=True, squared=True),
        deconv(n, n),
        GDN1(n, inverse=True, squared=True),
        deconv(n, 3),
    )


def scale_analysis(m: int, n: int) -> nn.Sequential:
    """Return h_a of the scale hyperprior: |y| to z, because a scale does not depend on the sign."""
    return _OfMagnitude(conv(m, n, kernel=3, stride=1), nn.ReLU(), conv(n, n), nn.ReLU(), conv(n, n))


def mean_scale_analysis(m: int, n: int) -> nn.Sequential:
    """Return h_a of the mean-scale hyperprior and of the joint model: y to z."""
    return nn.Sequential(conv(m, n, kernel=3, stride=1), nn.LeakyReLU(), conv(n, n), nn.LeakyReLU(), conv(n, n))


class _OfMagnitude(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = super().forward(x.abs())
        return z


def conv(inputs: int, outputs: int, kernel: int = 5, stride: int = 2) -> nn.Conv2d:
    """Return a convolution that divides both sides by `stride`."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)


def deconv(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Return a transposed 5×5 convolution that doubles both sides."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)
