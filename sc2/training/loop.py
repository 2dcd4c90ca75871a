"""The training loop: every phase of every method and every teacher goes through `fit`.

All randomness in an epoch depends on (seed, epoch) only. The whole state is saved after each epoch, at least every ten
minutes within one, and when a signal asks for the end: a training that was interrupted and started again ends with the
same weights.
"""

import hashlib
import math
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from sc2.errors import SC2Error
from sc2.training.recipe import Recipe
from sc2.training.shares import WHOLE, Division
from sc2.training.state import History, TrainingState
from sc2.training.stopping import Stopped, Stopping


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

    Returns:
        One row per epoch: `epoch`, `train_*` means over the epoch and `val_*`; without epochs one row of `val_*`.

    Raises:
        SC2Error: The loss is not finite.
        CheckpointError: The state of the interrupted training is damaged.
        Stopped: A signal has asked for the end; the state is saved.
    """
    state = _begun(recipe, None if division.rank else state_path)
    if state.load(state_path):
        _say(division, f"[{label}] resumes {_progress(state, steps_per_epoch)}")
    for group in state.optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    with Stopping(division.any_asks if division.processes > 1 else None) as stopping:
        try:
            while state.epoch < recipe.epochs:
                _epoch(state, train, val, stopping, division, seed=seed, label=label, steps=steps_per_epoch)
            _keep(state, train, val)
        except Stopped as stop:
            with stopping.ignored():
                state.save()
            done = _progress(state, steps_per_epoch)
            raise Stopped(f"{stop} {done}; the state is saved, and the same command goes on from there") from None
    return state.history


def _begun(recipe: Recipe, path: Path | None) -> TrainingState:
    recipe.set_modes()
    optimizer = recipe.optimizer(recipe.trained_parameters())
    auxiliary = None
    if recipe.auxiliary is not None:
        auxiliary = torch.optim.Adam(recipe.auxiliary_parameters, lr=recipe.auxiliary_lr)
    return TrainingState(recipe, optimizer, auxiliary, path)


def _progress(state: TrainingState, steps: int) -> str:
    done = f" and {state.step} of {steps} steps" if state.step else ""
    return f"after epoch {state.epoch} of {state.recipe.epochs}{done}"


def _say(division: Division, text: str) -> None:
    if not division.rank:
        print(text, file=sys.stderr, flush=True)


def _epoch(
    state: TrainingState,
    train: Batches,
    val: Batches,
    stopping: Stopping,
    division: Division,
    *,
    seed: int,
    label: str,
    steps: int,
) -> None:
    recipe, total = state.recipe, steps * state.recipe.epochs
    recipe.set_modes()
    for images, targets in _rest(state, train, seed=seed, label=label, steps=steps):
        with stopping.held():
            step = state.epoch * steps + state.step
            recipe.progress(step / total)
            factor = recipe.learning_rate(step, total)
            for group in state.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            state.stepped(_step(state, division, images, targets))
            if state.is_due:
                state.save()
    row = {"epoch": float(state.epoch + 1)}
    row |= {f"train_{name}": value / steps for name, value in state.sums.items()}
    row |= {f"val_{name}": value for name, value in validate(recipe, val).items()}
    with stopping.held():
        state.validated(row)
        _keep_if_better(state, row)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
        state.save()
        _say(division, f"[{label}] epoch {state.epoch}/{recipe.epochs}  {shown}")


def _rest(state: TrainingState, train: Batches, *, seed: int, label: str, steps: int) -> Iterator[tuple[Tensor, Any]]:
    """Yield the batches of the epoch that are left, and set what is random in their steps.

    What iterating over batches draws itself does not count: it depends on how they are read.
    """
    if state.step == steps:
        return
    batches = train(state.epoch, state.step)
    first = list(islice(batches, 1))
    if state.step:
        state.draw_on()
    else:
        torch.manual_seed(derived_seed(seed, state.epoch))
    every = chain(first, batches)
    yield from tqdm(every, total=steps, initial=state.step, desc=label, leave=False, disable=not sys.stderr.isatty())


def _keep(state: TrainingState, train: Batches, val: Batches) -> None:
    """Load the weights of the epoch to keep, and do what the recipe does with them."""
    recipe = state.recipe
    if not recipe.epochs:
        # Nothing to train, e.g. published weights used unchanged: the history is their validation result.
        state.history.append({"epoch": 0.0} | {f"val_{name}": value for name, value in validate(recipe, val).items()})
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


def validate(recipe: Recipe, val: Batches) -> dict[str, float]:
    """Return the validation terms per image and the judge's measure, in eval mode and without gradients.

    `val` yields images [B, 3, H, W] and their targets.
    """
    recipe.model.eval()
    sums: dict[str, float] = {}
    images_seen = 0
    if recipe.judge is not None:
        recipe.judge.begin()
    with torch.no_grad():
        for images, targets in val(0):
            images_seen += len(targets)
            for name, value in recipe.validate(images, targets).items():
                sums[name] = sums.get(name, 0.0) + value.item()
    judged = recipe.judge.result() if recipe.judge is not None else {}
    return {name: value / images_seen for name, value in sums.items()} | judged


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
