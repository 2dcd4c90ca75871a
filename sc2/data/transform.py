"""From the bytes of an image file to the pixels that a network sees; free of torch.

Training, evaluation and the command line share these two functions, so that all of them see the same pixels.
"""

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sc2.errors import ConfigError, DataError

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

# What Pillow raises for damaged files, depending on the format.
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode an image file of any kind to upright RGB.

    The orientation in the EXIF data is applied. Grayscale, palette, CMYK and 16-bit images are converted; transparency
    is dropped.

    Args:
        data: The whole image file.
        name: What to call the image in an error message.

    Returns:
        An image of mode `RGB`, 8 bits per channel.

    Raises:
        DataError: The image cannot be decoded; the message names it.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:  # its own message is the address of a buffer
        raise DataError(f"{name}: not a readable image ({len(data)} bytes): unknown format") from error
    except UNREADABLE as error:
        raise DataError(f"{name}: not a readable image ({len(data)} bytes): {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") and image.mode != "I;16":
        image = image.convert("I;16")
    if image.mode == "I;16":  # convert("RGB") would clip at 255 instead of scaling
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the direct way to RGB warns
    return image if image.mode == "RGB" else image.convert("RGB")


def prepare_image(image: Image.Image, spec: Mapping[str, Any]) -> Image.Image:
    """Resize the short side and cut out the centre, as torchvision's `Resize(int)` and `CenterCrop` do.

    An image that has the wanted size already is returned untouched.

    Args:
        image: An RGB image of any size.
        spec: `resize` (short side in pixels), `crop` (side of the square in pixels, at most `resize`) and
            `interpolation` (`nearest`, `bilinear` or `bicubic`).

    Returns:
        An RGB image of `crop` × `crop` pixels.

    Raises:
        ConfigError: `crop` is larger than `resize`, or the interpolation is unknown.
    """
    resize, crop, interpolation = spec["resize"], spec["crop"], spec["interpolation"]
    if not 0 < crop <= resize:
        raise ConfigError(f"input: crop is {crop} but must be between 1 and resize, which is {resize}")
    if interpolation not in INTERPOLATIONS:
        raise ConfigError(f"input: interpolation is {interpolation!r} but must be one of {', '.join(INTERPOLATIONS)}")
    short, long = sorted(image.size)
    if short != resize:
        other = int(resize * long / short)
        size = (resize, other) if image.width <= image.height else (other, resize)
        image = image.resize(size, INTERPOLATIONS[interpolation])
    if image.size == (crop, crop):
        return image
    left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
    return image.crop((left, top, left + crop, top + crop))
