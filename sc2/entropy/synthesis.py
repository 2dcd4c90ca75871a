"""h_s of a hyperprior as both ends run it, in integers."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sc2.entropy.exact import ExactNetwork
from sc2.entropy.exact_arrays import ONE


class HyperSynthesis(nn.Module):
    """From z symbols to scales and means of y."""

    shift: Tensor

    def __init__(self, layers: Mapping[str, Any], shift: Tensor, channels: int) -> None:
        super().__init__()
        self.network = ExactNetwork(layers)
        self.channels = channels
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, z: Tensor, height: int, width: int) -> tuple[Tensor, Tensor | None]:
        """Return scales and means, float64 [B, C, height, width] in units of 2^-12; None if all means are zero.

        Args:
            z: Symbols [B, L, zh, zw], with zh and zw from `z_size`.
            height: Height of y.
            width: Width of y; a larger output of h_s is cropped.
        """
        out = self.network(z.double() * ONE + self.shift.view(1, -1, 1, 1))[..., :height, :width]
        scales, means = out.split(self.channels, 1) if out.shape[1] > self.channels else (out, None)
        return scales, means

    def z_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of z for a y of height × width: the smallest for which h_s covers y."""
        return self.network.input_size(height, width)
