"""The corner of a small model: one that fits the device, trained on the benchmark's labels, sends its best class.

The operating point is the model's width, so that the points make a curve of local models. There is no paper behind it:
it is what a split has to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sc2.methods.corner.method import SendsLabel
from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.training.recipe import Recipe


class Network(Strict):
    """A network of `sc2/backbones/`."""

    name: str = Field(default="small_resnet", description="File in sc2/backbones/")
    args: dict[str, Any] = Field(default={}, description="Arguments of its build function beside the width")


class Train(Strict):
    """Cross entropy, SGD (Nesterov) and a one-cycle learning rate, as the teacher is trained."""

    epochs: int = Field(default=10, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=32, gt=0, description="Images per step")
    lr: float = Field(default=0.04, gt=0, description="Peak learning rate")
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Label smoothing of the cross entropy")


class Phases(Strict):
    """The one training phase."""

    train: Train = Train()


class Params(Strict):
    """Which family of small models."""

    network: Network = Network()
    width_argument: str = Field(
        default="width", description="Argument of the network's build function that the operating point sets"
    )
    phases: Phases = Phases()


class LocalModel(SendsLabel):
    """A small network of the benchmark's own, whole on the device."""

    Params = Params
    rate_axis = RateAxis(name="width", symbol="width ", low=0.01, high=1024, integer=False)

    def networks(self, params: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """The small network; its width stands for every operating point."""
        return {"network": _network(params, "1")}

    def training(self, phase: str, params: Mapping[str, Any], context: BuildContext) -> Recipe:
        """Return the recipe of `train`: the same as the teacher's, on another network."""
        from sc2.backbones.build import build_backbone
        from sc2.training.supervised import teacher_recipe

        if phase != "train":
            return super().training(phase, params, context)
        model = build_backbone(_network(context.arch, context.point), len(context.teacher["classes"]))
        return teacher_recipe(model, params, context.task, context.num_classes)

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Put the trained network on the device."""
        from sc2.methods.corner.halves import export_whole_network

        assert state is not None
        return export_whole_network(context, _network(context.arch, context.point), state, num_labels=1)


def _network(params: Mapping[str, Any], point: str) -> dict[str, Any]:
    width = int(point) if point.isdigit() else float(point)
    network = params["network"]
    return {"name": network["name"], "args": {**network["args"], params["width_argument"]: width}}


METHOD = LocalModel()
