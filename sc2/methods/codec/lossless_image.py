"""The corner of a lossless image: the teacher sees exactly the pixels, at whatever they cost (ours).

Pillow's encoders at their defaults but for WebP's switch to lossless; one file per image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sc2.split.axes import Choice
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.split.wire import Payload

OPTIONS: dict[str, dict[str, Any]] = {"png": {}, "webp": {"lossless": True}}
"""What Pillow's encoder is told, by operating point."""


class Params(Strict):
    """Nothing to set: the operating point names the format."""


class LosslessImage(Method):
    """The resized image as PNG or lossless WebP."""

    Params = Params
    family = "corner"
    rate_axis = Choice(name="format", values=tuple(OPTIONS))
    upstream_size_rule = "codec"

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Bytes of the file that are not compressed picture data."""
        from sc2.measure.codec_headers import codec_header_bytes

        file = payload.streams[0]
        return codec_header_bytes(file, "webp" if file.startswith(b"RIFF") else "png")

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Return the format and the whole teacher."""
        from sc2.methods.codec.halves import export_codec

        assert state is None
        return export_codec(context, context.point.upper(), **OPTIONS[context.point])

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the compressor."""
        from sc2.methods.codec.halves import CodecDevice

        return CodecDevice(blob)

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the decompressor and the teacher."""
        from sc2.methods.codec.halves import CodecServer

        return CodecServer(blob)


METHOD = LosslessImage()
