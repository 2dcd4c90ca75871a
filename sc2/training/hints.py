"""What happens inside a student and its teacher: hooked outputs, hint losses, bits, over torchdistill.

Guarded here, because torchdistill leaves it to its caller: the teacher is in eval mode.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchdistill.core.forward_hook import ForwardHookManager
from torchdistill.losses.mid_level import SimpleLossWrapper

from sc2.backbones.base import Features

DECODER, PRIOR = "decoder", "prior"
Outputs = dict[str, dict[str, Any]]


class Hooked:
    """Runs a network up to its head on a batch and hands out what the head takes and what modules inside it gave.

    The head is left out: what is learned from lies before it, and a detector's would take most of the time.
    """

    def __init__(self, model: nn.Module, paths: Sequence[str]) -> None:
        self.model = model
        # The manager stores what a hook sees under the tensor's own device and hands it out from `device`.
        self.manager = ForwardHookManager(torch.device("cpu"))
        for path in paths:
            self.manager.add_hook(model, path, requires_input=False)

    def run(self, images: Tensor) -> tuple[Features, Outputs]:
        """Return what the head takes, and the outputs by path."""
        # By name: every split network has it, whatever its class.
        found: Features = self.model.features(images)  # type: ignore[operator]
        outputs: Outputs = self.manager.pop_io_dict()
        return found, outputs


class Hooks:
    """Runs student and teacher up to their heads on a batch and hands out the hooked outputs."""

    def __init__(
        self, student: nn.Module, teacher: nn.Module, student_paths: Sequence[str], teacher_paths: Sequence[str]
    ) -> None:
        self.student, self.teacher = Hooked(student, student_paths), Hooked(teacher, teacher_paths)

    def run(self, images: Tensor) -> tuple[Features, Outputs, Outputs]:
        """Return what the student's head takes, its outputs, and the teacher's, which has no gradients."""
        assert not self.teacher.model.training, "the teacher must be in eval mode"
        with torch.no_grad():
            _, teacher_outputs = self.teacher.run(images)
        found, student_outputs = self.student.run(images)
        return found, student_outputs, teacher_outputs


class HintLoss:
    """Σ_k ‖s_k - t_k‖² over hint layers, summed over the batch.

    For students with a `decoder`, whose output stands for the teacher's at the cut, and a `tail` of stages.

    Attributes:
        student_paths: What to hook in the student.
        teacher_paths: What to hook in the teacher.
    """

    def __init__(self, cut: str, hints: Sequence[str]) -> None:
        self.student_paths = [DECODER if hint == cut else f"tail.stages.{hint}" for hint in hints]
        self.teacher_paths = [f"stages.{hint}" for hint in hints]
        paths = zip(self.student_paths, self.teacher_paths, strict=True)
        self._losses = [_squared_error(*pair) for pair in paths]

    def __call__(self, student_outputs: Outputs, teacher_outputs: Outputs) -> Tensor:
        """Return the loss of a batch, a scalar."""
        return torch.stack([loss(student_outputs, teacher_outputs, None) for loss in self._losses]).sum()


def bits(outputs: Outputs) -> Tensor:
    """Return the bits of a batch that the hooked entropy model (`PRIOR`) predicts for all of its streams, a scalar."""
    return torch.stack([-torch.log2(likelihoods).sum() for likelihoods in outputs[PRIOR]["output"][1]]).sum()


def _squared_error(student_path: str, teacher_path: str) -> SimpleLossWrapper:
    return SimpleLossWrapper(
        nn.MSELoss(reduction="sum"),
        input={"is_from_teacher": False, "module_path": student_path, "io": "output"},
        target={"is_from_teacher": True, "module_path": teacher_path, "io": "output"},
    )
