"""Fine-tuning: an entropy bottleneck inserted into the pre-trained network, without a new encoder.

Source: docs/papers.md#fine-tuned-split.

    device                                       wire                 server
    x ─ stages up to the cut ─► y ─ round, coder ─► payload bytes ─► y_hat ─ the other stages ─► logits

One phase, `finetune`: the whole network is trained from the teacher's weights, L = CE + β · bits, both per image. An
operating point is a cut and a β, e.g. `layer3_1e-5`; each cut is a separate curve.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sc2.methods.student.method import EntropyCoded
from sc2.methods.student.params import Epochs, RatePriced, WeightDecay
from sc2.split.axes import Cut, Grid, RateAxis
from sc2.split.method import BuildContext, Export
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe


class Finetune(RatePriced):
    """The one phase; defaults are the papers', where a batch at the cuts layer1 and layer2 is two of 128."""

    epochs: Epochs = 10
    batch_size: int = Field(default=256, gt=1, description="Images per step")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate (Adam)")
    weight_decay: WeightDecay = 0.0
    milestones: list[float] = Field(default=[0.5, 0.8], description="Fractions of the phase where the rate drops")
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop")


class Phases(Strict):
    """The training phases in order."""

    finetune: Finetune = Finetune()


class FineTunedArch(Strict):
    """Nothing to set: the network is the benchmark's, and the operating point gives the cut."""


class Params(FineTunedArch):
    """The schedule only."""

    phases: Phases = Phases()


@dataclass(frozen=True)
class CutAndBeta:
    """An operating point, e.g. `layer3_1e-5`.

    Attributes:
        cut: Where the network is cut.
        beta: Price of a bit, in nats.
    """

    cut: str
    beta: float


AXIS = Grid("cut_beta", (Cut(), RateAxis(name="beta", symbol="", low=0.0, high=1e6, number=float)), CutAndBeta)


class FineTunedSplit(EntropyCoded[FineTunedArch]):
    """The method as the workflow sees it; networks in `sc2.methods.student.fine_tuned`."""

    Arch = FineTunedArch
    Params = Params
    rate_axis = AXIS

    def unsupported(self, task: str) -> str | None:
        """Return the reason on every task except classification; dense networks have the bottleneck unit instead."""
        return None if task == "classification" else "the papers use it for classification only"

    def curve(self, point: str) -> str:
        """Return the cut."""
        return AXIS.parse(point).cut

    def architecture(self, arch: FineTunedArch, point: str) -> Hashable:
        """Return the cut; β is only a price."""
        return AXIS.parse(point).cut

    def training(self, params: Strict, context: BuildContext[FineTunedArch]) -> Recipe:
        """Return the recipe of `finetune`."""
        from sc2.methods.student.fine_tuned import PastedBottleneck
        from sc2.methods.student.rate import rate_recipe
        from sc2.training.recipe import multi_step

        if not isinstance(params, Finetune):
            return super().training(params, context)
        point = AXIS.parse(context.point)
        schedule = multi_step(params.milestones, params.gamma)
        network = PastedBottleneck(context.teacher, point.cut)
        return rate_recipe(network, params, point.beta, schedule, context)

    def export(self, context: BuildContext[FineTunedArch], state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained network at the cut, after the entropy coder."""
        from sc2.methods.student.fine_tuned import PastedBottleneck
        from sc2.methods.student.fine_tuned_halves import split_fine_tuned

        assert state is not None
        cut = self.curve(context.point)
        network = PastedBottleneck(context.teacher, cut)
        network.load_state_dict(dict(state))
        return split_fine_tuned(network, context, cut)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the stages up to the cut, and the coder."""
        from sc2.methods.student.fine_tuned_halves import FineTunedDevice, FineTunedDeviceContent

        return FineTunedDevice(FineTunedDeviceContent.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the coder, and the stages after the cut."""
        from sc2.methods.student.fine_tuned_halves import FineTunedServer, FineTunedServerContent

        return FineTunedServer(FineTunedServerContent.model_validate(blob))


METHOD = FineTunedSplit()
