"""PASCAL VOC in its published layout, for semantic segmentation or for detection.

The layout is that of the published archive: `VOCdevkit/VOC2012/` with `JPEGImages/`, `SegmentationClass/`,
`Annotations/` and `ImageSets/{Segmentation,Main}/{train,val}.txt`. The official `val` images become the *test* split,
and the validation split is held out of `train` (see `sc2.data.splits`). Images and masks are stored unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal
from xml.etree import ElementTree

from pydantic import Field

from sc2.data.annotations import check_mask, check_size, check_upright, fitted_boxes
from sc2.data.files import ArchiveSource, Files, FolderSource, folder_of, kept, looked, open_files
from sc2.data.source import Box, NewSample, Source
from sc2.data.splits import hold_out
from sc2.errors import DataError
from sc2.foreign import text, written_flag, written_number
from sc2.strict import Strict

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The twenty classes; class k has the value k + 1 in the published masks."""


class Params(Strict):
    """Configuration of a `voc` data set."""

    num_classes: ClassVar[int] = len(CLASSES)
    """The twenty classes, without the background."""

    kind: Literal["voc"] = Field(description="Always `voc`.")
    source: Annotated[ArchiveSource | FolderSource, Field(discriminator="kind")] = Field(
        description="Where VOCdevkit comes from."
    )
    year: str = Field(
        default="2012", pattern=r"^20(0[7-9]|1[0-2])$", description="Year of VOC, if the source contains several."
    )
    uses: Literal["segmentation", "detection"] = Field(
        description="segmentation: the images of ImageSets/Segmentation and their masks; detection: those of "
        "ImageSets/Main and their boxes."
    )
    val_images: int = Field(ge=1, description="Validation images held out of the training images, at least 1.")
    max_images: int | None = Field(
        default=None, ge=1, description="Most training images and most test images to use, for small runs."
    )
    seed: int = Field(default=0, ge=0, description="Seed that selects the images that are held out or left out.")


_SETS = {"segmentation": "Segmentation", "detection": "Main"}
_DRAWN = {"segmentation": ("SegmentationClass", ".png"), "detection": ("Annotations", ".xml")}


def open_dataset(config: Mapping[str, Any]) -> Source:
    """Open the data set that `config` (see `Params`) describes.

    Raises:
        DataError: The source is missing, damaged or not the expected one, or a list, image or annotation is missing.
    """
    params = Params.model_validate(config)
    files = open_files(params.source)
    tree = _Tree(files, frozenset(files.names()), params)
    lists = tree.lists()
    splits = hold_out(
        files.title,
        lists["train"],
        lists["val"],
        val_images=params.val_images,
        max_images=params.max_images,
        seed=params.seed,
    )
    counts = {split: len(ids) for split, ids in splits.items()}
    split_of = {id_: split for split, ids in splits.items() for id_ in ids}
    return Source(CLASSES, counts, _samples(tree, split_of), folder_of(files))


class _Tree:
    """The files of one year: their names and their content."""

    def __init__(self, files: Files, names: frozenset[str], params: Params) -> None:
        self.files, self.params = files, params
        self._names, self._root = names, _root(files, names, params)

    def lists(self) -> dict[str, list[str]]:
        """Return the ids of the official lists `train` and `val`, after checking that all their files exist."""
        paths = {self._path("ImageSets", _SETS[self.params.uses], f"{part}.txt"): part for part in ("train", "val")}
        self._require(paths)
        ids_of = {paths[name]: _ids(f"{self.files.title}, {name}", data) for name, data in self.files.read(paths)}
        for ids in ids_of.values():
            self._require(map(self.image, ids))
            self._require(map(self.drawn, ids))
        return ids_of

    def image(self, id_: str) -> str:
        return self._path("JPEGImages", f"{id_}.jpg")

    def drawn(self, id_: str) -> str:
        """Name of the mask or of the annotation file."""
        folder, suffix = _DRAWN[self.params.uses]
        return self._path(folder, f"{id_}{suffix}")

    def _path(self, *parts: str) -> str:
        return str(PurePosixPath(*self._root, *parts))

    def _require(self, names: Iterable[str]) -> None:
        if missing := [name for name in names if name not in self._names]:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise DataError(
                f"{self.files.title}: {missing[0]}{more} missing, needed for `uses: {self.params.uses}`. Get all "
                f"of VOC {self.params.year}, or correct the list in ImageSets/{_SETS[self.params.uses]}/."
            )


def _ids(name: str, data: bytes) -> list[str]:
    """Return the ids of a list, the first word of each line; in lists of one class, a number follows."""
    ids = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            words = line.decode().split()
            ids += [text(words[0], "the id")] if words else []
        except ValueError as error:
            raise DataError(f"{name}, line {number}: {error}. Save the list as UTF-8, one id per line.") from error
    return list(dict.fromkeys(ids))


def _root(files: Files, names: Iterable[str], params: Params) -> tuple[str, ...]:
    """Return the folder that holds `ImageSets`: of the requested year, or the only one."""
    wanted = ("ImageSets", _SETS[params.uses], "train.txt")
    candidates = [path.parts[:-3] for path in map(PurePosixPath, names) if path.parts[-3:] == wanted]
    of_year = [root for root in candidates if root and root[-1] == f"VOC{params.year}"]
    roots = of_year or candidates
    if len(roots) == 1:
        return roots[0]
    if not roots:
        raise DataError(f"{files.title}: contains no {'/'.join(wanted)}, so it is not VOC. Use the folder VOCdevkit.")
    places = ", ".join(sorted("/".join(root) or "." for root in roots))
    raise DataError(
        f"{files.title}: contains VOC {params.year} several times: {places}. Keep one of them, or set year."
    )


@dataclass(frozen=True)
class _Drawn:
    """The mask or the boxes of an image, as read."""

    name: str
    data: bytes


def _samples(tree: _Tree, split_of: Mapping[str, str]) -> Iterator[NewSample]:
    id_of = {tree.drawn(id_): id_ for id_ in split_of}
    drawn = {id_of[name]: _Drawn(name, data) for name, data in tree.files.read(id_of)}
    id_of = {tree.image(id_): id_ for id_ in split_of}
    for name, image in looked(tree.files, id_of):
        id_ = id_of[name]
        own = drawn[id_]
        title = f"{tree.files.title}, {own.name}"
        sample = NewSample(split_of[id_], id_, None, image.content, ".jpg")
        if tree.params.uses == "segmentation":
            check_mask(title, own.data, image.size, len(CLASSES), orientation=image.orientation)
            yield replace(sample, mask=kept(tree.files, own.name, own.data), mask_suffix=".png")
        else:
            yield replace(sample, boxes=read_boxes(title, own.data, image.size, orientation=image.orientation))


def read_boxes(name: str, data: bytes, image: tuple[int, int], *, orientation: int = 1) -> tuple[Box, ...]:
    """Read the boxes of a VOC annotation file; body parts are skipped.

    VOC counts pixels from 1 and includes the last one, so `xmin` 1 and `xmax` 10 become 0 and 10.

    Args:
        name: What to call the file in an error message.
        data: The XML file.
        image: Width and height of the upright image in pixels.
        orientation: Its EXIF orientation, 1 to 8.

    Raises:
        DataError: The file is damaged, names an unknown class, was made for an image of another size, or the image may
            have been rotated since.
    """
    if b"<!" in data or b"\0" in data:  # entities could expand without limit, and UTF-16 could hide them
        raise DataError(f"{name}: contains XML declarations that no annotation needs, or is not UTF-8. Remove them.")
    try:
        root = ElementTree.fromstring(data)
        declared, entries = _size(root), root.findall("object")
        if declared is not None:
            check_size(name, image, declared)
        if entries:
            check_upright(name, image, declared, orientation)
        boxes = [_box(name, entry, f"object[{position}]") for position, entry in enumerate(entries)]
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{name}: not a readable annotation ({error}). Correct it, or get the file again.") from error
    return fitted_boxes(name, image, boxes)


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return the size that a file declares; None if it declares none or, as some tools do, 0."""
    written = {key: root.findtext(f"size/{key}") for key in ("width", "height")}
    if not all(value and value.strip() for value in written.values()):
        return None
    width, height = (int(written_number(value, f"size/{key}", low=0)) for key, value in written.items())
    return (width, height) if width and height else None


def _box(name: str, entry: ElementTree.Element, place: str) -> Box:
    class_name = (entry.findtext("name") or "").strip()
    if class_name not in CLASSES:
        raise DataError(f"{name}: unknown class {class_name!r}; the classes are {', '.join(CLASSES)}.")
    keys = [f"bndbox/{key}" for key in ("xmin", "ymin", "xmax", "ymax")]
    x0, y0, x1, y1 = (written_number(entry.findtext(key), f"{place}/{key}") for key in keys)
    difficult = written_flag(entry.findtext("difficult"), f"{place}/difficult")
    return Box(x0 - 1, y0 - 1, x1, y1, CLASSES.index(class_name), difficult=difficult)
