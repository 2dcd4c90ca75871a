"""What `photodigits` is made of: photographs and handwritten digits from installed wheels, and random integers.

Which split may use which photograph and which digit is decided here, independently of a data set's seed: a test digit
is a test digit in every variant of the data set.
"""

import hashlib
import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sc2.data.source import SPLITS
from sc2.errors import DataError

Pixels = NDArray[np.uint8]

_INSTALL = "Install the pinned versions: `pip install --require-hashes -r requirements.lock`."


@dataclass(frozen=True)
class Photo:
    """A photograph inside a wheel, and the split that may use it.

    Attributes:
        split: `train`, `val` or `test`.
        path: Its file; begins with the package's name.
        sha256: Of the file.
        number: Which one it is in a file of many, an array [n, h, w] of grey values from 0 to 1; None in a picture.
    """

    split: str
    path: str
    sha256: str
    number: int | None = None

    @property
    def name(self) -> str:
        """The photograph's name, such as `astronaut` or `lfw_subset_017`."""
        stem = PurePosixPath(self.path).stem
        return stem if self.number is None else f"{stem}_{self.number:03d}"

    @property
    def is_small(self) -> bool:
        """Whether it is one of many in a file: of 25 × 25 pixels, where pictures have 300 or more a side."""
        return self.number is not None


# Left out of the wheels' images: drawings, near-empty images, and pictures of text (they may show digits). The two
# motorcycles are one scene from two viewpoints, so they are in one split. Each split has colour, texture and
# smooth areas.
_PICTURES = {
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
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg": (
            "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"
        ),
    },
}

_LFW = "skimage/data/lfw_subset.npy"
_LFW_SHA256 = "9560ec2f5edfac01973f63a8a99d00053fecd11e21877e18038fbe500f8e872c"

# Of Labeled Faces in the Wild: the first 100 are faces, the others backgrounds. Three quarters of the backgrounds are
# left out: near-empty or with the edge of the photograph in them, and three (114, 116, 186) with letters.
_LFW_NUMBERS = {
    "train": (*range(60), 102, 106, 109, 110, 115, 119, 121, 125, 127, 130, 133, 135, 142, 144),
    "val": (*range(60, 70), 146, 155),
    "test": (*range(70, 100), 161, 175, 180, 187, 189, 190, 193, 196),
}

PHOTOS = (
    *(Photo(split, path, sha256) for split, group in _PICTURES.items() for path, sha256 in group.items()),
    *(Photo(split, _LFW, _LFW_SHA256, number) for split, numbers in _LFW_NUMBERS.items() for number in numbers),
)

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

    def shuffled(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """Return the numbers in a drawn order."""
        order = list(numbers)
        for last in range(len(order) - 1, 0, -1):
            chosen = self.below(last + 1)
            order[last], order[chosen] = order[chosen], order[last]
        return tuple(order)


@lru_cache(maxsize=1)
def load_photos() -> tuple[Image.Image, ...]:
    """Read every photograph of `PHOTOS` from the installed packages, in mode `RGB` or `L`."""
    return tuple(_load_photo(photo) for photo in PHOTOS)


def _load_photo(photo: Photo) -> Image.Image:
    data = _content(photo.path, photo.sha256)
    if photo.number is not None:
        values = np.load(io.BytesIO(data))[photo.number]
        return Image.fromarray((values * 255 + 0.5).astype(np.uint8))
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("L" if image.mode == "L" else "RGB")


@lru_cache(maxsize=1)
def _content(name: str, sha256: str) -> bytes:
    """Return the content of a file of a package; the last one is kept, because many photographs may be in it."""
    package, _, rest = name.partition("/")
    spec = importlib.util.find_spec(package)  # finds the folder without importing the package
    places = spec.submodule_search_locations if spec else None
    path = Path(places[0]) / rest if places else None
    if path is None or not path.is_file():
        raise DataError(f"{name}: the package, or this file in it, is missing. {_INSTALL}")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{path}: not the picture that this data set uses. {_INSTALL}")
    return data


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
        numbers = draws.shuffled([number for number, digit in enumerate(labels) if digit == label])
        start = 0
        for split, share in DIGIT_SHARES.items():
            stop = len(numbers) if split == SPLITS[-1] else start + len(numbers) * share // 100
            pools[split].append(numbers[start:stop])
            start = stop
    return {split: tuple(lists) for split, lists in pools.items()}
