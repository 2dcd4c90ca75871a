"""An encoder, gains, a decoder and the rest of the teacher: one network, every rate.

x ─ encoder ─ × gain_r ─► y ─ round ─► symbols ─ / gain_r ─ decoder ─► features of `cut` ─ rest of the backbone
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import Features, stage_channels
from sc2.backbones.teacher import teacher_model
from sc2.entropy.counts import count_symbols
from sc2.methods.gained.params import LARGEST_SYMBOL, A, GainedArch
from sc2.methods.gained.rates import LogisticPrior, RateScale, rate_weights
from sc2.methods.gained.transforms import Transforms
from sc2.split.method import BuildContext

COUNTED = 2 * LARGEST_SYMBOL + 2


class RatePrior(LogisticPrior):
    """The density that is trained, and the symbols of the training split, counted for each rate of the device.

    Args:
        rates: Number of trained rates, R.
        channels: Channels of the latent, C.
        steps: Rates of the device.
    """

    counts: Tensor

    def __init__(self, rates: int, channels: int, steps: int) -> None:
        super().__init__(rates, channels)
        self.register_buffer("counts", torch.zeros(steps, channels, COUNTED, dtype=torch.int64))


class GainedNetwork(nn.Module):
    """The whole split: input [B, 3, H, W] normalised, output the task's, at the highest rate unless one is given."""

    def __init__(self, context: BuildContext[A], transforms: Transforms[A]) -> None:
        super().__init__()
        arch = context.arch
        self.rates, self.steps = len(arch.prices), arch.steps
        teacher = teacher_model(context.teacher)
        channels = transforms.latent_channels(arch)
        self.encoder = transforms.encoder(transforms.encoder_args(arch), self.rates)
        self.gain = RateScale(_first_gains(arch, channels))
        self.prior = RatePrior(self.rates, channels, self.steps)
        target = stage_channels(teacher, arch.cut)
        self.decoder = transforms.decoder(transforms.decoder_args(arch), target)
        self.tail = teacher.after(arch.cut).requires_grad_(True)
        self.cut = arch.cut

    @property
    def head(self) -> nn.Module:
        """The part after the body."""
        return self.tail.head

    def latent(self, x: Tensor, rates: Tensor) -> Tensor:
        """Return the latent in units of a symbol [B, C, h, w], not yet rounded, of images x at rates [B, R]."""
        y: Tensor = self.gain(self.encoder(x, rates), rates)
        return y

    def decoded(self, symbols: Tensor, rates: Tensor) -> Tensor:
        """Return the features at the cut for symbols [B, C, h, w] at rates [B, R]."""
        features: Tensor = self.decoder(symbols / self.gain.factors(rates))
        return features

    def rest(self, decoded: Tensor) -> tuple[Features, dict[str, Tensor]]:
        """Return the head's input for features at the cut, and the output of the cut and of every stage after it."""
        outputs = {self.cut: decoded, **dict(self.tail.outputs(decoded))}
        if self.tail.taps:
            return {tap: outputs[tap] for tap in self.tail.taps}, outputs
        return outputs[next(reversed(outputs))], outputs

    def features(self, x: Tensor) -> Features:
        """Return the head's input for images [B, 3, H, W] at the highest rate."""
        rates = self.trained(torch.full((len(x),), self.rates - 1, device=x.device))
        return self.rest(self.decoded(torch.round(self.latent(x, rates)), rates))[0]

    def forward(self, x: Tensor) -> Any:
        """Run the whole split on images [B, 3, H, W] in one process, at the highest rate."""
        return self.head(self.features(x))

    def trained(self, indexes: Tensor) -> Tensor:
        """Return the weights [B, R] of trained rates, int64 [B]."""
        return rate_weights(indexes.float(), self.rates)

    def count(self, batches: Iterable[Tensor]) -> None:
        """Count the symbols of images, batches [B, 3, H, W], for each rate of the device."""
        positions = torch.linspace(0, self.rates - 1, self.steps)
        self.prior.counts.zero_()
        for images in batches:
            for step, position in enumerate(positions):
                rates = rate_weights(position.expand(len(images)), self.rates).to(images.device)
                symbols = torch.round(self.latent(images, rates))
                self.prior.counts[step] += count_symbols(symbols, COUNTED, first=-LARGEST_SYMBOL)


def _first_gains(arch: GainedArch, channels: int) -> Tensor:
    """Return logarithms of gains [R, C]: at a high rate, a step's square goes with the price."""
    relative = -0.5 * (torch.tensor(arch.prices) / arch.prices[-1]).log()
    return (relative + math.log(arch.first_gain)).unsqueeze(1).expand(-1, channels)
