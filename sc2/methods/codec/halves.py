"""Input compression with Pillow's image codecs: the whole network is on the server (docs/papers.md#codec-input)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from sc2.data.image_codec import compress, decompress
from sc2.data.limits import refuse_foreign_size
from sc2.split.method import A, BuildContext
from sc2.split.pixels import PixelDecoder, PixelEncoder, whole_teacher

if TYPE_CHECKING:
    import numpy as np


class PillowEncoder(PixelEncoder):
    """One of Pillow's encoders.

    Attributes:
        format: Pillow's name of the format, e.g. `JPEG`.
        options: Options of the encoder, e.g. `quality`; all others have Pillow's defaults.
    """

    format: str
    options: dict[str, Any]

    def compress(self, pixels: np.ndarray) -> bytes:
        """Compress one image (uint8 [H, W, 3]) to the bytes of a file, whose header holds the image's size."""
        return compress(Image.fromarray(pixels), self.format, self.options)


class PillowDecoder(PixelDecoder):
    """One of Pillow's decoders; it reads no other format."""

    format: str

    def decompress(self, data: bytes) -> np.ndarray:
        """Decompress a file to an image, uint8 [H, W, 3]."""
        return decompress(data, self.format, partial(refuse_foreign_size, spec=self.input, what=self.format))


def pillow_codec(
    context: BuildContext[A], image_format: str, options: dict[str, Any]
) -> tuple[PillowEncoder, PillowDecoder]:
    """Return the encoder and decoder of one of Pillow's formats; see `PillowEncoder` for the options."""
    decoder = PillowDecoder(format=image_format, **whole_teacher(context))
    return PillowEncoder(format=image_format, options=options), decoder
