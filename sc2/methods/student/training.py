"""The two phases of the Entropic Student as recipes, over torchdistill's hooks and losses.

With an encoder reused from another benchmark, encoder and entropy model are frozen from the start
(docs/papers.md#entropic-student).

Ensured here and in `sc2.training.reference`, because torchdistill leaves it to its caller: the teacher and all frozen
modules are in eval mode (batch statistics must not change), and the quantiles have a separate optimiser.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import Features
from sc2.backbones.teacher import take_over, teacher_model
from sc2.methods.student.network import StudentNetwork
from sc2.methods.student.params import AXIS, Distill, Finetune, Prior, S, Tuning
from sc2.split.method import A, BuildContext
from sc2.training.hints import PRIOR, HintLoss, Hooks, bits
from sc2.training.judge import Judge
from sc2.training.recipe import Recipe, Terms, by_part, multi_step, parted, schedule
from sc2.training.reference import Reference


def distill_recipe(params: Distill, context: BuildContext[S], prior: Prior) -> Recipe:
    """Phase 1: imitate the teacher's features at a price of bits, the same for every stream of the prior."""
    student, teacher = StudentNetwork(context, prior), teacher_model(context.teacher)
    judge = Judge(context.task, context.num_classes)
    learning, kept = parted(student.tail.stages, params.trained_stages)
    taken_over = context.encoder is not None
    if context.encoder is not None:
        take_over(student, context.encoder, ("encoder", "prior", "decoder"))
    hint_loss = HintLoss(context.arch.cut, context.arch.hints)
    hooks = Hooks(student, teacher, [*hint_loss.student_paths, PRIOR], hint_loss.teacher_paths)
    beta = AXIS.parse(context.point)

    def terms(images: Tensor) -> tuple[Terms, Features]:
        features, student_outputs, teacher_outputs = hooks.run(images)
        distortion, rate = hint_loss(student_outputs, teacher_outputs), bits(student_outputs)
        return {"loss": distortion + beta * rate, "sse": distortion.detach(), "bits": rate.detach()}, features

    def step(images: Tensor, targets: Any) -> Terms:
        sums, _ = terms(images)
        return {"loss": sums["loss"], "sse": sums["sse"] / len(targets), "bits": sums["bits"] / len(targets)}

    def validate(images: Tensor, targets: Any) -> Terms:
        sums, features = terms(images)
        judge.add(student.head(features), targets)
        return sums

    device_side = [student.encoder, student.prior]
    recipe = Recipe(
        model=student,
        trained=[*([] if taken_over else device_side), student.decoder, *learning],
        frozen=[*(device_side if taken_over else []), *kept, teacher],
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
    if not taken_over:
        recipe.auxiliary = student.prior.quantiles_loss
        recipe.auxiliary_parameters = student.prior.quantiles()
        recipe.auxiliary_lr = params.quantiles_lr
        recipe.finish = student.prior.settle
        recipe.calibrate = student.prior.counting(student.encoder)
    return recipe


def finetune_recipe(params: Finetune, context: BuildContext[S], prior: Prior) -> Recipe:
    """Phase 2: decoder and tail learn the task; encoder and prior are frozen.

    A task with an imitation loss also learns from the teacher's predictions.
    """
    student, teacher = StudentNetwork(context, prior), teacher_model(context.teacher)
    imitation = context.task.imitation(alpha=params.alpha, temperature=params.temperature)
    frozen: list[nn.Module] = [student.encoder, student.prior]
    if imitation is None:
        return tuned_recipe(student, params, context, frozen=frozen)
    judge, reference = Judge(context.task, context.num_classes), Reference(teacher, teacher)

    def terms(images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        output = student(images)
        return imitation(output, reference.of(images), targets), output

    def step(images: Tensor, targets: Any) -> Terms:
        return {"loss": terms(images, targets)[0]}

    def validate(images: Tensor, targets: Any) -> Terms:
        loss, output = terms(images, targets)
        judge.add(output, targets)
        return {"loss": loss * len(targets)}

    recipe = _with_schedule(student, params, context, [*frozen, teacher], step, validate, judge)
    recipe.reference = reference
    return recipe


def tuned_recipe(
    student: StudentNetwork, params: Tuning, context: BuildContext[A], *, frozen: Sequence[nn.Module]
) -> Recipe:
    """Train decoder and tail of a student on the task's own loss.

    Args:
        student: The network.
        params: The phase's parameters.
        context: What the network was built from.
        frozen: Modules that must not change, including the teacher where there is one.
    """
    task, judge = context.task, Judge(context.task, context.num_classes)

    def step(images: Tensor, targets: Any) -> Terms:
        return task.losses(student.head, student.features(images), targets)

    def validate(images: Tensor, targets: Any) -> Terms:
        features = student.features(images)
        output = student.head(features)
        judge.add(output, targets)
        return task.losses(student.head, features, targets, output=output, summed=True)

    return _with_schedule(student, params, context, frozen, step, validate, judge)


def _with_schedule(
    student: StudentNetwork,
    params: Tuning,
    context: BuildContext[A],
    frozen: Sequence[nn.Module],
    step: Callable[[Tensor, Any], Terms],
    validate: Callable[[Tensor, Any], Terms],
    judge: Judge,
) -> Recipe:
    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        groups = by_part(student.head, parameters, context.task.lr_factors, params.lr)
        return torch.optim.SGD(groups, lr=params.lr, momentum=params.momentum, weight_decay=params.weight_decay)

    return Recipe(
        model=student,
        trained=[student.decoder, student.tail],
        frozen=frozen,
        step=step,
        optimizer=optimizer,
        learning_rate=schedule(params),
        epochs=params.epochs,
        batch_size=params.batch_size,
        validate=validate,
        judge=judge,
        select=judge.select,
    )
