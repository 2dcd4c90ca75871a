"""Classification: one class per image, scored by accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sc2.backbones.spec import BackboneSpec, NetworkSpec
from sc2.tasks.base import HeadParams, Imitation, Scorer, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from sc2.backbones.base import Features
    from sc2.data.store import SampleStore


class ClassificationScorer(Scorer):
    """Top-1 and top-5 accuracy; a prediction is logits [K], a target a class index."""

    def __init__(self) -> None:
        self.logits: list[Tensor] = []
        self.labels: list[int] = []

    def add(self, answer: Tensor, target: int) -> None:
        """Add the logits [K] and the class of one image."""
        self.logits.append(answer)
        self.labels.append(int(target))

    def columns(self) -> dict[str, list[Any]]:
        """Return the label, whether it is the best class and among the five best, and the best class."""
        top1, top5 = self._correct(1), self._correct(5)
        predicted = [int(logits.argmax()) for logits in self.logits]
        return {
            "label": list(self.labels),
            "top1_correct": top1.tolist(),
            "top5_correct": top5.tolist(),
            "predicted": predicted,
        }

    def summary(self) -> dict[str, float | None]:
        """Return both accuracies in percent."""
        from sc2.measure.quality import accuracy_pct

        return {"top1_pct": accuracy_pct(self._correct(1)), "top5_pct": accuracy_pct(self._correct(5))}

    def _correct(self, k: int) -> Tensor:
        import torch

        from sc2.measure.quality import topk_correct

        logits = torch.stack(self.logits) if self.logits else torch.zeros(0, 1)
        return topk_correct(logits, torch.tensor(self.labels, dtype=torch.int64), k)


class KnowledgeDistillation(Imitation):
    """α CE + (1 - α) τ² KL (arXiv 1503.02531), as torchdistill computes it."""

    def __init__(self, alpha: float, temperature: float) -> None:
        from torchdistill.losses.mid_level import KDLoss

        self.loss = KDLoss("logits", "output", "logits", "output", temperature, alpha)

    def __call__(self, output: Tensor, reference: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a scalar, for logits [B, K] of student (`output`) and teacher (`reference`), classes [B]."""
        loss: Tensor = self.loss({"logits": {"output": output}}, {"logits": {"output": reference}}, targets)
        return loss


class Classification(Task):
    """One class per image."""

    name = "classification"
    select = ("top1_pct", "max")

    def network(self, backbone: BackboneSpec, head: HeadParams) -> NetworkSpec:
        """Return the network unchanged: it ends in a classifier."""
        return NetworkSpec(**dict(backbone))

    def target(self, store: SampleStore, index: int) -> int:
        """Return the class of an image."""
        return store.labels[index]

    def collate(self, targets: Sequence[int]) -> Tensor:
        """Return the classes, int64 [B]."""
        import torch

        return torch.tensor(list(targets), dtype=torch.int64)

    def moved(self, targets: Tensor, device: torch.device) -> Tensor:
        """Return the classes [B] on a device."""
        return targets.to(device)

    def single(self, targets: Tensor) -> list[int]:
        """Return the classes [B] as a list of integers."""
        labels: list[int] = targets.tolist()
        return labels

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
        """Return the cross entropy `loss`, a scalar, of logits [B, K] and classes [B]; see `Task.losses`."""
        from torch.nn import functional

        reduction = "sum" if summed else "mean"
        logits = head(features) if output is None else output
        return {"loss": functional.cross_entropy(logits, targets, reduction=reduction, label_smoothing=label_smoothing)}

    def imitation(self, *, alpha: float, temperature: float) -> Imitation:
        """Return knowledge distillation."""
        return KnowledgeDistillation(alpha, temperature)

    def answers(self, output: Tensor) -> list[Tensor]:
        """Return the logits [K] of each image, for logits [B, K]."""
        return list(output.detach().cpu())

    def resampled(self, samples: Mapping[str, Any], weights: np.ndarray) -> np.ndarray:
        """Return `top1_pct` of weighted images, float64 [resamples], for weights [resamples, images]."""
        from sc2.measure.resampling import weighted_means

        return 100.0 * weighted_means(weights, samples["top1_correct"])

    def chance(self, samples: Mapping[str, Any]) -> float:
        """Return the share of the most frequent class."""
        return 100.0 * float(np.bincount(samples["label"]).max()) / len(samples["label"])

    def right(self, samples: Mapping[str, Any]) -> np.ndarray:
        """Return whether the best class is the right one, bool [images]."""
        return np.asarray(samples["top1_correct"], bool)

    def scorer(self, num_classes: int) -> Scorer:
        """Return a scorer of accuracies."""
        return ClassificationScorer()

    def describe(self, answer: Tensor, classes: Sequence[str], *, top: int) -> str:
        """Return the most probable classes, for logits [K]."""
        probabilities = answer.softmax(0)
        offered = int((~answer.isneginf()).sum())
        best = probabilities.argsort(descending=True)[: min(top, offered)].tolist()
        return "\n".join(f"{classes[index]:<24} {100 * float(probabilities[index]):6.2f} %" for index in best)

    def as_json(self, answer: Tensor, classes: Sequence[str]) -> dict[str, Any]:
        """Return the best class and all logits, for logits [K]."""
        # JSON has no infinity: null for the classes that a device which sends labels did not send.
        shown = [value if math.isfinite(value) else None for value in answer.tolist()]
        return {"class": classes[int(answer.argmax())], "index": int(answer.argmax()), "logits": shown}


TASK = Classification()
