"""The one phase of CR+BQ: imitate the teacher's features, in float, without a rate term.

Source: docs/papers.md#channel-reduction-quantization.
"""

from typing import Any

import torch
from torch import Tensor

from sc2.backbones.teacher import take_over, teacher_model
from sc2.methods.reduction.network import ReductionNetwork
from sc2.methods.reduction.params import Distill, ReductionArch
from sc2.split.method import BuildContext
from sc2.training.hints import HintLoss, Hooks
from sc2.training.judge import Judge
from sc2.training.recipe import Recipe, Terms, multi_step, parted


def distill_recipe(params: Distill, context: BuildContext[ReductionArch]) -> Recipe:
    """Return the recipe of L = Σ_k ‖s_k - t_k‖² over the hint layers, summed over the batch.

    The tail is frozen, except for the stages that the parameters name.

    Validation includes the quantiser; the epoch with the lowest loss is kept. From another benchmark's run the encoder
    is taken as it is, frozen, and the decoder as a start: it learns from quantised z then.
    """
    student, teacher = ReductionNetwork(context), teacher_model(context.teacher)
    taken_over = context.encoder is not None
    if context.encoder is not None:
        take_over(student, context.encoder, ("encoder", "decoder"))
    judge = Judge(context.task, context.num_classes)
    learning, kept = parted(student.tail.stages, params.trained_stages)
    hint_loss = HintLoss(context.arch.cut, context.arch.hints)
    hooks = Hooks(student, teacher, hint_loss.student_paths, hint_loss.teacher_paths)

    def step(images: Tensor, targets: Any) -> Terms:
        _, student_outputs, teacher_outputs = hooks.run(images)
        loss = hint_loss(student_outputs, teacher_outputs)
        return {"loss": loss, "sse": loss.detach() / len(targets)}

    def validate(images: Tensor, targets: Any) -> Terms:
        features, student_outputs, teacher_outputs = hooks.run(images)
        loss = hint_loss(student_outputs, teacher_outputs)
        judge.add(student.head(features), targets)
        return {"loss": loss, "sse": loss}

    return Recipe(
        model=student,
        trained=[*([] if taken_over else [student.encoder]), student.decoder, *learning],
        frozen=[*([student.encoder] if taken_over else []), *kept, teacher],
        reference=hooks.reference,
        step=step,
        summed=("loss",),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=params.lr),
        learning_rate=multi_step(params.milestones, params.gamma),
        epochs=params.epochs,
        batch_size=params.batch_size,
        validate=validate,
        judge=judge,
        select=("loss", "min"),
    )
