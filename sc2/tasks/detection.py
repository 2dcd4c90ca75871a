"""Object detection: boxes with classes, scored by COCO's average precision; Faster R-CNN.

Source: docs/papers.md#faster-rcnn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from sc2.data.geometry import Placement
from sc2.errors import ConfigError
from sc2.tasks.base import HeadParams, Scorer, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from sc2.backbones.base import Features
    from sc2.data.store import SampleStore
    from sc2.measure.detection import CocoEvaluation

Objects = dict[str, np.ndarray]
"""A target: `boxes` float64 [N, 4] (x0, y0, x1, y1; pixels), `labels` int64 [N], `crowd` and `difficult` bool [N],
`area` float64 [N]; a prediction: `boxes`, `labels` and `scores` float64 [N], the best first."""

_LEAST_PX = 1.0
"""A box with fewer pixels left after the crop, in either direction, is not trained on."""


class Head(HeadParams):
    """Faster R-CNN over a feature pyramid; the defaults are torchvision's."""

    out_channels: int = Field(default=256, gt=0, description="Channels of the feature pyramid")
    representation: int = Field(default=1024, gt=0, description="Width of the box head's two layers")
    anchor_px: list[int] = Field(
        default=[32, 64, 128, 256, 512],
        min_length=5,
        max_length=5,
        description="Side of the anchors at each level of the pyramid, pixels",
    )
    proposals: int = Field(default=1000, gt=0, description="Proposals kept per image")
    score_threshold: float = Field(default=0.05, ge=0, lt=1, description="Boxes below this score are dropped")
    max_detections: int = Field(default=100, gt=0, description="Largest number of boxes per image")


class DetectionScorer(Scorer):
    """COCO's average precision and recall over a split."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.answers: list[Objects] = []
        self.targets: list[Objects] = []

    def add(self, answer: Objects, target: Objects) -> None:
        """Add the predicted and the true boxes [N, 4] of one image."""
        self.answers.append(answer)
        self.targets.append(target)

    def columns(self) -> dict[str, list[Any]]:
        """Return the number of objects (without crowds and difficult ones) and the predicted boxes, as number and JSON.

        An entry of `boxes` is [x0, y0, x1, y1, score, class], in pixels of the stored image; the best comes first.
        `matches` and `objects_by_class` are what average precision is computed from (`sc2.measure.detection.Matches`).
        """
        from sc2.measure.detection import left_out

        matches = self._evaluation.matches()
        return {
            "matches": [json.dumps(detections) for detections in matches.detections],
            "objects_by_class": [counts.tolist() for counts in matches.objects],
            "objects": [int((~left_out(target)).sum()) for target in self.targets],
            "detections": [len(answer["boxes"]) for answer in self.answers],
            "boxes": [json.dumps(_rows(answer)) for answer in self.answers],
        }

    def summary(self) -> dict[str, float | None]:
        """Return COCO's twelve measures in percent."""
        return self._evaluation.summary()

    @cached_property
    def _evaluation(self) -> CocoEvaluation:
        """COCO's evaluation of all images; made when it is first asked for, after the last image."""
        from sc2.measure.detection import CocoEvaluation

        return CocoEvaluation(self.targets, self.answers, self.num_classes)


class Detection(Task):
    """Boxes with classes."""

    name = "detection"
    Head = Head
    select = ("box_ap_pct", "max")
    multiple_px = 32
    evaluation_batch = 16
    published_as = "fasterrcnn_{}_fpn"
    published_by = ("file", "torchvision")

    def target(self, store: SampleStore, index: int) -> Objects:
        """Return the boxes [N, 4] of an image; N may be 0."""
        boxes = store.boxes(index)
        return {
            "boxes": np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes], np.float64).reshape(-1, 4),
            "labels": np.array([box.label for box in boxes], np.int64),
            "crowd": np.array([box.crowd for box in boxes], bool),
            "difficult": np.array([box.difficult for box in boxes], bool),
            "area": np.array([box.area for box in boxes], np.float64),
        }

    def placed(self, target: Objects, placement: Placement) -> Objects:
        """Convert boxes [N, 4] to the input; boxes that the crop removes are dropped."""
        return _kept(target, placement.boxes_in(target["boxes"]))

    def restored(self, answer: Objects, placement: Placement) -> Objects:
        """Convert predicted boxes [N, 4] back to the stored image."""
        return {**answer, "boxes": placement.boxes_out(answer["boxes"])}

    def mirrored(self, target: Objects, width: int) -> Objects:
        """Return the boxes [N, 4] of the mirrored image."""
        x0, y0, x1, y1 = target["boxes"].T
        return {**target, "boxes": np.stack([width - x1, y0, width - x0, y1], axis=1)}

    def shifted(self, target: Objects, x: int, y: int, size: tuple[int, int]) -> Objects:
        """Return the boxes [N, 4] of the shifted image, clipped at its edges."""
        moved = target["boxes"] + np.array([x, y, x, y])
        return _kept(target, np.clip(moved, 0, np.array([*size, *size])))

    def collate(self, targets: Sequence[Objects]) -> list[dict[str, Tensor]]:
        """Return the targets of each image as tensors: `boxes` [N, 4], the others [N]."""
        import torch

        return [{name: torch.from_numpy(values) for name, values in target.items()} for target in targets]

    def moved(self, targets: list[dict[str, Tensor]], device: torch.device) -> list[dict[str, Tensor]]:
        """Return the targets, `boxes` [N, 4] and others [N] of each image, on a device."""
        return [{name: values.to(device) for name, values in target.items()} for target in targets]

    def single(self, targets: list[dict[str, Tensor]]) -> list[Objects]:
        """Return the targets of each image as arrays: `boxes` [N, 4], the others [N]."""
        return [{name: values.cpu().numpy() for name, values in target.items()} for target in targets]

    def losses(
        self,
        head: nn.Module,
        features: Features,
        targets: list[dict[str, Tensor]],
        *,
        output: Any = None,
        summed: bool = False,
        label_smoothing: float = 0.0,
    ) -> dict[str, Tensor]:
        """Return the sum of Faster R-CNN's four losses and the four, scalars; crowds are not trained on.

        `features` are the taps' outputs [B, C, H, W]; see `Task.losses`.
        """
        import torch

        from sc2.backbones.heads.detection import DetectionHead

        if label_smoothing:
            raise ConfigError("label_smoothing has no effect in detection; remove it")
        assert isinstance(head, DetectionHead)
        assert isinstance(features, dict)
        wanted = [
            {"boxes": target["boxes"][~target["crowd"]].float(), "labels": target["labels"][~target["crowd"]]}
            for target in targets
        ]
        parts = head.losses(features, wanted)
        total = torch.stack(list(parts.values())).sum()
        factor = len(targets) if summed else 1
        named = {name.removeprefix("loss_"): factor * value.detach() for name, value in parts.items()}
        return {"loss": factor * total} | named

    def answers(self, output: list[dict[str, Tensor]]) -> list[Objects]:
        """Return the predicted boxes [N, 4] of each image."""
        return [
            {name: values.detach().cpu().numpy().astype(_DTYPES[name]) for name, values in boxes.items()}
            for boxes in output
        ]

    def resampled(self, samples: Mapping[str, Any], weights: np.ndarray) -> np.ndarray:
        """Return `box_ap_pct` of weighted images, float64 [resamples], for weights [resamples, images]."""
        from sc2.measure.average_precision import resampled_ap

        matches = [json.loads(text) for text in samples["matches"]]
        return resampled_ap(matches, np.stack(list(samples["objects_by_class"])), weights)

    def chance(self, samples: Mapping[str, Any]) -> float:
        """Return 0: boxes at the same place in all images find next to nothing."""
        return 0.0

    def scorer(self, num_classes: int) -> Scorer:
        """Return a scorer of COCO's measures."""
        return DetectionScorer(num_classes)

    def describe(self, answer: Objects, classes: Sequence[str], *, top: int) -> str:
        """Return the best of the boxes [N, 4]: class, score, edges in pixels."""
        lines = [
            f"{classes[int(label)]:<24} {100 * score:6.2f} %  x {x0:.1f} … {x1:.1f}  y {y0:.1f} … {y1:.1f}"
            for x0, y0, x1, y1, score, label in _rows(answer)[:top]
        ]
        return "\n".join(lines) or "no object"

    def as_json(self, answer: Objects, classes: Sequence[str]) -> dict[str, Any]:
        """Return all boxes [N, 4], the best first."""
        return {
            "boxes": [
                {"class": classes[int(label)], "index": int(label), "score": score, "box_px": [x0, y0, x1, y1]}
                for x0, y0, x1, y1, score, label in _rows(answer)
            ]
        }


_DTYPES: Mapping[str, Any] = {"boxes": np.float64, "scores": np.float64, "labels": np.int64}


def _rows(answer: Objects) -> list[list[float]]:
    rows = zip(answer["boxes"].tolist(), answer["scores"].tolist(), answer["labels"].tolist(), strict=True)
    return [[*box, score, label] for box, score, label in rows]


def _kept(target: Objects, boxes: np.ndarray) -> Objects:
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = (sides >= _LEAST_PX).all(axis=1)
    rest = {name: values[kept] for name, values in target.items()}
    # How much of the object remains is not known, only how much of its box.
    return {**rest, "boxes": boxes[kept], "area": np.minimum(rest["area"], sides[kept].prod(axis=1))}


TASK = Detection()
