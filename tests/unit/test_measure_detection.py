"""COCO's numbers: cases by hand, and pycocotools on files as it is meant to be used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sc2.errors import DataError
from sc2.measure.detection import NAMES, coco_summary


def target(*boxes: tuple[float, ...], crowd: tuple[bool, ...] | None = None) -> dict[str, np.ndarray]:
    """Objects of (x0, y0, x1, y1, label)."""
    values = np.array(boxes, dtype=np.float64).reshape(-1, 5)
    sides = values[:, 2:4] - values[:, :2]
    flags = np.zeros(len(values), bool) if crowd is None else np.array(crowd)
    return {"boxes": values[:, :4], "labels": values[:, 4].astype(int), "crowd": flags, "area": sides.prod(axis=1)}


def answer(*boxes: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Boxes of (x0, y0, x1, y1, score, label)."""
    values = np.array(boxes, dtype=np.float64).reshape(-1, 6)
    return {"boxes": values[:, :4], "scores": values[:, 4], "labels": values[:, 5].astype(int)}


def ap(targets: list[Any], answers: list[Any], classes: int = 2) -> float | None:
    return coco_summary(targets, answers, classes)["box_ap_pct"]


OBJECT = (0, 0, 10, 10, 0)


def test_all_objects_found_exactly() -> None:
    found = coco_summary([target(OBJECT)], [answer((0, 0, 10, 10, 0.9, 0))], 3)
    assert tuple(found) == NAMES
    absent = {name for name in NAMES if "medium" in name or "large" in name}
    assert {name for name, value in found.items() if value is None} == absent
    assert [value for value in found.values() if value is not None] == [pytest.approx(100)] * 8


def test_an_overlap_of_62_percent_counts_for_three_of_ten_thresholds() -> None:
    assert ap([target(OBJECT)], [answer((0, 0, 10, 6.2, 0.9, 0))]) == pytest.approx(30)
    found = coco_summary([target(OBJECT)], [answer((0, 0, 10, 6.2, 0.9, 0))], 2)
    assert (found["box_ap50_pct"], found["box_ap75_pct"]) == (pytest.approx(100), pytest.approx(0))


def test_a_mistake_with_a_higher_score_halves_the_precision_and_with_a_lower_one_costs_nothing() -> None:
    right, wrong = (0, 0, 10, 10), (50, 50, 60, 60)
    assert ap([target(OBJECT)], [answer((*right, 0.8, 0), (*wrong, 0.9, 0))]) == pytest.approx(50)
    assert ap([target(OBJECT)], [answer((*right, 0.9, 0), (*wrong, 0.8, 0))]) == pytest.approx(100)


def test_one_of_two_objects_found_reaches_51_of_101_recall_points() -> None:
    two = target(OBJECT, (50, 50, 60, 60, 0))
    assert ap([two], [answer((0, 0, 10, 10, 0.9, 0))]) == pytest.approx(100 * 51 / 101)


def test_a_class_without_objects_does_not_count_and_a_wrong_class_finds_nothing() -> None:
    assert ap([target(OBJECT)], [answer((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.9, 1))]) == pytest.approx(100)
    assert ap([target(OBJECT)], [answer((0, 0, 10, 10, 0.9, 1))]) == 0
    both = target(OBJECT, (50, 50, 60, 60, 1))
    assert ap([both], [answer((0, 0, 10, 10, 0.9, 0))]) == pytest.approx(50)


def test_a_crowd_need_not_be_found_and_is_no_mistake() -> None:
    scene = target(OBJECT, (50, 50, 90, 90, 0), crowd=(False, True))
    assert ap([scene], [answer((0, 0, 10, 10, 0.5, 0), (55, 55, 65, 65, 0.9, 0))]) == pytest.approx(100)


def test_boxes_belong_to_their_image() -> None:
    assert ap([target(OBJECT), target()], [answer(), answer((0, 0, 10, 10, 0.9, 0))]) == 0


def test_nothing_found_is_zero_and_nothing_to_find_is_no_number() -> None:
    assert ap([target(OBJECT)], [answer()]) == 0
    assert set(coco_summary([target()], [answer((0, 0, 10, 10, 0.9, 0))], 2).values()) == {None}


def test_medium_and_large_objects_are_told_apart_by_their_area() -> None:
    scene = target((0, 0, 50, 50, 0), (60, 60, 160, 160, 0))
    found = coco_summary([scene], [answer((0, 0, 50, 50, 0.9, 0))], 1)
    assert (found["box_ap_medium_pct"], found["box_ap_large_pct"]) == (pytest.approx(100), 0)
    assert found["box_ap_small_pct"] is None


def test_the_numbers_are_pycocotools_own_on_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(3)
    targets, answers = [], []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in range(12):
        corners = generator.uniform(0, 200, (4, 2))
        boxes = np.hstack([corners, corners + generator.uniform(5, 150, (4, 2)), generator.integers(0, 3, (4, 1))])
        targets.append(target(*boxes, crowd=(False, False, False, image % 3 == 0)))
        moved = boxes[:, :4] + generator.normal(0, 6, (4, 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        answers.append(answer(*np.hstack([moved, generator.uniform(0, 1, (4, 1)), boxes[:, 4:]])))
        for k in range(4):
            x0, y0, x1, y1, label = boxes[k]
            area, crowd = float(targets[-1]["area"][k]), int(targets[-1]["crowd"][k])
            own = {"image_id": image, "category_id": int(label), "bbox": [x0, y0, x1 - x0, y1 - y0]}
            annotations.append({**own, "id": len(annotations) + 1, "area": area, "iscrowd": crowd})
            x0, y0, x1, y1 = moved[k]
            score = float(answers[-1]["scores"][k])
            results.append({**own, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score})
    dataset = {"images": [{"id": i} for i in range(12)], "categories": [{"id": k} for k in range(3)], "info": {}}
    (tmp_path / "gt.json").write_text(json.dumps({**dataset, "annotations": annotations}))
    (tmp_path / "dt.json").write_text(json.dumps(results))
    truth = COCO(str(tmp_path / "gt.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "dt.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    found = coco_summary(targets, answers, 3)
    assert list(found.values()) == pytest.approx([100 * value for value in evaluation.stats])
    assert 0 < found["box_ap_pct"] < 100
    assert capsys.readouterr().out == ""


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="the same images: 0, 0"):
        coco_summary([], [], 2)
    with pytest.raises(DataError, match="the same images: 1, 2"):
        coco_summary([target()], [answer(), answer()], 2)
    with pytest.raises(DataError, match="not finite"):
        coco_summary([target(OBJECT)], [answer((0, 0, 10, np.nan, 0.9, 0))], 2)


FAR, DIFFICULT = (50, 50, 60, 60), (20, 20, 30, 30)


def difficult(*boxes: tuple[float, ...], which: tuple[bool, ...]) -> dict[str, np.ndarray]:
    return target(*boxes) | {"difficult": np.array(which)}


def test_a_difficult_object_need_not_be_found_and_boxes_on_it_are_no_mistakes_however_many() -> None:
    scene = difficult(OBJECT, (*DIFFICULT, 0), which=(False, True))
    right = (0, 0, 10, 10, 0.5, 0)
    assert ap([scene], [answer(right)]) == pytest.approx(100)
    on_it = [(*DIFFICULT, 0.9, 0), (20, 20, 30, 29.9, 0.8, 0), (20, 20, 30, 29.8, 0.7, 0)]
    assert ap([scene], [answer(*on_it, right)]) == pytest.approx(100)
    assert ap([scene], [answer((*FAR, 0.9, 0), right)]) == pytest.approx(50)  # elsewhere it is one
    assert ap([scene], [answer((*DIFFICULT, 0.9, 1), right)], 2) == pytest.approx(100)  # of a class that is not there
    beside = (20, 20, 30, 26, 0.9, 0)  # overlaps it by 60 %: no mistake at three of ten thresholds
    assert ap([scene], [answer(beside, right)]) == pytest.approx(30 + 70 / 2)


def test_objects_of_which_all_are_difficult_leave_nothing_to_find() -> None:
    assert ap([difficult(OBJECT, which=(True,))], [answer((0, 0, 10, 10, 0.9, 0))]) is None
    hard, easy = (difficult(OBJECT, which=(flag,)) for flag in (True, False))
    assert ap([hard, easy], [answer(), answer((0, 0, 10, 10, 0.9, 0))]) == pytest.approx(100)


def test_without_difficult_objects_nothing_changes() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 40, (40, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(5, 20, (40, 2))], 1)
    scenes = [target(*((*boxes[i], i % 2) for i in range(k, k + 10))) for k in (0, 10)]
    answers = [answer(*((*boxes[i + 20], generator.uniform(), i % 2) for i in range(k, k + 10))) for k in (0, 10)]
    none = [scene | {"difficult": np.zeros(10, bool)} for scene in scenes]
    assert coco_summary(none, answers, 2) == coco_summary(scenes, answers, 2)
