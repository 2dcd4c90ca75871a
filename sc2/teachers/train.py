"""Stage `train_teacher`: train a benchmark's teacher on its data set."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sc2.backbones.base import HEAD, StagedModel
from sc2.backbones.build import build_network
from sc2.backbones.spec import BackboneSpec
from sc2.backbones.teacher import TeacherCheckpoint
from sc2.checkpoint import load_checkpoint, save_atomically
from sc2.data.store import read_meta
from sc2.errors import CheckpointError
from sc2.job import RunningJob
from sc2.tasks import get_task
from sc2.teachers.spec import PublishedWeights, TrainedTeacher
from sc2.training.driver import train_recipe
from sc2.training.processes import in_processes, is_first
from sc2.training.supervised import supervised_recipe


@in_processes
def run(job: RunningJob) -> None:
    """Train the teacher; the checkpoint holds `task`, `backbone`, `classes` and `state`."""
    teacher, task = TrainedTeacher.model_validate(job.spec["teacher"]), get_task(job.spec["task"])
    classes = list(read_meta(job.input("meta")).classes)
    network = task.network(teacher.backbone, task.Head.model_validate(teacher.head))
    # Initial weights depend on the seed only, not on what ran earlier in this process.
    seed = int(job.keys["seed"])
    torch.manual_seed(seed)
    model = build_network(network, len(classes))
    for path in job.input_list("body"):
        donor = TeacherCheckpoint.of(load_checkpoint(path, "teacher"))
        take_over_body(model, donor.backbone, donor.state)
    if teacher.body_weights is not None:
        take_over_published_body(model, teacher.backbone, teacher.body_weights)
    training = teacher.training
    recipe = supervised_recipe(model, training, task, len(classes), body_lr_factor=training.body_lr_factor)
    train_recipe(recipe, job, task, seed=seed)
    content = {"kind": "teacher", "task": task.name, "backbone": network.model_dump(mode="json"), "classes": classes}
    if is_first():
        save_atomically({**content, "state": model.state_dict()}, job.outputs["checkpoint"])


def take_over_body(model: StagedModel, backbone: BackboneSpec, weights: Mapping[str, Tensor]) -> None:
    """Start from another network: load all of its weights except the head's.

    Args:
        model: Changed in place.
        backbone: The other network.
        weights: Its state dict.

    Raises:
        CheckpointError: The two networks differ.
    """
    head = f"stages.{HEAD}."
    state = {name: value for name, value in weights.items() if not name.startswith(head)}
    own = {name: value for name, value in model.state_dict().items() if name.startswith(head)}
    try:
        model.load_state_dict(state | own)
    except RuntimeError as error:
        raise CheckpointError(
            f"the body of {backbone.name} {backbone.args} does not fit; use the same teacher.backbone "
            f"on both benchmarks: {' '.join(str(error).split())[:200]}"
        ) from error


def take_over_published_body(model: StagedModel, backbone: BackboneSpec, published: PublishedWeights) -> None:
    """Start from a published classifier: load all of its weights except the classifier's.

    Raises:
        CheckpointError: There are no such weights, or they do not fit.
        DataError: The file is missing or has another hash.
    """
    from sc2.teachers.fetch import published_network

    take_over_body(model, backbone, published_network(published, backbone))
