"""A network that learns a task from its targets only: teachers, and small models on the device."""

from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import HEAD, StagedModel
from sc2.tasks.base import Task
from sc2.training.judge import Judge
from sc2.training.recipe import Recipe, Terms, by_part, one_cycle
from sc2.training.spec import SupervisedTraining


def supervised_recipe(
    model: StagedModel, training: SupervisedTraining, task: Task, num_classes: int, *, body_lr_factor: float = 1.0
) -> Recipe:
    """Train on the task's own loss with SGD (Nesterov) and one cycle; the task's measure picks the epoch.

    Args:
        model: The network.
        training: Its schedule.
        task: The task.
        num_classes: Classes of the data set.
        body_lr_factor: Factor on the learning rate of everything before the head; 0 freezes it, with its batch norms'
            running statistics.
    """
    judge, smoothing = Judge(task, num_classes), training.label_smoothing
    frozen = [] if body_lr_factor else [stage for name, stage in model.stages.items() if name != HEAD]

    def step(images: Tensor, targets: Any) -> Terms:
        return task.losses(model.head, model.features(images), targets, label_smoothing=smoothing)

    def validate(images: Tensor, targets: Any) -> Terms:
        judge.add(model(images), targets)
        return {}

    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        groups = by_part(model.head, parameters, task.lr_factors, training.lr, outside=body_lr_factor)
        return torch.optim.SGD(groups, lr=training.lr, momentum=0.9, nesterov=True, weight_decay=training.weight_decay)

    return Recipe(
        model=model,
        trained=[model] if body_lr_factor else [model.head],
        frozen=frozen,
        step=step,
        optimizer=optimizer,
        learning_rate=one_cycle(),
        epochs=training.epochs,
        batch_size=training.batch_size,
        validate=validate,
        judge=judge,
        select=judge.select,
    )
