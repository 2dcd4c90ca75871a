"""Intermediate outputs of a student and its teacher, hint losses and bits, built on torchdistill."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchdistill.core.forward_hook import ForwardHookManager
from torchdistill.losses.mid_level import SimpleLossWrapper

from sc2.backbones.base import Features
from sc2.training.reference import Reference

DECODER, PRIOR = "decoder", "prior"
Outputs = dict[str, dict[str, Any]]


class Hooked:
    """Runs a network up to its head on a batch and returns the head's input and the outputs of hooked modules.

    The head is not run: the losses need only what lies before it, and a detector's head would take most of the time.
    """

    def __init__(self, model: nn.Module, paths: Sequence[str]) -> None:
        self.model = model
        # The manager stores what a hook sees under the tensor's own device, and reads it from the device named here.
        self.manager = ForwardHookManager(torch.device("cpu"))
        for path in paths:
            self.manager.add_hook(model, path, requires_input=False)

    def run(self, images: Tensor) -> tuple[Features, Outputs]:
        """Return the head's input for images [B, 3, H, W], and the hooked outputs by path."""
        # By name: every split network has it, whatever its class.
        features: Features = self.model.features(images)  # type: ignore[operator]
        outputs: Outputs = self.manager.pop_io_dict()
        return features, outputs


class Hooks:
    """Runs student and teacher up to their heads on a batch and returns the hooked outputs.

    Attributes:
        reference: The teacher and its hooked outputs.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, student_paths: Sequence[str], teacher_paths: Sequence[str]
    ) -> None:
        self._student, hooked = Hooked(student, student_paths), Hooked(teacher, teacher_paths)
        self.reference = Reference(teacher, lambda images: hooked.run(images)[1])

    def run(self, images: Tensor) -> tuple[Features, Outputs, Outputs]:
        """Return, for images [B, 3, H, W], the input of the student's head, its outputs, and the teacher's outputs."""
        teacher_outputs: Outputs = self.reference.of(images)
        features, student_outputs = self._student.run(images)
        return features, student_outputs, teacher_outputs


class HintLoss:
    """Σ_k ‖s_k - t_k‖² over hint layers, summed over the batch.

    For students with a `decoder`, whose output replaces the teacher's at the cut, and a `tail` of stages.

    Attributes:
        student_paths: Modules to hook in the student.
        teacher_paths: Modules to hook in the teacher.
    """

    def __init__(self, cut: str, hints: Sequence[str]) -> None:
        self.student_paths = [DECODER if hint == cut else f"tail.stages.{hint}" for hint in hints]
        self.teacher_paths = [f"stages.{hint}" for hint in hints]
        paths = zip(self.student_paths, self.teacher_paths, strict=True)
        self._losses = [_squared_error(*pair) for pair in paths]

    def __call__(self, student_outputs: Outputs, teacher_outputs: Outputs) -> Tensor:
        """Return the loss of a batch, a scalar; the two features of a hint layer have the same shape [B, C, H, W]."""
        return torch.stack([loss(student_outputs, teacher_outputs, None) for loss in self._losses]).sum()


def bits(outputs: Outputs) -> Tensor:
    """Return the bits, a scalar, that the hooked entropy model (`PRIOR`) predicts for a batch.

    The likelihoods of all streams count: those of y [B, C, h, w] and, with a hyperprior, of z [B, L, zh, zw].
    """
    return torch.stack([-torch.log2(likelihoods).sum() for likelihoods in outputs[PRIOR]["output"][1]]).sum()


def _squared_error(student_path: str, teacher_path: str) -> SimpleLossWrapper:
    return SimpleLossWrapper(
        nn.MSELoss(reduction="sum"),
        input={"is_from_teacher": False, "module_path": student_path, "io": "output"},
        target={"is_from_teacher": True, "module_path": teacher_path, "io": "output"},
    )
