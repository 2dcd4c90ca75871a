"""COCO's average precision and recall of boxes, by pycocotools (docs/papers.md#box-ap)."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sc2.errors import DataError

NAMES = (
    *("box_ap_pct", "box_ap50_pct", "box_ap75_pct"),
    *("box_ap_small_pct", "box_ap_medium_pct", "box_ap_large_pct"),
    *("box_ar1_pct", "box_ar10_pct", "box_ar100_pct"),
    *("box_ar_small_pct", "box_ar_medium_pct", "box_ar_large_pct"),
)
"""COCO's twelve numbers in its order: AP at overlaps .50:.95, .50, .75, of small, medium, large objects; AR with at
most 1, 10, 100 boxes per image, and of small, medium, large objects. Small is below 32² pixels, large above 96²."""

Boxes = Mapping[str, np.ndarray]


def coco_summary(targets: Sequence[Boxes], answers: Sequence[Boxes], num_classes: int) -> dict[str, float | None]:
    """Return COCO's twelve numbers in percent; None where there is no object to find.

    Args:
        targets: Per image `boxes` float [n, 4] (x0, y0, x1, y1), `labels` [n], `crowd` bool [n] and `area` [n]. A
            crowd need not be found, and what overlaps it is no mistake.
        answers: Per image, in the same pixels, `boxes`, `labels` and `scores` [n].
        num_classes: Classes; a class without objects does not count.

    Raises:
        DataError: There is no image, the images do not match, or a score or box is not finite.
    """
    if not targets or len(targets) != len(answers):
        raise DataError(
            f"average precision needs targets and answers of the same images: {len(targets)}, {len(answers)}"
        )
    if not all(np.isfinite(answer[key]).all() for answer in answers for key in ("boxes", "scores")):
        raise DataError("a box or score that was found is not finite; the model or its input is broken")
    from pycocotools.cocoeval import COCOeval

    categories = [{"id": label} for label in range(num_classes)]
    # What pycocotools prints is in the numbers.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _dataset(targets, categories, _target_values)
        found = _dataset(answers, categories, _answer_values)
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # -1 stands for: nothing to find.
    return {
        name: None if value < 0 else 100.0 * float(value) for name, value in zip(NAMES, evaluation.stats, strict=True)
    }


def _dataset(images: Sequence[Boxes], categories: list[dict[str, int]], values: Any) -> Any:
    from pycocotools.coco import COCO

    annotations: list[dict[str, Any]] = []
    for image, boxes in enumerate(images):
        for index in range(len(boxes["boxes"])):
            x0, y0, x1, y1 = (float(edge) for edge in boxes["boxes"][index])
            own = {"image_id": image, "category_id": int(boxes["labels"][index]), "bbox": [x0, y0, x1 - x0, y1 - y0]}
            # From 1 on: pycocotools takes a match with number 0 for none.
            annotations.append({**own, "id": len(annotations) + 1, **values(boxes, index, (x1 - x0) * (y1 - y0))})
    made = COCO()
    made.dataset = {
        "images": [{"id": image} for image in range(len(images))],
        "categories": categories,
        "annotations": annotations,
    }
    made.createIndex()
    return made


def _target_values(boxes: Boxes, index: int, area: float) -> dict[str, Any]:
    return {"area": float(boxes["area"][index]), "iscrowd": int(boxes["crowd"][index])}


def _answer_values(boxes: Boxes, index: int, area: float) -> dict[str, Any]:
    return {"area": area, "iscrowd": 0, "score": float(boxes["scores"][index])}
