"""Trainings that first learn the features of the cut alone (`features_first`), around the step where that ends."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sc2.training.state import TrainingState
from tests.contract.conftest import Case, eight_images, make_case, phase_recipe, run_recipe, teacher_of

INPUT = {"resize": 32, "crop": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
STEPS = 8
FIRST = 3
"""Steps of features alone, of two epochs of four steps each: the change is within the first epoch."""


class Watched:
    """A training whose optimiser and weights are looked at before every step.

    Args:
        case: The method.
        killed_at: The step, from 0, that does not happen: the process is gone.
    """

    def __init__(self, case: Case, killed_at: int | None = None) -> None:
        self.case, self.killed_at = case, killed_at
        self.recipe: Any = phase_recipe(case, "joint", seed=0)
        self.tail: list[dict[str, Tensor]] = []
        self.steps: list[tuple[set[int], set[int]]] = []
        self.rates: list[float] = []
        self.terms: list[dict[str, float]] = []
        make, step, progress = self.recipe.optimizer, self.recipe.step, self.recipe.progress

        def optimizer(parameters: Any) -> torch.optim.Optimizer:
            self.optimizer: torch.optim.Optimizer = make(parameters)
            return self.optimizer

        def watched(images: Tensor, targets: Any) -> Any:
            if self.now == self.killed_at:
                raise Killed
            self.look()
            terms = step(images, targets)
            self.terms.append({name: value.item() for name, value in terms.items()})
            return terms

        def at(done: float) -> None:
            self.now = round(done * STEPS)
            progress(done)

        self.recipe.optimizer, self.recipe.step, self.recipe.progress = optimizer, watched, at

    def look(self) -> None:
        """Note the weights after the cut, how many steps Adam counts before and after it, and the learning rate."""
        tail = self.recipe.model.tail
        self.tail.append({name: value.detach().clone() for name, value in tail.state_dict().items()})
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        after = {id(parameter) for parameter in tail.parameters()}
        counted = [(id(parameter) in after, self._steps_of(parameter)) for parameter in trained]
        before, behind = ({steps for is_after, steps in counted if is_after == part} for part in (False, True))
        self.steps.append((before, behind))
        group = self.optimizer.param_groups[0]
        self.rates.append(group["lr"] / group["initial_lr"])

    def _steps_of(self, parameter: Tensor) -> int:
        state = self.optimizer.state.get(parameter, {})
        return int(state["step"]) if state else 0

    def run(self, images: np.ndarray, path: Path) -> dict[str, Tensor]:
        """Train, or go on where the state at a path stands, and return the weights."""
        run_recipe(self.recipe, self.case, images, LABELS, seed=0, state_path=path)
        weights: dict[str, Tensor] = self.recipe.model.state_dict()
        return weights


class Killed(BaseException):
    """Stands in for SIGKILL: nothing is done about it."""


Whole = tuple[Watched, dict[str, Tensor]]


@pytest.fixture(scope="module")
def case() -> Case:
    """A tiny split with eight steps, three of them of features alone."""
    joint = {"epochs": 2, "batch_size": 2, "features_first": FIRST / STEPS}
    return make_case("gained_student", "0", INPUT, teacher_of("classification"), {"phases": {"joint": joint}})


@pytest.fixture(scope="module")
def whole(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A training that nothing interrupts, and its weights."""
    watched = Watched(case)
    weights = watched.run(eight_images(), tmp_path_factory.mktemp("whole") / "state.pt")
    return watched, weights


def test_what_comes_after_the_cut_is_trained_from_the_change_on(whole: Whole) -> None:
    watched, _ = whole
    assert [terms["task"] > 0 for terms in watched.terms] == [False] * FIRST + [True] * (STEPS - FIRST)
    assert len({tuple(terms) for terms in watched.terms}) == 1  # the columns of the history
    first = watched.tail[0]
    for weights in watched.tail[: FIRST + 1]:
        assert all(torch.equal(value, first[name]) for name, value in weights.items())
    changed = [any(not torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(watched.tail)]
    assert changed == [False] * FIRST + [True] * (STEPS - FIRST - 1)


def test_the_optimiser_begins_anew_at_the_change(whole: Whole) -> None:
    """Its moments are those of another loss; the first step of the rest counts as the first of all."""
    watched, _ = whole
    assert watched.steps[: FIRST + 1] == [({step}, {0}) for step in range(FIRST + 1)]
    assert watched.steps[FIRST + 1 :] == [({step}, {step}) for step in range(1, STEPS - FIRST)]


def test_each_part_has_its_own_cycle_of_the_learning_rate(whole: Whole) -> None:
    """The rise over 15 % of a part is over before its first step ends; then a cosine falls to zero."""
    watched, _ = whole
    falls = [((step + 1) / steps - 0.15) / 0.85 for steps in (FIRST, STEPS - FIRST) for step in range(steps)]
    assert watched.rates == pytest.approx([0.5 * (1 + math.cos(math.pi * fall)) for fall in falls], abs=1e-6)


@pytest.mark.parametrize("killed_at", range(1, FIRST + 3))
def test_a_training_killed_around_the_change_ends_with_the_same_weights(
    case: Case,
    whole: Whole,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: int,
) -> None:
    monkeypatch.setattr(TrainingState, "is_due", True)
    images, path = eight_images(), tmp_path / "state.pt"
    with pytest.raises(Killed):
        Watched(case, killed_at).run(images, path)
    resumed = Watched(case)
    weights = resumed.run(images, path)
    assert len(resumed.terms) == STEPS - killed_at
    for name, value in whole[1].items():
        assert torch.equal(value, weights[name]), name
