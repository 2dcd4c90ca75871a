"""COCO's average precision of weighted images, from the matches of each image (docs/papers.md#box-ap). No torch.

Boxes are matched image by image, so what an image contributes does not change with the others; only the order of all
scores and the sums over them do. That makes thousands of resamples as cheap as a few evaluations.
"""

from collections.abc import Iterator, Sequence

import numpy as np

OVERLAPS = 10
"""Thresholds of the overlap: .50, .55 … .95."""

_RECALLS = np.linspace(0.0, 1.0, 101)
_ROUNDING = 1e-9
_CHUNK = 200


def resampled_ap(
    detections: Sequence[Sequence[Sequence[float]]], objects: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return `box_ap_pct` of weighted images, float64 [resamples]; NaN where there is no object to find.

    Args:
        detections: Per image, per box: [class, score, hits, left out], as in `sc2.measure.detection.Matches`.
        objects: Objects to find, [images, classes].
        weights: How often each image counts, [resamples, images].
    """
    numbered = [(image, *box) for image, boxes in enumerate(detections) for box in boxes]
    rows = np.array(numbered, np.float64).reshape(-1, 5)
    chunks = [weights[start : start + _CHUNK] for start in range(0, len(weights), _CHUNK)]
    return np.concatenate([_mean_over_classes(rows, objects, chunk) for chunk in chunks])


def _mean_over_classes(rows: np.ndarray, objects: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total, classes = np.zeros(len(weights)), np.zeros(len(weights))
    for label in range(objects.shape[1]):
        to_find = weights @ objects[:, label]
        own = rows[rows[:, 1] == label]
        own = own[np.argsort(-own[:, 2], kind="stable")]
        precision = _class_precision(own, to_find, weights)
        total += np.where(to_find > 0, precision, 0.0)
        classes += to_find > 0
    with np.errstate(invalid="ignore"):  # 0/0: no object at all
        mean: np.ndarray = 100.0 * total / classes
    return mean


def _class_precision(own: np.ndarray, to_find: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean precision of one class over overlaps and recalls, [resamples].

    Args:
        own: Its boxes, the best first.
        to_find: Its objects in each resample.
        weights: How often each image counts, [resamples, images].
    """
    counts = weights[:, own[:, 0].astype(np.int64)]
    needed = np.maximum(to_find, 1)[:, None]
    sums, all_boxes = np.zeros(len(weights)), np.cumsum(counts, axis=1)
    for hits, counted in _sets(own):
        if hits.any():
            right = np.cumsum(counts[:, hits], axis=1)
            boxes = (all_boxes if counted.all() else np.cumsum(counts * counted, axis=1))[:, hits]
            # Before its first box, a resample has neither right ones nor any.
            precision = right / np.maximum(boxes, 1)
            best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            reached = _recalls_reached(right / needed) * (right > 0)
            sums += (np.diff(reached, axis=1, prepend=0) * best_from_here).sum(axis=1)
    return sums / (OVERLAPS * len(_RECALLS))


def _recalls_reached(recall: np.ndarray) -> np.ndarray:
    """Return how many of COCO's recalls, 0, .01, .02 …, are not above each of `recall`, in COCO's own rounding."""
    nearest = np.floor(recall * (len(_RECALLS) - 1) + _ROUNDING).astype(np.int64)
    reached: np.ndarray = nearest + (_RECALLS[nearest] <= recall)
    return reached


def _sets(own: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, by overlap, which boxes are hits and which count."""
    hits, left_out = own[:, 3].astype(np.int64), own[:, 4].astype(np.int64)
    for overlap in range(OVERLAPS):
        yield (hits >> overlap & 1).astype(bool), (left_out >> overlap & 1) == 0
