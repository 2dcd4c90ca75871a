"""From the bytes of an image file to the pixels that a network sees; free of torch.

Training, evaluation and the command line share these functions, so that all of them see the same pixels.
`sc2.data.geometry` defines where a pixel goes.
"""

import io
import re
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sc2.data.geometry import Placement
from sc2.data.spec import SizeSpec
from sc2.errors import DataError

Pixels = NDArray[np.uint8]

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats that are read; others would start programs, or contain no pixels."""

LARGEST_PX = 89_478_485
"""Pixels of the largest image that is decoded; beyond it, Pillow itself suspects an attack."""

_PLAIN = re.compile(rb"P6\n([1-9][0-9]{0,7}) ([1-9][0-9]{0,7})\n255\n")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339


class Upright(NamedTuple):
    """A decoded image.

    Attributes:
        image: Upright, mode `RGB`, 8 bits per channel.
        orientation: EXIF orientation, 1 to 8: from 2 on, the stored pixels were mirrored or rotated.
    """

    image: Image.Image
    orientation: int


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode an image file of any of `FORMATS` to upright RGB.

    The EXIF orientation is applied; damaged EXIF data are ignored. Grayscale, palette, CMYK and
    16-bit images are converted; transparency is dropped.

    Args:
        data: The whole image file.
        name: What to call the image in an error message.

    Returns:
        An image of mode `RGB`, 8 bits per channel.

    Raises:
        DataError: The image cannot be decoded, has more than `LARGEST_PX` pixels, or values of unknown range;
            the message names it.
    """
    return decode_upright(data, name).image


def decode_upright(data: bytes, name: str) -> Upright:
    """Decode an image file as `decode_image` does, and also return its orientation.

    Raises:
        DataError: As there.
    """
    image, orientation = _loaded(data, name, "image")
    _refuse_unknown_range(image, name)
    try:
        rgb = _to_rgb(image)
        turn = _UPRIGHT.get(orientation)
        # Pillow has already rotated a TIFF.
        return Upright(rgb if turn is None or image.format == "TIFF" else rgb.transpose(turn), orientation)
    except ValueError as error:
        raise DataError(f"{name}: images of mode {image.mode} are not supported: {error}") from error


def plain_pixels(data: bytes) -> Pixels | None:
    """Return what `decode_image` decodes, without Pillow, where nothing needs decoding.

    Args:
        data: The whole image file.

    Returns:
        uint8 [H, W, 3], not to be changed; None unless the file is a binary PPM of 8 bits per channel as `photodigits`
        writes it, with nothing before or after its pixels.
    """
    header = _PLAIN.match(data)
    if header is None:
        return None
    width, height = int(header[1]), int(header[2])
    if width * height > LARGEST_PX or len(data) != header.end() + 3 * width * height:
        return None
    return np.frombuffer(data, np.uint8, offset=header.end()).reshape(height, width, 3)


def decode_mask(data: bytes, name: str) -> np.ndarray:
    """Decode a mask to its numbers, uint8 [H, W]; a palette image to its indices, not its colours.

    Raises:
        DataError: It cannot be decoded, has colours instead of numbers, or more than `LARGEST_PX` pixels.
    """
    image, _ = _loaded(data, name, "mask")
    if image.mode not in ("L", "P"):
        raise DataError(f"{name}: a mask of mode {image.mode}; it must have one number per pixel (grey or palette).")
    return np.array(image)


def _loaded(data: bytes, name: str, what: str) -> tuple[Image.Image, int]:
    """Return the image of a file with its pixels, and its EXIF orientation."""
    problem = f"{name}: not a readable {what} ({len(data)} bytes)"
    Image.init()  # registers all formats, not only the most common ones
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata, and about a size that is checked here
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > LARGEST_PX:  # before anything is allocated
                raise DataError(f"{problem}: {image.width} × {image.height} pixels, at most {LARGEST_PX} are read")
            orientation = _orientation(image) if image.format == "TIFF" else 1  # lost when the pixels are loaded
            image.load()
            return image, orientation if image.format == "TIFF" else _orientation(image)
    except DataError:
        raise
    except UnidentifiedImageError as error:  # its own message is the address of a buffer
        raise DataError(f"{problem}: unknown format; supported are {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow fails on damaged files in many ways: OSError, KeyError, struct.error, …
        raise DataError(f"{problem}: {error or type(error).__name__}") from error


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if the EXIF data are missing or damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # as above; the pixels are intact
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # convert("RGB") would clip at 255 instead of scaling
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the direct way to RGB warns
    return image if image.mode == "RGB" else image.convert("RGB")


def _refuse_unknown_range(image: Image.Image, name: str) -> None:
    """Refuse an image unless its values have 8 bits or fewer, or are grey from 0, black, to 65535, white.

    Raises:
        DataError: The message describes its values.
    """
    tags, facts = getattr(image, "tag_v2", {}), [f"mode {image.mode}"]
    if set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}:
        facts.append("signed or with fractions")
    if image.mode.startswith("I"):
        if tags.get(_BITS_PER_SAMPLE, (16,)) != (16,):
            facts.append(f"{tags[_BITS_PER_SAMPLE][0]} bits")
        if tags.get(_PHOTOMETRIC, 1) != 1:
            facts.append("0 is white")
        if image.format not in ("PNG", "PPM", "TIFF"):
            facts.append(f"in {image.format}")
    if image.mode.startswith("F") or len(facts) > 1:
        raise DataError(
            f"{name}: its values ({', '.join(facts)}) cannot be converted to 8 bits, because their range is unknown. "
            "Save it with 8 bits per channel."
        )


def prepare_image(image: Image.Image, spec: SizeSpec) -> Image.Image:
    """Turn an upright RGB image of any size into the network's input.

    With `fit: crop` the short side is resized and the centre cut out, as torchvision's `Resize(int)` and `CenterCrop`
    do. With `fit: whole` the whole image is resized, as `Resize(int, max_size)` does, and padded with black on the
    right and at the bottom. An image that already has the right size is returned unchanged.

    Args:
        image: An RGB image of any size.
        spec: The size of the input.

    Returns:
        An RGB image of the size `Placement.of(image.size, spec).size`.
    """
    return Placement.of(image.size, spec).image_in(image, spec.interpolation)
