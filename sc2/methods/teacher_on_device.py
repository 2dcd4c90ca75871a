"""The corner without a split: the whole reference model on the device, its answer on the link (ours, in no paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sc2.config.base import Strict
from sc2.methods._label import SendsLabel
from sc2.methods.base import BuildContext, Choice, Export

if TYPE_CHECKING:
    from torch import Tensor

NUM_LABELS = {"top1": 1, "top5": 5}


class Params(Strict):
    """Nothing to set."""


class TeacherOnDevice(SendsLabel):
    """The reference model as it is; the operating point says how many of its best classes are sent."""

    Params = Params
    rate_axis = Choice(name="label", values=tuple(NUM_LABELS))

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Put the whole reference model on the device."""
        from sc2.layers.on_device import export_whole_network

        assert state is None
        teacher = context.teacher
        return export_whole_network(context, teacher["backbone"], teacher["state"], NUM_LABELS[context.point])


METHOD = TeacherOnDevice()
