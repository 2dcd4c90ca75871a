"""The quality of a network on the validation split, by its task's own measure."""

from __future__ import annotations

from typing import Any

from sc2.tasks.base import Scorer, Task


class Judge:
    """Scores predictions in pixels of the network's input: call `begin`, `add` for every batch, then `result`.

    Attributes:
        select: The measure that picks the epoch to keep, and its better direction.
    """

    def __init__(self, task: Task, num_classes: int) -> None:
        self.task = task
        self.select = task.select
        self._num_classes = num_classes
        self._scorer: Scorer = task.scorer(num_classes)

    def begin(self) -> None:
        """Discard everything that was added."""
        self._scorer = self.task.scorer(self._num_classes)

    def add(self, output: Any, targets: Any) -> None:
        """Add a network's output for a batch, e.g. logits [B, K], and the collated targets of the batch."""
        for answer, target in zip(self.task.answers(output), self.task.single(targets), strict=True):
            self._scorer.add(answer, target)

    def result(self) -> dict[str, float]:
        """Return the measure that picks the epoch; NaN where it is undefined."""
        name, _ = self.select
        value = self._scorer.summary()[name]
        return {name: float("nan") if value is None else value}
