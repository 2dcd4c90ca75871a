"""The device's end of an entropy model as it leaves torch."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sc2.layers.prior_content import DevicePrior, HyperpriorContent


class WithSide(nn.Module):
    """g_a and h_a: from an image [1, 3, H, W] to y and z."""

    def __init__(self, encoder: nn.Module, analysis: nn.Module) -> None:
        super().__init__()
        self.encoder, self.analysis = encoder, analysis

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y [1, C, h, w] and z [1, L, zh, zw]."""
        y = self.encoder(x)
        return y, self.analysis(y)


def portable_prior(
    content: DevicePrior, encoder: nn.Module, network: nn.Module | None
) -> tuple[str, Mapping[str, Any], nn.Module]:
    """Return an entropy model's kind, its tables, and the network that returns what it rounds.

    Args:
        content: The device's end of the entropy model.
        encoder: g_a.
        network: The networks of the entropy model, `hyper_analysis` among them, or None.
    """
    if not isinstance(content, HyperpriorContent):
        return "channels", content.tables, encoder
    assert isinstance(network, nn.ModuleDict)
    kind = "joint" if "context" in content.tables else "hyperprior"
    return kind, content.tables, WithSide(encoder, network["hyper_analysis"])
