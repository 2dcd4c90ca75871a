"""A factorised prior of mixed logistic densities: the rate term of a training.

It makes no tables: it is used with tables that are fitted to counts, and only gives the encoder a gradient.
"""

import torch
from torch import Tensor, nn

_SMALLEST = 1e-9
"""Lower bound of likelihoods: about 30 bits, and no gradient below it."""


class LogisticMixturePrior(nn.Module):
    """One mixture of logistic densities per channel over the real line, in units of one symbol.

    Args:
        channels: Channels of the latent.
        components: Densities in a mixture; their initial centres are at 0, 1, 2, …, like rectified latents.
    """

    def __init__(self, channels: int, components: int = 3) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(channels, components))
        self.centres = nn.Parameter(torch.arange(components).float().repeat(channels, 1))
        self.log_scales = nn.Parameter(torch.zeros(channels, components))

    def likelihood(self, values: Tensor) -> Tensor:
        """Return the probability, [B, C, h, w], of the interval of width 1 around each value [B, C, h, w]."""
        # Components come last, so that the parameters line up with [B, h, w, C, 1].
        around = values.movedim(1, -1).unsqueeze(-1) - self.centres
        scale = self.log_scales.exp()
        inside = torch.sigmoid((around + 0.5) / scale) - torch.sigmoid((around - 0.5) / scale)
        return (inside * self.weights.softmax(-1)).sum(-1).movedim(-1, 1)

    def bits(self, values: Tensor) -> Tensor:
        """Return the total code length of all values [B, C, h, w], in bits: a scalar."""
        return -torch.log2(self.likelihood(values).clamp_min(_SMALLEST)).sum()
