"""Photographs in one folder per class, read from an archive or a folder.

The official validation folder becomes the *test* split. The validation split, on which models are selected, is held
out of the training folder, so that test images never influence a choice. Images are stored unchanged, not re-encoded,
or left where they are.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sc2.data.files import ArchiveSource, Files, FolderSource, folder_of, looked, open_files, readable_name
from sc2.data.source import NewSample, Source
from sc2.data.splits import ranked
from sc2.errors import DataError
from sc2.strict import Strict

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp"})
"""Suffixes that count as images; other files are skipped."""


class Params(Strict):
    """Configuration of an `image_folder` data set."""

    kind: Literal["image_folder"] = Field(description="Always `image_folder`.")
    source: Annotated[ArchiveSource | FolderSource, Field(discriminator="kind")] = Field(
        description="Where the images come from."
    )
    train_folder: str | None = Field(
        default="train",
        pattern=r"^[^/\\]+$",
        description="Folder of the training images, laid out as <class>/<image>; null for a data set that only "
        "evaluates: nothing can be trained on it.",
    )
    test_folder: str = Field(default="val", pattern=r"^[^/\\]+$", description="Folder of the test images.")
    val_per_class: int | None = Field(
        default=None,
        ge=1,
        validate_default=True,
        description="Validation images per class held out of the training folder, at least 1; none "
        "without that folder.",
    )
    max_per_class: int | None = Field(
        default=None, ge=1, description="Most training images and most test images per class to use, for small runs."
    )
    num_classes: int | None = Field(
        default=None,
        ge=1,
        description="Expected number of classes; `sc2 inspect` uses it before the data set is prepared.",
    )
    seed: int = Field(default=0, ge=0, description="Seed that selects the images that are held out or left out.")

    @field_validator("val_per_class")
    @classmethod
    def _with_training_images(cls, val_per_class: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("train_folder", "") is None:
            if val_per_class is not None:
                raise ValueError("there are no training images to hold some out of (train_folder: null): remove it")
        elif val_per_class is None and "train_folder" in info.data:
            raise PydanticCustomError("missing", "Field required")
        return val_per_class

    @property
    def evaluates_only(self) -> bool:
        """Whether there is nothing to train on."""
        return self.train_folder is None


def open_dataset(config: Mapping[str, Any]) -> Source:
    """Open the data set that `config` (see `Params`) describes.

    Raises:
        DataError: The source is missing, damaged or not the expected one, or its folders do not fit the configuration.
    """
    params = Params.model_validate(config)
    files = open_files(params.source)
    names = files.names()
    test = _by_class(files, names, params.test_folder)
    train = test if params.train_folder is None else _by_class(files, names, params.train_folder)
    test = _spelt_alike(files, train, test)
    if unknown := sorted(set(test) - set(train)):
        raise DataError(
            f"{files.title}: {params.test_folder}/ has classes that {params.train_folder}/ lacks: "
            f"{', '.join(unknown)}. It has {', '.join(sorted(train))}."
        )
    if params.num_classes not in (None, len(train)):
        raise DataError(
            f"{files.title}: {params.train_folder or params.test_folder}/ has {len(train)} classes, but num_classes is "
            f"{params.num_classes}. Complete the folder, or correct the number."
        )
    chosen = _choose(files, params, train, test)
    counts = {split: len(entries) for split, entries in chosen.items()}
    classes = tuple(sorted(train))
    return Source(classes, counts, _samples(files, chosen), folder_of(files))


def _by_class(files: Files, names: list[str], folder: str) -> dict[str, dict[str, str]]:
    """Return each class's images: full name by name inside `folder`, `<class>/<image>`."""
    by_class: dict[str, dict[str, str]] = {}
    roots = set()
    for name in names:
        path = PurePosixPath(name)
        if len(path.parts) < 3 or path.parts[-3] != folder:
            continue
        if path.suffix.lower() in SUFFIXES:
            readable_name(files.title, name)
            roots.add(path.parts[:-3])
            by_class.setdefault(path.parts[-2], {})[f"{path.parts[-2]}/{path.name}"] = name
    if not by_class:
        raise DataError(
            f"{files.title}: contains no images named …/{folder}/<class>/<image>. Set train_folder and test_folder of "
            f"the data set to its folders."
        )
    if len(roots) > 1:
        places = ", ".join(sorted("/".join((*root, folder)) for root in roots))
        raise DataError(f"{files.title}: several folders are called {folder}: {places}. Keep one of them.")
    return by_class


def _spelt_alike(
    files: Files, train: dict[str, dict[str, str]], test: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    """Return the test images under the names that their classes have in the training folder.

    `é` may be stored as one character or as two: systems differ in this, and both look the same.

    Raises:
        DataError: Two classes of one folder differ only in this.
    """
    spelling: dict[str, str] = {}
    for names in (train, test):
        own: dict[str, str] = {}
        for name in names:
            composed = unicodedata.normalize("NFC", name)
            if composed in own:
                raise DataError(
                    f"{files.title}: the classes {own[composed]!a} and {name!a} look the same. Put their "
                    "images into one folder."
                )
            own[composed] = name
        spelling = own | spelling
    return {spelling[unicodedata.normalize("NFC", name)]: images for name, images in test.items()}


@dataclass(frozen=True)
class _Entry:
    split: str
    id: str
    label: int


_Chosen = dict[str, dict[str, _Entry]]
"""Entries by split and full name of the file."""


def _choose(files: Files, params: Params, train: dict[str, dict[str, str]], test: dict[str, dict[str, str]]) -> _Chosen:
    chosen: _Chosen = {"train": {}, "val": {}, "test": {}}
    for label, name in enumerate(sorted(train)):
        held, rest = ([], []) if params.evaluates_only else _held_out(files, params, name, train[name])
        tested = ranked(test.get(name, {}), params.seed)[: params.max_per_class]
        for split, pool, ids in (("train", train, rest), ("val", train, held), ("test", test, tested)):
            chosen[split] |= {pool[name][id_]: _Entry(split, id_, label) for id_ in ids}
    return chosen


def _held_out(files: Files, params: Params, name: str, images: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the ids of a class's validation images and of its training images."""
    order = ranked(images, params.seed)
    held, rest = order[: params.val_per_class], order[params.val_per_class :][: params.max_per_class]
    if not rest:
        raise DataError(
            f"{files.title}: class {name} has {len(order)} images in {params.train_folder}/, so none is left for "
            f"training with val_per_class {params.val_per_class}. Lower it."
        )
    return held, rest


def _samples(files: Files, chosen: _Chosen) -> Iterator[NewSample]:
    plan = {name: entry for entries in chosen.values() for name, entry in entries.items()}
    for name, image in looked(files, plan.keys()):
        entry = plan[name]
        yield NewSample(entry.split, entry.id, entry.label, image.content, PurePosixPath(name).suffix.lower())
