"""The corner without a split: the whole teacher on the device, its best classes on the link (ours, in no paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sc2.methods.corner.method import SendsLabel
from sc2.split.axes import Choice
from sc2.split.method import BuildContext, Export, NoParams

if TYPE_CHECKING:
    from torch import Tensor

NUM_LABELS = {"top1": 1, "top5": 5}


class TeacherOnDevice(SendsLabel[NoParams]):
    """The unchanged teacher; the operating point is the number of its best classes that are sent."""

    rate_axis = Choice(name="label", values=tuple(NUM_LABELS))

    def export(self, context: BuildContext[NoParams], state: Mapping[str, Tensor] | None) -> Export:
        """Put the whole teacher on the device."""
        from sc2.methods.corner.halves import export_whole_network

        assert state is None
        teacher = context.teacher
        return export_whole_network(context, teacher.backbone, teacher.state, NUM_LABELS[context.point])


METHOD = TeacherOnDevice()
