"""Entropic Student with a factorised prior (Matsubara et al., WACV 2022; arXiv 2203.08875; spec 1.6, 1.10).

    device                            wire                 server
    x ─ g_a ─► y ─ round, coder ─► payload bytes ─► y_hat ─ g_s ─► features of `cut` ─ rest of the backbone ─► logits

Phase `distill`: everything up to the cut is learned from the teacher's features at the hint layers, at a
rate price: L = Σ_k ‖s_k - t_k‖² + β · bits, both summed over the batch; the rest of the backbone is the
teacher's and stays frozen. Phase `finetune`: encoder and entropy model are frozen, latents are rounded, decoder and the
rest learn the task: in classification from labels and the teacher, L = α CE + (1 - α) τ² KL, else by the task's
own loss. On a dense task encoder and entropy model may be those of a classification benchmark (`encoder_from`).

β is tied to the scale of the summed feature error, so every benchmark has a grid of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.layers.priors import PriorKind
    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe


STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


class Distill(Strict):
    """Phase 1; defaults are the papers' (spec 1.10)."""

    epochs: int = Field(default=10, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=64, gt=0, description="Images per step; the loss is a sum over them")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate (Adam)")
    milestones: list[float] = Field(default=[0.5, 0.8], description="Fractions of the phase where the rate drops")
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop")
    quantiles_lr: float = Field(default=1e-2, gt=0, description="Learning rate of the quantiles' own Adam (our choice)")


class Finetune(Strict):
    """Phase 2; defaults are the papers' (spec 1.10)."""

    epochs: int = Field(default=10, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=128, gt=0, description="Images per step")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate (SGD)")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum")
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay")
    schedule: Literal["multi_step", "poly"] = Field(
        default="multi_step", description="Drops at milestones, or a polynomial fall as the papers' for segmentation"
    )
    milestones: list[float] = Field(default=[0.5], description="Fractions of the phase where the rate drops")
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop")
    power: float = Field(default=0.9, gt=0, description="Exponent of the polynomial fall")
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="Classification: weight of the cross entropy; 1 - alpha of the KL term"
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Classification: softening of both distributions in the KL term"
    )


class Phases(Strict):
    """The training phases in order."""

    distill: Distill = Distill()
    finetune: Finetune = Finetune()


class Params(Strict):
    """Architecture (spec 1.6) and schedule (spec 1.10)."""

    cut: str = Field(default="layer1", pattern="^(stem|layer[1-4])$", description="Stage whose output g_s imitates")
    hints: list[str] = Field(
        default=["layer1", "layer2", "layer3", "layer4"],
        min_length=1,
        description="Stages whose outputs are compared with the teacher's; the cut or later",
    )
    encoder_channels: list[int] = Field(
        default=[96, 48, 24], min_length=3, max_length=3, description="Channels of g_a's convolutions; last = latent"
    )
    decoder_channels: list[int] = Field(
        default=[512, 256], min_length=2, max_length=2, description="Channels of g_s's hidden convolutions"
    )
    latent_gain: float = Field(
        default=1.0,
        gt=0,
        description="Factor on the initial weights of g_a's last convolution. 1 is the papers'; with more, a short "
        "schedule starts with latents above the quantisation noise instead of spending its first epochs on getting "
        "there (ours)",
    )
    phases: Phases = Phases()

    @model_validator(mode="after")
    def _hints_follow_the_cut(self) -> Self:
        allowed = STAGES[STAGES.index(self.cut) :]
        wrong = [hint for hint in self.hints if hint not in allowed]
        if wrong:
            raise ValueError(f"no hints before the cut: {', '.join(wrong)}; allowed: {', '.join(allowed)}")
        return self


class EntropicStudent(Method):
    """The method as the workflow sees it; its network is in `network.py`, its losses in `training.py`."""

    Params = Params
    family = "student"
    rate_axis = RateAxis(name="beta", symbol="β=", low=0.0, high=1e6, integer=False)
    takes_encoder = True

    def prior(self) -> PriorKind:
        """Return the entropy model of the bottleneck."""
        from sc2.layers.priors import FACTORIZED

        return FACTORIZED

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Ideal code length of the symbols under the device's tables, bits."""
        from sc2.methods.student.halves import StudentDevice

        assert isinstance(device, StudentDevice)
        return device.bits(latent)

    def training(self, phase: str, params: Mapping[str, Any], context: BuildContext) -> Recipe:
        """Return the recipe of `distill` or `finetune`."""
        from sc2.methods.student import training

        recipes = {"distill": training.distill_recipe, "finetune": training.finetune_recipe}
        if phase not in recipes:
            return super().training(phase, params, context)
        return recipes[phase](params, context, self.prior())

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained network after the entropy coder."""
        from sc2.methods.student.halves import split_student
        from sc2.methods.student.network import StudentNetwork

        assert state is not None
        network = StudentNetwork(context, self.prior())
        network.load_state_dict(dict(state))
        return split_student(network, context)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build g_a and the coder."""
        from sc2.methods.student.halves import StudentDevice

        return StudentDevice(blob, self.prior())

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the coder, g_s and the rest of the backbone."""
        from sc2.methods.student.halves import StudentServer

        return StudentServer(blob, self.prior())


METHOD = EntropicStudent()
