"""The corner of a lossless image: the teacher sees the exact pixels, whatever their size in bytes (ours).

Pillow's encoders at their defaults, except that WebP is switched to lossless; one file per image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sc2.methods.codec.halves import PillowDecoder, PillowEncoder, pillow_codec
from sc2.split.axes import Choice
from sc2.split.method import BuildContext, NoParams
from sc2.split.pixels import SendsPixels

if TYPE_CHECKING:
    from sc2.split.wire import Payload

OPTIONS: dict[str, dict[str, Any]] = {"png": {}, "webp": {"lossless": True}}
"""Options of Pillow's encoder, by operating point."""


class LosslessImage(SendsPixels[NoParams]):
    """The resized image as PNG or lossless WebP."""

    family = "corner"
    Encoder, Decoder = PillowEncoder, PillowDecoder
    rate_axis = Choice(name="format", values=tuple(OPTIONS))

    def codec(self, context: BuildContext[NoParams]) -> tuple[PillowEncoder, PillowDecoder]:
        """Return the codec named by the operating point."""
        return pillow_codec(context, context.point.upper(), OPTIONS[context.point])

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Return the bytes of the file that are not compressed picture data."""
        from sc2.measure.codec_headers import codec_header_bytes

        file = payload.streams[0]
        return codec_header_bytes(file, "webp" if file.startswith(b"RIFF") else "png")


METHOD = LosslessImage()
