"""Mean intersection over union and pixel accuracies from a confusion matrix (docs/papers.md#miou)."""

import numpy as np

from sc2.errors import DataError


def confusion_matrix(target: np.ndarray, answer: np.ndarray, num_labels: int) -> np.ndarray:
    """Count the pixels of one image by true and predicted label.

    Args:
        target: True labels, whole numbers [H, W]; what lies outside 0 … num_labels - 1 (255: ignored) is not counted.
        answer: Predicted labels [H, W], all in 0 … num_labels - 1.
        num_labels: Labels, the background among them.

    Returns:
        int64 [num_labels, num_labels]; rows are true labels, columns predicted ones.

    Raises:
        DataError: The masks differ in size, or a prediction is out of range.
    """
    if target.shape != answer.shape:
        raise DataError(f"the predicted mask is {list(answer.shape)}, the true one {list(target.shape)}")
    if answer.size and not 0 <= int(answer.min()) <= int(answer.max()) < num_labels:
        raise DataError(f"predicted labels must lie in 0 … {num_labels - 1}, not {answer.min()} … {answer.max()}")
    scored = (target >= 0) & (target < num_labels)
    pairs = target[scored].astype(np.int64) * num_labels + answer[scored]
    return np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)


def segmentation_summary(matrix: np.ndarray) -> dict[str, float | None]:
    """Return the numbers of a confusion matrix in percent; None where no pixel is scored.

    `miou_pct` is the mean over the labels that occur, in the truth or in the predictions, of intersection over union;
    `pixel_accuracy_pct` the share of pixels with the right label; `mean_pixel_accuracy_pct` the mean of that share
    over the true labels that occur.

    Args:
        matrix: Pixels by true (row) and predicted label (column), int64 [num_labels, num_labels].
    """
    right, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    if not true.any():
        return dict.fromkeys(("miou_pct", "pixel_accuracy_pct", "mean_pixel_accuracy_pct"))
    union = true + predicted - right
    return {
        "miou_pct": 100.0 * float((right[union > 0] / union[union > 0]).mean()),
        "pixel_accuracy_pct": 100.0 * int(right.sum()) / int(true.sum()),
        "mean_pixel_accuracy_pct": 100.0 * float((right[true > 0] / true[true > 0]).mean()),
    }


def label_counts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the mean intersection over union of a confusion matrix needs: pixels by label, int64 [num_labels].

    Those that are right, those that have the label in truth, and those that were given it.

    Args:
        matrix: Pixels by true (row) and predicted label (column), int64 [num_labels, num_labels].
    """
    return np.diag(matrix).copy(), matrix.sum(axis=1), matrix.sum(axis=0)


def resampled_miou(right: np.ndarray, true: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return `miou_pct` of weighted images, float64 [resamples]; NaN where no pixel is scored.

    Args:
        right: `label_counts` of every image, [images, num_labels].
        true: The same.
        predicted: The same.
        weights: How often each image counts, [resamples, images].
    """
    union = weights @ (true + predicted - right)
    with np.errstate(invalid="ignore"):  # 0/0: a label that does not occur
        return 100.0 * _mean_of_known((weights @ right) / union)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Return the mean of each row without its NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean
