"""Stage `train_teacher`: train a benchmark's reference model on its data set."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import HEAD, StagedModel, build_backbone
from sc2.data.store import read_meta
from sc2.errors import CheckpointError
from sc2.halves import load_checkpoint
from sc2.job import RunningJob
from sc2.tasks import get_task
from sc2.tasks.base import Task
from sc2.training.judge import Judge
from sc2.training.loop import save_atomically
from sc2.training.recipe import Recipe, Terms, by_part, one_cycle
from sc2.training.stage import state_path, train_recipe

SEED = 0  # The reference model is one model, whatever seeds the methods run with.


def run(job: RunningJob) -> None:
    """Train the reference model; the checkpoint holds `task`, `backbone`, `classes` and `state`."""
    teacher, task = job.spec["teacher"], get_task(job.spec["task"])
    classes = list(read_meta(job.input("meta")).classes)
    network = task.network(teacher["backbone"], teacher["head"])
    torch.manual_seed(SEED)
    model = build_backbone(network, len(classes))
    for path in job.input_list("body"):
        take_over_body(model, load_checkpoint(path, "teacher"))
    if teacher["body_weights"] is not None:
        take_over_published_body(model, teacher["backbone"], teacher["body_weights"])
    training = teacher["training"]
    recipe = teacher_recipe(model, training, task, len(classes), body_lr_factor=training["body_lr_factor"])
    train_recipe(recipe, job, task, seed=SEED)
    content = {"kind": "teacher", "task": task.name, "backbone": network, "classes": classes}
    save_atomically({**content, "state": model.state_dict()}, job.outputs["checkpoint"])
    state_path(job).unlink(missing_ok=True)


def take_over_body(model: StagedModel, other: Mapping[str, Any]) -> None:
    """Start from another benchmark's reference model: all of its weights but the head's.

    Args:
        model: Changed in place.
        other: The other reference model's checkpoint.

    Raises:
        CheckpointError: It is another network.
    """
    head = f"stages.{HEAD}."
    state = {name: value for name, value in other["state"].items() if not name.startswith(head)}
    own = {name: value for name, value in model.state_dict().items() if name.startswith(head)}
    try:
        model.load_state_dict(state | own)
    except RuntimeError as error:
        raise CheckpointError(
            f"the body of {other['backbone']['name']} {other['backbone']['args']} does not fit; give both benchmarks "
            f"the same teacher.backbone: {' '.join(str(error).split())[:200]}"
        ) from error


def take_over_published_body(model: StagedModel, backbone: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Start from a published classifier: all of its weights but the classifier's.

    Raises:
        CheckpointError: There are no such weights, or they do not fit.
        DataError: The file is missing, or another one.
    """
    from sc2.teachers.fetch import published_network

    take_over_body(model, {"backbone": backbone, "state": published_network({**weights, "backbone": backbone})})


def teacher_recipe(
    model: StagedModel, training: Mapping[str, float], task: Task, num_classes: int, *, body_lr_factor: float = 1.0
) -> Recipe:
    """The task's own loss, SGD (Nesterov), a one-cycle learning rate; keeps the epoch that the task picks.

    Args:
        model: The network.
        training: `epochs`, `batch_size`, `lr`, `weight_decay` and `label_smoothing`.
        task: The task.
        num_classes: Classes of the data set.
        body_lr_factor: Factor on the learning rate of all before the head.
    """
    judge, smoothing = Judge(task, num_classes), training["label_smoothing"]

    def step(images: Tensor, targets: Any) -> Terms:
        return task.losses(model.head, model.features(images), targets, label_smoothing=smoothing)

    def validate(images: Tensor, targets: Any) -> Terms:
        judge.add(model(images), targets)
        return {}

    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        groups = by_part(model.head, parameters, task.lr_factors, training["lr"], outside=body_lr_factor)
        return torch.optim.SGD(
            groups, lr=training["lr"], momentum=0.9, nesterov=True, weight_decay=training["weight_decay"]
        )

    return Recipe(
        model=model,
        trained=[model],
        step=step,
        optimizer=optimizer,
        learning_rate=one_cycle(),
        epochs=int(training["epochs"]),
        batch_size=int(training["batch_size"]),
        validate=validate,
        judge=judge,
        select=judge.select,
    )
