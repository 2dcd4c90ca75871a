"""An image as a file of one of Pillow's formats, and back."""

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from sc2.errors import WireError


def compress(image: Image.Image, image_format: str, options: Mapping[str, Any]) -> bytes:
    """Return the file of an image in one of Pillow's formats; `options` go to Pillow's encoder."""
    buffer = io.BytesIO()
    image.save(buffer, format=image_format, **options)
    return buffer.getvalue()


def decompress(
    data: bytes, image_format: str, size: tuple[int, int] | Callable[[tuple[int, int]], None], mode: str = "RGB"
) -> np.ndarray:
    """Return the pixels of a file, uint8 [H, W, 3] (`mode` RGB) or [H, W] (`mode` L).

    Args:
        data: One whole file.
        image_format: Pillow's name of the only format that is accepted.
        size: (width, height) that the image must have, pixels; or what raises a WireError for a wrong one.
        mode: `RGB` or `L`; the other one is converted (WebP makes colours of grey).

    Raises:
        WireError: The file is damaged, of another format, of another size, or holds pixels of another kind, such as
            16 bits or transparency, which `compress` does not write.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, and of a size that is checked here
            image = Image.open(io.BytesIO(data), formats=[image_format])
        # Looked at before the pixels are decoded: a damaged header may claim any size.
        if callable(size):
            size(image.size)
        elif image.size != size:
            raise WireError(f"the {image_format} image is {image.size}, the network takes {size}")
        if image.mode not in ("RGB", "L"):
            raise WireError(f"the {image_format} image has pixels of mode {image.mode}, not RGB or grey of 8 bits")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(image.convert(mode))
    except WireError:
        raise
    except Exception as error:  # Pillow stumbles over damaged files in many ways: OSError, bombs, struct.error, …
        raise WireError(f"the {image_format} stream cannot be decoded: {error or type(error).__name__}") from error
