"""Classification accuracy, per image and in percent."""

import torch
from torch import Tensor

from sc2.errors import DataError


def topk_correct(logits: Tensor, labels: Tensor, k: int) -> Tensor:
    """Return for each image whether its label is among the `k` highest logits.

    Ties are resolved in favour of the lower class index, whatever the device: class j ranks before class i when its
    logit is higher, or equal with j < i. So constant logits predict class 0, 1, 2, … A class at -∞ is out of the
    question, whatever `k`: that is how an answer says that it offers fewer than K classes.

    Args:
        logits: Scores, floating point [N, K]; infinities are allowed.
        labels: Class indices in 0 … K − 1, integer [N].
        k: At least 1; more than K counts as K.

    Returns:
        Boolean [N].

    Raises:
        DataError: Shapes, labels or `k` are out of range, or a logit is NaN, which would rank before everything.
    """
    _check(logits, labels, k)
    labels = labels.to(logits.device, torch.int64)
    own = logits.gather(1, labels[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    before = (logits > own) | ((logits == own) & (classes < labels[:, None]))
    offered = ~own[:, 0].isneginf()
    return offered & (before.sum(dim=1) < k)


def accuracy_pct(correct: Tensor) -> float:
    """Return the share of correct images in percent.

    Args:
        correct: Boolean [N], N ≥ 1.

    Raises:
        DataError: There is no image.
    """
    if correct.numel() == 0:
        raise DataError("accuracy of no image is not defined")
    # In Python integers: exact, and the same on every device.
    return 100.0 * int(correct.sum()) / correct.numel()


def top1_pct(logits: Tensor, labels: Tensor) -> float:
    """Return top-1 accuracy in percent; arguments and errors as for `topk_correct`, N ≥ 1."""
    return accuracy_pct(topk_correct(logits, labels, 1))


def top5_pct(logits: Tensor, labels: Tensor) -> float:
    """Return top-5 accuracy in percent; 100 with at most five classes, none at -∞. Arguments as for `top1_pct`."""
    return accuracy_pct(topk_correct(logits, labels, 5))


def _check(logits: Tensor, labels: Tensor, k: int) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise DataError(f"logits [N, K] and labels [N] expected, not {list(logits.shape)} and {list(labels.shape)}")
    if k < 1:
        raise DataError(f"top-k accuracy needs k ≥ 1, not {k}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise DataError(f"labels are class indices, not {labels.dtype}")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise DataError(
            f"labels from {int(labels.min())} to {int(labels.max())}, but there are {logits.shape[1]} classes"
        )
    if bool(logits.isnan().any()):
        raise DataError("logits hold NaN; the model or its input is broken")
