"""Vectors per rate, and the prior of each: what makes one network code at many rates.

A rate is a position in the list of trained prices. In a batch every image has its own, as weights of the trained ones,
float [B, R]: one of them is 1, or two neighbours share it. Logarithms are interpolated, so that what is between two
rates lies between their values.
"""

import torch
from torch import Tensor, nn

_LEAST_LIKELIHOOD = 1e-9


def rate_weights(rates: Tensor, count: int) -> Tensor:
    """Return the weights [B, `count`] of positions [B] between 0 and `count` - 1."""
    # How far each trained rate is from the position: nothing remains of those more than one away.
    trained = torch.arange(count, dtype=rates.dtype, device=rates.device)
    return (1 - (rates.unsqueeze(1) - trained).abs()).clamp(min=0)


class RateScale(nn.Module):
    """A positive factor per rate and channel.

    Args:
        start: Logarithms of the factors at first, [R, C].
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.log_factor = nn.Parameter(start.clone())

    def factors(self, rates: Tensor) -> Tensor:
        """Return the factors [B, C, 1, 1] at rates [B, R]."""
        return (rates @ self.log_factor).exp()[..., None, None]

    def forward(self, x: Tensor, rates: Tensor) -> Tensor:
        """Return x [B, C, h, w] times the factors of its rates [B, R]."""
        return x * self.factors(rates)


class LogisticPrior(nn.Module):
    """A logistic density per rate and channel, for training: on the wire are counted tables.

    Args:
        rates: Number of trained rates, R.
        channels: Channels of the latent, C.
    """

    def __init__(self, rates: int, channels: int) -> None:
        super().__init__()
        self.location = nn.Parameter(torch.zeros(rates, channels))
        self.log_scale = nn.Parameter(torch.zeros(rates, channels))

    def bits(self, y: Tensor, rates: Tensor) -> Tensor:
        """Return the bits [B] of y [B, C, h, w], in units of a symbol, at rates [B, R]."""
        location = (rates @ self.location)[..., None, None]
        inverse = (-(rates @ self.log_scale)).exp()[..., None, None]
        # From the side where both values are small, so that their difference is exact.
        distance = (y - location).abs()
        likelihood = torch.sigmoid((0.5 - distance) * inverse) - torch.sigmoid((-0.5 - distance) * inverse)
        return -torch.log2(likelihood.clamp(min=_LEAST_LIKELIHOOD)).sum((1, 2, 3))
