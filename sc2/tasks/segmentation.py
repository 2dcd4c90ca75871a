"""Semantic segmentation: a class per pixel, scored by the mean intersection over union; DeepLabv3.

Source: docs/papers.md#deeplabv3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sc2.backbones.spec import BackboneSpec, HeadSpec, NetworkSpec
from sc2.data.geometry import Placement
from sc2.data.source import IGNORED
from sc2.tasks.base import HeadParams, Scorer, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from sc2.backbones.base import Features
    from sc2.data.store import SampleStore

BACKGROUND = 0
AUXILIARY_WEIGHT = 0.5

Mask = np.ndarray
"""uint8 [H, W]: 0 background, k + 1 class k, 255 not scored (in targets)."""


class Head(HeadParams):
    """DeepLabv3's head; the defaults are torchvision's."""

    output_stride: Literal[8, 16, 32] = Field(
        default=8, description="Stride of layer4 relative to the image: larger strides become dilations"
    )
    width: int = Field(default=256, gt=0, description="Channels inside the head")
    atrous_rates: list[int] = Field(default=[12, 24, 36], min_length=1, description="Dilations of the atrous pooling")


_COUNTS = ("right_px", "true_px", "predicted_px")


class SegmentationScorer(Scorer):
    """Mean intersection over union and pixel accuracies of a split."""

    def __init__(self, num_classes: int) -> None:
        self.matrices: list[np.ndarray] = []
        self.num_labels = 1 + num_classes

    def add(self, answer: Mask, target: Mask) -> None:
        """Add the predicted and the true mask [H, W] of one image."""
        from sc2.measure.segmentation import confusion_matrix

        self.matrices.append(confusion_matrix(target, answer, self.num_labels))

    def columns(self) -> dict[str, list[Any]]:
        """Return the same measures for each image on its own, the number of its scored pixels, and counts by label.

        An entry of `right_px`, `true_px` and `predicted_px` has a number for each label, the background first.
        """
        from sc2.measure.segmentation import label_counts, segmentation_summary

        each = [segmentation_summary(matrix) for matrix in self.matrices]
        names = list(each[0]) if each else []
        counts = [[count.tolist() for count in label_counts(matrix)] for matrix in self.matrices]
        return {
            **{name: [numbers[name] for numbers in each] for name in names},
            "scored_px": [int(matrix.sum()) for matrix in self.matrices],
            **{name: [own[position] for own in counts] for position, name in enumerate(_COUNTS)},
        }

    def summary(self) -> dict[str, float | None]:
        """Return the measures over all pixels of the split."""
        from sc2.errors import DataError
        from sc2.measure.segmentation import segmentation_summary

        if not self.matrices:
            raise DataError("the mean intersection over union of zero images is undefined")
        return segmentation_summary(np.sum(self.matrices, axis=0))


class Segmentation(Task):
    """A class per pixel."""

    name = "segmentation"
    Head = Head
    select = ("miou_pct", "max")
    multiple_px = 32
    lr_factors: ClassVar[Mapping[str, float]] = {"aux": 10.0}  # as upstream trains it (docs/papers.md#deeplabv3)
    least_batch = 2  # the head normalises one value per image and channel over the batch
    evaluation_batch = 16
    published_as = "deeplabv3_{}"
    published_by = ("file", "torchvision")

    def network(self, backbone: BackboneSpec, head: HeadParams) -> NetworkSpec:
        """Return the dilated body with its head."""
        assert isinstance(head, Head)
        args = head.model_dump(mode="json", exclude={"output_stride"})
        return NetworkSpec(**dict(backbone), head=HeadSpec(name=self.name, args=args), output_stride=head.output_stride)

    def target(self, store: SampleStore, index: int) -> Mask:
        """Return the mask [H, W] of an image."""
        return np.asarray(store.mask(index))

    def placed(self, target: Mask, placement: Placement) -> Mask:
        """Convert a mask [H, W] to the input; padding is not scored."""
        return placement.mask_in(target, padding=IGNORED)

    def restored(self, answer: Mask, placement: Placement) -> Mask:
        """Convert a predicted mask [H, W] back to the stored image; pixels outside the input become background."""
        return placement.mask_out(answer, outside=BACKGROUND)

    def mirrored(self, target: Mask, width: int) -> Mask:
        """Return the mask [H, W] of the mirrored image."""
        return np.ascontiguousarray(target[:, ::-1])

    def shifted(self, target: Mask, x: int, y: int, size: tuple[int, int]) -> Mask:
        """Return the mask [H, W] of the shifted image; its edges are filled by reflection, as the image's are."""
        reach = max(abs(x), abs(y))
        height, width = target.shape
        padded = np.pad(target, reach, mode="reflect")
        return padded[reach - y : reach - y + height, reach - x : reach - x + width]

    def padded(self, target: Mask, size: tuple[int, int]) -> Mask:
        """Return the mask [H, W] of the padded image; padding is not scored."""
        height, width = target.shape
        return np.pad(target, ((0, size[1] - height), (0, size[0] - width)), constant_values=IGNORED)

    def collate(self, targets: Sequence[Mask]) -> Tensor:
        """Return the masks, uint8 [B, H, W]."""
        import torch

        return torch.from_numpy(np.stack(targets))

    def moved(self, targets: Tensor, device: torch.device) -> Tensor:
        """Return the masks [B, H, W] on a device."""
        return targets.to(device)

    def single(self, targets: Tensor) -> list[Mask]:
        """Return a mask [H, W] per image."""
        return list(targets.cpu().numpy())

    def losses(
        self,
        head: nn.Module,
        features: Features,
        targets: Tensor,
        *,
        output: Tensor | None = None,
        summed: bool = False,
        label_smoothing: float = 0.0,
    ) -> dict[str, Tensor]:
        """Return the cross entropy per scored pixel plus half of the auxiliary head's, and both terms, all scalars.

        `features` are the taps' outputs [B, C, H, W], `output` logits [B, 1 + K, H, W], targets [B, H, W]. A batch
        without scored pixels has loss 0. Where layer3 lies before the cut, the auxiliary head gets no features, and
        the loss is the main cross entropy only.
        """
        from torch.nn import functional

        from sc2.backbones.heads.segmentation import SegmentationHead

        assert isinstance(head, SegmentationHead)
        assert isinstance(features, dict)

        scored = bool((targets != IGNORED).any())

        def cross_entropy(logits: Tensor) -> Tensor:
            if not scored:  # the mean over zero pixels is not a number
                return 0 * logits.sum()
            return functional.cross_entropy(
                logits, targets.long(), ignore_index=IGNORED, label_smoothing=label_smoothing
            )

        main = cross_entropy(head(features) if output is None else output)
        auxiliary_logits = head.auxiliary(features)
        factor = len(targets) if summed else 1
        if auxiliary_logits is None:
            return {"loss": factor * main}
        auxiliary = cross_entropy(auxiliary_logits)
        parts = {"cross_entropy": factor * main.detach(), "auxiliary": factor * auxiliary.detach()}
        return {"loss": factor * (main + AUXILIARY_WEIGHT * auxiliary)} | parts

    def answers(self, output: Tensor) -> list[Mask]:
        """Return the mask [H, W] of each image, the best class of every pixel, for logits [B, 1 + K, H, W]."""
        from sc2.backbones.heads.segmentation import masks

        return list(masks(output).cpu().numpy())

    def resampled(self, samples: Mapping[str, Any], weights: np.ndarray) -> np.ndarray:
        """Return `miou_pct` of the pixels of weighted images, float64 [resamples], for weights [resamples, images]."""
        from sc2.measure.segmentation import resampled_miou

        right, true, predicted = (np.stack(list(samples[name])) for name in _COUNTS)
        return resampled_miou(right, true, predicted, weights)

    def chance(self, samples: Mapping[str, Any]) -> float:
        """Return `miou_pct` of nothing but the most frequent label."""
        true = np.sum(np.stack(list(samples["true_px"])), axis=0)
        return 100.0 * float(true.max() / true.sum()) / int((true > 0).sum())

    def scorer(self, num_classes: int) -> Scorer:
        """Return a scorer of masks."""
        return SegmentationScorer(num_classes)

    def describe(self, answer: Mask, classes: Sequence[str], *, top: int) -> str:
        """Return the classes that cover most pixels of a mask [H, W], the background included."""
        names, (labels, counts) = ("background", *classes), np.unique(answer, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:top]
        return "\n".join(f"{names[labels[i]]:<24} {100 * counts[i] / answer.size:6.2f} % of the pixels" for i in order)

    def as_json(self, answer: Mask, classes: Sequence[str]) -> dict[str, Any]:
        """Return the mask [H, W] as rows of labels, and the names of the labels."""
        return {"labels": ["background", *classes], "mask": answer.tolist()}


TASK = Segmentation()
