"""From the received tensors of a split's images to scores: predictions in batches, in stored-image coordinates."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sc2.data.geometry import Placement
from sc2.data.spec import SizeSpec
from sc2.data.store import SampleStore
from sc2.data.transform import Pixels
from sc2.measure.resampling import GROUP
from sc2.tasks.base import Task


class Answers:
    """Runs a network on received tensors, several images at once, and scores the predictions.

    Tensors are batched by size; the scores are in the order of the split nevertheless. Predictions and targets are
    compared in the coordinates of the stored image.

    Attributes:
        scorer: Holds all predictions once `finish` has been called.
    """

    def __init__(
        self,
        task: Task,
        store: SampleStore,
        spec: SizeSpec,
        num_classes: int,
        answer: Callable[[Tensor], Any],
        batch: int | None = None,
    ) -> None:
        """Set the split to score and the network to run.

        Args:
            task: The task.
            store: The split.
            spec: The network's input.
            num_classes: Classes of the data set.
            answer: Returns the task's output for a batch [B, …] of received tensors of one size.
            batch: Images per batch; by default the task's `evaluation_batch`.
        """
        self.task, self.store, self.spec, self.answer = task, store, spec, answer
        self.batch = task.evaluation_batch if batch is None else batch
        self.scorer = task.scorer(num_classes)
        self._waiting: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
        self._placements: dict[int, Placement] = {}
        self._ready: dict[int, Any] = {}
        self._scored = 0

    def image(self, index: int) -> Pixels:
        """Return an image of the split as the network's input, uint8 [H, W, 3], not to be changed."""
        pixels, self._placements[index] = self.store.prepared(index, self.spec)
        return pixels

    def receive(self, index: int, received: Tensor) -> None:
        """Add the received tensor [1, …] of an image that `image` has returned."""
        waiting = self._waiting.setdefault(tuple(received.shape), [])
        waiting.append((index, received))
        if len(waiting) == self.batch:
            self._run(self._waiting.pop(tuple(received.shape)))

    def finish(self) -> None:
        """Run the network on all tensors still waiting."""
        while self._waiting:
            self._run(self._waiting.popitem()[1])
        assert self._scored == len(self.store), "an image of the split was not received"

    def columns(self) -> dict[str, list[Any]]:
        """Return what is known of each image by name: the scorer's columns, and `group_<kind>` for each kind."""
        groups = self.store.groups()
        return {**{f"{GROUP}{kind}": ids for kind, ids in groups.items()}, **self.scorer.columns()}

    def _run(self, waiting: list[tuple[int, Tensor]]) -> None:
        output = self.answer(torch.cat([received for _, received in waiting]))
        for (index, _), answer in zip(waiting, self.task.answers(output), strict=True):
            self._ready[index] = self.task.restored(answer, self._placements.pop(index))
        while self._scored in self._ready:
            self.scorer.add(self._ready.pop(self._scored), self.task.target(self.store, self._scored))
            self._scored += 1
