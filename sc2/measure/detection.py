"""COCO's average precision and recall of boxes, by pycocotools (docs/papers.md#box-ap)."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Matches:
    """What the average precision over all sizes is computed from, image by image.

    Attributes:
        detections: Per image, per box: [class, score, hits, left out]. The last two are sets of overlaps, as bits from
            that of .50 on: where the box is matched with an object, and where it does not count.
        objects: Objects to find, int64 [images, classes].
    """

    detections: list[list[list[float]]]
    objects: np.ndarray


class CocoEvaluation:
    """COCO's evaluation of the boxes of a split."""

    def __init__(self, targets: Sequence[Boxes], answers: Sequence[Boxes], num_classes: int) -> None:
        """Match the boxes with the objects; arguments and errors as of `coco_summary`."""
        self.images, self.num_classes = len(targets), num_classes
        self._coco = _evaluated(targets, answers, num_classes)

    def summary(self) -> dict[str, float | None]:
        """Return COCO's twelve numbers in percent; None where there is no object to find."""
        # -1 stands for: nothing to find.
        stats = zip(NAMES, self._coco.stats, strict=True)
        return {name: None if value < 0 else 100.0 * float(value) for name, value in stats}

    def matches(self) -> Matches:
        """Return which boxes match an object."""
        detections: list[list[list[float]]] = [[] for _ in range(self.images)]
        objects = np.zeros((self.images, self.num_classes), np.int64)
        # By class, then by range of sizes (all first), then by image.
        by_class = np.array(self._coco.evalImgs, dtype=object).reshape(self.num_classes, -1, self.images)[:, 0]
        for label, images in enumerate(by_class):
            for image, result in enumerate(images):
                if result is None:
                    continue
                objects[image, label] = int((result["gtIgnore"] == 0).sum())
                left_out = result["dtIgnore"].astype(bool)
                hits = (result["dtMatches"] > 0) & ~left_out
                rows = zip(result["dtScores"], _bits(hits), _bits(left_out), strict=True)
                detections[image] += [[label, float(score), *sets] for score, *sets in rows]
        return Matches(detections, objects)


def _bits(flags: np.ndarray) -> list[int]:
    """Return each column of flags [overlaps, boxes] as a number, the first overlap in its lowest bit."""
    powers = 1 << np.arange(len(flags))
    return [int(number) for number in powers @ flags.astype(np.int64)]


def coco_summary(targets: Sequence[Boxes], answers: Sequence[Boxes], num_classes: int) -> dict[str, float | None]:
    """Return COCO's twelve numbers in percent; None where there is no object to find.

    Args:
        targets: Per image `boxes` float [n, 4] (x0, y0, x1, y1), `labels` [n], `crowd` bool [n], `area` [n], and
            `difficult` bool [n] where there are such objects. A crowd need not be found, and what lies in it is no
            mistake. Nor need a difficult object, and boxes that overlap it enough to find it are no mistakes, however
            many there are: so PASCAL VOC's own evaluation does it.
        answers: Per image, in the same pixels, `boxes`, `labels` and `scores` [n].
        num_classes: Classes; a class without objects does not count.

    Raises:
        DataError: There is no image, the images do not match, or a score or box is not finite.
    """
    return CocoEvaluation(targets, answers, num_classes).summary()


def _evaluated(targets: Sequence[Boxes], answers: Sequence[Boxes], num_classes: int) -> Any:
    if not targets or len(targets) != len(answers):
        raise DataError(
            f"average precision needs targets and answers of the same images: {len(targets)}, {len(answers)}"
        )
    if not all(np.isfinite(answer[key]).all() for answer in answers for key in ("boxes", "scores")):
        raise DataError("a box or score that was found is not finite; the model or its input is broken")
    categories = [{"id": label} for label in range(num_classes)]
    # What pycocotools prints is in the numbers.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _dataset(targets, categories, _target_values)
        detections = _dataset(answers, categories, _answer_values)
        evaluation = _evaluation(truth, detections)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _evaluation(truth: Any, detections: Any) -> Any:
    from pycocotools.cocoeval import COCOeval

    class Evaluation(COCOeval):
        """COCO's evaluation, with difficult objects left out; pycocotools itself leaves out crowds only."""

        def _prepare(self) -> None:
            super()._prepare()
            for objects in self._gts.values():
                for own in objects:
                    own["ignore"] = own["ignore"] or own["difficult"]

        def evaluateImg(self, image: int, category: int, area: list[float], most: int) -> Any:
            result = super().evaluateImg(image, category, area, most)
            difficult = [bool(own["difficult"]) for own in self._gts[image, category]]
            if result is None or not any(difficult) or not len(result["dtIds"]):
                return result
            # A difficult object is matched once only: further boxes on it are left out here.
            overlap = self.ious[image, category][:most][:, difficult].max(axis=1)
            on_difficult = overlap[None, :] >= np.asarray(self.params.iouThrs)[:, None]
            result["dtIgnore"] = result["dtIgnore"] | (on_difficult & (result["dtMatches"] == 0))
            return result

    return Evaluation(truth, detections, "bbox")


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


def left_out(target: Boxes) -> np.ndarray:
    """Return which objects of an image need not be found, bool [n]: crowds and difficult ones."""
    return np.asarray(target["crowd"] | target["difficult"] if "difficult" in target else target["crowd"])


def _target_values(boxes: Boxes, index: int, area: float) -> dict[str, Any]:
    flags = {
        "iscrowd": int(boxes["crowd"][index]),
        "difficult": int("difficult" in boxes and boxes["difficult"][index]),
    }
    return {"area": float(boxes["area"][index]), **flags}


def _answer_values(boxes: Boxes, index: int, area: float) -> dict[str, Any]:
    return {"area": area, "iscrowd": 0, "score": float(boxes["scores"][index])}
