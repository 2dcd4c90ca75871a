"""Tiny scenes with boxes and masks, for tests of the dense tasks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sc2.data.source import SPLITS, Box, NewSample
from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.data.writer import StoreWriter

CLASSES = ("red", "green", "blue")
SPEC = InputSpec(resize=64, crop=64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
HEADS: dict[str, dict[str, Any]] = {
    "classification": {},
    "detection": {
        "out_channels": 8,
        "representation": 16,
        "anchor_px": [8, 16, 24, 32, 48],
        "proposals": 20,
        "score_threshold": 0.05,
        "max_detections": 10,
    },
    "segmentation": {"output_stride": 8, "width": 8, "atrous_rates": [1, 2]},
}

Size = tuple[int, int]


def scene(index: int, size: Size) -> tuple[np.ndarray, tuple[Box, ...], np.ndarray]:
    """One or two squares of a class's colour on noise: pixels uint8 [H, W, 3], boxes, mask uint8 [H, W]."""
    generator = np.random.default_rng(index)
    width, height = size
    pixels = generator.integers(0, 80, (height, width, 3), dtype=np.uint8)
    mask, boxes = np.zeros((height, width), np.uint8), []
    for number in range(1 + index % 2):
        side = int(generator.integers(14, 22))
        x = int(generator.integers(0, width // 2 - side)) + number * width // 2
        y = int(generator.integers(0, height - side))
        label = int(generator.integers(0, 3))
        pixels[y : y + side, x : x + side, label] = 230
        mask[y : y + side, x : x + side] = label + 1
        boxes.append(Box(x, y, x + side, y + side, label))
    return pixels, tuple(boxes), mask


def write_scenes(folder: Path, counts: Sequence[int], size: Callable[[int], Size] = lambda index: (64, 64)) -> Any:
    """Store scenes; returns the paths by name. The label of an image is the class of its first box."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"index": folder / "index.jsonl", "meta": folder / "meta.json"}
    paths |= {split: folder / f"{split}.tar" for split in SPLITS}
    with StoreWriter("scenes", CLASSES, paths) as writer:
        for split, count in zip(SPLITS, counts, strict=True):
            for index in range(count):
                pixels, boxes, mask = scene(1000 * SPLITS.index(split) + index, size(index))
                height, width = mask.shape
                ppm = b"P6\n%d %d\n255\n" % (width, height) + pixels.tobytes()
                pgm = b"P5\n%d %d\n255\n" % (width, height) + mask.tobytes()
                writer.add(NewSample(split, f"{index:03d}", boxes[0].label, ppm, ".ppm", boxes, pgm))
    return paths


def store_of(paths: Any, split: str = "train") -> SampleStore:
    return SampleStore(paths["index"], paths[split], split)
