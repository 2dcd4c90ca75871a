"""How long a step of a training takes on this machine, and how much it computes: the real loop on noise."""

import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sc2.data.source import Box
from sc2.tasks.base import Task
from sc2.training.arithmetic import PLAIN, Arithmetic
from sc2.training.computing import Computing
from sc2.training.loop import fit
from sc2.training.recipe import Recipe

WARM, TIMED = 2, 5
"""Steps before the timing, and most steps that are timed."""
ENOUGH_S = 10.0
"""Steps are timed no longer than this, once one has been."""
_LEAST_BATCH = 2
"""Images whose operations are counted: batch norms need two values where a network has one per image."""


@dataclass(frozen=True)
class StepTime:
    """What was measured of a training.

    Attributes:
        seconds: Median time of a step: forward, backward and update, without reading images.
        gpu_bytes: Most memory of the GPU in use; None without one.
        checkpoint_bytes: Bytes of the weights that the phase saves.
    """

    seconds: float
    gpu_bytes: int | None
    checkpoint_bytes: int


class _Noise:
    """Stands in for a split: as many samples of random content as are asked for, with whatever a task needs."""

    def __init__(self, size: tuple[int, int], num_classes: int) -> None:
        self.size, self.num_classes = size, num_classes
        self.labels = _Endless(num_classes)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return one box in the middle of the image."""
        width, height = self.size
        return (Box(width // 4, height // 4, 3 * width // 4, 3 * height // 4, index % self.num_classes),)

    def mask(self, index: int) -> Image.Image:
        """Return a random label for each pixel."""
        generator = np.random.default_rng(index)
        return Image.fromarray(generator.integers(0, self.num_classes + 1, self.size[::-1], dtype=np.uint8))


class _Endless:
    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def __getitem__(self, index: int) -> int:
        return index % self.num_classes


class _Enough(Exception):
    """Ends the loop after the last timed step."""


def step_time(
    recipe: Recipe, task: Task, size: tuple[int, int], num_classes: int, arithmetic: Arithmetic = PLAIN
) -> StepTime:
    """Train a recipe for a few steps on noise, in the loop that every training goes through.

    Args:
        recipe: The training; its weights are changed.
        task: The task.
        size: Width and height of the network's input, pixels.
        num_classes: Classes of the data set.
        arithmetic: In what numbers to compute, and how.

    Raises:
        ConfigError: This machine cannot compute that way.
    """
    computing = Computing.here(arithmetic)
    computing.place(recipe)
    if computing.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    images, targets = _batch(recipe, task, size, num_classes, computing)
    times: list[float] = []

    def noise(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        for _ in range(start, WARM + TIMED):
            times.append(_now(computing))
            if len(times) > WARM + 1 and times[-1] - times[WARM] > ENOUGH_S:
                raise _Enough
            yield images, targets
        times.append(_now(computing))
        raise _Enough

    with TemporaryDirectory() as folder, suppress(_Enough):
        state, steps = Path(folder) / "state.pt", WARM + TIMED
        trained = computing.training(recipe)
        fit(trained, noise, noise, seed=0, state_path=state, label="step time", steps_per_epoch=steps)
    return StepTime(
        statistics.median(after - before for before, after in pairwise(times[WARM:])),
        torch.cuda.max_memory_allocated() if computing.on_gpu else None,
        tensor_bytes(recipe.model.state_dict()),
    )


def step_flops(recipe: Recipe, task: Task, size: tuple[int, int], num_classes: int) -> int:
    """Return the floating-point operations of a step per image, forwards and backwards, two for a multiply-accumulate.

    Counted are convolutions, products of matrices and attention, where torch counts them (`torch.utils.flop_counter`;
    `sc2.measure.macs` counts forwards alone), in one step on the fewest images that the task trains on, in the loop
    that every training goes through. A step's operations grow with its images but for what is done once, the update of
    the weights, which is not counted.

    Args:
        recipe: The training; its weights are changed.
        task: The task.
        size: Width and height of the network's input, pixels.
        num_classes: Classes of the data set.
    """
    computing = Computing.here(PLAIN)
    computing.place(recipe)
    few = replace(recipe, batch_size=max(_LEAST_BATCH, task.least_batch))

    def noise(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        yield _batch(few, task, size, num_classes, computing)
        raise _Enough

    with TemporaryDirectory() as folder, FlopCounterMode(display=False) as counter, suppress(_Enough):
        state = Path(folder) / "state.pt"
        fit(few, noise, noise, seed=0, state_path=state, label="operations of a step", steps_per_epoch=2)
    return int(counter.get_total_flops()) // few.batch_size


def _batch(
    recipe: Recipe, task: Task, size: tuple[int, int], num_classes: int, computing: Computing
) -> tuple[Tensor, Any]:
    """Return images and targets of one step, on the device."""
    store: Any = _Noise(size, num_classes)
    images = computing.images(torch.randn(recipe.batch_size, 3, size[1], size[0], device=computing.device))
    targets = task.collate([task.target(store, index) for index in range(recipe.batch_size)])
    return images, task.moved(targets, computing.device)


def _now(computing: Computing) -> float:
    """Return the time, once the device has done all that it was given."""
    if computing.on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter()


def tensor_bytes(content: Any) -> int:
    """Return the bytes of all tensors in nested mappings and lists."""
    if isinstance(content, Tensor):
        return content.numel() * content.element_size()
    if isinstance(content, dict):
        return sum(map(tensor_bytes, content.values()))
    return sum(map(tensor_bytes, content)) if isinstance(content, list | tuple) else 0
