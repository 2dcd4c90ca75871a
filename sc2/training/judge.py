"""How well a network answers on the validation split, by its task's own measure."""

from __future__ import annotations

from typing import Any

from sc2.tasks.base import Scorer, Task


class Judge:
    """Scores answers in the network's pixels; `begin`, `add` for every batch, `result`.

    Attributes:
        select: The number that picks the epoch to keep, and its better direction.
    """

    def __init__(self, task: Task, num_classes: int) -> None:
        self.task = task
        self.select = task.select
        self._num_classes = num_classes
        self._scorer: Scorer = task.scorer(num_classes)

    def begin(self) -> None:
        """Forget what was added."""
        self._scorer = self.task.scorer(self._num_classes)

    def add(self, output: Any, targets: Any) -> None:
        """Take a network's output for a batch, and the batch's targets."""
        for answer, target in zip(self.task.answers(output), self.task.single(targets), strict=True):
            self._scorer.add(answer, target)

    def result(self) -> dict[str, float]:
        """Return the number that epochs are picked by; NaN where it is not defined."""
        name, _ = self.select
        value = self._scorer.summary()[name]
        return {name: float("nan") if value is None else value}
