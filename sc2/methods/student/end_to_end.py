"""End-to-End: the factorised-prior bottleneck and its backbone from scratch (Singh et al., arXiv 2007.11797; spec 1.9).

The networks and the wire are those of `entropic_student`, but no weight comes from the teacher: everything is
trained at once on labels at a rate price, L = CE + β · bits, both per image. On a dense task the whole body may be that
of a classification benchmark (`encoder_from`): then encoder and entropy model are frozen, and the rest learns the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe


class Train(Strict):
    """The one phase; defaults are the papers'."""

    epochs: int = Field(default=60, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=256, gt=1, description="Images per step")
    lr: float = Field(
        default=1e-3, gt=0, description="Learning rate at the start: Adam; SGD where the encoder is taken over"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum of SGD, where the encoder is taken over")
    weight_decay: float = Field(default=1e-4, ge=0, description="Weight decay")
    schedule: Literal["cosine", "multi_step", "poly", "one_cycle"] = Field(
        default="cosine",
        description="How the learning rate falls: the papers' for classification, COCO and VOC; one_cycle rises first, "
        "which a short schedule with an untrained head needs (ours)",
    )
    milestones: list[float] = Field(
        default=[0.5], description="Fractions of the phase where the rate drops (multi_step)"
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop (multi_step)")
    power: float = Field(default=0.9, gt=0, description="Exponent of the polynomial fall (poly)")
    prior_lr_factor: float = Field(
        default=1.0,
        gt=0,
        description="Factor on the learning rate of the entropy model's density. 1 is the papers'; with more, a short "
        "schedule has a density that fits (ours)",
    )
    quantiles_lr: float = Field(default=1e-2, gt=0, description="Learning rate of the quantiles' own Adam (our choice)")


class Phases(Strict):
    """The training phases in order."""

    train: Train = Train()


class Params(Strict):
    """Architecture (spec 1.6) and schedule (spec 1.9)."""

    cut: str = Field(default="layer1", pattern="^(stem|layer[1-4])$", description="Stage that g_s takes the place of")
    encoder_channels: list[int] = Field(
        default=[96, 48, 24], min_length=3, max_length=3, description="Channels of g_a's convolutions; last = latent"
    )
    decoder_channels: list[int] = Field(
        default=[512, 256], min_length=2, max_length=2, description="Channels of g_s's hidden convolutions"
    )
    latent_gain: float = Field(
        default=1.0, gt=0, description="Factor on the initial weights of g_a's last convolution, as in entropic_student"
    )
    phases: Phases = Phases()


class EndToEnd(Method):
    """The method as the workflow sees it; its network is in `from_scratch.py`."""

    Params = Params
    family = "student"
    rate_axis = RateAxis(name="beta", symbol="β=", low=0.0, high=1e6, integer=False)
    takes_encoder = True

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Ideal code length of the symbols under the device's tables, bits."""
        from sc2.methods.student.halves import StudentDevice

        assert isinstance(device, StudentDevice)
        return device.bits(latent)

    def training(self, phase: str, params: Mapping[str, Any], context: BuildContext) -> Recipe:
        """Return the recipe of `train`."""
        from sc2.methods.student.from_scratch import UntrainedStudent
        from sc2.methods.student.rate import rate_recipe
        from sc2.methods.student.training import tuned_recipe
        from sc2.training.recipe import schedule

        if phase != "train":
            return super().training(phase, params, context)
        network = UntrainedStudent(context)
        if context.encoder is None:
            return rate_recipe(network, params, float(context.point), schedule(params), context)
        network.take_over_body(context.encoder)
        return tuned_recipe(network, params, context, frozen=[network.encoder, network.prior])

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained network after the entropy coder."""
        from sc2.methods.student.halves import split_student
        from sc2.methods.student.network import StudentNetwork

        assert state is not None
        network = StudentNetwork(context)
        network.load_state_dict(dict(state))
        return split_student(network, context)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build g_a and the coder."""
        from sc2.layers.priors import FACTORIZED
        from sc2.methods.student.halves import StudentDevice

        return StudentDevice(blob, FACTORIZED)

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the coder, g_s and the rest of the backbone."""
        from sc2.layers.priors import FACTORIZED
        from sc2.methods.student.halves import StudentServer

        return StudentServer(blob, FACTORIZED)


METHOD = EndToEnd()
