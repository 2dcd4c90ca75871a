"""What input compression with an image codec has in common: device compresses, server does the rest (spec 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.split.wire import Payload


class Params(Strict):
    """Nothing to set: the codec runs with Pillow's defaults, the operating point is its quality."""


class CodecInput(Method):
    """Input compression with one of Pillow's formats.

    Attributes:
        format: Pillow's name of the format, e.g. `JPEG`.
    """

    Params = Params
    family = "codec"
    rate_axis = RateAxis(name="quality", symbol="q=", low=1, high=100, integer=True)
    upstream_size_rule = "codec"
    format: ClassVar[str]

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Bytes of the file that are not entropy-coded picture data."""
        from sc2.measure.codec_headers import codec_header_bytes

        return codec_header_bytes(payload.streams[0], self.format.lower())

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Return the codec's settings and the whole teacher."""
        from sc2.methods.codec.halves import export_codec

        assert state is None
        return export_codec(context, self.format, quality=int(context.point))

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the compressor."""
        from sc2.methods.codec.halves import CodecDevice

        return CodecDevice(blob)

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the decompressor and the teacher."""
        from sc2.methods.codec.halves import CodecServer

        return CodecServer(blob)
