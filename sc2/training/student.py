"""The two phases of the Entropic Student as recipes, over torchdistill's hooks and losses.

Guarded here and in `sc2.training.hints`, because torchdistill leaves it to its caller: the reference model is in eval
mode, frozen modules are in eval mode too (their batch statistics must not move), and the quantiles have an optimiser of
their own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchdistill.losses.mid_level import KDLoss

from sc2.layers.priors import FACTORIZED, PriorKind
from sc2.layers.student import StudentNetwork, reference_model
from sc2.methods.base import BuildContext
from sc2.training.hints import LOGITS, PRIOR, HintLoss, Hooks, bits
from sc2.training.recipe import Recipe, Terms, classification_terms, multi_step


def distill_recipe(params: Mapping[str, Any], context: BuildContext, prior: PriorKind = FACTORIZED) -> Recipe:
    """Phase 1: imitate the reference model's features at a rate price, the same for every stream of the prior."""
    student, teacher = StudentNetwork(context, prior), reference_model(context)
    student.tail.requires_grad_(False)
    hint_loss = HintLoss(context.arch["cut"], context.arch["hints"])
    hooks = Hooks(student, teacher, [*hint_loss.student_paths, PRIOR], hint_loss.teacher_paths)
    beta = float(context.point)

    def terms(images: Tensor) -> Terms:
        logits, student_outputs, teacher_outputs = hooks.run(images)
        distortion, rate = hint_loss(student_outputs, teacher_outputs), bits(student_outputs)
        return {"loss": distortion + beta * rate, "sse": distortion.detach(), "bits": rate.detach(), "logits": logits}

    def step(images: Tensor, labels: Tensor) -> Terms:
        found = terms(images)
        return {"loss": found["loss"], "sse": found["sse"] / len(labels), "bits": found["bits"] / len(labels)}

    def validate(images: Tensor, labels: Tensor) -> Terms:
        found = terms(images)
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
    hooks = Hooks(student, teacher, [], [])
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
