"""One tiny benchmark per task that every method of the catalogue is held against.

A method joins the contract by being in `sc2/methods/`, on every task that it supports; what it needs in addition is its
parameters at this size, below. A parameter that changes what is sent joins it as a variant of the method.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sc2.backbones.build import build_network
from sc2.backbones.spec import BackboneSpec
from sc2.config.yaml_files import merge
from sc2.methods import base_of, get_method, method_names
from sc2.runs.halves import device_fingerprint
from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, DeviceHalf, Export, Method, ServerHalf
from sc2.tasks import get_task, task_names
from tests.dense import HEADS

CLASSES = ["circle", "square", "star"]

# Parameters that fit a 32×32 image, where a method's defaults do not.
TINY_PARAMS: dict[str, dict[str, Any]] = {
    "entropic_student": {
        "encoder_channels": [6, 5, 4],
        "decoder_channels": [8, 8],
        "phases": {"distill": {"epochs": 2, "batch_size": 4}, "finetune": {"epochs": 2, "batch_size": 4}},
    },
    "channel_reduction_quantization": {
        "encoder_channels": [6, 5, 8, 5],
        "decoder_channels": [5, 6, 8],
        "phases": {"distill": {"epochs": 2, "batch_size": 4}},
    },
    "end_to_end": {
        "encoder_channels": [6, 5, 4],
        "decoder_channels": [8, 8],
        "phases": {"train": {"epochs": 2, "batch_size": 4}},
    },
    "gained_student": {
        **{"width": 8, "depth": 1, "latent_channels": 4, "decoder_width": 8, "decoder_depth": 1},
        **{"cut": "layer1", "decoder_upscale": 2, "hints": ["layer1", "layer4"], "prices": [1e-2, 1e-3, 1e-4]},
        "first_gain": 20,
        "phases": {"joint": {"epochs": 2, "batch_size": 4}},
    },
    "entropic_student_joint": {
        **{"encoder_channels": [6, 5, 4], "decoder_channels": [8, 8], "prices": [1e-2, 1e-3, 1e-4], "first_gain": 50},
        "phases": {"joint": {"epochs": 2, "batch_size": 4}},
    },
    "fine_tuned_split": {"phases": {"finetune": {"epochs": 2, "batch_size": 4}}},
    "local_model": {"phases": {"train": {"epochs": 2, "batch_size": 4}}},
    "bottleneck_unit": {"phases": {"unit": {"epochs": 2, "batch_size": 4}}},
    "bottleneck_unit_distilled": {"phases": {"unit": {"epochs": 2, "batch_size": 4}}},
}
# The gain: in two epochs the latent of these would not rise above half a symbol.
for _name in ("entropic_student_mshp", "entropic_student_shp"):
    TINY_PARAMS[_name] = TINY_PARAMS["entropic_student"] | {"hyper_channels": 4, "latent_gain": 20}

# Two operating points that lie apart, where the axis is not one number from very small to large.
TINY_POINTS: dict[str, tuple[str, str]] = {
    "local_model": ("8", "16"),
    "lossless_image": ("png", "webp"),
    "teacher_on_device": ("top1", "top5"),
    "fine_tuned_split": ("layer2_0.001", "layer3_1"),
    "gained_student": ("2", "0"),
    "entropic_student_joint": ("2", "0"),
    "bottleneck_unit": ("layer2_q0.25_s2_k6", "layer1_q0.5_s1_k4"),
    "bottleneck_unit_distilled": ("stem_q0.25_s4_k5", "layer2_q0.25_s2_k6"),
}
# The same on tasks with other cuts: at the last one that each head allows.
TINY_POINTS_OF_TASK: dict[tuple[str, str], tuple[str, str]] = {
    ("detection", "bottleneck_unit"): ("layer1_q0.25_s1_k6", "stem_q0.5_s2_k4"),
    ("segmentation", "bottleneck_unit"): ("layer4_q0.25_s1_k6", "layer2_q0.25_s2_k6"),
}
# Methods whose training depends on the task. The others' is tried on classification alone, where it is the same.
TRAINED_BY_TASK = (
    *("bottleneck_unit", "channel_reduction_quantization", "end_to_end", "entropic_student"),
    "gained_student",
)
LEARNED_CODEC = {"channels": [[6, 8]], "phases": {"train": {"epochs": 2, "batch_size": 4, "lr": 1e-3}}}
for _name in ("factorized_prior", "scale_hyperprior", "mean_scale_hyperprior", "joint_autoregressive"):
    TINY_PARAMS[_name] = LEARNED_CODEC

# Parameters that change what goes over the link: a method with them is held against the contract beside itself, under
# the name of a variant, and has golden streams of its own. The gain: neighbours that are all 0 would choose nothing.
OPTIONS: dict[str, dict[str, Any]] = {
    "end_to_end.neighbours": {"coder": "neighbours", "latent_gain": 30},
    "entropic_student.neighbours": {"coder": "neighbours", "latent_gain": 30},
}


@dataclass
class Case:
    """A method on the tiny benchmark of a task, trained for a few steps where it trains."""

    task: str
    name: str
    method: Method[Any]
    params: dict[str, Any]
    context: BuildContext[Any]
    state: dict[str, Tensor] | None
    _files: tuple[Any, dict[str, Any]] | None = field(default=None, init=False, repr=False)

    def untrained(self) -> "Case":
        """The same method as it was before its first phase."""
        return replace(self, state=None)

    def export(self) -> Export:
        """Both halves."""
        return self.method.export(self.context, self.state)

    def fingerprint(self, export: Export) -> str:
        """What stands in the containers of a device half."""
        return device_fingerprint(self.name, export.device.plain(), self.context.input)

    def device(self) -> DeviceHalf:
        """The device half, built from what its file holds."""
        return self.method.load_device(self._file("device"))

    def server(self) -> ServerHalf:
        """The server half, built from what its file holds."""
        return self.method.load_server(self._file("server"))

    def _file(self, half: str) -> Any:
        """Return what the file of a half holds, exported once for each state: that takes longer than most tests."""
        if self._files is None or self._files[0] is not self.state:
            export = self.export()
            self._files = self.state, {"device": export.device.plain(), "server": export.server.plain()}
        return deepcopy(self._files[1][half])


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Eight images, see `eight_images`."""
    return eight_images()


def eight_images() -> np.ndarray:
    """Return eight images uint8 [8, 32, 32, 3] with structure at several scales."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    fine = generator.integers(0, 32, (8, 32, 32, 3), dtype=np.uint8)
    return (coarse.repeat(4, axis=1).repeat(4, axis=2) // 2 + fine).astype(np.uint8)


@pytest.fixture(scope="session")
def labels(task_name: str) -> Any:
    """Targets of the eight images, as the task collates them."""
    if task_name == "classification":
        return torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    task, generator = get_task(task_name), np.random.default_rng(2)
    corners = generator.integers(0, 14, (8, 2))
    boxes = np.concatenate([corners, corners + generator.integers(8, 18, (8, 2))], axis=1)
    if task_name == "detection":
        none = {"crowd": np.zeros(1, bool), "area": np.ones(1)}
        rows = [{"boxes": box[None].astype(float), "labels": np.array([i % 3]), **none} for i, box in enumerate(boxes)]
        return task.collate(rows)
    masks = np.zeros((8, 32, 32), np.uint8)
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        masks[index, y0:y1, x0:x1] = 1 + index % 3
    return task.collate(list(masks))


@cache
def teacher_of(task_name: str, width: int = 8) -> dict[str, Any]:
    """Checkpoint of a teacher whose batch statistics are not the initial ones."""
    torch.manual_seed(1)
    # Not narrower where it is trained: torch 2.14 damages its own memory in the backward pass of a 1×1 convolution of
    # stride 2 with fewer than eight input channels in channels-last order.
    task = get_task(task_name)
    head = task.Head.model_validate(HEADS[task_name])
    backbone = task.network(BackboneSpec(name="small_resnet", args={"width": width}), head)
    model = build_network(backbone, len(CLASSES)).train()
    for _ in range(3):
        model(torch.randn(8, 3, 32, 32))
    for name, parameter in model.named_parameters():
        if name.endswith(("cls_logits.weight", "cls_score.weight")):
            # Scores that lie apart: the order of boxes must not hang on rounding.
            parameter.data.mul_(30)
    return {"task": task_name, "backbone": backbone.model_dump(), "classes": CLASSES, "state": model.state_dict()}


@pytest.fixture(scope="session")
def teacher(task_name: str) -> dict[str, Any]:
    return teacher_of(task_name)


def make_case(
    name: str,
    point: str,
    input_spec: Mapping[str, Any],
    teacher: Mapping[str, Any],
    changed: Mapping[str, Any] | None = None,
) -> Case:
    """Return an untrained case; `changed` are parameters other than those of `TINY_PARAMS` and `OPTIONS`."""
    method = get_method(name)
    tiny = merge(merge(TINY_PARAMS.get(base_of(name), {}), OPTIONS.get(name, {})), changed or {})
    params = method.Params.model_validate(tiny).model_dump(mode="json")
    arch = {key: value for key, value in params.items() if key != "phases"}
    return Case(teacher["task"], name, method, params, method.context(arch, point, input_spec, teacher), None)


def points(method: Method[Any], task: str) -> tuple[str, str]:
    """Two operating points of a method that lie apart."""
    name = type(method).__module__.rpartition(".")[2]
    if (task, name) in TINY_POINTS_OF_TASK:
        return TINY_POINTS_OF_TASK[task, name]
    if name in TINY_POINTS:
        return TINY_POINTS[name]
    assert isinstance(method.rate_axis, RateAxis), f"{name} needs two points in TINY_POINTS"
    low, high = method.rate_axis.low, min(method.rate_axis.high, 1000.0)
    if method.rate_axis.integer:
        return str(int(low + 0.2 * (high - low))), str(int(low + 0.8 * (high - low)))
    return "0.01", "10"


def names_with_options() -> list[str]:
    """Every method, and the variants of `OPTIONS`, sorted."""
    return sorted([*method_names(), *OPTIONS])


# What is sent is the same on every task, so that options are tried on one.
PAIRS = [
    (task, name)
    for task in task_names()
    for name in (names_with_options() if task == "classification" else method_names())
    if not get_method(name).unsupported(task)
]


@pytest.fixture(scope="session", params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Every task with every method that supports it, and classification with every option."""
    task, name = request.param
    return str(task), str(name)


@pytest.fixture(scope="session")
def task_name(pair: tuple[str, str]) -> str:
    return pair[0]


@pytest.fixture(scope="session")
def method_name(pair: tuple[str, str]) -> str:
    return pair[1]


@pytest.fixture(scope="session")
def case(
    method_name: str, input_spec: dict[str, Any], teacher: dict[str, Any], images: np.ndarray, labels: Any
) -> Case:
    """Every method after all of its phases."""
    made = make_case(method_name, points(get_method(method_name), teacher["task"])[0], input_spec, teacher)
    for phase in made.method.phases():
        made.state = train_phase(made, phase, images, labels, seed=0)
    return made


def phases_to_repeat(case: Case) -> Sequence[str]:
    """The phases that are trained again and again: none where another task has tried the same."""
    own = case.task == "classification" or case.name in TRAINED_BY_TASK
    return case.method.phases() if own else ()


def assert_same_output(task: str, one: Any, other: Any) -> None:
    """Compare the task's outputs up to rounding."""
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3 if task == "detection" else 1e-5)


def joined(task: str, outputs: Sequence[Any]) -> Any:
    """Return the output of a batch, of the outputs of its images."""
    return [boxes for output in outputs for boxes in output] if task == "detection" else torch.cat(list(outputs))


def train_phase(case: Case, phase: str, images: np.ndarray, labels: Any, *, seed: int) -> dict[str, Tensor]:
    """Run one phase on the images from where the case stands; returns the weights."""
    recipe = phase_recipe(case, phase, seed=seed)
    run_recipe(recipe, case, images, labels, seed=seed)
    return recipe.model.state_dict()


def phase_recipe(case: Case, phase: str, *, seed: int) -> Any:
    """Return the recipe of a phase, starting from the case's weights."""
    torch.manual_seed(seed)
    recipe = case.method.training(case.method.phase_params(phase, case.params["phases"][phase]), case.context)
    if case.state is not None:
        recipe.model.load_state_dict(case.state)
    return recipe


def run_recipe(recipe: Any, case: Case, images: np.ndarray, labels: Any, *, seed: int, state_path: Any = None) -> Any:
    """Train a recipe on the images in a fixed order."""
    import tempfile
    from pathlib import Path

    from sc2.data.normalise import normalise
    from sc2.training.loop import fit

    batch = normalise(torch.from_numpy(images).permute(0, 3, 1, 2), case.context.input)

    def batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Any]]:
        size = recipe.batch_size
        return ((batch[i : i + size], labels[i : i + size]) for i in range(start * size, len(batch), size))

    with tempfile.TemporaryDirectory() as folder:
        path = state_path or Path(folder) / "state.pt"
        steps = len(batch) // recipe.batch_size
        return fit(recipe, batches, batches, seed=seed, state_path=path, label=case.name, steps_per_epoch=steps)
