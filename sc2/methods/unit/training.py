"""Training of a bottleneck unit: the network around it is frozen; the unit and the density of its symbols learn.

L = task + λ · bits per image. The task's loss sees the rounded latent (its gradient passes straight through); the bits
are those of the latent with uniform noise under a learned density. At the end the symbols of the training images are
counted: the coding tables are built from these counts only.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.backbones.base import Features
from sc2.methods.unit.network import UnitNetwork
from sc2.methods.unit.params import UnitArch, UnitTraining
from sc2.methods.unit.point import AXIS
from sc2.split.method import BuildContext
from sc2.tasks.base import Task
from sc2.training.judge import Judge
from sc2.training.recipe import Recipe, Terms, one_cycle

Objective = Callable[[Task, UnitNetwork, Features, Tensor, Any], Terms]
"""Returns `loss`, a mean over the batch, and its terms, from: the task, the network, the input of its head, the frozen
network's features [B, C, H, W] at the cut, before the unit, and the targets."""


def supervised(task: Task, network: UnitNetwork, features: Features, before: Tensor, targets: Any) -> Terms:
    """Return the task's own loss for the head's input `features`; `before` [B, C, H, W] is not used."""
    return task.losses(network.head, features, targets)


def distilled(
    task: Task, network: UnitNetwork, features: Features, before: Tensor, targets: Any, *, temperature: float
) -> Terms:
    """Return τ² times the divergence from the teacher's softened classes; the targets are not used.

    `features` are the head's input with the unit, `before` [B, C, H, W] the features at the cut without it.
    """
    with torch.no_grad():
        teacher_logits = network.tail(before)
    return {"loss": divergence(network.head(features), teacher_logits, temperature=temperature)}


def divergence(logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """Return τ² KL(teacher ‖ student) of softened classes, for logits [B, K] of both, a mean over the batch."""
    log_student, log_teacher = (functional.log_softmax(x / temperature, dim=1) for x in (logits, teacher_logits))
    divergence_of_batch = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence_of_batch


def unit_recipe(params: UnitTraining, context: BuildContext[UnitArch], objective: Objective) -> Recipe:
    """Return the one phase of a unit.

    Args:
        params: The phase's parameters.
        context: What the network is built from; its point gives the unit's place and size.
        objective: The loss without the bits.
    """
    network, task = UnitNetwork(context, AXIS.parse(context.point)), context.task
    judge = Judge(task, context.num_classes)

    def terms(images: Tensor, targets: Any) -> tuple[Terms, Features]:
        before = network.before(images)
        latent = network.latent(before)
        features = network.received(latent)
        task_terms = objective(task, network, features, before, targets)
        # In validation the bits are those of the actual symbols.
        noisy = latent + torch.rand_like(latent) - 0.5 if network.encoder.training else torch.round(latent)
        bits = network.prior.bits(noisy) / len(targets)
        total = task_terms["loss"] + params.bit_price * bits
        return {**task_terms, "loss": total, "task": task_terms["loss"].detach(), "bits": bits.detach()}, features

    def step(images: Tensor, targets: Any) -> Terms:
        return terms(images, targets)[0]

    def validate(images: Tensor, targets: Any) -> Terms:
        means, features = terms(images, targets)
        judge.add(network.head(features), targets)
        return {name: value * len(targets) for name, value in means.items()}

    def calibrate(batches: Iterable[Tensor]) -> None:
        network.counts.zero_()
        for images in batches:
            network.count(images)

    return Recipe(
        model=network,
        trained=[network.encoder, network.decoder, network.prior],
        frozen=[network.front, network.tail],
        step=step,
        optimizer=lambda parameters: _optimizer(parameters, network.prior, params),
        learning_rate=one_cycle(),
        epochs=params.epochs,
        batch_size=params.batch_size,
        validate=validate,
        judge=judge,
        select=("loss", "min"),
        calibrate=calibrate,
    )


def _optimizer(parameters: list[nn.Parameter], prior: nn.Module, params: UnitTraining) -> torch.optim.Optimizer:
    own = {id(parameter) for parameter in prior.parameters()}
    groups = [
        {"params": [p for p in parameters if id(p) not in own], "lr": params.lr},
        {"params": [p for p in parameters if id(p) in own], "lr": params.prior_lr},
    ]
    return torch.optim.Adam(groups)
