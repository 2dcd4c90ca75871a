"""What `photodigits` is made of: photographs and handwritten digits from installed wheels, and random integers.

Which split may use which photograph and which digit is decided here, independently of a data set's seed: a test digit
is a test digit in every variant of the data set.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sc2.data.source import SPLITS
from sc2.errors import DataError

Pixels = NDArray[np.uint8]

_INSTALL = "Install the pinned versions: `pip install --require-hashes -r requirements.lock`."


@dataclass(frozen=True)
class Photo:
    """A photograph inside a wheel (`path` begins with the package's name), and the split that may use it."""

    split: str
    path: str
    sha256: str


# Left out of the wheels' images: drawings, near-empty images, and pictures of text (they may show digits). The two
# motorcycles are one scene from two viewpoints, so they are in one split. Each split has colour, texture and
# smooth areas.
_PHOTOS = {
    "train": {
        "sklearn/datasets/images/china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "skimage/data/coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "skimage/data/motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "skimage/data/motorcycle_right.png": "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797",
        "skimage/data/rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "skimage/data/hubble_deep_field.jpg": "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        "skimage/data/ihc.png": "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
        "skimage/data/brick.png": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        "skimage/data/coins.png": "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba",
        "skimage/data/grass.png": "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
    },
    "val": {
        "skimage/data/chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "skimage/data/moon.png": "78739619d11f7eb9c165bb5d2efd4772cee557812ec847532dbb1d92ef71f577",
        "skimage/data/retina.jpg": "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
    },
    "test": {
        "skimage/data/gravel.png": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
        "skimage/data/astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "skimage/data/camera.png": "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        "sklearn/datasets/images/flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    },
}
PHOTOS = tuple(Photo(split, path, sha256) for split, group in _PHOTOS.items() for path, sha256 in group.items())

DIGITS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
"""Of the ink values (uint8 [1797, 8, 8], 0 to 16), then the classes (uint8 [1797])."""

DIGIT_SHARES = {"train": 70, "val": 15, "test": 15}
"""Percentage of each class's handwritten digits in each split."""


class Draws:
    """A stream of integers that depends only on its key."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def below(self, bound: int) -> int:
        """Return the next integer in 0 … bound - 1."""
        return int(self._bits.random_raw()) % bound

    def between(self, low: int, high: int) -> int:
        """Return the next integer in low … high."""
        return low + self.below(high - low + 1)


@lru_cache(maxsize=1)
def load_photos() -> tuple[Image.Image, ...]:
    """Read every photograph of `PHOTOS` from the installed packages, in mode `RGB` or `L`."""
    return tuple(_load_photo(photo) for photo in PHOTOS)


def _load_photo(photo: Photo) -> Image.Image:
    package, _, rest = photo.path.partition("/")
    spec = importlib.util.find_spec(package)  # finds the folder without importing the package
    places = spec.submodule_search_locations if spec else None
    path = Path(places[0]) / rest if places else None
    if path is None or not path.is_file():
        raise DataError(f"{photo.path}: the package, or this file in it, is missing. {_INSTALL}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != photo.sha256:
        raise DataError(f"{path}: not the picture that this data set uses. {_INSTALL}")
    with Image.open(path) as image:
        return image.convert("L" if image.mode == "L" else "RGB")


@lru_cache(maxsize=1)
def load_glyphs() -> tuple[Pixels, tuple[int, ...]]:
    """Read scikit-learn's digits.

    Returns:
        The digits, uint8 [1797, 8, 8] with opacities 0 to 255, and the class of each.
    """
    from sklearn.datasets import load_digits  # slow to import, and needed only here

    raw = load_digits()
    inks = raw.images.astype(np.uint8)
    labels = raw.target.astype(np.uint8)
    if hashlib.sha256(inks.tobytes() + labels.tobytes()).hexdigest() != DIGITS_SHA256:
        raise DataError(f"scikit-learn: `load_digits` returns unexpected digits. {_INSTALL}")
    return (inks.astype(np.uint16) * 255 // 16).astype(np.uint8), tuple(labels.tolist())


@lru_cache(maxsize=1)
def digit_pools() -> Mapping[str, tuple[tuple[int, ...], ...]]:
    """Return the numbers of the digits that each split may use, one tuple per class."""
    _, labels = load_glyphs()
    draws = Draws(20_231_016)  # any constant
    pools: dict[str, list[tuple[int, ...]]] = {split: [] for split in SPLITS}
    for label in range(10):
        numbers = [number for number, digit in enumerate(labels) if digit == label]
        for last in range(len(numbers) - 1, 0, -1):
            chosen = draws.below(last + 1)
            numbers[last], numbers[chosen] = numbers[chosen], numbers[last]
        start = 0
        for split, share in DIGIT_SHARES.items():
            stop = len(numbers) if split == SPLITS[-1] else start + len(numbers) * share // 100
            pools[split].append(tuple(numbers[start:stop]))
            start = stop
    return {split: tuple(lists) for split, lists in pools.items()}
