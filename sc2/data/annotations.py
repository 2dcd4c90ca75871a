"""Checks of annotations: boxes and masks must fit the upright image."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from sc2.data.source import IGNORED, Box
from sc2.data.transform import decode_mask
from sc2.errors import DataError

TOLERANCE_PX = 2
"""How far a box may stick out of the image, and a declared size differ from it: published annotations are rounded."""

Size = tuple[int, int]


def check_size(name: str, image: Size, declared: Size, *, tolerance_px: int = TOLERANCE_PX) -> None:
    """Refuse annotations that were made for an image of another size (width, height).

    Raises:
        DataError: The sizes differ; the message says so where the image's EXIF orientation explains the difference.
    """
    if all(abs(actual - claimed) <= tolerance_px for actual, claimed in zip(image, declared, strict=True)):
        return
    facts = f"{name}: annotated as {declared[0]} × {declared[1]} pixels, but upright it has {image[0]} × {image[1]}"
    if image == declared[::-1]:
        raise DataError(
            f"{facts}: it was annotated without its EXIF orientation, or rotated later. Remove that orientation from "
            "the file, or rotate the annotations."
        )
    raise DataError(f"{facts}. Use image and annotations from the same release of the data set.")


def check_upright(
    name: str, image: Size, declared: Size | None, orientation: int, *, tolerance_px: int = TOLERANCE_PX
) -> None:
    """Refuse annotations if it is unclear whether they were drawn on the stored or on the upright pixels.

    Args:
        name: What to call the annotations in an error message.
        image: Width and height of the upright image.
        declared: Width and height that the annotations were made for, checked by `check_size`; None if unknown.
        orientation: EXIF orientation of the image, 1 to 8.
        tolerance_px: Largest allowed difference of a declared size, in pixels.

    Raises:
        DataError: The EXIF orientation mirrors or rotates the image, and its size does not settle the question.
    """
    if orientation == 1:
        return
    stored = image[::-1]  # if it is rotated by 90°; then the size shows which it was, unless it is a square
    rotated = orientation >= 5 and declared is not None
    if rotated and any(
        abs(side - claim) > tolerance_px for side, claim in zip(stored, declared or stored, strict=True)
    ):
        return
    raise DataError(
        f"{name}: its image has EXIF orientation {orientation}, and it is unclear whether the annotation was drawn on "
        "the stored or on the rotated pixels. If on the stored ones, remove the orientation from the file; if on the "
        "rotated ones, save the image rotated and without an orientation."
    )


def fitted_boxes(name: str, image: Size, boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Clip boxes to the image (width, height); boxes without any area are dropped.

    Raises:
        DataError: A box is not finite, has swapped edges, or sticks out by more than `TOLERANCE_PX`.
    """
    width, height = image
    fitted = []
    for box in boxes:
        edges = (box.x0, box.y0, box.x1, box.y1)
        if not all(map(math.isfinite, (*edges, box.area))) or box.x1 < box.x0 or box.y1 < box.y0:
            raise DataError(f"{name}: {edges} with area {box.area} is not a valid box. Correct the annotation.")
        if min(box.x0, box.y0) < -TOLERANCE_PX or box.x1 > width + TOLERANCE_PX or box.y1 > height + TOLERANCE_PX:
            raise DataError(
                f"{name}: the box from ({box.x0:g}, {box.y0:g}) to ({box.x1:g}, {box.y1:g}) sticks out of the image, "
                f"which upright has {width} × {height} pixels. Correct the annotation."
            )
        x0, y0, x1, y1 = max(0.0, box.x0), max(0.0, box.y0), min(float(width), box.x1), min(float(height), box.y1)
        if not (x0 < x1 and y0 < y1):
            continue
        if (x0, y0, x1, y1) != edges:
            box = replace(box, x0=x0, y0=y0, x1=x1, y1=y1, area=min(box.area, (x1 - x0) * (y1 - y0)))
        fitted.append(box)
    return tuple(fitted)


def check_mask(name: str, data: bytes, image: Size, classes: int, *, orientation: int = 1) -> None:
    """Refuse a mask that does not fit its image.

    Args:
        name: What to call the mask in an error message.
        data: The mask's file.
        image: Width and height of the upright image.
        classes: Number of classes without the background.
        orientation: EXIF orientation of the image, 1 to 8.

    Raises:
        DataError: The mask is unreadable, has colours instead of numbers, differs in size from the upright image, or
            has a value that is neither a class nor `IGNORED`, or the image may have been rotated since.
    """
    values = decode_mask(data, name)
    size = (values.shape[1], values.shape[0])
    check_size(name, image, size, tolerance_px=0)
    check_upright(name, image, size, orientation, tolerance_px=0)
    if unknown := sorted(set(np.unique(values).tolist()) - {*range(classes + 1), IGNORED}):
        raise DataError(
            f"{name}: holds the values {unknown}; allowed are 1 to {classes} for the classes, 0 for background and "
            f"{IGNORED} for ignored pixels."
        )
