"""From the bytes of an image file to the pixels that a network sees; free of torch.

Training, evaluation and the command line share these two functions, so that all of them see the same pixels. Where a
pixel goes is said in `sc2.data.geometry`.
"""

import io
import struct

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sc2.data.geometry import Placement
from sc2.data.spec import SizeSpec
from sc2.errors import DataError

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


def prepare_image(image: Image.Image, spec: SizeSpec) -> Image.Image:
    """Make the network's input of an upright RGB image of any size.

    With `fit: crop` the short side is resized and the centre cut out, as torchvision's `Resize(int)` and `CenterCrop`
    do. With `fit: whole` the whole image is resized, as `Resize(int, max_size)` does, and padded with black on the
    right and at the bottom. An image that has the wanted size already is returned untouched.

    Args:
        image: An RGB image of any size.
        spec: The size of the input.

    Returns:
        An RGB image of the size `Placement.of(image.size, spec).size`.
    """
    return Placement.of(image.size, spec).image_in(image, spec.interpolation)
