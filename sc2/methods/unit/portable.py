"""The family's device half without torch."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sc2.methods.unit.halves import UnitDevice
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable, latent_sender


class _InSteps(nn.Module):
    """The stages up to the cut and the unit's encoder, in units of a symbol."""

    def __init__(self, network: nn.Module, step: float) -> None:
        super().__init__()
        self.network, self.step = network, step

    def forward(self, x: Tensor) -> Tensor:
        """Return the latent [1, k, h, w] of an image [1, 3, H, W]."""
        latent: Tensor = self.network(x) / self.step
        return latent


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return the stages up to the cut, the unit's encoder and the tables."""
    assert isinstance(half, UnitDevice)
    assert half.network is not None
    return Portable(latent_sender("channels", half.tables), _InSteps(half.network, half.step), "normalised")
