"""Trains a recipe on a job's data: teachers and the phases of every method go through here."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sc2.data.images import ImageTensors, batches
from sc2.data.loader import wanted_workers
from sc2.data.normalise import normalise
from sc2.data.spec import Augmentation, InputSpec, PixelSpec
from sc2.data.store import SampleStore
from sc2.job import RunningJob
from sc2.tasks.base import Task
from sc2.training.history import write_history
from sc2.training.loop import Batches, fit
from sc2.training.processes import division, is_first
from sc2.training.recipe import Recipe


def train_recipe(recipe: Recipe, job: RunningJob, task: Task, *, seed: int) -> None:
    """Train a recipe on the job's data and write the history."""
    torch.set_num_threads(job.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Channels last: the same results up to rounding, and a quarter less time for small convolutions on a CPU.
    for module in (recipe.model, *recipe.frozen):
        module.to(device).to(memory_format=torch.channels_last)
    train, steps = training_batches(job, task, recipe.batch_size, seed, device)
    history = fit(
        recipe,
        train,
        validation_batches(job, task, device),
        seed=seed,
        state_path=job.state,
        label=job.label,
        steps_per_epoch=steps,
        division=division(job),
    )
    recipe.model.to("cpu").to(memory_format=torch.contiguous_format)
    if is_first():
        write_history(history, job.outputs["history"])


def training_batches(
    job: RunningJob, task: Task, batch_size: int, seed: int, device: torch.device
) -> tuple[Batches, int]:
    """Return a function from an epoch to its training batches, and the number of batches.

    A batch is images float32 [B, 3, H, W], normalised, and their collated targets, both on `device`. Batches before the
    one that is asked for are not read.
    """
    spec, augment = InputSpec.model_validate(job.spec["input"]), Augmentation.model_validate(job.spec["augment"])
    images = ImageTensors(SampleStore(job.input("index"), job.input("train"), "train"), spec, task)

    def epoch_batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        raw = batches(images, batch_size, seed=seed, epoch=epoch, augment=augment, start=start, **_ahead(device))
        return map(partial(_prepared, spec, task, device), raw)

    return epoch_batches, len(images) // batch_size


def validation_batches(job: RunningJob, task: Task, device: torch.device) -> Batches:
    """Return a function from an epoch to the validation batches, always in the same order; see `training_batches`."""
    spec = InputSpec.model_validate(job.spec["input"])
    images = ImageTensors(SampleStore(job.input("index"), job.input("val"), "val"), spec, task)

    def all_batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        raw = batches(images, task.evaluation_batch, seed=None, start=start, **_ahead(device))
        return map(partial(_prepared, spec, task, device), raw)

    return all_batches


def _ahead(device: torch.device) -> dict[str, Any]:
    """Return how batches are made ahead: no result depends on it."""
    return {"workers": wanted_workers(), "pinned": device.type == "cuda"}


def _prepared(spec: PixelSpec, task: Task, device: torch.device, batch: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
    images = normalise(batch[0].to(device, non_blocking=True), spec)
    return images.contiguous(memory_format=torch.channels_last), task.moved(batch[1], device)
