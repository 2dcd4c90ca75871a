"""Images encoded to and decoded from files of Pillow's formats."""

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from sc2.errors import WireError


def compress(image: Image.Image, image_format: str, options: Mapping[str, Any]) -> bytes:
    """Return an image encoded in one of Pillow's formats; `options` are passed to Pillow's encoder."""
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
        size: (width, height) that the image must have, pixels; or a function that raises a WireError for a wrong size.
        mode: `RGB` or `L`; an image of the other mode is converted (WebP stores grey as colour).

    Raises:
        WireError: The file is damaged, has another format or size, or has pixels that `compress` does not write, such
            as 16-bit or transparent ones.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata, and about a size that is checked here
            image = Image.open(io.BytesIO(data), formats=[image_format])
        # Checked before the pixels are decoded: a damaged header may claim any size.
        if callable(size):
            size(image.size)
        elif image.size != size:
            raise WireError(f"the {image_format} image is {image.size}, but the network takes {size}")
        if image.mode not in ("RGB", "L"):
            raise WireError(f"the {image_format} image has pixels of mode {image.mode}, not 8-bit RGB or grey")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(image.convert(mode))
    except WireError:
        raise
    except Exception as error:  # Pillow fails on damaged files in many ways: OSError, bombs, struct.error, …
        raise WireError(f"the {image_format} stream cannot be decoded: {error or type(error).__name__}") from error
