"""The corner of a small model: it fits on the device, is trained on the benchmark's labels, and sends its best class.

The operating point is the model's width, so that the points form a curve of local models. It is in no paper: it is the
baseline that a split has to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sc2.backbones.spec import BackboneSpec, NetworkSpec
from sc2.methods.corner.method import SendsLabel
from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export
from sc2.strict import Name, Strict
from sc2.training.spec import SupervisedTraining

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.training.recipe import Recipe


AXIS = RateAxis(name="width", symbol="width ", low=0.01, high=1024, number=float)


class SmallNetwork(BackboneSpec):
    """A network of `sc2/backbones/`."""

    name: Name = Field(default="small_resnet", description="File in sc2/backbones/")
    args: dict[str, Any] = Field(default={}, description="Arguments of its build function besides the width")


class Train(SupervisedTraining):
    """Cross entropy, SGD (Nesterov) and a one-cycle learning rate, as for the teacher."""

    epochs: int = Field(default=10, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=32, gt=0, description="Images per step")
    lr: float = Field(default=0.04, gt=0, description="Peak learning rate")


class Phases(Strict):
    """The one training phase."""

    train: Train = Train()


class LocalModelArch(Strict):
    """The family of small models."""

    network: SmallNetwork = SmallNetwork()
    width_argument: str = Field(
        default="width", description="Argument of the network's build function that the operating point sets"
    )

    def at_width(self, point: str) -> NetworkSpec:
        """Return the network of an operating point."""
        width = AXIS.parse(point)
        # Most networks take an integer number of channels, some a factor.
        width = int(width) if width.is_integer() else width
        return NetworkSpec(name=self.network.name, args={**self.network.args, self.width_argument: width})


class LocalModelParams(LocalModelArch):
    """The family of small models, and how they are trained."""

    phases: Phases = Phases()


class LocalModel(SendsLabel[LocalModelArch]):
    """A small network trained for the benchmark, entirely on the device."""

    Arch = LocalModelArch
    Params = LocalModelParams
    rate_axis = AXIS

    def networks(self, arch: LocalModelArch) -> Mapping[str, BackboneSpec]:
        """Return the small network at width 1, which represents all operating points."""
        return {"network": arch.at_width("1")}

    def training(self, params: Strict, context: BuildContext[LocalModelArch]) -> Recipe:
        """Return the recipe of `train`: the teacher's recipe on another network."""
        from sc2.backbones.build import build_network
        from sc2.training.supervised import supervised_recipe

        match params:
            case Train():
                model = build_network(context.arch.at_width(context.point), context.num_classes)
                return supervised_recipe(model, params, context.task, context.num_classes)
        return super().training(params, context)

    def export(self, context: BuildContext[LocalModelArch], state: Mapping[str, Tensor] | None) -> Export:
        """Put the trained network on the device."""
        from sc2.methods.corner.halves import export_whole_network

        assert state is not None
        return export_whole_network(context, context.arch.at_width(context.point), state, num_labels=1)


METHOD = LocalModel()
