"""Trains a recipe on a job's data: teachers and the phases of every method go through here."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import starmap
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
from sc2.training.arithmetic import Arithmetic
from sc2.training.computing import Computing
from sc2.training.history import write_history
from sc2.training.loop import Batches, fit
from sc2.training.processes import division, is_first
from sc2.training.recipe import Recipe
from sc2.training.state import Begun


def train_recipe(
    recipe: Recipe, job: RunningJob, task: Task, *, seed: int, others: Iterable[tuple[Recipe, RunningJob]] = ()
) -> None:
    """Train a recipe on the job's data and write the history.

    Args:
        recipe: What to train.
        job: The job; its data are those of all trainings.
        task: The task.
        seed: Seed of the run.
        others: Recipes and jobs that take the same batches and imitate the same teacher. Their states are left where
            their own jobs find them; see `fit`.
    """
    torch.set_num_threads(job.threads)
    computing = Computing.here(Arithmetic.model_validate(job.spec.get("arithmetic", {})))
    computing.place(recipe)

    def begun(other: Recipe, its_job: RunningJob) -> Begun:
        other.share_teacher(recipe)
        computing.place(other)
        return Begun(computing.training(other), its_job.state, its_job.label)

    train, steps = training_batches(job, task, recipe.batch_size, seed, computing)
    history = fit(
        computing.training(recipe),
        train,
        validation_batches(job, task, computing),
        seed=seed,
        state_path=job.state,
        label=job.label,
        steps_per_epoch=steps,
        division=division(job),
        others=starmap(begun, others),
    )
    recipe.model.to("cpu").to(memory_format=torch.contiguous_format)
    if is_first():
        write_history(history, job.outputs["history"])


def training_batches(
    job: RunningJob, task: Task, batch_size: int, seed: int, computing: Computing
) -> tuple[Batches, int]:
    """Return a function from an epoch to its training batches, and the number of batches.

    A batch is images float32 [B, 3, H, W], normalised, and their collated targets, both where `computing` places them.
    Batches before the one that is asked for are not read.
    """
    spec, augment = InputSpec.model_validate(job.spec["input"]), Augmentation.model_validate(job.spec["augment"])
    images = ImageTensors(SampleStore(job.input("index"), job.input("train"), "train"), spec, task)

    def epoch_batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        raw = batches(images, batch_size, seed=seed, epoch=epoch, augment=augment, start=start, **_ahead(computing))
        return map(partial(_prepared, spec, task, computing), raw)

    return epoch_batches, len(images) // batch_size


def validation_batches(job: RunningJob, task: Task, computing: Computing) -> Batches:
    """Return a function from an epoch to the validation batches, always in the same order; see `training_batches`."""
    spec = InputSpec.model_validate(job.spec["input"])
    images = ImageTensors(SampleStore(job.input("index"), job.input("val"), "val"), spec, task)

    def all_batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        raw = batches(images, task.evaluation_batch, seed=None, start=start, **_ahead(computing))
        return map(partial(_prepared, spec, task, computing), raw)

    return all_batches


def _ahead(computing: Computing) -> dict[str, Any]:
    """Return how batches are made ahead: no result depends on it."""
    return {"workers": wanted_workers(), "pinned": computing.on_gpu}


def _prepared(spec: PixelSpec, task: Task, computing: Computing, batch: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
    images = normalise(batch[0].to(computing.device, non_blocking=True), spec)
    return computing.images(images), task.moved(batch[1], computing.device)
