"""CR+BQ: channel reduction and bottleneck quantisation (Matsubara & Levorato, ICPR 2020; spec 1.5).

    device                                    wire                                server
    x ─ encoder ─► z, few channels ─ 8 bits ─► scale, zero point, symbols as they are ─► z_hat ─ decoder ─► features of
                                                                              `cut` ─ rest of the backbone ─► logits

One phase, `distill`: encoder and decoder learn the teacher's features at the hint layers, in float and without
a rate term, L = Σ_k ‖s_k - t_k‖², summed over the batch; the rest of the backbone is the teacher's and stays
frozen. The number of channels alone sets the rate: one byte per channel and position, no entropy coder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


class Distill(Strict):
    """The one phase; defaults are the papers'."""

    epochs: int = Field(default=20, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=64, gt=1, description="Images per step; the loss is a sum over them")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate (Adam)")
    milestones: list[float] = Field(
        default=[0.25, 0.5, 0.75], description="Fractions of the phase where the rate drops"
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop")


class Phases(Strict):
    """The training phases in order."""

    distill: Distill = Distill()


class Params(Strict):
    """Architecture and schedule (spec 1.5)."""

    cut: str = Field(
        default="layer1", pattern="^(stem|layer[1-4])$", description="Stage whose output the decoder gives"
    )
    hints: list[str] = Field(
        default=["layer1", "layer2", "layer3", "layer4"],
        min_length=1,
        description="Stages whose outputs are compared with the teacher's; the cut or later",
    )
    encoder_channels: list[int] = Field(
        default=[64, 64, 256, 64],
        min_length=4,
        max_length=4,
        description="Channels of the encoder's convolutions but the last, whose channels are the operating point",
    )
    decoder_channels: list[int] = Field(
        default=[64, 128, 256],
        min_length=3,
        max_length=3,
        description="Channels of the decoder's convolutions but the last, whose channels are those of the cut",
    )
    output_relu: bool = Field(
        default=True,
        description="A ReLU behind the decoder, as in a ResNet; false where features at the cut have both signs (ours)",
    )
    phases: Phases = Phases()

    @model_validator(mode="after")
    def _hints_follow_the_cut(self) -> Self:
        allowed = STAGES[STAGES.index(self.cut) :]
        wrong = [hint for hint in self.hints if hint not in allowed]
        if wrong:
            raise ValueError(f"no hints before the cut: {', '.join(wrong)}; allowed: {', '.join(allowed)}")
        return self


class ChannelReductionQuantization(Method):
    """The method as the workflow sees it; networks in `sc2.methods.reduction.network`."""

    Params = Params
    family = "reduction"
    rate_axis = RateAxis(name="channels", symbol="C=", low=1, high=64, integer=True)
    upstream_size_rule = "quantized"

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Eight bits per symbol and those of scale and zero point; there is nothing to estimate."""
        from sc2.methods.reduction.affine import SIDE_BYTES

        return 8.0 * (latent.symbols.numel() + SIDE_BYTES)

    def training(self, phase: str, params: Mapping[str, Any], context: BuildContext) -> Recipe:
        """Return the recipe of `distill`."""
        from sc2.methods.reduction.training import distill_recipe

        return distill_recipe(params, context) if phase == "distill" else super().training(phase, params, context)

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained network behind the quantiser."""
        from sc2.methods.reduction.halves import split_reduction
        from sc2.methods.reduction.network import ReductionNetwork

        assert state is not None
        network = ReductionNetwork(context)
        network.load_state_dict(dict(state))
        return split_reduction(network, context)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the encoder and the quantiser."""
        from sc2.methods.reduction.halves import QuantizedDevice

        return QuantizedDevice(blob)

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the decoder and the rest of the backbone."""
        from sc2.methods.reduction.halves import QuantizedServer

        return QuantizedServer(blob)


METHOD = ChannelReductionQuantization()
