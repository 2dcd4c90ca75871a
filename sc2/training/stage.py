"""Stage `train`: one phase of one run, from a reference model and the phase before."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sc2.data.images import ImageTensors, batches
from sc2.data.normalise import normalise
from sc2.data.store import SampleStore
from sc2.halves import load_checkpoint, load_phase
from sc2.job import RunningJob
from sc2.methods import get_method
from sc2.methods.base import BuildContext
from sc2.tasks.base import Task
from sc2.training.loop import Batches, fit, save_atomically
from sc2.training.recipe import Recipe
from sc2.training.tables import write_history


def run(job: RunningJob) -> None:
    """Train one phase and write its checkpoint (`method`, `phase`, `state`) and its history."""
    method = get_method(job.keys["method"])
    teacher = load_checkpoint(job.input("teacher"), "teacher")
    encoders = [load_phase(path, job.keys["method"]) for path in job.input_list("encoder")]
    encoder = encoders[0] if encoders else None
    context = BuildContext(job.spec["arch"], job.keys["point"], job.spec["input"], teacher, encoder)
    # Initial weights depend on the seed, not on what ran before in this process.
    torch.manual_seed(int(job.keys["seed"]))
    recipe = method.training(job.keys["phase"], job.spec["phase"], context)
    for path in job.input_list("previous"):
        recipe.model.load_state_dict(load_phase(path, job.keys["method"]))
    train_recipe(recipe, job, context.task, seed=int(job.keys["seed"]))
    content = {"kind": "phase", "method": job.keys["method"], "phase": job.keys["phase"]}
    save_atomically({**content, "state": recipe.model.state_dict()}, job.outputs["checkpoint"])
    state_path(job).unlink(missing_ok=True)


def train_recipe(recipe: Recipe, job: RunningJob, task: Task, *, seed: int) -> None:
    """Train a recipe on the job's data and write the history."""
    torch.set_num_threads(job.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Channels last: the same numbers to rounding, and a quarter less time for the small convolutions on a CPU.
    for module in (recipe.model, *recipe.frozen):
        module.to(device).to(memory_format=torch.channels_last)
    train, steps = training_batches(job, task, recipe.batch_size, seed, device)
    history = fit(
        recipe,
        train,
        validation_batches(job, task, device),
        seed=seed,
        state_path=state_path(job),
        label=job.label,
        steps_per_epoch=steps,
    )
    recipe.model.to("cpu").to(memory_format=torch.contiguous_format)
    write_history(history, job.outputs["history"])


def state_path(job: RunningJob) -> Path:
    """Where an interrupted training keeps its state: outside the outputs, which the workflow removes on failure.

    The name holds the record's id, so that a state is only ever taken up by the very same job.
    """
    return Path("scratch") / "training" / f"{job.record_id}.pt"


def training_batches(
    job: RunningJob, task: Task, batch_size: int, seed: int, device: torch.device
) -> tuple[Batches, int]:
    """Return the training batches of an epoch and their number."""
    images = ImageTensors(SampleStore(job.input("index"), job.input("train"), "train"), job.spec["input"], task)

    def epoch_batches(epoch: int) -> Iterator[tuple[Tensor, Any]]:
        raw = batches(images, batch_size, seed=seed, epoch=epoch, augment=job.spec["augment"])
        return map(partial(_prepared, job.spec["input"], task, device), raw)

    return epoch_batches, len(images) // batch_size


def validation_batches(job: RunningJob, task: Task, device: torch.device) -> Batches:
    """Return the validation images in order."""
    images = ImageTensors(SampleStore(job.input("index"), job.input("val"), "val"), job.spec["input"], task)

    def all_batches(epoch: int) -> Iterator[tuple[Tensor, Any]]:
        raw = batches(images, task.evaluation_batch, seed=None)
        return map(partial(_prepared, job.spec["input"], task, device), raw)

    return all_batches


def _prepared(spec: dict[str, Any], task: Task, device: torch.device, batch: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
    images = normalise(batch[0].to(device), spec)
    return images.contiguous(memory_format=torch.channels_last), task.moved(batch[1], device)
