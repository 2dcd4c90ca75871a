"""COCO in its published layout, for detection.

The tree is the published one: `annotations/instances_train2017.json`, `annotations/instances_val2017.json` and the
images in `train2017/` and `val2017/`. The official `val2017` images become the *test* split, and the validation split
is held out of `train2017` (see `sc2.data.splits`). Images are stored as they are. The numbers of COCO's 80 categories
have gaps (1 to 90); here a label is the position of the category in the order of those numbers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field

from sc2.data.annotations import check_size, fitted_boxes
from sc2.data.files import ArchiveSource, Files, FolderSource, open_files
from sc2.data.source import Box, NewSample, Source
from sc2.data.splits import hold_out
from sc2.data.transform import decode_image
from sc2.errors import DataError
from sc2.strict import Strict

_FOLDER = r"^[^/\\.][^/\\]*$"


class Params(Strict):
    """Configuration of a `coco` data set."""

    kind: Literal["coco"] = Field(description="Always `coco`.")
    source: Annotated[ArchiveSource | FolderSource, Field(discriminator="kind")] = Field(
        description="Where the images and annotations come from."
    )
    train_folder: str = Field(
        default="train2017",
        pattern=_FOLDER,
        description="Folder of the training images; their annotations are annotations/instances_<folder>.json.",
    )
    test_folder: str = Field(
        default="val2017", pattern=_FOLDER, description="Folder of the test images; annotations likewise."
    )
    train_without_boxes: bool = Field(
        default=False, description="Whether training images without any box but those of crowds are kept."
    )
    val_images: int = Field(ge=1, description="Validation images held out of the training images, at least 1.")
    max_images: int | None = Field(
        default=None, ge=1, description="At most so many training and so many test images, for small runs."
    )
    num_classes: int | None = Field(
        default=None,
        ge=1,
        description="Categories that there must be; `sc2 inspect` counts with them before the data set is prepared.",
    )
    seed: int = Field(default=0, ge=0, description="Chooses the images that are held out or left out.")


@dataclass(frozen=True)
class Image:
    """One image of an annotation file: the name of its file, its size in pixels, its boxes."""

    file_name: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Instances:
    """An annotation file: the categories' names in the order of their numbers, and the images."""

    name: str
    classes: tuple[str, ...]
    images: tuple[Image, ...]


def open_dataset(config: Mapping[str, Any]) -> Source:
    """Open the data set that `config` (see `Params`) describes.

    Raises:
        DataError: The source is missing, damaged or another one, an annotation file or an image lacks, or the
            annotations contradict each other.
    """
    params = Params.model_validate(config)
    files = open_files(params.source)
    names = frozenset(files.names())
    root = _root(files, names, params)
    train, test = _instances(files, names, root, (params.train_folder, params.test_folder))
    if train.classes != test.classes:
        raise DataError(f"{files.title}: {train.name} and {test.name} list different categories. Get the same release.")
    if params.num_classes not in (None, len(train.classes)):
        raise DataError(
            f"{files.title}: {train.name} lists {len(train.classes)} categories, the data set's num_classes is "
            f"{params.num_classes}. Get the right file, or correct the number."
        )
    pool = {
        _path(root, params.train_folder, image.file_name): image
        for image in train.images
        if params.train_without_boxes or any(not box.crowd for box in image.boxes)
    }
    tested = {_path(root, params.test_folder, image.file_name): image for image in test.images}
    for instances, there in ((train, pool), (test, tested)):
        _require_images(files, instances, [name for name in there if name not in names])
    splits = hold_out(
        files.title, pool, tested, val_images=params.val_images, max_images=params.max_images, seed=params.seed
    )
    counts = {split: len(ids) for split, ids in splits.items()}
    split_of = {name: split for split, ids in splits.items() for name in ids}
    return Source(train.classes, counts, _samples(files, split_of, pool | tested))


def read_instances(name: str, data: bytes) -> Instances:
    """Read an annotation file `instances_….json`; boxes without any area are left out.

    Args:
        name: What to call the file in an error message.
        data: Its content.

    Raises:
        DataError: It is damaged, or an annotation speaks of an image or category that it does not list.
    """
    try:
        content = json.loads(data, object_hook=_without_outlines)
        categories = sorted(content["categories"], key=lambda row: int(row["id"]))
        labels = {int(row["id"]): label for label, row in enumerate(categories)}
        boxes: dict[int, list[Box]] = {int(row["id"]): [] for row in content["images"]}
        for row in content["annotations"]:
            if row["image_id"] not in boxes or row["category_id"] not in labels:
                raise DataError(
                    f"{name}: annotation {row['id']} belongs to image {row['image_id']} and category "
                    f"{row['category_id']}, and not both are listed. Get the file again."
                )
            boxes[row["image_id"]].extend(_boxes(row, labels[row["category_id"]]))
        images = tuple(
            Image(str(row["file_name"]), (int(row["width"]), int(row["height"])), tuple(boxes[int(row["id"])]))
            for row in content["images"]
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{name}: not a readable annotation file ({error!r}). Get the file again.") from error
    classes = tuple(str(row["name"]) for row in categories)
    if len(labels) < len(categories) or len(set(classes)) < len(classes):
        raise DataError(f"{name}: lists a category twice. Get the file again.")
    if len(boxes) < len(images) or len({image.file_name for image in images}) < len(images):
        raise DataError(f"{name}: lists an image twice. Get the file again.")
    return Instances(name, classes, images)


def _without_outlines(row: dict[str, Any]) -> dict[str, Any]:
    row.pop("segmentation", None)  # most of the file; thrown away at once, or it would fill gigabytes of memory
    return row


def _boxes(row: Mapping[str, Any], label: int) -> list[Box]:
    x, y, width, height = map(float, row["bbox"])
    if width <= 0 or height <= 0:
        return []
    crowd, area = bool(row.get("iscrowd", 0)), float(row.get("area", 0))
    return [Box(x, y, x + width, y + height, label, crowd=crowd, area=area)]


def _root(files: Files, names: frozenset[str], params: Params) -> tuple[str, ...]:
    """Return the folder that holds `annotations`."""
    wanted = ("annotations", f"instances_{params.train_folder}.json")
    roots = [path.parts[:-2] for path in map(PurePosixPath, names) if path.parts[-2:] == wanted]
    if len(roots) == 1:
        return roots[0]
    if not roots:
        raise DataError(
            f"{files.title}: holds no {'/'.join(wanted)}. Put COCO's annotations there, or set train_folder."
        )
    places = ", ".join(sorted("/".join(root) or "." for root in roots))
    raise DataError(f"{files.title}: holds {'/'.join(wanted)} in several folders: {places}. Keep one of them.")


def _path(root: tuple[str, ...], *parts: str) -> str:
    return str(PurePosixPath(*root, *parts))


def _instances(files: Files, names: frozenset[str], root: tuple[str, ...], folders: tuple[str, str]) -> list[Instances]:
    wanted = [_path(root, "annotations", f"instances_{folder}.json") for folder in folders]
    if missing := [name for name in wanted if name not in names]:
        raise DataError(f"{files.title}: {missing[0]} is missing. Put COCO's annotations there, or set test_folder.")
    found = {name: read_instances(f"{files.title}, {name}", data) for name, data in files.read(wanted)}
    return [found[name] for name in wanted]


def _require_images(files: Files, instances: Instances, missing: list[str]) -> None:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{files.title}: {missing[0]}{more} missing, which {instances.name} lists. Get the whole set of images."
        )


def _samples(files: Files, split_of: Mapping[str, str], images: Mapping[str, Image]) -> Iterator[NewSample]:
    for name, data in files.read(split_of):
        title, image = f"{files.title}, {name}", images[name]
        size = decode_image(data, title).size  # fail now, not during a training
        check_size(title, size, image.size)
        path = PurePosixPath(name)
        boxes = fitted_boxes(title, size, image.boxes)
        yield NewSample(split_of[name], "/".join(path.parts[-2:]), None, data, path.suffix.lower(), boxes)
