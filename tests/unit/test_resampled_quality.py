"""The quality of weighted images is that of the evaluation run on as many copies of each image."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from sc2.measure.average_precision import resampled_ap
from sc2.measure.detection import CocoEvaluation, coco_summary
from sc2.tasks import get_task

CLASSES = 4
WEIGHTS = np.array([[1.0] * 8, [0, 2, 1, 0, 3, 1, 1, 0], [8, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 2, 2]])


def scenes(rng: np.random.Generator) -> tuple[list[Any], list[Any]]:
    """Objects and noisy boxes of eight images, with wrong classes, misses, crowds and difficult objects."""
    targets, answers = [], []
    for _ in range(8):
        count = int(rng.integers(1, 5))
        corner, side = rng.uniform(0, 80, (count, 2)), rng.uniform(15, 60, (count, 2))
        boxes, labels = np.hstack([corner, corner + side]), rng.integers(CLASSES, size=count)
        flags = {"crowd": rng.random(count) < 0.1, "difficult": rng.random(count) < 0.15}
        targets.append({"boxes": boxes, "labels": labels, "area": side.prod(axis=1), **flags})
        noisy = np.vstack(
            [boxes + rng.normal(scale=2.5, size=boxes.shape), boxes + rng.normal(scale=9, size=boxes.shape)]
        )
        noisy[:, 2:] = np.maximum(noisy[:, 2:], noisy[:, :2] + 1)
        given = np.where(rng.random(2 * count) < 0.8, np.tile(labels, 2), rng.integers(CLASSES, size=2 * count))
        scores = np.sort(rng.random(2 * count))[::-1]
        answers.append({"boxes": noisy, "labels": given, "scores": scores})
    return targets, answers


def copies(images: list[Any], weights: np.ndarray) -> list[Any]:
    return [image for image, count in zip(images, weights, strict=True) for _ in range(int(count))]


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_cocos_of_as_many_copies(seed: int) -> None:
    targets, answers = scenes(np.random.default_rng(seed))
    matches = CocoEvaluation(targets, answers, CLASSES).matches()
    found = resampled_ap(matches.detections, matches.objects, WEIGHTS)
    expected = [coco_summary(copies(targets, row), copies(answers, row), CLASSES)["box_ap_pct"] for row in WEIGHTS]
    assert found == pytest.approx(expected, abs=1e-6)
    assert 5 < found[0] < 95


def test_average_precision_without_objects_or_boxes() -> None:
    assert np.isnan(resampled_ap([[], []], np.zeros((2, 3), int), np.ones((2, 2)))).all()
    assert resampled_ap([[], []], np.ones((2, 3), int), np.ones((2, 2))).tolist() == [0, 0]


def scored(task: str, answers: list[Any], targets: list[Any]) -> Any:
    scorer = get_task(task).scorer(CLASSES)
    for answer, target in zip(answers, targets, strict=True):
        scorer.add(answer, target)
    return scorer


def given(task: str) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(3)
    if task == "detection":
        return scenes(rng)[::-1]
    if task == "segmentation":
        targets = [rng.integers(0, CLASSES + 1, (6, 5)).astype(np.uint8) for _ in range(8)]
        targets[0][0] = 255
        wrong = [rng.random(target.shape) < 0.4 for target in targets]
        answers = [
            np.where(w | (t == 255), rng.integers(0, CLASSES + 1, t.shape), t)
            for w, t in zip(wrong, targets, strict=True)
        ]
        return answers, targets
    return list(torch.from_numpy(rng.normal(size=(8, CLASSES)))), rng.integers(CLASSES, size=8).tolist()


@pytest.mark.parametrize(
    ("task", "quality"), [("classification", "top1_pct"), ("detection", "box_ap_pct"), ("segmentation", "miou_pct")]
)
def test_a_task_says_the_quality_of_weighted_images_from_its_columns(task: str, quality: str) -> None:
    answers, targets = given(task)
    columns = scored(task, answers, targets).columns()
    # What a Parquet file gives back are plain values and texts.
    columns = json.loads(json.dumps(columns))
    expected = [scored(task, copies(answers, row), copies(targets, row)).summary()[quality] for row in WEIGHTS]
    assert get_task(task).resampled(columns, WEIGHTS) == pytest.approx(expected, abs=1e-6)


def test_only_classification_is_right_or_wrong() -> None:
    columns = {"top1_correct": [True, False]}
    right = get_task("classification").right(columns)
    assert right is not None
    assert right.tolist() == [True, False]
    assert get_task("segmentation").right({}) is None
