"""The operating point of a bottleneck unit: cut, quantiser step, stride and channels."""

from __future__ import annotations

from dataclasses import dataclass

from sc2.split.axes import Cut, Grid, RateAxis


@dataclass(frozen=True)
class UnitPoint:
    """An operating point of a unit, e.g. `layer3_q1_s2_k64`.

    Attributes:
        cut: Stage or block of the teacher whose output is the unit's input.
        step: Width of the quantiser's intervals, q.
        stride: Stride of the depthwise convolutions, s.
        latent_channels: Channels of the latent, k.
    """

    cut: str
    step: float
    stride: int
    latent_channels: int


def _point(cut: str, step: float, stride: int, channels: int) -> UnitPoint:
    return UnitPoint(cut, step, stride, channels)


AXIS = Grid(
    "unit",
    (
        Cut(),
        RateAxis(name="step", symbol="q", low=0.01, high=100, number=float),
        RateAxis(name="stride", symbol="s", low=1, high=8, number=int),
        RateAxis(name="channels", symbol="k", low=1, high=4096, number=int),
    ),
    _point,
)
