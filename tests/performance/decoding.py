"""How fast training images are decoded: by ways to decode a photograph, and by numbers of worker processes.

The photographs have the usual size of ImageNet's, 500 × 375 pixels, and about as many bytes, and are read in place, as
ImageNet is.
"""

import io
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from sc2.data import prepare
from sc2.data.images import ImageTensors, batches
from sc2.data.ingredients import load_photos
from sc2.data.spec import Augmentation, ResizedCrop, SizeSpec
from sc2.data.store import SampleStore
from sc2.job import RunningJob
from sc2.tasks import get_task

SIZE, QUALITY = (500, 375), 97
SPEC = SizeSpec(resize=256, crop=224)
AUGMENT = Augmentation(flip=True, resized_crop=ResizedCrop())
BATCH = 32
DEMANDS = (500, 1000, 2500)
"""Images a second that a GPU may train on."""


@dataclass(frozen=True)
class Decoder:
    """A way to decode a photograph to uint8 [H, W, 3].

    Attributes:
        name: What to call it.
        milliseconds: Processor time of one photograph.
        share_equal: Share of the pixels' values that are those of the first way; 0 where the size is another.
    """

    name: str
    milliseconds: float
    share_equal: float


@dataclass(frozen=True)
class Speed:
    """Images a second of an epoch's batches, wall-clock, with a number of workers."""

    workers: int
    images_per_s: float


@dataclass(frozen=True)
class Decoding:
    """All of it.

    Attributes:
        kilobytes: Mean size of a photograph's file.
        decoders: The first one is the one that is used.
        milliseconds: Processor time of a training image in one process: read, checked, decoded, cropped, resized.
        speeds: With rising numbers of workers.
    """

    kilobytes: float
    decoders: list[Decoder]
    milliseconds: float
    speeds: list[Speed]


def photographs(count: int) -> Iterator[bytes]:
    """Yield JPEG files of parts of the installed packages' photographs."""
    photos = [photo.convert("RGB") for photo in load_photos() if min(photo.size) >= SIZE[1] // 2]
    generator = np.random.default_rng(0)
    for number in range(count):
        photo = photos[number % len(photos)]
        scale = max(SIZE[0] / photo.width, SIZE[1] / photo.height) * generator.uniform(1, 1.3)
        sides = round(photo.width * scale) + 1, round(photo.height * scale) + 1
        larger = photo.resize(sides, Image.Resampling.BICUBIC)
        left, top = (int(generator.integers(0, side - own)) for side, own in zip(larger.size, SIZE, strict=True))
        file = io.BytesIO()
        larger.crop((left, top, left + SIZE[0], top + SIZE[1])).save(file, "JPEG", quality=QUALITY)
        yield file.getvalue()


def measure(folder: Path, count: int, repeats: int) -> Decoding:
    """Write photographs below a folder, and time how they are decoded.

    Args:
        folder: An empty one.
        count: Number of photographs to train on.
        repeats: How often everything is timed; the fastest counts.
    """
    files = list(photographs(count + 2))
    with mock.patch.dict(os.environ, {"SC2_DATA": str(folder)}):
        images = ImageTensors(_stored(folder, files), SPEC, get_task("classification"))
        alone = min(_processor_s(lambda: _epoch(images, 0)) for _ in range(repeats))
        cores = os.cpu_count() or 1
        numbers = [0, *(2**power for power in range(8) if 2**power <= 2 * cores)]
        speeds = [Speed(workers, max(_rate(images, workers) for _ in range(repeats))) for workers in numbers]
    trained = len(images) // BATCH * BATCH
    return Decoding(
        sum(map(len, files)) / len(files) / 1000, _decoders(files[:64], repeats), 1000 * alone / trained, speeds
    )


def _stored(folder: Path, files: list[bytes]) -> SampleStore:
    """Return the training split of a data set of these files: the last one is to test with, another held out."""
    for part, some in (("train", files[:-1]), ("val", files[-1:])):
        for number, data in enumerate(some):
            path = folder / "photographs" / part / "one" / f"{number:05d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    source = {"kind": "folder", "folder": "photographs", "in_place": True}
    dataset = {"kind": "image_folder", "source": source, "val_per_class": 1}
    paths = {"index": folder / "index.jsonl", "meta": folder / "meta.json"}
    paths |= {split: folder / f"{split}.tar" for split in ("train", "val", "test")}
    with mock.patch("sc2.data.folders.SEEN", folder / "seen"):
        prepare.run(RunningJob("prepare_data", {}, {"name": "photographs", "dataset": dataset}, {}, paths, "0" * 16))
    return SampleStore(paths["index"], paths["train"], "train")


def _epoch(images: ImageTensors, workers: int) -> None:
    for _ in batches(images, BATCH, seed=0, augment=AUGMENT, workers=workers):
        pass


def _rate(images: ImageTensors, workers: int) -> float:
    """Return images a second between the first batch of an epoch and the last, without the start of the workers."""
    made = batches(images, BATCH, seed=0, augment=AUGMENT, workers=workers)
    next(made)
    start = time.perf_counter()
    rest = sum(len(batch) for batch, _ in made)
    return rest / (time.perf_counter() - start)


def _processor_s(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _decoders(files: list[bytes], repeats: int) -> list[Decoder]:
    ways: dict[str, Callable[[bytes], np.ndarray]] = {
        "Pillow, as here": lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
        "Pillow, draft mode for 256 pixels": _draft,
        "torchvision.io": _torchvision,
    }
    found = []
    reference = [ways["Pillow, as here"](data) for data in files]
    for name, way in ways.items():
        seconds = min(_processor_s(partial(_each, way, files)) for _ in range(repeats))
        pairs = [(one, way(data)) for one, data in zip(reference, files, strict=True)]
        equal = np.mean([(one == other).mean() if one.shape == other.shape else 0.0 for one, other in pairs])
        found.append(Decoder(name, 1000 * seconds / len(files), float(equal)))
    return found


def _torchvision(data: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is to be removed from the library
        pixels = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB)
    return pixels.permute(1, 2, 0).contiguous().numpy()


def _each(way: Callable[[bytes], np.ndarray], files: list[bytes]) -> None:
    for data in files:
        way(data)


def _draft(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (256, 256))
    return np.asarray(image.convert("RGB"))


def lines(decoding: Decoding, timed: str) -> Iterator[str]:
    """Yield the section of docs/performance.md.

    Args:
        decoding: What was measured.
        timed: Where and when.
    """
    yield "### Training images"
    yield ""
    yield (
        f"{timed} JPEG files of {SIZE[0]} × {SIZE[1]} pixels and {decoding.kilobytes:.0f} kB, read in place; random "
        f"resized crops of {SPEC.square} pixels, mirrored at random, in batches of {BATCH}. A training image takes "
        f"{decoding.milliseconds:.2f} ms of a core."
    )
    yield ""
    yield "| decoder | processor time (ms) | values as here |"
    yield "|---|---:|---:|"
    for one in decoding.decoders:
        yield f"| {one.name} | {one.milliseconds:.2f} | {100 * one.share_equal:.4g} % |"
    yield ""
    yield "| workers (`SC2_WORKERS`) | images per second |"
    yield "|---:|---:|"
    for speed in decoding.speeds:
        yield f"| {speed.workers} | {speed.images_per_s:,.0f} |"
    yield ""
    demands = [f"{demand:,} images per second {demand * decoding.milliseconds / 1000:.1f}" for demand in DEMANDS]
    yield f"Of such cores, a GPU that trains on {', on '.join(demands)} must have to itself."
