"""End-to-End: the factorised-prior bottleneck and its backbone from scratch (Singh et al., arXiv 2007.11797).

Source: docs/papers.md#end-to-end.

The networks and the wire format are those of `entropic_student`, but no weight comes from the teacher: everything is
trained jointly on labels at a price of bits, L = CE + β · bits, both per image. On a dense task the whole body may be
that of a classification benchmark (`encoder_from`): then encoder and entropy model are frozen, and the rest learns the
task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sc2.methods.student.method import BottleneckMethod
from sc2.methods.student.params import AXIS, BottleneckArch, Epochs, RatePriced, Tuning, WeightDecay
from sc2.split.method import BuildContext
from sc2.strict import Strict

if TYPE_CHECKING:
    from sc2.training.recipe import Recipe


class Train(RatePriced, Tuning):
    """The one phase; defaults are the papers'."""

    epochs: Epochs = 60
    batch_size: int = Field(default=256, gt=1, description="Images per step")
    lr: float = Field(default=1e-3, gt=0, description="Initial learning rate: Adam; SGD where the encoder is reused")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum of SGD, where the encoder is reused")
    weight_decay: WeightDecay = 1e-4
    schedule: Literal["cosine", "multi_step", "poly", "one_cycle"] = Field(
        default="cosine",
        description="How the learning rate decays: the papers' for classification, COCO and VOC; one_cycle rises "
        "first, as a short schedule with an untrained head needs (ours)",
    )


class Phases(Strict):
    """The training phases in order."""

    train: Train = Train()


class Params(BottleneckArch):
    """Architecture (docs/papers.md#fp-bottleneck) and schedule (docs/papers.md#end-to-end)."""

    phases: Phases = Phases()


class EndToEnd(BottleneckMethod[BottleneckArch]):
    """The method as the workflow sees it; its untrained network is in `from_scratch.py`."""

    Arch = BottleneckArch
    Params = Params
    prior = "factorized"

    def training(self, params: Strict, context: BuildContext[BottleneckArch]) -> Recipe:
        """Return the recipe of `train`."""
        from sc2.methods.student.from_scratch import UntrainedStudent
        from sc2.methods.student.rate import rate_recipe
        from sc2.methods.student.training import tuned_recipe
        from sc2.training.recipe import schedule

        if not isinstance(params, Train):
            return super().training(params, context)
        network = UntrainedStudent(context)
        if context.encoder is None:
            return rate_recipe(network, params, AXIS.parse(context.point), schedule(params), context)
        network.take_over_body(context.encoder)
        return tuned_recipe(network, params, context, frozen=[network.encoder, network.prior])


METHOD = EndToEnd()
