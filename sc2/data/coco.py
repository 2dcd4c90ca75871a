"""COCO in its published layout, for detection.

The layout is the published one: `annotations/instances_train2017.json`, `annotations/instances_val2017.json` and the
images in `train2017/` and `val2017/`. The official `val2017` images become the *test* split, and the validation split
is held out of `train2017` (see `sc2.data.splits`). Images are stored unchanged. The numbers of COCO's 80 categories
have gaps (1 to 90); here a label is the position of the category in the order of those numbers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field

from sc2.data.annotations import check_size, check_upright, fitted_boxes
from sc2.data.archive import LARGEST_ANNOTATIONS
from sc2.data.files import ArchiveSource, ArchivesSource, Files, FolderSource, folder_of, looked, open_files
from sc2.data.source import Box, NewSample, Source
from sc2.data.splits import hold_out
from sc2.errors import DataError
from sc2.foreign import flag, number, text, whole
from sc2.strict import Strict

_FOLDER = r"^[^/\\.][^/\\]*$"


class Params(Strict):
    """Configuration of a `coco` data set."""

    kind: Literal["coco"] = Field(description="Always `coco`.")
    source: Annotated[ArchiveSource | ArchivesSource | FolderSource, Field(discriminator="kind")] = Field(
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
        default=False, description="Whether to keep training images whose only boxes, if any, are crowds."
    )
    val_images: int = Field(ge=1, description="Validation images held out of the training images, at least 1.")
    max_images: int | None = Field(
        default=None, ge=1, description="Most training images and most test images to use, for small runs."
    )
    num_classes: int | None = Field(
        default=None,
        ge=1,
        description="Expected number of categories; `sc2 inspect` uses it before the data set is prepared.",
    )
    seed: int = Field(default=0, ge=0, description="Seed that selects the images that are held out or left out.")


@dataclass(frozen=True)
class Image:
    """One image of an annotation file: the name of its file, its size in pixels, its boxes."""

    file_name: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Instances:
    """An annotation file: its categories (number and name, by number) and images; a label is a category's position."""

    name: str
    categories: tuple[tuple[int, str], ...]
    images: tuple[Image, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The categories' names in the order of their numbers."""
        return tuple(name for _, name in self.categories)


def open_dataset(config: Mapping[str, Any]) -> Source:
    """Open the data set that `config` (see `Params`) describes.

    Raises:
        DataError: The source is missing, damaged or not the expected one, an annotation file or an image is missing, or
            the annotations contradict each other.
    """
    params = Params.model_validate(config)
    files = open_files(params.source)
    names = frozenset(files.names())
    root = _root(files, names, params)
    train, test = _instances(files, names, root, (params.train_folder, params.test_folder))
    test = _with_categories_of(train, test)
    if params.num_classes not in (None, len(train.classes)):
        raise DataError(
            f"{files.title}: {train.name} lists {len(train.classes)} categories, but num_classes is "
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
    return Source(train.classes, counts, _samples(files, split_of, pool | tested), folder_of(files))


def read_instances(name: str, data: bytes) -> Instances:
    """Read an annotation file `instances_….json`; boxes without any area are dropped.

    Args:
        name: What to call the file in an error message.
        data: Content of the file.

    Raises:
        DataError: It is damaged, or an annotation refers to an image or category that the file does not list.
    """
    try:
        content = json.loads(data, object_pairs_hook=_row)
        categories = _categories(content)
        labels = {number: label for label, (number, _) in enumerate(categories)}
        images = _images(content)
        boxes: dict[int, list[Box]] = {number: [] for number in images}
        for position, row in enumerate(_list(content, "annotations")):
            place = f"annotations[{position}], annotation {_field(row, 'id', f'annotations[{position}]')!r:.20}"
            image = whole(_field(row, "image_id", place), f"{place}: image_id")
            category = whole(_field(row, "category_id", place), f"{place}: category_id")
            if image not in boxes or category not in labels:
                raise ValueError(f"{place} belongs to image {image} and category {category}, which are not both listed")
            boxes[image].extend(_boxes(row, labels[category], place))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not a readable annotation file ({error}). Correct it, or get it again.") from error
    with_boxes = tuple(replace(image, boxes=tuple(boxes[number])) for number, image in images.items())
    return Instances(name, categories, with_boxes)


def _row(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"duplicate key in an object that has the keys {', '.join(key for key, _ in pairs)}")
    row.pop("segmentation", None)  # most of the file; dropped at once, or it would fill gigabytes of memory
    return row


def _list(content: Any, key: str) -> list[Any]:
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"it has no list of {key}")
    return rows


def _field(row: Any, key: str, place: str) -> Any:
    if not isinstance(row, dict):
        raise ValueError(f"{place} is not an object")
    if key not in row:
        raise ValueError(f"{place} has no {key}")
    return row[key]


def _categories(content: Any) -> tuple[tuple[int, str], ...]:
    categories = []
    for position, row in enumerate(_list(content, "categories")):
        place = f"categories[{position}]"
        name = text(_field(row, "name", place), f"{place}.name")
        categories.append((whole(_field(row, "id", place), f"{place}.id"), name))
    if len({number for number, _ in categories}) < len(categories) or len({name for _, name in categories}) < len(
        categories
    ):
        raise ValueError("it lists a category twice")
    return tuple(sorted(categories))


def _images(content: Any) -> dict[int, Image]:
    """Return the images by number, without boxes."""
    images: dict[int, Image] = {}
    rows = _list(content, "images")
    for position, row in enumerate(rows):
        place = f"images[{position}]"
        file_name = text(_field(row, "file_name", place), f"{place}.file_name")
        width, height = (whole(_field(row, key, place), f"{place}.{key}", low=1) for key in ("width", "height"))
        images[whole(_field(row, "id", place), f"{place}.id")] = Image(file_name, (width, height), ())
    if len({image.file_name for image in images.values()}) < len(rows):
        raise ValueError("it lists an image twice")
    return images


def _boxes(row: dict[str, Any], label: int, place: str) -> list[Box]:
    bbox = _field(row, "bbox", place)
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise ValueError(f"{place}: bbox is not a list of four numbers")
    x, y = (number(value, f"{place}: bbox") for value in bbox[:2])
    width, height = (number(value, f"{place}: bbox", low=0) for value in bbox[2:])
    crowd, area = flag(row.get("iscrowd", 0), f"{place}: iscrowd"), number(row.get("area", 0), f"{place}: area", low=0)
    return [Box(x, y, x + width, y + height, label, crowd=crowd, area=area)] if width and height else []


def _with_categories_of(train: Instances, test: Instances) -> Instances:
    """Return the test images with the labels of the training categories, of which they may have only some.

    Raises:
        DataError: The training images do not have a category of the test images.
    """
    if foreign := [f"{number} {name!r}" for number, name in test.categories if (number, name) not in train.categories]:
        own = [f"{number} {name!r}" for number, name in train.categories if (number, name) not in test.categories]
        raise DataError(
            f"{test.name} lists other categories: {', '.join(foreign)} are not in {train.name}, which lists "
            f"{', '.join(own) or 'all others'}. Get both from the same release."
        )
    labels = [train.categories.index(category) for category in test.categories]
    images = (
        replace(image, boxes=tuple(replace(box, label=labels[box.label]) for box in image.boxes))
        for image in test.images
    )
    return Instances(test.name, train.categories, tuple(images))


def _root(files: Files, names: frozenset[str], params: Params) -> tuple[str, ...]:
    """Return the folder that holds `annotations`."""
    wanted = ("annotations", f"instances_{params.train_folder}.json")
    roots = [path.parts[:-2] for path in map(PurePosixPath, names) if path.parts[-2:] == wanted]
    if len(roots) == 1:
        return roots[0]
    if not roots:
        raise DataError(
            f"{files.title}: contains no {'/'.join(wanted)}. Put COCO's annotations there, or set train_folder."
        )
    places = ", ".join(sorted("/".join(root) or "." for root in roots))
    raise DataError(f"{files.title}: contains {'/'.join(wanted)} in several folders: {places}. Keep one of them.")


def _path(root: tuple[str, ...], *parts: str) -> str:
    return str(PurePosixPath(*root, *parts))


def _instances(files: Files, names: frozenset[str], root: tuple[str, ...], folders: tuple[str, str]) -> list[Instances]:
    wanted = [_path(root, "annotations", f"instances_{folder}.json") for folder in folders]
    if missing := [name for name in wanted if name not in names]:
        raise DataError(f"{files.title}: {missing[0]} is missing. Put COCO's annotations there, or set test_folder.")
    contents = files.read(wanted, limit=LARGEST_ANNOTATIONS)
    instances = {name: read_instances(f"{files.title}, {name}", data) for name, data in contents}
    return [instances[name] for name in wanted]


def _require_images(files: Files, instances: Instances, missing: list[str]) -> None:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{files.title}: {missing[0]}{more} missing, though listed in {instances.name}. Get all of them."
        )


def _samples(files: Files, split_of: Mapping[str, str], images: Mapping[str, Image]) -> Iterator[NewSample]:
    for name, found in looked(files, split_of):
        title, image = f"{files.title}, {name}", images[name]
        check_size(title, found.size, image.size)
        if image.boxes:
            check_upright(title, found.size, image.size, found.orientation)
        path = PurePosixPath(name)
        boxes = fitted_boxes(title, found.size, image.boxes)
        yield NewSample(split_of[name], "/".join(path.parts[-2:]), None, found.content, path.suffix.lower(), boxes)
