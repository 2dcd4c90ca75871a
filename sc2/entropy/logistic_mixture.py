"""A factorised prior of mixed logistic densities: what a training pays for its bits.

It makes no tables: it is used where those on the wire are fitted on counts, and the density is only there to give the
encoder a gradient.
"""

import torch
from torch import Tensor, nn

_SMALLEST = 1e-9
"""Likelihoods below this count as this: about 30 bits, and no gradient."""


class LogisticMixturePrior(nn.Module):
    """One mixture of logistic densities per channel over the real line, in units of one symbol.

    Args:
        channels: Channels of the latent.
        components: Densities in a mixture; their first centres are at 0, 1, 2, …, where rectified latents are.
    """

    def __init__(self, channels: int, components: int = 3) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(channels, components))
        self.centres = nn.Parameter(torch.arange(components).float().repeat(channels, 1))
        self.log_scales = nn.Parameter(torch.zeros(channels, components))

    def likelihood(self, values: Tensor) -> Tensor:
        """Return the probability of the interval of width 1 around each value [B, C, h, w]; same shape."""
        # Components come last, so that the parameters line up with [B, h, w, C, 1].
        around = values.movedim(1, -1).unsqueeze(-1) - self.centres
        scale = self.log_scales.exp()
        inside = torch.sigmoid((around + 0.5) / scale) - torch.sigmoid((around - 0.5) / scale)
        return (inside * self.weights.softmax(-1)).sum(-1).movedim(-1, 1)

    def bits(self, values: Tensor) -> Tensor:
        """Return the code length of all values [B, C, h, w] together, in bits (a scalar)."""
        return -torch.log2(self.likelihood(values).clamp_min(_SMALLEST)).sum()
