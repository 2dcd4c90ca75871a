"""Checks on what people have drawn: boxes and masks must fit the upright image."""

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
        DataError: The sizes differ; the message tells the case of an image that its EXIF data turn.
    """
    if all(abs(one - other) <= tolerance_px for one, other in zip(image, declared, strict=True)):
        return
    facts = f"{name}: annotated as {declared[0]} × {declared[1]} pixels, but upright it has {image[0]} × {image[1]}"
    if image == declared[::-1]:
        raise DataError(
            f"{facts}: it was annotated without the orientation in its EXIF data, or turned later. Remove that "
            "orientation from the file, or turn the annotations."
        )
    raise DataError(f"{facts}. Get image and annotations of the same release of the data set.")


def check_upright(
    name: str, image: Size, declared: Size | None, orientation: int, *, tolerance_px: int = TOLERANCE_PX
) -> None:
    """Refuse annotations of which nobody can say whether they were drawn on the stored or on the upright pixels.

    Args:
        name: What to call the annotations in an error message.
        image: Width and height of the upright image.
        declared: Width and height that the annotations were made for, as `check_size` has found them right.
        orientation: What the EXIF data of the image say, 1 to 8.
        tolerance_px: How far a declared size may be off.

    Raises:
        DataError: The EXIF data of the image mirror or turn it, and its size upright could be the stored one as well.
    """
    if orientation == 1:
        return
    stored = image[::-1]  # where it is turned by 90°; then the size tells, unless it is a square
    told = orientation >= 5 and declared is not None
    if told and any(abs(one - other) > tolerance_px for one, other in zip(stored, declared or stored, strict=True)):
        return
    raise DataError(
        f"{name}: the EXIF data of its image say orientation {orientation}, and whether the annotation was "
        "drawn on the stored or on the turned pixels cannot be told. If on the stored ones, remove the orientation "
        "from the file; if on the turned ones, save the image turned and without it."
    )


def fitted_boxes(name: str, image: Size, boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Clip boxes to the image (width, height); those without any area are left out.

    Raises:
        DataError: A box is not finite, has swapped edges, or sticks out by more than `TOLERANCE_PX`.
    """
    width, height = image
    fitted = []
    for box in boxes:
        edges = (box.x0, box.y0, box.x1, box.y1)
        if not all(map(math.isfinite, (*edges, box.area))) or box.x1 < box.x0 or box.y1 < box.y0:
            raise DataError(f"{name}: the box {edges} of area {box.area} is none. Correct the annotation.")
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
        orientation: What the EXIF data of the image say, 1 to 8.

    Raises:
        DataError: The mask is unreadable, has colours instead of numbers, another size than the upright image, or a
            value that is neither a class nor `IGNORED`, or the image may have been turned after the mask was drawn.
    """
    values = decode_mask(data, name)
    size = (values.shape[1], values.shape[0])
    check_size(name, image, size, tolerance_px=0)
    check_upright(name, image, size, orientation, tolerance_px=0)
    if unknown := sorted(set(np.unique(values).tolist()) - {*range(classes + 1), IGNORED}):
        raise DataError(
            f"{name}: holds the values {unknown}, but there are {classes} classes (1 to {classes}), 0 for background "
            f"and {IGNORED} for what is ignored."
        )
