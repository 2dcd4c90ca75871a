"""The embedded default data set: handwritten digits blended onto crops of photographs, made without any download.

The digits are scikit-learn's `load_digits` (8 × 8 pixels, real handwriting); the photographs are inside the wheels of
scikit-image, scikit-learn and matplotlib. Both are split disjointly into train, val and test, so a network gains
nothing by memorising a digit or a background. Three quarters of the backgrounds are crops of large photographs; the
others are of the small ones of Labeled Faces in the Wild, enlarged as a whole or nearly so: blurred, but many.

The same configuration produces the same bytes on every machine: only the raw integers of PCG64 are used (NumPy
guarantees that stream, unlike that of its distributions), all arithmetic on pixels uses integers (Pillow's resize uses
fixed-point weights for 8-bit images), and the photographs and digits themselves are checked by their SHA-256.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator

from sc2.data.ingredients import PHOTOS, Draws, Pixels, digit_pools, load_glyphs, load_photos
from sc2.data.source import IGNORED, SPLITS, Box, NewSample, Source
from sc2.errors import ConfigError
from sc2.strict import Strict


class Counts(Strict):
    """Number of images per split."""

    train: int = Field(ge=1, le=100_000, description="Training images, 1 to 100,000.")
    val: int = Field(ge=1, le=100_000, description="Validation images (model selection), 1 to 100,000.")
    test: int = Field(ge=1, le=100_000, description="Test images (reported results), 1 to 100,000.")


class Params(Strict):
    """Configuration of a `photodigits` data set."""

    num_classes: ClassVar[int] = 10
    """The ten digits."""

    kind: Literal["photodigits"] = Field(description="Always `photodigits`.")
    seed: int = Field(ge=0, lt=2**32, description="Seed of positions, sizes, colours and backgrounds, 0 to 2^32 - 1.")
    size: int = Field(default=64, ge=32, le=128, description="Side of the square images in pixels, 32 to 128.")
    digit_px: tuple[int, int] = Field(
        default=(24, 44), description="Smallest and largest side of a digit's square in pixels, 8 to `size`."
    )
    digits: tuple[int, int] = Field(
        default=(1, 1), description="Smallest and largest number of digits per image, 1 to 5; the first is the label."
    )
    background_pct: int = Field(
        default=100, ge=10, le=100, description="Contrast of the photographs in percent of the original, 10 to 100."
    )
    images: Counts = Field(description="Number of images per split.")

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if not 8 <= self.digit_px[0] <= self.digit_px[1] <= self.size:
            raise ValueError(
                f"digit_px must rise from 8 or more to at most size ({self.size}), not {list(self.digit_px)}"
            )
        if not 1 <= self.digits[0] <= self.digits[1] <= 5:
            raise ValueError(f"digits must rise from 1 or more to at most 5, not {list(self.digits)}")
        if self.digits[1] > (self.size // self.digit_px[0]) ** 2:
            raise ValueError(f"{self.digits[1]} digits of {self.digit_px[0]} px do not fit into {self.size} px")
        return self


MAX_SHRINK = 3
"""A background is a square of the photograph of 1 to this many times the image's side, shrunk to the image."""

LEAST_PCT = 80
"""Of a photograph that is smaller than the image, at least this percentage of the shorter side is shown, enlarged."""

SMALL_IN = 4
"""One image in this many, on average, has a small photograph."""

MIN_CONTRAST = 52
"""Smallest difference in luma (0 to 255) between a digit and the mean of the pixels that it covers."""

MIN_OPACITY = 200
"""Opacity (0 to 255) of the faintest digit at the middle of its strokes."""

VISIBLE = 96
"""Opacity (0 to 255) from which a pixel belongs to the digit, for boxes."""

SOLID = 200
"""Opacity (0 to 255) from which a pixel belongs to the digit, for masks.

Fainter pixels, a border about three pixels wide, are not scored, like the borders of objects in PASCAL VOC.
"""


_CHANNELS = tuple(permutations(range(3)))


@dataclass(frozen=True)
class Glyph:
    """A digit's position in a scene: its number in `load_digits`, its class, and its square in pixels."""

    digit: int
    label: int
    x: int
    y: int
    side: int


@dataclass(frozen=True)
class Scene:
    """Everything that was drawn for one image, except colours."""

    photo: int
    crop: tuple[int, int, int]  # left, top, side in pixels of the photograph
    glyphs: tuple[Glyph, ...]


def open_dataset(config: Mapping[str, Any]) -> Source:
    """Open the data set that `config` (see `Params`) describes.

    Raises:
        DataError: The installed scikit-image or scikit-learn has unexpected pictures.
    """
    params = Params.model_validate(config)
    return Source(
        classes=tuple(str(digit) for digit in range(10)), counts=params.images.model_dump(), samples=_samples(params)
    )


def _samples(params: Params) -> Iterator[NewSample]:
    generator = Generator(params)
    for split, count in params.images.model_dump().items():
        for index in range(count):
            yield generator.sample(split, index)


class Generator:
    """Makes the images of one data set; image `index` of a split depends on the seed, the split and `index` alone."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self._first = {
            split: [
                Draws(params.seed, SPLITS.index(split), label, 2).shuffled(pool) for label, pool in enumerate(pools)
            ]
            for split, pools in digit_pools().items()
        }

    def scene(self, split: str, index: int) -> Scene:
        """Draw what image `index` of `split` shows.

        The first digits cycle through the classes, so that these are balanced, and each class's through all of the
        split's digits in a drawn order, so that a large split uses them all alike.
        """
        draws = Draws(self.params.seed, SPLITS.index(split), index, 0)
        photo = _photo(split, draws)
        width, height = load_photos()[photo].size
        least = min(self.params.size, min(width, height) * LEAST_PCT // 100)
        side = draws.between(least, min(MAX_SHRINK * self.params.size, width, height))
        crop = (draws.between(0, width - side), draws.between(0, height - side), side)
        squares = self._squares(draws)
        label = index % 10
        order = self._first[split][label]
        glyphs = [Glyph(order[index // 10 % len(order)], label, *squares[0])]
        for square in squares[1:]:
            label = draws.below(10)
            pool = digit_pools()[split][label]
            glyphs.append(Glyph(pool[draws.below(len(pool))], label, *square))
        return Scene(photo, crop, tuple(glyphs))

    def _squares(self, draws: Draws) -> list[tuple[int, int, int]]:
        """Draw the squares (x, y, side) of a scene's digits; none overlap."""
        for _ in range(1000):
            squares: list[tuple[int, int, int]] = []
            wanted = draws.between(*self.params.digits)
            for _ in range(20 * wanted):
                side = draws.between(*self.params.digit_px)
                room = self.params.size - side
                square = (draws.between(0, room), draws.between(0, room), side)
                if all(_apart(square, placed) for placed in squares):
                    squares.append(square)
                if len(squares) == wanted:
                    return squares
        raise ConfigError(
            f"photodigits: {list(self.params.digits)} digits of {list(self.params.digit_px)} px hardly ever fit into "
            f"{self.params.size} px side by side. Lower digits or digit_px, or raise size."
        )

    def sample(self, split: str, index: int) -> NewSample:
        """Make image `index` of `split` with its boxes and mask."""
        scene = self.scene(split, index)
        draws = Draws(self.params.seed, SPLITS.index(split), index, 1)
        pixels = _background(scene, self.params, draws)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        boxes = tuple(_paint(pixels, mask, glyph, draws) for glyph in scene.glyphs)
        return NewSample(
            split=split,
            id=f"{split}/{index:06d}",
            label=scene.glyphs[0].label,
            image=_netpbm(b"P6", pixels),
            suffix=".ppm",
            boxes=boxes,
            mask=_netpbm(b"P5", mask),
            groups=_groups(scene),
        )


def _photo(split: str, draws: Draws) -> int:
    """Draw which of `PHOTOS` is in the background of an image."""
    small = draws.below(SMALL_IN) == 0
    own = [number for number, photo in enumerate(PHOTOS) if photo.split == split and photo.is_small == small]
    return own[draws.below(len(own))]


def _groups(scene: Scene) -> dict[str, str]:
    """Return what a scene shares with others: its photograph, and its glyph if it has only one."""
    groups = {"photograph": PHOTOS[scene.photo].name}
    return groups if len(scene.glyphs) > 1 else groups | {"glyph": str(scene.glyphs[0].digit)}


def _apart(first: tuple[int, int, int], second: tuple[int, int, int]) -> bool:
    side, gap = (second[2], first[2]), (second[0] - first[0], second[1] - first[1])
    return any(distance >= side[1] or -distance >= side[0] for distance in gap)


def _background(scene: Scene, params: Params, draws: Draws) -> Pixels:
    """Cut the scene's crop out of its photograph: uint8 [size, size, 3].

    Half of the crops are mirrored, and all are tinted, grayscale ones more strongly: with so few photographs, a network
    would otherwise learn their colours. In training they are also turned by a multiple of 90°, and their colour
    channels exchanged.
    """
    size, percent = params.size, params.background_pct
    left, top, side = scene.crop
    photo = load_photos()[scene.photo]
    box = (left, top, left + side, top + side)
    crop = photo.resize((size, size), Image.Resampling.BILINEAR, box=box)
    pixels = np.array(crop.convert("RGB"))
    if draws.below(2):
        pixels = pixels[:, ::-1]
    if PHOTOS[scene.photo].split == "train":
        pixels = np.rot90(pixels, draws.below(4))[:, :, _CHANNELS[draws.below(len(_CHANNELS))]]
    weakest = 160 if photo.mode == "L" else 200
    tint = np.array([draws.between(weakest, 255) for _ in range(3)], np.uint16)
    tinted = pixels * tint // 255
    return ((tinted * percent + 128 * (100 - percent)) // 100).astype(np.uint8)


def _luma(red: int, green: int, blue: int) -> int:
    return (299 * red + 587 * green + 114 * blue) // 1000


def _paint(pixels: Pixels, mask: Pixels, glyph: Glyph, draws: Draws) -> Box:
    """Blend one digit into `pixels` and `mask` (both changed in place) and return its tight box."""
    inks, _ = load_glyphs()
    ink = Image.fromarray(inks[glyph.digit]).resize((glyph.side, glyph.side), Image.Resampling.BICUBIC)
    # Strokes of 8 × 8 digits are blurred when enlarged; a steeper ramp sharpens their edges.
    alpha = np.clip((np.asarray(ink).astype(np.int32) - 50) * 8 // 5, 0, 255)
    window = np.s_[glyph.y : glyph.y + glyph.side, glyph.x : glyph.x + glyph.side]
    visible = alpha >= VISIBLE
    colour = _contrasting(pixels[window][visible], draws)
    opacity = alpha[:, :, None] * draws.between(MIN_OPACITY, 255) // 255
    pixels[window] = ((255 - opacity) * pixels[window] + opacity * colour + 127) // 255
    mask[window][alpha > 0] = IGNORED
    mask[window][alpha >= SOLID] = glyph.label + 1
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    x, y = glyph.x, glyph.y
    return Box(
        x0=x + int(columns[0]),
        y0=y + int(rows[0]),
        x1=x + int(columns[-1]) + 1,
        y1=y + int(rows[-1]) + 1,
        label=glyph.label,
    )


def _contrasting(covered: Pixels, draws: Draws) -> NDArray[np.int32]:
    """Draw a colour whose luma is far from the mean of the covered pixels, uint8 [n, 3]."""
    red, green, blue = (int(total) // len(covered) for total in covered.sum(axis=0, dtype=np.int64))
    ground = _luma(red, green, blue)
    while True:
        colour = [draws.below(256) for _ in range(3)]
        if abs(_luma(*colour) - ground) >= MIN_CONTRAST:
            return np.array(colour, np.int32)


def _netpbm(magic: bytes, pixels: Pixels) -> bytes:
    """Encode pixels as binary PPM (`P6`, [h, w, 3]) or PGM (`P5`, [h, w]): every byte of the file is defined."""
    height, width = pixels.shape[:2]
    return magic + f"\n{width} {height}\n255\n".encode() + pixels.tobytes()
