"""Base of the methods that compress the input with one of Pillow's codecs; the quality is the operating point.

Source: docs/papers.md#codec-input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sc2.methods.codec.halves import PillowDecoder, PillowEncoder, pillow_codec
from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, NoParams
from sc2.split.pixels import SendsPixels

if TYPE_CHECKING:
    from sc2.split.wire import Payload


AXIS = RateAxis(name="quality", symbol="q=", low=1, high=100, number=int)


class CodecInput(SendsPixels[NoParams]):
    """Input compression with one of Pillow's formats, at Pillow's defaults.

    Attributes:
        format: Pillow's name of the format, e.g. `JPEG`.
    """

    Encoder, Decoder = PillowEncoder, PillowDecoder
    rate_axis = AXIS
    format: ClassVar[str]

    def codec(self, context: BuildContext[NoParams]) -> tuple[PillowEncoder, PillowDecoder]:
        """Return the codec at a quality."""
        return pillow_codec(context, self.format, {"quality": AXIS.parse(context.point)})

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Return the bytes of the file that are not entropy-coded picture data."""
        from sc2.measure.codec_headers import codec_header_bytes

        return codec_header_bytes(payload.streams[0], self.format.lower())
