"""Steps in parts: the same gradient, terms and random numbers as those of the whole batch, or a refusal."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.errors import ConfigError
from sc2.methods import get_method
from sc2.tasks import get_task
from sc2.training.recipe import Recipe, Terms
from sc2.training.shares import WHOLE, Division
from sc2.training.spec import SupervisedTraining
from sc2.training.supervised import supervised_recipe

IMAGES, IGNORED = 5, 255


def recipe_of(model: nn.Module, step: Callable[[Tensor, Any], Terms], summed: tuple[str, ...] = ()) -> Recipe:
    return Recipe(
        model=model,
        trained=[model],
        step=step,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        learning_rate=lambda step, total: 1.0,
        epochs=1,
        batch_size=IMAGES,
        validate=lambda images, targets: {},
        summed=summed,
    )


Step = tuple[dict[str, float], list[Tensor], Tensor]


def stepped(recipe: Recipe, division: Division, images: Tensor, targets: Any) -> Step:
    """Return the terms of a step, the gradients, and where the random numbers are after it."""
    recipe.set_modes()
    torch.manual_seed(3)
    for parameter in recipe.model.parameters():
        parameter.grad = None
    terms = division.step(recipe, images, targets)
    gradients = [p.grad.clone() for p in recipe.trained_parameters() if p.grad is not None]
    return {name: value.item() for name, value in terms.items()}, gradients, torch.get_rng_state()


def assert_same_step(recipe: Recipe, division: Division, images: Tensor, targets: Any) -> None:
    whole, parts = (stepped(recipe, each, images, targets) for each in (WHOLE, division))
    assert parts[0] == pytest.approx(whole[0], rel=1e-4)
    assert len(whole[1]) == len(parts[1]) > 0
    assert any(gradient.abs().max() > 1e-3 for gradient in whole[1])
    for one, other in zip(whole[1], parts[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * float(one.abs().max()) + 1e-7)
    assert torch.equal(whole[2], parts[2]), "what is drawn next must not depend on the parts"


@pytest.mark.parametrize(("processes", "micro_batch"), [(1, None), (1, 2), (2, None), (3, 1), (2, 100), (5, 3)])
@pytest.mark.parametrize("count", [5, 8, 17])
def test_every_image_is_in_one_part(processes: int, micro_batch: int | None, count: int) -> None:
    parts = [Division(processes, rank, micro_batch).parts(count) for rank in range(processes)]
    assert [image for own in parts for part in own for image in part] == list(range(count))
    assert all(0 < len(part) <= (micro_batch or count) for own in parts for part in own)
    assert max(map(len, (p for own in parts for p in own))) - min(map(len, (p for own in parts for p in own))) <= 1


def test_more_processes_than_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="a batch of 2 images cannot be shared by 3 processes"):
        Division(3).parts(2)


class Noisy(nn.Module):
    """Draws what recipes draw: uniform noise in both memory formats, dropout, and whole paths dropped by image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = y + torch.empty_like(y).uniform_(-0.5, 0.5) + 0.1 * torch.randn_like(y)
        kept = y.new_empty(len(y), 1, 1, 1).bernoulli_(0.5)
        y = functional.dropout(y * kept + torch.rand_like(y), 0.3)
        return self.last(functional.dropout2d(y, 0.2).mean((2, 3)))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("micro_batch", [1, 2, 3])
def test_random_numbers_are_those_of_the_whole_batch(micro_batch: int, channels_last: bool) -> None:
    torch.manual_seed(0)
    model, images, targets = Noisy(), torch.randn(IMAGES, 3, 8, 8), torch.tensor([0, 1, 2, 3, 0])
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)

    def step(x: Tensor, y: Tensor) -> Terms:
        output = model(x)
        return {"loss": functional.cross_entropy(output, y), "sum": output.detach().sum()}

    assert_same_step(recipe_of(model, step, ("sum",)), Division(micro_batch=micro_batch), images, targets)


def test_a_mean_over_pixels_counts_those_of_all_images() -> None:
    """One image with a single scored pixel must weigh less than one that is scored everywhere."""
    torch.manual_seed(0)
    model, images = nn.Conv2d(3, 4, 1), torch.randn(IMAGES, 3, 6, 6)
    targets = torch.full((IMAGES, 6, 6), IGNORED, dtype=torch.uint8)
    targets[0, 0, 0], targets[1], targets[3, :3] = 1, 2, 3

    def step(x: Tensor, y: Tensor) -> Terms:
        if not bool((y != IGNORED).any()):
            return {"loss": 0 * model(x).sum()}
        return {"loss": functional.cross_entropy(model(x), y.long(), ignore_index=IGNORED)}

    assert_same_step(recipe_of(model, step), Division(micro_batch=1), images, targets)


def student(input_spec: dict[str, Any], name: str, phase: str, point: str = "1") -> Recipe:
    torch.manual_seed(1)
    backbone = NetworkSpec(name="small_resnet", args={"width": 4})
    state = build_network(backbone, 3).state_dict()
    teacher = {"task": "classification", "backbone": backbone, "classes": ["a", "b", "c"], "state": state}
    arch: dict[str, Any] = {"encoder_channels": [4, 4, 4], "decoder_channels": [4, 4]}
    method = get_method(name)
    arch = arch if "encoder_channels" in method.Arch.model_fields else {}
    recipe = method.training(method.phase_params(phase, {}), method.context(arch, point, input_spec, teacher))
    for module in (recipe.model, *recipe.frozen):
        module.to(memory_format=torch.channels_last)
    return recipe


@pytest.mark.parametrize(
    ("name", "phase", "point"),
    [
        ("entropic_student", "distill", "1"),
        ("entropic_student_mshp", "distill", "1"),
        ("factorized_prior", "train", "1"),
        ("mean_scale_hyperprior", "train", "1"),
    ],
)
def test_methods_train_a_few_images_at_a_time(input_spec: dict[str, Any], name: str, phase: str, point: str) -> None:
    images = torch.randn(IMAGES, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    images = images.contiguous(memory_format=torch.channels_last)
    recipe = student(input_spec, name, phase, point)
    assert_same_step(recipe, Division(micro_batch=2), images, torch.tensor([0, 1, 2, 1, 0]))


def test_what_needs_a_whole_batch_is_refused(input_spec: dict[str, Any]) -> None:
    images, targets = torch.randn(IMAGES, 3, 32, 32), torch.tensor([0, 1, 2, 1, 0])
    normed = student(input_spec, "entropic_student", "finetune")
    with pytest.raises(ConfigError, match=r"batch norms that learn.*without micro_batch"):
        stepped(normed, Division(micro_batch=2), images, targets)
    model = nn.Linear(3, 1)
    for draw, why in (
        (lambda: torch.randperm(4), "draws random numbers over whole batches \\(randperm\\)"),
        (lambda: torch.rand(2, 2), "over whole batches \\(rand\\)"),
        (lambda: torch.empty(7, 2).uniform_(), r"numbers of the shape \[7, 2\], which no image of the 1"),
        (lambda: torch.rand_like(torch.zeros(())), r"of the shape \[\]"),
    ):

        def step(x: Tensor, y: Tensor, draw: Any = draw) -> Terms:
            return {"loss": model(x).sum() + draw().sum()}

        with pytest.raises(ConfigError, match=why):
            stepped(recipe_of(model, step), Division(micro_batch=2), torch.ones(IMAGES, 3), targets)


def test_frozen_batch_norms_are_no_obstacle() -> None:
    torch.manual_seed(0)
    model = build_network(NetworkSpec(name="small_resnet", args={"width": 4}), 3)
    training = SupervisedTraining(epochs=1, batch_size=IMAGES, lr=0.1)
    recipe = supervised_recipe(model, training, get_task("classification"), 3, body_lr_factor=0.0)
    images = torch.randn(IMAGES, 3, 32, 32)
    assert_same_step(recipe, Division(micro_batch=2), images, torch.tensor([0, 1, 2, 1, 0]))
