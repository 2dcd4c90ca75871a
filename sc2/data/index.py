"""The index of a stored data set: one line of JSON per sample."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sc2.data.archive import LARGEST_IMAGE
from sc2.data.source import SPLITS, Box
from sc2.errors import DataError
from sc2.foreign import number, text, whole

REBUILD = "Delete it and run the workflow again: `prepare_data` rebuilds it."
LARGEST_META = 16 * 1024**2
"""Bytes of the largest `meta.json`, and of the longest line of an index."""


@dataclass(frozen=True)
class Blob:
    """Where a file is inside a tar: its name, the offset of its first byte, its size in bytes and its SHA-256.

    Of a file that stays where it is, the name is the path below the data set's folder, and the offset 0.
    """

    member: str
    offset: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Sample(Blob):
    """One stored sample: the location of its image, and its annotations.

    Attributes:
        id: Name of the sample, unique in its split.
        split: `train`, `val` or `test`.
        label: Class of the image, None if the data set has no labels of images.
        boxes: One box per object in pixels of the upright image; empty where there are none.
        mask: Location of the mask, or None.
        groups: What it shares with other samples that makes them alike, by kind; empty if nothing is known.
    """

    id: str
    split: str
    label: int | None = None
    boxes: tuple[Box, ...] = ()
    mask: Blob | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


def read_index(path: Path, split: str) -> list[Sample]:
    """Return the samples of a split, in the order of the lines.

    Raises:
        DataError: The index is missing, or a line is damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: missing. Run the workflow: `prepare_data` makes it.")
    samples = []
    # A line of another split is not parsed: of ImageNet, that saves most of the time. Quotes inside a text are escaped.
    others = [f'"split": "{other}"'.encode() for other in SPLITS if other != split]
    with path.open("rb") as file:
        for position, line in enumerate(iter(lambda: file.readline(LARGEST_META), b""), 1):
            if any(other in line for other in others):
                continue
            try:
                row = typed(json.loads(line), dict)
                if row["split"] == split:
                    samples.append(_sample(row))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise DataError(f"{path}, line {position}: damaged ({error!r}). {REBUILD}") from error
    return samples


def _sample(row: dict[str, Any]) -> Sample:
    mask, label = row.get("mask"), row.get("label")
    return Sample(
        **_blob_fields(row),
        id=text(row["id"], "id"),
        split=row["split"],
        label=None if label is None else whole(label, "label"),
        boxes=tuple(_box(*entry) for entry in typed(row.get("boxes", []), list)),
        mask=None if mask is None else Blob(**_blob_fields(mask)),
        groups={kind: text(id_, "a group") for kind, id_ in typed(row.get("groups", {}), dict).items()},
    )


def _blob_fields(row: Any) -> dict[str, Any]:
    return {
        "member": text(row["member"], "member"),
        "offset": whole(row["offset"], "offset"),
        "size": whole(row["size"], "size", high=LARGEST_IMAGE),
        "sha256": text(row["sha256"], "sha256"),
    }


_CROWD, _DIFFICULT = 1, 2


def _box(x0: float, y0: float, x1: float, y1: float, label: int, area: float = 0, flags: int = 0) -> Box:
    x0, y0, x1, y1 = (number(edge, "an edge of a box") for edge in (x0, y0, x1, y1))
    label, area, flags = whole(label, "label"), number(area, "area", low=0), whole(flags, "flags", high=3)
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"the box {[x0, y0, x1, y1]} is empty")
    return Box(x0, y0, x1, y1, label, crowd=bool(flags & _CROWD), difficult=bool(flags & _DIFFICULT), area=area)


def _box_row(box: Box) -> list[float]:
    """Return a box as it is written in the index: `x0, y0, x1, y1, label[, area[, flags]]`."""
    flags = _CROWD * box.crowd + _DIFFICULT * box.difficult
    row = [box.x0, box.y0, box.x1, box.y1, box.label, box.area, flags]
    if not flags:
        row = row[:5] if box.area == box.box_area else row[:6]
    return [int(value) if value == int(value) else value for value in row]


def index_line(sample: Sample) -> str:
    """Return the line of a sample, without the newline."""
    row = asdict(sample) | {"boxes": [_box_row(box) for box in sample.boxes]}
    row = {key: value for key, value in row.items() if value not in (None, [], {})}
    return json.dumps(row, sort_keys=True)


def typed(value: Any, kind: type[Any]) -> Any:
    """Return a value from JSON if it has the given type.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.60} is not a {kind.__name__}")
    return value
