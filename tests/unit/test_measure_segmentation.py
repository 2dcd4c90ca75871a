"""Mean IoU and pixel accuracies: cases by hand, and scikit-learn's confusion matrix and Jaccard index."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_matrix
from sklearn.metrics import jaccard_score

from sc2.errors import DataError
from sc2.measure.segmentation import confusion_matrix, segmentation_summary


def mask(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


def test_a_case_by_hand() -> None:
    truth, found = mask([0, 0, 1, 1], [0, 0, 1, 2]), mask([0, 0, 0, 1], [0, 0, 1, 1])
    matrix = confusion_matrix(truth, found, 4)
    assert matrix.tolist() == [[4, 0, 0, 0], [1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    # Unions: 5, 4, 1, and label 3 occurs nowhere.
    assert segmentation_summary(matrix) == {
        "miou_pct": pytest.approx(100 * (4 / 5 + 2 / 4 + 0) / 3),
        "pixel_accuracy_pct": pytest.approx(75),
        "mean_pixel_accuracy_pct": pytest.approx(100 * (1 + 2 / 3 + 0) / 3),
    }


def test_ignored_pixels_do_not_count() -> None:
    truth, found = mask([255, 255, 1]), mask([0, 2, 1])
    assert confusion_matrix(truth, found, 3).sum() == 1
    assert segmentation_summary(confusion_matrix(truth, found, 3))["miou_pct"] == 100


def test_a_label_that_is_only_predicted_counts_as_missed() -> None:
    numbers = segmentation_summary(confusion_matrix(mask([0, 0]), mask([0, 1]), 3))
    assert numbers["miou_pct"] == pytest.approx(25)
    assert numbers["mean_pixel_accuracy_pct"] == 50


def test_without_a_scored_pixel_there_are_no_numbers() -> None:
    assert set(segmentation_summary(confusion_matrix(mask([255]), mask([0]), 2)).values()) == {None}


def test_the_numbers_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 5, (40, 30)).astype(np.uint8)
    found = np.where(generator.random(truth.shape) < 0.6, truth, generator.integers(0, 5, truth.shape)).astype(np.uint8)
    matrix = confusion_matrix(truth, found, 5)
    assert np.array_equal(matrix, sklearn_matrix(truth.ravel(), found.ravel(), labels=range(5)))
    numbers = segmentation_summary(matrix)
    assert numbers["miou_pct"] == pytest.approx(100 * jaccard_score(truth.ravel(), found.ravel(), average="macro"))
    assert numbers["pixel_accuracy_pct"] == pytest.approx(100 * (truth == found).mean())
    each = [(found[truth == label] == label).mean() for label in range(5)]
    assert numbers["mean_pixel_accuracy_pct"] == pytest.approx(100 * np.mean(each))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"\[1, 2\], the true one \[1, 3\]"):
        confusion_matrix(mask([0, 0, 0]), mask([0, 0]), 2)
    with pytest.raises(DataError, match="0 … 1, not 0 … 2"):
        confusion_matrix(mask([0, 0]), mask([0, 2]), 2)
