"""Tasks: targets that follow their image, losses, scorers, answers in words."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from sc2.backbones.build import build_network
from sc2.backbones.spec import BackboneSpec
from sc2.config.schema import BenchmarkConfig
from sc2.data.geometry import Placement
from sc2.data.images import ImageTensors, batches
from sc2.data.source import Box
from sc2.data.spec import Augmentation, SizeSpec
from sc2.errors import ConfigError, DataError
from sc2.report.columns import QUALITY
from sc2.tasks import get_task, task_names
from tests.dense import CLASSES, HEADS, SPEC, scene, store_of, write_scenes

DENSE = ["detection", "segmentation"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_scenes(tmp_path_factory.mktemp("scenes"), (4, 2, 2))


def test_tasks_are_files_and_the_configuration_and_the_report_know_them() -> None:
    assert task_names() == ["classification", "detection", "segmentation"]
    assert [get_task(name).name for name in task_names()] == task_names()
    assert BenchmarkConfig.model_json_schema()["properties"]["task"]["enum"] == task_names() == sorted(QUALITY)
    for name in task_names():
        assert QUALITY[name].primary == get_task(name).select[0]
        assert type(get_task(name)).network is not None
    with pytest.raises(ConfigError, match="no task 'captioning'; there are: classification, detection"):
        get_task("captioning")


def network(task: str) -> Any:
    torch.manual_seed(0)
    head = get_task(task).Head.model_validate(HEADS[task])
    return build_network(get_task(task).network(BackboneSpec(name="small_resnet", args={"width": 8}), head), 3)


# Targets


def painted(target: Any, size: tuple[int, int]) -> np.ndarray:
    """A target as a mask."""
    if isinstance(target, np.ndarray):
        return target
    mask = np.zeros(size[::-1], np.uint8)
    for (x0, y0, x1, y1), label in zip(target["boxes"].round().astype(int), target["labels"], strict=True):
        mask[y0:y1, x0:x1] = label + 1
    return mask


def coloured(pixels: np.ndarray) -> np.ndarray:
    """The mask that a scene's pixels show."""
    return np.where(pixels.max(axis=2) > 150, pixels.argmax(axis=2) + 1, 0).astype(np.uint8)


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize(
    "augment",
    [Augmentation(), Augmentation(flip=True), Augmentation(shift_px=5), Augmentation(flip=True, shift_px=3)],
    ids=["unchanged", "flip", "shift", "flip_shift"],
)
def test_targets_lie_on_their_objects_whatever_happens_to_the_image(
    paths: Any, name: str, augment: Augmentation
) -> None:
    task = get_task(name)
    dataset = ImageTensors(store_of(paths), SPEC, task)
    for epoch in range(3):
        for images, targets in batches(dataset, 2, seed=1, epoch=epoch, augment=augment):
            assert len(targets) == len(images) == 2
            for image, target in zip(images, task.single(task.moved(targets, torch.device("cpu"))), strict=True):
                seen, expected = coloured(image.permute(1, 2, 0).numpy()), painted(target, (64, 64))
                # The border is mirrored when an image is shifted: there a box is cut off, but objects appear twice.
                inside = slice(6, -6) if augment.shift_px else slice(None)
                assert np.array_equal(seen[inside, inside], expected[inside, inside])


@pytest.mark.parametrize("name", DENSE)
def test_an_answer_equal_to_the_target_is_perfect_where_the_image_is_stored(name: str, tmp_path: Path) -> None:
    task = get_task(name)
    store = store_of(write_scenes(tmp_path, (3, 1, 1), lambda index: (100, 80)))
    scorer = task.scorer(3)
    for index in range(3):
        placement = Placement.of((100, 80), SizeSpec(resize=80, crop=80))
        target = task.target(store, index)
        placed = task.placed(target, placement)
        answer = placed if name == "segmentation" else placed | {"scores": np.ones(len(placed["labels"]))}
        restored = task.restored(answer, placement)
        # Only what the crop shows can be found.
        shown = np.s_[:, 10:90]
        assert np.array_equal(painted(restored, (100, 80))[shown], painted(target, (100, 80))[shown])
        scorer.add(restored, _as_target(restored))
    assert scorer.summary()[task.select[0]] == pytest.approx(100)
    assert {len(values) for values in scorer.columns().values()} == {3}


def _as_target(answer: Any) -> Any:
    if isinstance(answer, np.ndarray):
        return answer
    sides = answer["boxes"][:, 2:] - answer["boxes"][:, :2]
    return answer | {"crowd": np.zeros(len(sides), bool), "area": sides.prod(axis=1)}


def test_a_box_that_the_crop_leaves_nothing_of_is_dropped() -> None:
    task = get_task("detection")
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 30, 30], [40, 40, 60, 60]])
    values = {"labels": np.arange(3), "crowd": np.zeros(3, bool), "area": np.array([100.0, 300, 200])}
    placed = task.placed({"boxes": boxes, **values}, Placement.of((100, 60), SizeSpec(resize=60, crop=60)))
    assert placed["boxes"].tolist() == [[0, 0, 10, 30], [20, 40, 40, 60]]
    assert placed["labels"].tolist() == [1, 2]
    assert placed["area"].tolist() == [300, 200]  # of the object, not more than what is left of its box


def test_padding_is_not_scored() -> None:
    task = get_task("segmentation")
    assert task.padded(np.ones((2, 3), np.uint8), (4, 3)).tolist() == [[1, 1, 1, 255], [1, 1, 1, 255], [255] * 4]


@pytest.mark.parametrize(("name", "key", "side"), [("detection", "crop", 70), ("segmentation", "multiple", 16)])
def test_an_input_whose_size_features_do_not_tell_is_refused(name: str, key: str, side: int) -> None:
    spec, right = (
        SizeSpec.model_validate({"fit": "crop" if key == "crop" else "whole", "resize": 96, key: value})
        for value in (side, 96)
    )
    with pytest.raises(ConfigError, match=rf"input\.{key} is {side}, but {name} needs a multiple of 32"):
        get_task(name).check_input(spec)
    get_task(name).check_input(right)
    get_task("classification").check_input(spec)


# Losses


def test_crowds_are_not_trained_on() -> None:
    task, model = get_task("detection"), network("detection").eval()
    features = model.features(torch.randn(1, 3, 64, 64))
    box = torch.tensor([[4.0, 4, 24, 24]])
    alone = [{"boxes": box, "labels": torch.tensor([1]), "crowd": torch.tensor([False])}]
    crowded = [
        {
            "boxes": torch.cat([box, box + 30]),
            "labels": torch.tensor([1, 2]),
            "crowd": torch.tensor([False, True]),
        }
    ]
    with torch.no_grad():
        one, two = (task.losses(model.head, features, targets) for targets in (alone, crowded))
        assert one == two
        assert one["loss"].item() == pytest.approx(sum(v.item() for k, v in one.items() if k != "loss"))
        summed = task.losses(model.head, features, alone * 1, summed=True)
    assert summed["loss"] == one["loss"]
    with pytest.raises(ConfigError, match="label_smoothing has no effect"):
        task.losses(model.head, features, alone, label_smoothing=0.1)


def test_the_loss_of_masks_is_cross_entropy_and_half_the_auxiliary_heads_without_ignored_pixels() -> None:
    task, model = get_task("segmentation"), network("segmentation").eval()
    images, masks = torch.randn(2, 3, 64, 64), torch.randint(0, 4, (2, 64, 64)).to(torch.uint8)
    masks[:, :20] = 255
    with torch.no_grad():
        features = model.features(images)
        found = task.losses(model.head, features, masks)
        main, auxiliary = (
            functional.cross_entropy(logits[:, :, 20:], masks[:, 20:].long())
            for logits in (model(images), model.head.auxiliary(features))
        )
        summed = task.losses(model.head, features, masks, output=model(images), summed=True)
    torch.testing.assert_close(found["loss"], main + 0.5 * auxiliary)
    torch.testing.assert_close(summed["loss"], 2 * found["loss"])
    assert set(model.state_dict()) >= {"stages.head.aux.0.weight"}
    assert task.lr_factors == {"aux": 10.0}


# Answers


def test_objects_in_words_and_as_json() -> None:
    task = get_task("detection")
    answer = {
        "boxes": np.array([[1.0, 2, 30, 40], [5, 5, 9, 9]]),
        "scores": np.array([0.875, 0.25]),
        "labels": np.array([2, 0]),
    }
    line = " ".join(task.describe(answer, CLASSES, top=1).split())
    assert line == "blue 87.50 % x 1.0 … 30.0 y 2.0 … 40.0"
    assert len(task.describe(answer, CLASSES, top=5).splitlines()) == 2
    best = {"class": "blue", "index": 2, "score": 0.875, "box_px": [1, 2, 30, 40]}
    assert json.loads(json.dumps(task.as_json(answer, CLASSES)))["boxes"][0] == best
    nothing = {name: values[:0] for name, values in answer.items()}
    assert task.describe(nothing, CLASSES, top=5) == "no object"
    scorer = task.scorer(3)
    scorer.add(nothing, {**nothing, "crowd": np.zeros(0, bool), "area": np.zeros(0)})
    scorer.add(answer, {**answer, "crowd": np.array([False, True]), "area": np.ones(2)})
    columns = scorer.columns()
    assert (columns["objects"], columns["detections"]) == ([0, 1], [0, 2])
    assert json.loads(columns["boxes"][1])[0] == [1, 2, 30, 40, 0.875, 2]


def test_masks_in_words_and_as_json() -> None:
    task, answer = get_task("segmentation"), np.array([[0, 0, 0, 3]], np.uint8)
    assert [line.split()[:2] for line in task.describe(answer, CLASSES, top=5).splitlines()] == [
        ["background", "75.00"],
        ["blue", "25.00"],
    ]
    assert task.as_json(answer, CLASSES) == {"labels": ["background", *CLASSES], "mask": [[0, 0, 0, 3]]}


@pytest.mark.parametrize("name", ["classification", *DENSE])
def test_scores_of_no_image_are_refused(name: str) -> None:
    with pytest.raises(DataError):
        get_task(name).scorer(3).summary()


def test_a_scene_has_what_the_tests_rely_on() -> None:
    pixels, boxes, mask = scene(1, (64, 64))
    assert len(boxes) == 2
    assert np.array_equal(coloured(pixels), mask)


def test_masks_without_a_scored_pixel_add_nothing_to_the_loss() -> None:
    task, model = get_task("segmentation"), network("segmentation")
    features = model.features(torch.randn(2, 3, 64, 64))
    void = torch.full((2, 64, 64), 255, dtype=torch.uint8)
    losses = task.losses(model.head, features, void)
    assert {name: value.item() for name, value in losses.items()} == dict.fromkeys(losses, 0.0)
    losses["loss"].backward()
    assert all(not parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)
    half = void.clone()
    half[0] = 1
    both = task.losses(model.head, features, half)["loss"]
    assert torch.isfinite(both)
    assert both > 0


def test_difficult_objects_are_trained_on_and_not_counted(tmp_path: Path) -> None:
    task = get_task("detection")
    boxes = (Box(0, 0, 9, 9, 0), Box(1, 1, 9, 9, 1, difficult=True), Box(2, 2, 9, 9, 1, crowd=True))
    paths = write_scenes(tmp_path, (1, 1, 1))
    store = store_of(paths)
    store.samples[0] = replace(store.samples[0], boxes=boxes)
    target = task.target(store, 0)
    assert target["difficult"].tolist() == [False, True, False]
    scorer = task.scorer(2)
    empty = {"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "labels": np.zeros(0, np.int64)}
    scorer.add(empty, target)
    assert scorer.columns()["objects"] == [1]
