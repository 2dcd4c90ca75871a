"""The operating point of a bottleneck unit: cut, quantiser step, stride and channels."""

from __future__ import annotations

from dataclasses import dataclass

from sc2.split.axes import Cut, Grid, RateAxis

AXIS = Grid(
    "unit",
    (
        Cut(),
        RateAxis(name="step", symbol="q", low=0.01, high=100, integer=False),
        RateAxis(name="stride", symbol="s", low=1, high=8, integer=True),
        RateAxis(name="channels", symbol="k", low=1, high=4096, integer=True),
    ),
)


@dataclass(frozen=True)
class UnitPoint:
    """An operating point of a unit, e.g. `layer3_q1_s2_k64`.

    Attributes:
        cut: Stage or block of the teacher whose output goes into the unit.
        step: Width of the quantiser's intervals, q.
        stride: Stride of the depthwise convolutions, s.
        latent_channels: Channels of the latent, k.
    """

    cut: str
    step: float
    stride: int
    latent_channels: int

    @classmethod
    def of(cls, point: str) -> UnitPoint:
        """Read a point that the axis allows."""
        parts = AXIS.parse(point)
        return cls(parts["cut"], float(parts["step"]), int(parts["stride"]), int(parts["channels"]))
