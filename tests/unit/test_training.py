"""The one training loop on problems whose answer is known: schedules, selection, resume, refusal."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.checkpoint import save_atomically
from sc2.errors import CheckpointError, SC2Error
from sc2.methods import get_method
from sc2.tasks import get_task
from sc2.training.history import write_history
from sc2.training.judge import Judge
from sc2.training.loop import derived_seed, fit
from sc2.training.recipe import Recipe, Terms, by_part, multi_step, one_cycle, polynomial
from sc2.training.validation import validate

STEPS = 4


class Weight(nn.Module):
    """A single number `w`."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))


def batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    return ((torch.ones(2, 1), torch.zeros(2, dtype=torch.long)) for _ in range(start, STEPS))


def counting_recipe(model: Weight, /, **changes: Any) -> Recipe:
    """A recipe under which `w` counts the steps: the gradient of -w is -1, and the learning rate is 1."""

    def step(images: Tensor, labels: Tensor) -> Terms:
        return {"loss": -model.w.sum(), "twice": 2 * torch.ones(())}

    def measure(images: Tensor, labels: Tensor) -> Terms:
        return {"w": model.w.sum() * len(labels)}

    settings: dict[str, Any] = {
        "model": model,
        "trained": [model],
        "step": step,
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        "learning_rate": lambda step, total: 1.0,
        "epochs": 3,
        "batch_size": 2,
        "validate": measure,
    }
    return Recipe(**(settings | changes))


def scripted(model: Weight, values: list[float]) -> Callable[[Tensor, Tensor], Terms]:
    """Validation that gives these values, one per epoch."""

    def measure(images: Tensor, labels: Tensor) -> Terms:
        epoch = round(model.w.item()) // STEPS
        return {"value": torch.tensor(values[epoch - 1]) * len(labels)}

    return measure


def train(recipe: Recipe, folder: Path, train_batches: Any = batches, seed: int = 0) -> list[dict[str, float]]:
    state = folder / "state.pt"
    return fit(recipe, train_batches, batches, seed=seed, state_path=state, label="test", steps_per_epoch=STEPS)


# Schedules


def test_multi_step_drops_at_fractions_of_the_phase() -> None:
    factor = multi_step([0.5, 0.8], 0.1)
    assert [factor(step, 10) for step in range(10)] == pytest.approx([1] * 5 + [0.1] * 3 + [0.01] * 2)
    assert [multi_step([], 0.1)(step, 3) for step in range(3)] == [1, 1, 1]
    assert multi_step([0.5], 0.5)(1, 3) == 1  # 1 step of 3 is not yet half
    assert multi_step([0.5], 0.5)(2, 3) == 0.5


def test_one_cycle_rises_linearly_and_falls_along_a_cosine() -> None:
    factor, total = one_cycle(warmup=0.2), 10
    assert factor(0, total) == pytest.approx(0.5)
    assert factor(1, total) == pytest.approx(1.0)
    for step in range(2, 10):
        rest = ((step + 1) / total - 0.2) / 0.8
        assert factor(step, total) == pytest.approx(0.5 * (1 + math.cos(math.pi * rest)), abs=1e-6)
    assert factor(9, total) == pytest.approx(0, abs=1e-6)
    assert factor(5, total) == pytest.approx(0.5)


def test_the_loop_multiplies_every_groups_own_rate(tmp_path: Path) -> None:
    model, seen = Weight(), []
    optimizers: list[torch.optim.Optimizer] = []
    other = nn.Parameter(torch.zeros(1))

    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        made = torch.optim.SGD([{"params": parameters, "lr": 0.5}, {"params": [other], "lr": 0.2}])
        optimizers.append(made)
        return made

    def step(images: Tensor, labels: Tensor) -> Terms:
        seen.append([group["lr"] for group in optimizers[0].param_groups])
        return {"loss": -model.w.sum()}

    train(counting_recipe(model, optimizer=optimizer, step=step, learning_rate=multi_step([0.5], 0.1)), tmp_path)
    assert seen == [pytest.approx([0.5, 0.2])] * 6 + [pytest.approx([0.05, 0.02])] * 6


# The loop


def test_history_has_one_row_per_epoch(tmp_path: Path) -> None:
    history = train(counting_recipe(Weight()), tmp_path)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["val_w"] for row in history] == [4, 8, 12]
    assert [row["train_twice"] for row in history] == [2, 2, 2]
    # The mean of -w before each of the four steps of an epoch.
    assert [row["train_loss"] for row in history] == [-1.5, -5.5, -9.5]
    write_history(history, tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,train_loss,train_twice,val_w"
    assert lines[3] == "3,-9.5,2,12"


@pytest.mark.parametrize(
    ("direction", "values", "kept"),
    [
        ("min", [3.0, 1.0, 2.0], 2),
        ("max", [3.0, 1.0, 2.0], 1),
        ("max", [1.0, 2.0, 3.0], 3),
        ("min", [2.0, 1.0, 1.0], 2),  # of equals the first
    ],
)
def test_selection_keeps_the_best_epoch(tmp_path: Path, direction: str, values: list[float], kept: int) -> None:
    model = Weight()
    train(counting_recipe(model, validate=scripted(model, values), select=("value", direction)), tmp_path)
    assert model.w.item() == kept * STEPS


def test_without_selection_the_last_epoch_stays(tmp_path: Path) -> None:
    model = Weight()
    train(counting_recipe(model, validate=scripted(model, [1.0, 2.0, 3.0])), tmp_path)
    assert model.w.item() == 3 * STEPS


def test_finish_sees_the_kept_weights_in_eval_mode(tmp_path: Path) -> None:
    model, seen = Weight(), []
    recipe = counting_recipe(model, validate=scripted(model, [3.0, 1.0, 2.0]), select=("value", "min"))
    recipe.finish = lambda: seen.append((model.w.item(), model.training))
    train(recipe, tmp_path)
    assert seen == [(2 * STEPS, False)]


def test_calibration_sees_the_training_images_under_the_weights_that_are_saved(tmp_path: Path) -> None:
    """One more pass over the training batches, of an epoch of its own, in eval mode and without gradients."""
    model, epochs = Weight(), []
    seen: list[Any] = []

    def train_batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        epochs.append(epoch)
        return batches(epoch, start)

    def calibrate(images: Iterable[Tensor]) -> None:
        seen.append((model.w.item(), model.training, torch.is_grad_enabled(), [image.shape[0] for image in images]))

    recipe = counting_recipe(model, validate=scripted(model, [3.0, 1.0, 2.0]), select=("value", "min"))
    recipe.calibrate, recipe.finish = calibrate, lambda: seen.append("finish")
    train(recipe, tmp_path, train_batches)
    assert seen == ["finish", (2 * STEPS, False, False, [2] * STEPS)]
    assert epochs == [0, 1, 2, 3]


def test_validation_is_per_image_without_gradients_and_in_eval_mode() -> None:
    model = Weight().train()
    modes = []

    def measure(images: Tensor, labels: Tensor) -> Terms:
        modes.append((model.training, torch.is_grad_enabled()))
        return {"ones": torch.tensor(float(len(labels)))}

    def uneven(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        return ((torch.ones(size, 1), torch.zeros(size)) for size in (3, 3, 1)[start:])

    assert validate(counting_recipe(model, validate=measure), uneven(0)) == {"ones": 1.0}
    assert modes == [(False, False)] * 3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path, value: float) -> None:
    model = Weight()
    steps = iter(range(100))

    def step(images: Tensor, labels: Tensor) -> Terms:
        return {"loss": model.w.sum() * (value if next(steps) == STEPS + 1 else -1.0)}

    model.w.data.fill_(1.0)
    with pytest.raises(SC2Error, match="in epoch 2; lower the learning rate"):
        train(counting_recipe(model, step=step), tmp_path)


def test_a_selection_term_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    model = Weight()
    recipe = counting_recipe(model, validate=scripted(model, [1.0, math.nan, 2.0]), select=("value", "min"))
    with pytest.raises(SC2Error, match="value is nan on the validation split after epoch 2"):
        train(recipe, tmp_path)


def test_a_killed_training_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Weight()
    expected = train(_noisy_recipe(whole), _folder(tmp_path, "whole"))

    def dies(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for index, batch in enumerate(batches(epoch, start), start):
            if epoch == 2 and index == 1:
                raise KeyboardInterrupt
            yield batch

    folder = _folder(tmp_path, "killed")
    with pytest.raises(KeyboardInterrupt):
        train(_noisy_recipe(Weight()), folder, dies)
    resumed = Weight()
    capsys.readouterr()
    history = train(_noisy_recipe(resumed), folder)
    assert "[test] resumes after epoch 2 of 4" in capsys.readouterr().err
    assert history == expected
    assert torch.equal(resumed.w, whole.w)


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def _noisy_recipe(model: Weight) -> Recipe:
    """Momentum, randomness, a schedule and selection: all that a resumed training has to get right."""

    def step(images: Tensor, labels: Tensor) -> Terms:
        return {"loss": ((model.w - 3 + torch.randn(1)) ** 2).sum()}

    return counting_recipe(
        model,
        step=step,
        epochs=4,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
        learning_rate=one_cycle(),
        select=("w", "max"),
    )


def test_another_seed_is_another_training(tmp_path: Path) -> None:
    models = [Weight(), Weight(), Weight()]
    for position, (model, seed) in enumerate(zip(models, (0, 0, 1), strict=True)):
        train(_noisy_recipe(model), _folder(tmp_path, str(position)), seed=seed)
    assert torch.equal(models[0].w, models[1].w)
    assert not torch.equal(models[0].w, models[2].w)
    assert len({derived_seed(0, 1), derived_seed(1, 0), derived_seed(0, 0), derived_seed(1)}) == 4


# What may move


class WithQuantile(Weight):
    """`q` has an optimiser of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Parameter(torch.zeros(1))


def test_auxiliary_parameters_follow_their_own_loss_only(tmp_path: Path) -> None:
    model = WithQuantile()

    def towards_five() -> Tensor:
        return ((model.q - 5 + 0 * model.w) ** 2).sum()

    recipe = counting_recipe(
        model,
        step=lambda images, labels: {"loss": (-model.w + 1000 * model.q).sum()},
        auxiliary=towards_five,
        auxiliary_parameters=[model.q],
        auxiliary_lr=0.1,
        epochs=1,
    )
    assert recipe.trained_parameters() == [model.w]
    train(recipe, tmp_path)
    assert model.w.item() == STEPS  # the auxiliary loss does not reach it
    assert model.q.item() == pytest.approx(0.1 * STEPS, rel=0.02)  # Adam's steps towards 5, not away from the main loss


def test_each_trained_parameter_is_given_once() -> None:
    model = Weight()
    assert counting_recipe(model, trained=[model, model]).trained_parameters() == [model.w]


def test_modes() -> None:
    model, frozen = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout()), nn.BatchNorm1d(1)
    recipe = counting_recipe(Weight(), model=model, trained=[model[1]], frozen=[frozen])
    recipe.set_modes()
    assert model[1].training
    assert not model[0].training
    assert not frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


@pytest.mark.parametrize("phase", ["distill", "finetune"])
def test_a_teacher_in_train_mode_is_refused(input_spec: dict[str, Any], phase: str) -> None:
    backbone = NetworkSpec(name="small_resnet", args={"width": 4})
    state = build_network(backbone, 3).state_dict()
    teacher = {"task": "classification", "backbone": backbone, "classes": ["a", "b", "c"], "state": state}
    method = get_method("entropic_student")
    context = method.context({"encoder_channels": [4, 4, 4], "decoder_channels": [4, 4]}, "1", input_spec, teacher)
    recipe = method.training(method.phase_params(phase, {}), context)
    recipe.set_modes()
    reference, batch = recipe.frozen[-1], (torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))
    assert not reference.training
    assert torch.isfinite(recipe.step(*batch)["loss"])
    reference.train()
    with pytest.raises(AssertionError, match="must be in eval mode"):
        recipe.step(*batch)
    recipe.set_modes()
    recipe.step(*batch)


def test_a_method_refuses_a_phase_that_it_does_not_have() -> None:
    for name in ("jpeg", "entropic_student"):
        with pytest.raises(LookupError, match="no training phase 'warm_up'"):
            get_method(name).phase_params("warm_up", {})


def test_a_method_refuses_the_parameters_of_another_methods_phase(input_spec: dict[str, Any]) -> None:
    foreign = get_method("fine_tuned_split").phase_params("finetune", {})
    content = {"task": "classification", "backbone": {"name": "small_resnet"}, "classes": ["a"], "state": {}}
    for name in ("entropic_student", "end_to_end", "channel_reduction_quantization"):
        method = get_method(name)
        with pytest.raises(LookupError, match="no training phase with Finetune"):
            method.training(foreign, method.context({}, "1", input_spec, content))


def test_the_judge_scores_the_split_and_not_its_batches() -> None:
    judge = Judge(get_task("classification"), 2)
    for _ in range(2):
        judge.begin()
        judge.add(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 1]))
        judge.add(torch.tensor([[5.0, 4.0]]), torch.tensor([1]))
        assert judge.result() == {"top1_pct": pytest.approx(200 / 3)}


def test_validation_hands_the_judges_number_on(tmp_path: Path) -> None:
    model, judge = Weight(), Judge(get_task("classification"), 2)

    def measure(images: Tensor, labels: Tensor) -> Terms:
        judge.add(torch.stack([torch.zeros(2), model.w.repeat(2) * torch.tensor([0.0, 1.0])])[: len(labels)], labels)
        return {}

    history = train(counting_recipe(model, validate=measure, judge=judge, select=judge.select), tmp_path)
    assert [row["val_top1_pct"] for row in history] == [50, 50, 50]


def test_poly_falls_to_zero_as_a_power() -> None:
    assert [polynomial(1.0)(step, 4) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    assert polynomial(0.9)(2, 4) == pytest.approx(0.5**0.9)


def test_parts_of_a_head_get_rates_of_their_own() -> None:
    head = nn.ModuleDict({"main": nn.Linear(1, 1), "aux": nn.Linear(1, 1)})
    groups = by_part(head, list(head.parameters()), {"aux": 10.0}, 0.1)
    assert [(group["lr"], len(group["params"])) for group in groups] == [(0.1, 2), (1.0, 2)]
    assert [p is q for p, q in zip(groups[1]["params"], head["aux"].parameters(), strict=True)] == [True, True]
    assert len(by_part(head, list(head["main"].parameters()), {"aux": 10.0}, 0.1)) == 1
    assert len(by_part(head, list(head.parameters()), {}, 0.1)[0]["params"]) == 4


def test_what_is_outside_the_head_gets_a_rate_of_its_own() -> None:
    body, head = nn.Linear(1, 1), nn.ModuleDict({"main": nn.Linear(1, 1), "aux": nn.Linear(1, 1)})
    every = [*body.parameters(), *head.parameters()]
    groups = by_part(head, every, {"aux": 10.0}, 0.1, outside=0.5)
    assert [(group["lr"], len(group["params"])) for group in groups] == [(0.05, 2), (0.1, 2), (1.0, 2)]
    assert groups[0]["params"][0] is body.weight
    assert [len(group["params"]) for group in by_part(head, every, {"aux": 10.0}, 0.1)] == [4, 2]


# Checkpoints


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    def content() -> dict[str, Any]:
        return {"kind": "phase", "state": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}}

    for name in ("one.pt", "a_longer_name.pt"):
        save_atomically(content(), tmp_path / name)
    save_atomically(content() | {"kind": "other"}, tmp_path / "other.pt")
    one, two, other = ((tmp_path / name).read_bytes() for name in ("one.pt", "a_longer_name.pt", "other.pt"))
    assert one == two != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_longer_name.pt", "one.pt", "other.pt"]


def test_a_file_is_whole_or_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_atomically({"a": 1}, path)
    before = path.read_bytes()
    with pytest.raises(AttributeError, match="local object"):
        save_atomically({"a": lambda: None}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    save_atomically({"a": 2}, path)
    assert torch.load(path, weights_only=True) == {"a": 2}


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"PK half a file")
    with pytest.raises(CheckpointError, match=r"state\.pt: the state of an interrupted training is damaged.*delete it"):
        train(counting_recipe(Weight()), tmp_path)


@pytest.mark.parametrize(("epochs", "finished"), [(0, 0), (1, 1)])
def test_what_was_not_trained_is_not_finished(tmp_path: Path, epochs: int, finished: int) -> None:
    """`start: published, epochs: 0` means the published weights, to the last bit."""
    calls: list[int] = []
    model = Weight()
    train(counting_recipe(model, epochs=epochs, finish=lambda: calls.append(1)), tmp_path)
    assert len(calls) == finished
