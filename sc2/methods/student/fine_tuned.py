"""A backbone split in two with only a factorised prior at the cut (fine-tuning).

Source: docs/papers.md#fine-tuned-split.

    x ─ stages up to the cut ─► y [B, C, h, w] ─ round, coder ─► payload bytes ─► y_hat ─ the other stages ─► logits

There is no new encoder: the device runs the backbone's own first stages. A cut may also lie inside a stage, or after
the head's pooling (`sc2.backbones.base.cuts`).
"""

from typing import Any

from torch import Tensor, nn

from sc2.backbones.base import Features, stage_channels
from sc2.backbones.teacher import TeacherCheckpoint, teacher_model
from sc2.methods.student.trained_priors import FactorizedPrior


class PastedBottleneck(nn.Module):
    """The teacher with an entropy bottleneck after a cut.

    Input [B, 3, H, W] normalised, output the task's. In training mode the features at the cut get uniform
    noise, in eval mode they are rounded around the medians, as on the wire.
    """

    def __init__(self, checkpoint: TeacherCheckpoint, cut: str) -> None:
        super().__init__()
        teacher = teacher_model(checkpoint)
        self.encoder = teacher.up_to(cut).requires_grad_(True)
        self.prior = FactorizedPrior(stage_channels(teacher, cut))
        self.tail = teacher.after(cut).requires_grad_(True)

    @property
    def head(self) -> nn.Module:
        """The part after the body; at the cut `avgpool`, the part after the pooling."""
        return self.tail.head

    def features(self, x: Tensor) -> Features:
        """Return the head's input for images [B, 3, H, W]."""
        y_hat, _ = self.prior(self.encoder(x))
        return self.tail.features(y_hat)

    def forward(self, x: Tensor) -> Any:
        """Run the whole split on images [B, 3, H, W] in one process."""
        return self.head(self.features(x))
