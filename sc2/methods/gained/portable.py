"""The family's device half without torch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sc2.methods.gained.halves import GainedDevice
from sc2.methods.gained.rates import rate_weights
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable, latent_sender


class _Scaled(nn.Module):
    """The encoder and the gains, in units of a symbol."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, rates: Tensor) -> Tensor:
        """Return the latent [1, C, h, w] of an image [1, 3, H, W] at a rate [1, R]."""
        latent: Tensor = self.network.gain(self.network.encoder(x, rates), rates)  # type: ignore[operator]
        return latent


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return encoder, gains, the tables of all rates, and the weights of the trained rates in each of them."""
    assert isinstance(half, GainedDevice)
    positions = torch.linspace(0, content["rates"] - 1, len(half.rates))
    sender = latent_sender("channels", half.tables, rates=True)
    return Portable(
        {**sender, "positions": rate_weights(positions, content["rates"])},
        _Scaled(half.network),
        "normalised",
        rates=half.rates,
        step=half.step,
    )
