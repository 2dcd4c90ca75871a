"""The training loop: every phase of every method and every teacher goes through `fit`.

All randomness in an epoch depends on (seed, epoch) only. The whole state is saved after each epoch, at least every ten
minutes within one, and when a signal asks for the end: a training that was interrupted and started again ends with the
same weights. Several trainings may take the same batches, each with its own weights, random numbers and state: each
does what it would do alone, at whatever step it was interrupted.
"""

import hashlib
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from sc2.errors import SC2Error
from sc2.training.recipe import Recipe
from sc2.training.shares import WHOLE, Division
from sc2.training.state import Begun, History, TrainingState
from sc2.training.stopping import Stopped, Stopping
from sc2.training.validation import Validation, validate


class Batches(Protocol):
    """The batches of an epoch."""

    def __call__(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        """Yield images float [B, 3, H, W], normalised, and their targets, of length B, from batch number `start` on."""


def fit(
    recipe: Recipe,
    train: Batches,
    val: Batches,
    *,
    seed: int,
    state_path: Path,
    label: str,
    steps_per_epoch: int,
    division: Division = WHOLE,
    others: Iterable[Begun] = (),
) -> History:
    """Train one phase; afterwards the recipe's model holds the weights that were kept.

    Args:
        recipe: What to train and how.
        train: Training batches of an epoch, images [B, 3, H, W] and targets; see `Batches`.
        val: Validation batches, the same in every epoch.
        seed: Seed of the run.
        state_path: Where the state is kept; removed by the caller once the result is saved.
        label: Shown at the start of each progress line.
        steps_per_epoch: Number of training batches per epoch.
        division: Which part of each training batch this process computes, and how many images at once.
        others: Trainings that take the same batches. Their states are saved, the last one as well, and `fit` goes on
            from it to a training's result. One that fails is left where it is. They are not asked for if nothing is
            left to train of the recipe itself.

    Returns:
        One row per epoch: `epoch`, `train_*` means over the epoch and `val_*`; without epochs one row of `val_*`.

    Raises:
        SC2Error: The loss is not finite.
        CheckpointError: The state of the interrupted training is damaged.
        Stopped: A signal has asked for the end; the states are saved.
    """
    loop = _Loop(train, val, division, seed=seed, steps=steps_per_epoch)
    own = loop.begin(Begun(recipe, state_path, label))
    if not own.is_done:
        for other in others:
            loop.begin(other)
    with Stopping(division.any_asks if division.processes > 1 else None) as stopping:
        try:
            loop.run(stopping)
            _keep(own, train, val)
        except Stopped as stop:
            with stopping.ignored():
                loop.save()
            done = _progress(own, steps_per_epoch)
            raise Stopped(f"{stop} {done}; the state is saved, and the same command goes on from there") from None
    return own.history


def _progress(state: TrainingState, steps: int) -> str:
    done = f" and {state.step} of {steps} steps" if state.step else ""
    return f"after epoch {state.epoch} of {state.recipe.epochs}{done}"


@dataclass
class _Loop:
    """Trainings that take the same batches; the first one is the one that the process is for.

    Attributes:
        train: Training batches; see `fit`.
        val: Validation batches.
        division: Which part of each batch this process computes.
        seed: Seed of the run.
        steps: Training batches per epoch.
        together: The trainings, without those that have failed.
    """

    train: Batches
    val: Batches
    division: Division
    seed: int
    steps: int
    together: list[TrainingState] = field(default_factory=list)

    def begin(self, begun: Begun) -> TrainingState:
        """Add a training, where it was interrupted or from the start."""
        recipe = begun.recipe
        recipe.set_modes()
        optimizer = recipe.optimizer(recipe.trained_parameters())
        auxiliary = None
        if recipe.auxiliary is not None:
            auxiliary = torch.optim.Adam(recipe.auxiliary_parameters, lr=recipe.auxiliary_lr)
        path = None if self.division.rank else begun.state_path
        state = TrainingState(recipe, optimizer, auxiliary, path, begun.label)
        self.together.append(state)
        with self._trying(state):
            if state.load(begun.state_path):
                self._say(f"[{state.label}] resumes {_progress(state, self.steps)}")
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        return state

    def run(self, stopping: Stopping) -> None:
        """Train until all trainings are done: those that are behind first, until they are where the others are."""
        while left := [state for state in self.together if not state.is_done]:
            epoch = min(state.epoch for state in left)
            self._epoch([state for state in left if state.epoch == epoch], stopping)

    def save(self) -> None:
        """Save all states."""
        for state in self.together:
            state.save()

    def _epoch(self, states: list[TrainingState], stopping: Stopping) -> None:
        """Train what is left of an epoch, and validate."""
        for state in states:
            state.recipe.set_modes()
            if not state.step:
                torch.manual_seed(derived_seed(self.seed, state.epoch))
                state.draw_later()
        for number, (images, targets) in self._rest(states):
            for state in self._working(states):
                if state.step == number:
                    with self._trying(state), stopping.held():
                        self._step(state, images, targets)
        validations = {state: Validation(state.recipe) for state in self._working(states)}
        for images, targets in self.val(0):
            for state in self._working(states):
                with self._trying(state):
                    validations[state].add(images, targets)
        for state in self._working(states):
            with self._trying(state), stopping.held():
                self._validated(state, validations[state].result())

    def _working(self, states: Sequence[TrainingState]) -> list[TrainingState]:
        return [state for state in states if state in self.together]

    def _rest(self, states: Sequence[TrainingState]) -> Iterator[tuple[int, tuple[Tensor, Any]]]:
        """Yield number and content of the batches of the epoch that are left for any of the trainings."""
        start, label = min(state.step for state in states), self.together[0].label
        if start == self.steps:
            return
        every = self.train(states[0].epoch, start)
        quiet = not sys.stderr.isatty()
        yield from enumerate(
            tqdm(every, total=self.steps, initial=start, desc=label, leave=False, disable=quiet), start
        )

    def _step(self, state: TrainingState, images: Tensor, targets: Any) -> None:
        recipe, total = state.recipe, self.steps * state.recipe.epochs
        step = state.epoch * self.steps + state.step
        recipe.progress(step / total)
        factor = recipe.learning_rate(step, total)
        for group in state.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        # What else is drawn does not count: by another training, or by whatever reads batches.
        state.draw_on()
        state.stepped(_step(state, self.division, images, targets))
        if state.is_due:
            state.save()

    def _validated(self, state: TrainingState, terms: dict[str, float]) -> None:
        row = {"epoch": float(state.epoch + 1)}
        row |= {f"train_{name}": value / self.steps for name, value in state.sums.items()}
        row |= {f"val_{name}": value for name, value in terms.items()}
        state.validated(row)
        _keep_if_better(state, row)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
        state.save()
        self._say(f"[{state.label}] epoch {state.epoch}/{state.recipe.epochs}  {shown}")

    @contextmanager
    def _trying(self, state: TrainingState) -> Iterator[None]:
        """Leave a training that fails, unless it is the one that the process is for."""
        try:
            yield
        except Stopped:
            raise
        except SC2Error as error:
            if state is self.together[0]:
                raise
            # Its own job goes on from its last state, and says what is wrong.
            self.together.remove(state)
            self._say(f"[{state.label}] is left to its own job, because it fails: {error}")

    def _say(self, text: str) -> None:
        if not self.division.rank:
            print(text, file=sys.stderr, flush=True)


def _keep(state: TrainingState, train: Batches, val: Batches) -> None:
    """Load the weights of the epoch to keep, and do what the recipe does with them."""
    recipe = state.recipe
    if not recipe.epochs:
        # Nothing to train, e.g. published weights used unchanged: the history is their validation result.
        state.history.append(
            {"epoch": 0.0} | {f"val_{name}": value for name, value in validate(recipe, val(0)).items()}
        )
    if state.best is not None:
        recipe.model.load_state_dict(state.best["model"])
    recipe.model.eval()
    if recipe.epochs:
        # Weights that were not trained stay unchanged, published ones to the last bit.
        recipe.finish()
    if recipe.calibrate is not None:
        with torch.no_grad():
            recipe.calibrate(images for images, _ in train(state.epoch))


def _step(state: TrainingState, division: Division, images: Tensor, targets: Any) -> dict[str, float]:
    recipe = state.recipe
    state.optimizer.zero_grad(set_to_none=True)
    terms = division.step(recipe, images, targets)
    # All at once: the one time in a step that a GPU is waited for.
    values = dict(zip(terms, torch.stack([value.detach() for value in terms.values()]).tolist(), strict=True))
    if not math.isfinite(values["loss"]):
        raise SC2Error(f"the loss is {values['loss']} in epoch {state.epoch + 1}; lower the learning rate")
    if recipe.clip is not None:
        torch.nn.utils.clip_grad_norm_(recipe.trained_parameters(), recipe.clip)
    state.optimizer.step()
    if state.auxiliary is not None and recipe.auxiliary is not None:
        # After the main step and with separate gradients: the quantiles follow the density and never change it.
        state.auxiliary.zero_grad(set_to_none=True)
        recipe.auxiliary().backward()
        state.auxiliary.step()
    return values


def _keep_if_better(state: TrainingState, row: dict[str, float]) -> None:
    if state.recipe.select is None:
        return
    term, direction = state.recipe.select
    value = row[f"val_{term}"]
    if not math.isfinite(value):
        raise SC2Error(
            f"{term} is {value} on the validation split after epoch {state.epoch}: lower the learning rate, or, if the "
            "split holds no objects, add images to it"
        )
    if state.best is None or (value < state.best["value"] if direction == "min" else value > state.best["value"]):
        weights = {name: tensor.detach().clone() for name, tensor in state.recipe.model.state_dict().items()}
        state.best = {"value": value, "epoch": state.epoch, "model": weights}


def derived_seed(*parts: int | str) -> int:
    """Return a seed that depends on all parts, for `torch.manual_seed`."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
