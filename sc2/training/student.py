"""The two phases of the Entropic Student as recipes, over torchdistill's hooks and losses.

Guarded here, because torchdistill leaves it to its caller: the reference model is in eval mode, frozen modules are in
eval mode too (their batch statistics must not move), and the quantiles have an optimiser of their own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchdistill.core.forward_hook import ForwardHookManager
from torchdistill.losses.mid_level import KDLoss, SimpleLossWrapper

from sc2.layers.priors import FACTORIZED, PriorKind
from sc2.layers.student import StudentNetwork, reference_model
from sc2.methods.base import BuildContext
from sc2.training.recipe import Recipe, Terms, classification_terms, multi_step

DECODER, PRIOR, LOGITS = "decoder", "prior", "logits"
Outputs = dict[str, dict[str, Any]]


def distill_recipe(params: Mapping[str, Any], context: BuildContext, prior: PriorKind = FACTORIZED) -> Recipe:
    """Phase 1: imitate the reference model's features at a rate price, the same for every stream of the prior."""
    student, teacher = StudentNetwork(context, prior), reference_model(context)
    student.tail.requires_grad_(False)
    hints = context.arch["hints"]
    cut = context.arch["cut"]
    places = {hint: (DECODER if hint == cut else f"tail.stages.{hint}", f"stages.{hint}") for hint in hints}
    losses = [_squared_error(*place) for place in places.values()]
    hooks = _Hooks(student, teacher, [*(place[0] for place in places.values()), PRIOR], [p[1] for p in places.values()])
    beta = float(context.point)

    def terms(images: Tensor, labels: Tensor) -> Terms:
        logits, student_outputs, teacher_outputs = hooks.run(images)
        distortion = torch.stack([loss(student_outputs, teacher_outputs, labels) for loss in losses]).sum()
        bits = torch.stack([-torch.log2(p).sum() for p in student_outputs[PRIOR]["output"][1]]).sum()
        return {"loss": distortion + beta * bits, "sse": distortion.detach(), "bits": bits.detach(), "logits": logits}

    def step(images: Tensor, labels: Tensor) -> Terms:
        found = terms(images, labels)
        return {"loss": found["loss"], "sse": found["sse"] / len(labels), "bits": found["bits"] / len(labels)}

    def validate(images: Tensor, labels: Tensor) -> Terms:
        found = terms(images, labels)
        return {name: found[name] for name in ("loss", "sse", "bits")} | dict(
            classification_terms(found["logits"], labels)
        )

    return Recipe(
        model=student,
        trained=[student.encoder, student.prior, student.decoder],
        frozen=[student.tail, teacher],
        step=step,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=params["lr"]),
        learning_rate=multi_step(params["milestones"], params["gamma"]),
        epochs=params["epochs"],
        batch_size=params["batch_size"],
        validate=validate,
        select=("loss", "min"),
        auxiliary=student.prior.quantiles_loss,
        auxiliary_parameters=student.prior.quantiles(),
        auxiliary_lr=params["quantiles_lr"],
        finish=student.prior.settle,
    )


def finetune_recipe(params: Mapping[str, Any], context: BuildContext, prior: PriorKind = FACTORIZED) -> Recipe:
    """Phase 2: decoder and tail learn from labels and the reference model; encoder and prior are frozen."""
    student, teacher = StudentNetwork(context, prior), reference_model(context)
    hooks = _Hooks(student, teacher, [], [])
    distillation = KDLoss(LOGITS, "output", LOGITS, "output", params["temperature"], params["alpha"])

    def step(images: Tensor, labels: Tensor) -> Terms:
        _, student_outputs, teacher_outputs = hooks.run(images)
        return {"loss": distillation(student_outputs, teacher_outputs, labels)}

    def validate(images: Tensor, labels: Tensor) -> Terms:
        logits, student_outputs, teacher_outputs = hooks.run(images)
        loss = distillation(student_outputs, teacher_outputs, labels)
        return {"loss": loss * len(labels)} | dict(classification_terms(logits, labels))

    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, lr=params["lr"], momentum=params["momentum"], weight_decay=params["weight_decay"]
        )

    return Recipe(
        model=student,
        trained=[student.decoder, student.tail],
        frozen=[student.encoder, student.prior, teacher],
        step=step,
        optimizer=optimizer,
        learning_rate=multi_step(params["milestones"], params["gamma"]),
        epochs=params["epochs"],
        batch_size=params["batch_size"],
        validate=validate,
        select=("top1_pct", "max"),
    )


class _Hooks:
    """Runs student and reference model on a batch and hands out the hooked outputs and the logits."""

    def __init__(self, student: nn.Module, teacher: nn.Module, student_paths: list[str], teacher_paths: list[str]):
        self.student, self.teacher = student, teacher
        # The manager stores what a hook sees under the tensor's own device and hands it out from `device`.
        self.managers = tuple(ForwardHookManager(torch.device("cpu")) for _ in range(2))
        hooked = (student, student_paths), (teacher, teacher_paths)
        for manager, (model, paths) in zip(self.managers, hooked, strict=True):
            for path in paths:
                manager.add_hook(model, path, requires_input=False)

    def run(self, images: Tensor) -> tuple[Tensor, Outputs, Outputs]:
        assert not self.teacher.training, "the reference model must be in eval mode"
        with torch.no_grad():
            teacher_logits = self.teacher(images)
        logits = self.student(images)
        found = [manager.pop_io_dict() for manager in self.managers]
        for outputs, value in zip(found, (logits, teacher_logits), strict=True):
            outputs[LOGITS] = {"output": value}
        return logits, found[0], found[1]


def _squared_error(student_path: str, teacher_path: str) -> SimpleLossWrapper:
    return SimpleLossWrapper(
        nn.MSELoss(reduction="sum"),
        input={"is_from_teacher": False, "module_path": student_path, "io": "output"},
        target={"is_from_teacher": True, "module_path": teacher_path, "io": "output"},
    )
