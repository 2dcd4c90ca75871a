"""Trainings that are killed or asked to end, at any moment, and end with the weights of those that are not."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sc2.checkpoint import save_atomically
from sc2.training.loop import Batches, fit
from sc2.training.recipe import Recipe, Terms, one_cycle
from sc2.training.state import TrainingState
from sc2.training.stopping import SIGNALS, Stopped, Stopping

EPOCHS, STEPS, BATCH = 3, 5, 4


class Network(nn.Module):
    """Weights with batch statistics and dropout, and a parameter with an optimiser of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 1))
        self.quantile = nn.Parameter(torch.zeros(1))


def train_batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches that depend on the epoch and, as with a DataLoader, draw a number when they begin."""
    torch.rand(epoch + 1)
    generator = torch.Generator().manual_seed(epoch)
    for index in range(STEPS):
        images = torch.randn(BATCH, 3, generator=generator)
        if index >= start:
            yield images, torch.zeros(BATCH)


def val_batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(99)
    for _ in range(2):
        yield torch.randn(BATCH, 3, generator=generator), torch.zeros(BATCH)


def recipe_of(model: Network) -> Recipe:
    """Adam, a schedule, noise, selection and an auxiliary optimiser."""

    def error(images: Tensor) -> Tensor:
        return (model.layers(images).squeeze(1) - images.sum(1)) ** 2

    def step(images: Tensor, targets: Tensor) -> Terms:
        loss = error(images + 0.1 * torch.randn_like(images)).mean()
        return {"loss": loss, "noise": torch.rand(())}

    return Recipe(
        model=model,
        trained=[model],
        step=step,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.05),
        learning_rate=one_cycle(),
        epochs=EPOCHS,
        batch_size=BATCH,
        validate=lambda images, targets: {"loss": error(images).sum()},
        select=("loss", "min"),
        auxiliary=lambda: (model.quantile - torch.rand(1)).abs().sum(),
        auxiliary_parameters=[model.quantile],
        auxiliary_lr=0.1,
    )


Result = tuple[dict[str, Tensor], list[dict[str, float]]]


def train(folder: Path, batches: Batches = train_batches, change: Callable[[Recipe], None] | None = None) -> Result:
    torch.manual_seed(0)
    model = Network()
    recipe = recipe_of(model)
    if change is not None:
        change(recipe)
    path = folder / "state.pt"
    history = fit(recipe, batches, val_batches, seed=0, state_path=path, label="t", steps_per_epoch=STEPS)
    return model.state_dict(), history


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(tmp_path_factory.mktemp("whole"))


def assert_same(one: Result, other: Result) -> None:
    assert one[1] == other[1]
    assert one[0].keys() == other[0].keys()
    for name, value in one[0].items():
        assert torch.equal(value, other[0][name]), name


class Killed(BaseException):
    """Stands in for SIGKILL: nothing is done about it."""


def test_kills_at_random_steps_change_nothing(tmp_path: Path, whole: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed a dozen times, with a state that is now and then some steps old."""
    chance = random.Random(1)
    monkeypatch.setattr(TrainingState, "is_due", property(lambda self: chance.random() < 0.6))
    kills, resumed = 0, set()

    def dying(recipe: Recipe) -> None:
        step, left = recipe.step, chance.randrange(1, 5)

        def dies(images: Tensor, targets: Any) -> Terms:
            nonlocal left
            terms = step(images, targets)
            left -= 1
            if left == 0:
                raise Killed
            return terms

        recipe.step = dies

    while kills < 12:
        try:
            result = train(tmp_path, change=dying)
        except Killed:
            kills += 1
            if (tmp_path / "state.pt").is_file():
                content = torch.load(tmp_path / "state.pt", weights_only=True)
                resumed.add((content["epoch"], content["step"]))
        else:
            assert_same(result, whole)
            (tmp_path / "state.pt").unlink()
    assert len(resumed) > 5
    assert any(step for _, step in resumed)
    assert_same(train(tmp_path), whole)


def in_a_step(number: int) -> Callable[[Recipe], None]:
    def change(recipe: Recipe) -> None:
        step, seen = recipe.step, []

        def signalled(images: Tensor, targets: Any) -> Terms:
            seen.append(1)
            if len(seen) == STEPS + 2:
                os.kill(os.getpid(), number)
            return step(images, targets)

        recipe.step = signalled

    return change


def in_validation(number: int) -> Callable[[Recipe], None]:
    def change(recipe: Recipe) -> None:
        validate, seen = recipe.validate, []

        def signalled(images: Tensor, targets: Any) -> Terms:
            seen.append(1)
            if len(seen) == 3:
                os.kill(os.getpid(), number)
            return validate(images, targets)

        recipe.validate = signalled

    return change


def between_steps(number: int) -> Batches:
    def batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for index, batch in enumerate(train_batches(epoch, start), start):
            if (epoch, index) == (1, 3):
                os.kill(os.getpid(), number)
            yield batch

    return batches


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("where", "done"),
    [
        ("step", "after epoch 1 of 3 and 2 of 5 steps"),
        ("batch", "after epoch 1 of 3 and 3 of 5 steps"),
        ("validation", "after epoch 1 of 3 and 5 of 5 steps"),
    ],
)
def test_a_signal_saves_the_state_and_ends_the_training(
    tmp_path: Path, whole: Result, number: int, where: str, done: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step that has begun is finished, no other one is; what reads batches or validates is left at once."""
    before = [signal.getsignal(each) for each in SIGNALS]
    change = {"step": in_a_step, "validation": in_validation}.get(where)
    batches = between_steps(number) if where == "batch" else train_batches
    with pytest.raises(Stopped, match=f"stopped by {signal.Signals(number).name} {done}; the state is saved"):
        train(tmp_path, batches, change(number) if change else None)
    assert [signal.getsignal(each) for each in SIGNALS] == before
    capsys.readouterr()
    assert_same(train(tmp_path), whole)
    assert f"resumes {done}" in capsys.readouterr().err


def test_a_signal_after_the_last_epoch_loses_nothing(tmp_path: Path, whole: Result) -> None:
    """What is counted on the training images with the kept weights is counted again."""
    calls: list[int] = []

    def change(recipe: Recipe) -> None:
        def calibrate(images: Any) -> None:
            calls.append(len(list(images)))
            if len(calls) == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        recipe.calibrate = calibrate

    with pytest.raises(Stopped, match="after epoch 3 of 3; the state"):
        train(tmp_path, change=change)
    assert_same(train(tmp_path, change=change), whole)
    assert calls == [STEPS, STEPS]


def test_no_more_than_ten_minutes_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of four minutes: it is saved after every third, and after an epoch."""
    clock = [0.0]
    monkeypatch.setattr("sc2.training.state.time.monotonic", lambda: clock[0])
    saved: list[tuple[int, int]] = []

    def noted(content: Any, path: Path) -> None:
        saved.append((content["epoch"], content["step"]))
        save_atomically(content, path)

    monkeypatch.setattr("sc2.training.state.save_atomically", noted)

    def slow(recipe: Recipe) -> None:
        step = recipe.step

        def later(images: Tensor, targets: Any) -> Terms:
            clock[0] += 240
            return step(images, targets)

        recipe.step = later

    train(tmp_path, change=slow)
    assert saved == [(0, 3), (1, 0), (1, 3), (2, 0), (2, 3), (3, 0)]


def test_a_second_ctrl_c_does_not_wait_for_the_step() -> None:
    def twice(stopping: Stopping) -> None:
        with stopping.held():
            os.kill(os.getpid(), signal.SIGINT)
            assert stopping.received is signal.SIGINT
            os.kill(os.getpid(), signal.SIGINT)

    with Stopping() as stopping, pytest.raises(KeyboardInterrupt):
        twice(stopping)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stopping():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def _wait(started: Any) -> None:
    started.set()
    for _ in range(400):
        time.sleep(0.05)


def test_a_process_forked_from_a_training_ends_by_the_signal() -> None:
    """As of those that read images: they inherit the handlers, and nothing of what these are for."""
    context = multiprocessing.get_context("fork")
    started = context.Event()
    with Stopping():
        process = context.Process(target=_wait, args=[started], daemon=True)
        process.start()
        # Python discards signals that arrive while it forks.
        assert started.wait(60)
        process.terminate()
        process.join(20)
        assert process.exitcode == -signal.SIGTERM
