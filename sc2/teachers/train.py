"""Stage `train_teacher`: train a benchmark's reference model on its data set."""

import torch
from torch import Tensor, nn

from sc2.backbones.base import build_backbone
from sc2.data.store import read_meta
from sc2.job import RunningJob
from sc2.training.loop import save_atomically
from sc2.training.recipe import Recipe, Terms, classification_terms, one_cycle
from sc2.training.stage import state_path, train_recipe

SEED = 0  # The reference model is one model, whatever seeds the methods run with.


def run(job: RunningJob) -> None:
    """Train the reference model; the checkpoint holds `backbone`, `classes` and `state`."""
    teacher = job.spec["teacher"]
    classes = list(read_meta(job.input("meta")).classes)
    torch.manual_seed(SEED)
    model = build_backbone(teacher["backbone"], len(classes))
    train_recipe(teacher_recipe(model, teacher["training"]), job, seed=SEED)
    content = {"kind": "teacher", "backbone": teacher["backbone"], "classes": classes, "state": model.state_dict()}
    save_atomically(content, job.outputs["checkpoint"])
    state_path(job).unlink(missing_ok=True)


def teacher_recipe(model: nn.Module, training: dict[str, float]) -> Recipe:
    """Cross entropy, SGD (Nesterov), a one-cycle learning rate; keeps the epoch with the best validation accuracy."""
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=training["label_smoothing"])

    def step(images: Tensor, labels: Tensor) -> Terms:
        return {"loss": cross_entropy(model(images), labels)}

    def validate(images: Tensor, labels: Tensor) -> Terms:
        return dict(classification_terms(model(images), labels))

    return Recipe(
        model=model,
        trained=[model],
        step=step,
        optimizer=lambda parameters: torch.optim.SGD(
            parameters, lr=training["lr"], momentum=0.9, nesterov=True, weight_decay=training["weight_decay"]
        ),
        learning_rate=one_cycle(),
        epochs=int(training["epochs"]),
        batch_size=int(training["batch_size"]),
        validate=validate,
        select=("top1_pct", "max"),
    )
