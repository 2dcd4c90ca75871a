"""Initial weights for short schedules: the transforms start as a wavelet transform and its inverse (ours).

With the library's random start, signals shrink from layer to layer, and thousands of steps are spent on learning what
any orthonormal transform does from the start: keep the picture. Here each layer of g_a splits its channels into four
Haar bands (sum and difference in both directions) and keeps the low frequencies that fit its width; g_s is the
transpose. The latent is scaled so that rounding costs as much distortion as the saved bits are worth at the given λ.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

_QUIET = 0.25
"""Scale of signals between the layers relative to the image: small, where GDN is nearly the identity."""
_CHROMA = 0.05
"""Energy of a colour difference relative to the brightness in photographs, roughly."""
_REST = 0.1
"""Fraction of the library's random weights that is kept, also for channels without a band."""
_COLOURS = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])

_Band = tuple[float, int, int]
"""Weight of the band's colour, and its horizontal and vertical frequency."""


def wavelet_start(codec: nn.Module, weight: float) -> None:
    """Set g_a and g_s of one of CompressAI's models to a Haar transform and its inverse.

    Args:
        codec: A fresh model.
        weight: λ, bits per pixel per squared error of 8-bit values.
    """
    parts: Any = codec
    down = [layer for layer in parts.g_a if isinstance(layer, nn.Conv2d)]
    up = [layer for layer in parts.g_s if isinstance(layer, nn.ConvTranspose2d)][::-1]
    bands: list[_Band] = [(1.0, 0, 0), (_CHROMA, 0, 0), (_CHROMA, 0, 0)]
    gains = [_QUIET, 1.0, 1.0, latent_gain(weight) / _QUIET]
    with torch.no_grad():
        for number, (forward, backward, gain) in enumerate(zip(down, up, gains, strict=True)):
            bands, matrix = _split(bands, forward.out_channels)
            if number == 0:
                matrix = torch.einsum("kcij,cx->kxij", matrix, _COLOURS / _COLOURS.norm(dim=1, keepdim=True))
            _set(forward, matrix * gain)
            _set(backward, matrix / gain)
            for layer in (forward, backward):
                nn.init.zeros_(_bias(layer))
        # Centre the image on mid-grey.
        _bias(down[0]).copy_(-0.5 * down[0].weight.sum((1, 2, 3)))
        _bias(up[0]).fill_(0.5)


def _bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    assert layer.bias is not None, "CompressAI's transforms have biases"
    return layer.bias


def latent_gain(weight: float) -> float:
    """Return the scale of the latent, relative to orthonormal coefficients of an image in [0, 1], for a λ.

    Rounding costs 1/12 per coefficient, in units of 1 / gain², and one more bit saves 2 ln 2 times that; with
    λ · 255² · MSE over three values per pixel, the price of that bit is 1.
    """
    return math.sqrt(weight * 255**2 * 2 * math.log(2) / (3 * 12))


def _split(bands: list[_Band], width: int) -> tuple[list[_Band], Tensor]:
    """Return the `width` bands of lowest frequency (or all), and the weights [kept, bands, 2, 2] that compute them."""
    halved = []
    for index, (colour, across, down) in enumerate(bands):
        for i in range(2):
            for j in range(2):
                # In a band of odd frequency the difference is the lower half.
                band = (colour, 2 * across + (j ^ (across & 1)), 2 * down + (i ^ (down & 1)))
                halved.append((_energy(band), index, i, j, band))
    halved.sort(key=lambda entry: (-entry[0], entry[1:4]))
    kept = halved[:width]
    matrix = torch.zeros(len(kept), len(bands), 2, 2)
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    for row, (_, index, i, j, _) in enumerate(kept):
        matrix[row, index] = 0.5 * signs[i][:, None] * signs[j][None, :]
    return [entry[-1] for entry in kept], matrix


def _energy(band: _Band) -> float:
    colour, across, down = band
    return colour / (1 + across**2 + down**2)


def _set(layer: nn.Conv2d | nn.ConvTranspose2d, matrix: Tensor) -> None:
    """Put the weights into the middle 2×2 of a 5×5 kernel, the pixels of each step; the rest stays small and random."""
    layer.weight.mul_(_REST * float(matrix.abs().max()))
    kept, bands = matrix.shape[:2]
    layer.weight[:kept, :bands] = 0
    layer.weight[:kept, :bands, 2:4, 2:4] = matrix
