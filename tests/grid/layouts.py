"""Tiny data sets in the official layouts: ImageNet's folders, COCO's annotations, VOC's lists, on images of noise."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from timm.data import ImageNetInfo

from sc2.config.resolved import Benchmark, Config
from sc2.data.voc import CLASSES

TEST_IMAGES = 2
_SIZES = ((500, 375), (640, 480))
"""Widths and heights of VOC's images in pixels, in turn; usual ones."""
_LONG = ((500, 40), (640, 48))
"""The same of COCO's. The longer side limits the size that a detector gives them, to a sixth of the usual pixels."""
_NO_CATEGORY = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""The numbers up to 90 that COCO gives to none of its 80 categories."""


def write_layout(dataset: Any, folder: Path, train_images: int) -> dict[str, Any]:
    """Write a tiny data set and return the configuration that reads it: that of the real one, but for where it is.

    Args:
        dataset: The real one.
        folder: Where to write it; its parent is the data folder.
        train_images: Images to train on. There is at least one validation image, and there are two test images.

    Raises:
        LookupError: No layout is known for this kind of data set.
    """
    kind = dataset.model_dump()["kind"]
    if kind not in _LAYOUTS:
        raise LookupError(f"no layout for data sets of kind {kind}; there are: {', '.join(_LAYOUTS)}")
    own = _LAYOUTS[kind](dataset, folder, train_images)
    source = {"kind": "folder", "folder": folder.name, "in_place": getattr(dataset.source, "in_place", False)}
    return {**dataset.model_dump(mode="json"), "source": source, **own}


def cut_index(index: Path, cut: Path, train_images: int) -> Path:
    """Write an index of so many training images and one validation image, and of the test images; returns its path.

    A folder of images has at least one of each class in both splits, which would be steps of many minutes.
    """
    left, lines = {"train": train_images, "val": 1}, []
    for line in index.read_text(encoding="utf-8").splitlines(keepends=True):
        split = json.loads(line)["split"]
        left[split] = left.get(split, TEST_IMAGES) - 1
        if left[split] >= 0:
            lines.append(line)
    cut.write_text("".join(lines), encoding="utf-8")
    return cut


def with_small_crops(config: Config) -> Config:
    """Return a run file whose segmentation sees half the height and width: crops of 257 pixels instead of 513.

    Both are one more than a multiple of 64, so that every layer meets the same remainders.
    """
    return replace(config, benchmarks={name: _smaller(benchmark) for name, benchmark in config.benchmarks.items()})


def _smaller(benchmark: Benchmark) -> Benchmark:
    own = benchmark.config
    crop = own.augment.scaled_crop
    if crop is None:
        return benchmark
    least, most = crop.short_side
    half = {"short_side": (least // 2, most // 2), "side": crop.side // 2 + 1}
    augment = own.augment.model_copy(update={"scaled_crop": crop.model_copy(update=half)})
    spec = own.input.model_copy(update={"resize": own.input.resize // 2 + 1})
    return replace(benchmark, config=own.model_copy(update={"augment": augment, "input": spec}))


def _noise(seed: int, size: tuple[int, int]) -> bytes:
    """Return a JPEG file of coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return _encoded(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), "JPEG")


def _encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _image_folder(dataset: Any, folder: Path, train_images: int) -> dict[str, Any]:
    """Write a folder for each of ImageNet's classes: two training images, one of which is held out; few test images."""
    for label, name in enumerate(ImageNetInfo().label_names()[: dataset.num_classes]):
        for number in range(2):
            data = _noise(2 * label + number, (80, 60))
            _write(folder / dataset.train_folder / name / f"{name}_{number}.JPEG", data)
        if label < TEST_IMAGES:
            data = _noise(2 * dataset.num_classes + label, (500, 375))
            _write(folder / dataset.test_folder / name / f"{name}_test.JPEG", data)
    return {"val_per_class": 1}


def _coco(dataset: Any, folder: Path, train_images: int) -> dict[str, Any]:
    """Write annotations of COCO's 80 categories, two objects and a crowd in each image."""
    numbers = [number for number in range(1, 91) if number not in _NO_CATEGORY]
    categories = [{"id": number, "name": f"category {number}", "supercategory": "thing"} for number in numbers]
    for part, first, count in ((dataset.train_folder, 0, train_images + 1), (dataset.test_folder, 500, TEST_IMAGES)):
        images, annotations = [], []
        for number in range(first, first + count):
            size = _LONG[number % len(_LONG)]
            name = f"{number:012d}.jpg"
            _write(folder / part / name, _noise(number, size))
            images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
            for at in range(3):
                box = [40.0 * at, 4.0 * at, 60.0 + 40 * at, 30.0]
                row = {"id": 3 * number + at, "image_id": number, "category_id": numbers[(number + at) % len(numbers)]}
                annotations.append({**row, "bbox": box, "area": box[2] * box[3], "iscrowd": int(at == 2)})
        content = {"images": images, "annotations": annotations, "categories": categories}
        _write(folder / "annotations" / f"instances_{part}.json", json.dumps(content).encode())
    return {"val_images": 1}


def _voc(dataset: Any, folder: Path, train_images: int) -> dict[str, Any]:
    """Write lists, images and masks: blocks of two classes on the background, ignored at their edge."""
    if dataset.uses != "segmentation":
        raise LookupError("no layout for the boxes of VOC")
    root = folder / "VOCdevkit" / f"VOC{dataset.year}"
    for part, first, count in (("train", 0, train_images + 1), ("val", 500, TEST_IMAGES)):
        ids = [f"2007_{number:06d}" for number in range(first, first + count)]
        _write(root / "ImageSets" / "Segmentation" / f"{part}.txt", "".join(f"{name}\n" for name in ids).encode())
        for number, name in enumerate(ids, start=first):
            width, height = _SIZES[number % len(_SIZES)]
            mask = np.zeros((height, width), np.uint8)
            for at in range(2):
                mask[50 : height - 50, 60 + 180 * at : 200 + 180 * at] = 255
                mask[55 : height - 55, 65 + 180 * at : 195 + 180 * at] = 1 + (number + at) % len(CLASSES)
            _write(root / "JPEGImages" / f"{name}.jpg", _noise(number, (width, height)))
            _write(root / "SegmentationClass" / f"{name}.png", _encoded(Image.fromarray(mask), "PNG"))
    return {"val_images": 1}


_LAYOUTS: dict[str, Callable[[Any, Path, int], dict[str, Any]]] = {
    "image_folder": _image_folder,
    "coco": _coco,
    "voc": _voc,
}
