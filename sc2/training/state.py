"""What an interrupted training needs to go on as if nothing had happened: all that changes from step to step."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sc2.checkpoint import save_atomically
from sc2.errors import CheckpointError
from sc2.training.recipe import Recipe
from sc2.training.shares import chance, draw_from

SAVE_EVERY_S = 600.0
"""Seconds of training after which the state is saved in the middle of an epoch: more is never lost to SIGKILL."""

History = list[dict[str, float]]


class Begun(NamedTuple):
    """A training and where its state is, or will be.

    Attributes:
        recipe: What to train and how.
        state_path: Where the state is kept.
        label: Shown at the start of each progress line.
    """

    recipe: Recipe
    state_path: Path
    label: str


@dataclass(eq=False)
class TrainingState:
    """A training between two steps.

    Attributes:
        recipe: Its model holds the weights.
        optimizer: Of the trained parameters.
        auxiliary: Of the recipe's auxiliary parameters, if any.
        path: Where the state is saved; None in a process that does not write.
        label: Shown at the start of each progress line.
        epoch: Epochs done, their validation included.
        step: Steps done of the epoch after these.
        sums: Sums of the terms of these steps, for the epoch's means.
        history: A row per epoch done.
        best: The best epoch so far: `value`, `epoch` and `model`; None before the first and without selection.
    """

    recipe: Recipe
    optimizer: torch.optim.Optimizer
    auxiliary: torch.optim.Optimizer | None
    path: Path | None
    label: str
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: History = field(default_factory=list)
    best: dict[str, Any] | None = None
    _chance: list[Tensor] = field(default_factory=list)
    _saved: tuple[int, int] = (0, 0)
    _saved_s: float = field(default_factory=lambda: time.monotonic())  # noqa: PLW0108

    @property
    def is_done(self) -> bool:
        """Whether all epochs are over."""
        return self.epoch >= self.recipe.epochs

    def draw_later(self) -> None:
        """Let the random numbers of the next step be those that would be drawn now."""
        self._chance = chance()

    def draw_on(self) -> None:
        """Let random numbers go on where those of the last step have ended."""
        draw_from(self._chance)

    def stepped(self, terms: dict[str, float]) -> None:
        """Count a step with these terms of its loss."""
        self.step += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        # Taken now: what is drawn before the next step, by whoever, is not part of the training.
        self._chance = chance()

    def validated(self, row: dict[str, float]) -> None:
        """Count an epoch with this row of the history."""
        self.epoch, self.step, self.sums, self._chance = self.epoch + 1, 0, {}, []
        self.history.append(row)

    @property
    def is_due(self) -> bool:
        """Whether it is time to save in the middle of an epoch."""
        return time.monotonic() - self._saved_s >= SAVE_EVERY_S

    def save(self) -> None:
        """Save, unless nothing has been trained since it was saved last."""
        if self.path is None or (self.epoch, self.step) == self._saved:
            return
        content = {
            "model": self.recipe.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "auxiliary": self.auxiliary.state_dict() if self.auxiliary else None,
            "epoch": self.epoch,
            "step": self.step,
            "sums": self.sums,
            "history": self.history,
            "best": self.best,
            "chance": self._chance,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_atomically(content, self.path)
        self._saved, self._saved_s = (self.epoch, self.step), time.monotonic()

    def load(self, path: Path) -> bool:
        """Take up a saved state and return whether there is one.

        Raises:
            CheckpointError: It is damaged.
        """
        if not path.is_file():
            return False
        try:
            content = torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:  # torch raises all kinds of errors on a damaged file
            reason = str(error).partition("\n")[0][:160] or type(error).__name__
            raise CheckpointError(
                f"{path}: the state of an interrupted training is damaged ({reason}); delete it to start over"
            ) from error
        self.recipe.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.auxiliary:
            self.auxiliary.load_state_dict(content["auxiliary"])
        self.epoch, self.step, self.sums = content["epoch"], content["step"], content["sums"]
        self.history, self.best, self._chance = content["history"], content["best"], content["chance"]
        self._saved = (self.epoch, self.step)
        return True
