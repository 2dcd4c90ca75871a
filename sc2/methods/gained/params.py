"""The family's parameters: prices of a bit, the rates between them, and the one training phase. No torch."""

from __future__ import annotations

from itertools import pairwise
from typing import Self, TypeVar

from pydantic import Field, model_validator

from sc2.layers.spec import StridedChannels
from sc2.split.axes import RateAxis
from sc2.strict import Strict
from sc2.training.spec import Cut, Hinted, Hints

AXIS = RateAxis(name="rate", symbol="r=", low=0.0, high=99.0, number=float)
"""Position in the list of prices, 0 for the fewest bytes; in between, gains are interpolated."""

LARGEST_SYMBOL = 127
"""Symbols beyond it, either way, have no entry of their own in a table."""


def num_steps(rates: int, between: int) -> int:
    """Return how many rates a device can send: the trained ones, and `between` more in each gap."""
    return (rates - 1) * (between + 1) + 1


class GainedArch(Hinted):
    """What every method of the family has."""

    prices: list[float] = Field(
        default=[6e-4, 2.4e-4, 1e-4, 4e-5, 1.5e-5, 6e-6],
        min_length=1,
        description="Price of a bit at the rates 0, 1, …, in units of the training loss (nats); falling",
    )
    between: int = Field(
        default=1,
        ge=0,
        description="Rates between neighbours of `prices` that the device can send as well, with interpolated gains",
    )
    first_gain: float = Field(
        default=1.0,
        gt=0,
        description="Gain of the highest rate before training; more, where the encoder's first latents would all round "
        "to zero",
    )
    output_relu: bool = Field(
        default=True, description="Whether a ReLU ends the decoder, for features that have none below zero"
    )

    @model_validator(mode="after")
    def _prices_fall(self) -> Self:
        if any(price <= 0 for price in self.prices) or any(a <= b for a, b in pairwise(self.prices)):
            raise ValueError("prices must be positive, each lower than the one before")
        return self

    @property
    def steps(self) -> int:
        """Rates that the device can send."""
        return num_steps(len(self.prices), self.between)

    def rate_of(self, step: int) -> float:
        """Return the position in `prices` of the device's step, 0 … `steps` - 1."""
        return step / (self.between + 1)

    def step_of(self, point: str) -> int:
        """Return the device's step at an operating point.

        Raises:
            ValueError: It lies beyond the last rate, or between two that the device can send.
        """
        step = AXIS.parse(point) * (self.between + 1)
        if step > self.steps - 1 or step != int(step):
            raise ValueError(
                f"rate {point}: there are the rates 0 … {len(self.prices) - 1} in steps of "
                f"{1 / (self.between + 1):.3g}; change `prices` or `between`, or take another point"
            )
        return int(step)


class PatchArch(GainedArch):
    """Patches and blocks (docs/method.md): at the defaults and 224 px, 103,232 parameters and 78 million MACs."""

    cut: Cut = "layer2"
    hints: Hints = Field(default=["layer2", "layer3", "layer4"])
    patch: int = Field(default=8, gt=0, description="Side of a patch, pixels: the stride of the cut's features")
    width: int = Field(default=96, gt=0, description="Channels of the encoder's blocks")
    depth: int = Field(default=2, ge=0, description="Blocks of the encoder")
    latent_channels: int = Field(default=32, gt=0, description="Channels of the latent")
    decoder_width: int = Field(default=96, gt=0, description="Channels of the decoder's blocks")
    decoder_depth: int = Field(default=2, ge=0, description="Blocks of the decoder")
    decoder_upscale: int = Field(
        default=1, gt=0, description="Factor from the side of the latent to that of the features at the cut"
    )


class StridedArch(StridedChannels, GainedArch):
    """The Entropic Student's encoder and decoder (docs/papers.md#fp-bottleneck)."""


A = TypeVar("A", bound=GainedArch)


class Joint(Strict):
    """The one phase: the task's loss, distillation and hints reach the encoder, and every image has a random rate."""

    epochs: int = Field(default=12, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=16, gt=0, description="Images per step")
    lr: float = Field(default=3e-3, gt=0, description="Peak learning rate (Adam, one cycle)")
    warmup: float = Field(default=0.15, ge=0, lt=1, description="Fraction of the phase over which the rate rises")
    prior_lr_factor: float = Field(default=5.0, gt=0, description="Factor on it for gains, scales and the prior")
    tail_lr_factor: float = Field(default=0.3, ge=0, description="Factor on it for the stages after the cut")
    alpha: float = Field(
        default=0.3, ge=0, le=1, description="Classification: weight of the cross entropy; 1 - α of KL"
    )
    temperature: float = Field(default=1.0, gt=0, description="Classification: softening of both distributions")
    hint_weight: float = Field(
        default=0.3,
        ge=0,
        description="Weight of a hint: squared error over the teacher's power, so that it has no unit",
    )
    features_first: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Fraction of the phase in which the stages after the cut are neither run nor trained: all that "
        "counts besides the bits is the hint at the cut",
    )
    price_ramp: float = Field(
        default=0.4,
        ge=0,
        lt=1,
        description="Fraction of the rest in which the prices rise from a twentieth to the full",
    )
    clip: float = Field(default=5.0, gt=0, description="Largest norm of a step's gradient")


class Phases(Strict):
    """The one training phase."""

    joint: Joint = Joint()


class Trained(GainedArch):
    """An architecture with its schedule."""

    phases: Phases = Phases()

    @model_validator(mode="after")
    def _first_features_are_compared(self) -> Self:
        if self.phases.joint.features_first and self.cut not in self.hints:
            raise ValueError(
                f"features_first trains on the hint at the cut alone: hints must name {self.cut}, or remove the key"
            )
        return self


class PatchParams(PatchArch, Trained):
    """Architecture and schedule."""


class StridedParams(StridedArch, Trained):
    """Architecture and schedule."""
