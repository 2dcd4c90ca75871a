"""Base of the methods that compress features with an image codec (docs/papers.md#codec-feature).

    device                                 wire                              server
    x ─ stages up to `cut` ─ 8 bits ─► minima, maxima, a file per ─► features ─ stages after `cut` ─► logits
                                       group of three channels

The teacher is split at a cut and not trained: all loss is due to the 8 bits and the codec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.split.wire import Payload


class CodecFeatureArch(Strict):
    """Where the teacher is cut."""

    cut: str = Field(
        default="layer2", pattern="^(stem|layer[1-4])$", description="Last stage on the device (the papers': layer2)"
    )


AXIS = RateAxis(name="quality", symbol="q=", low=1, high=100, number=int)


class CodecFeature(Method[CodecFeatureArch]):
    """Feature compression with one of Pillow's formats.

    Attributes:
        format: Pillow's name of the format, e.g. `JPEG`.
    """

    Arch = CodecFeatureArch
    Params = CodecFeatureArch
    rate_axis = AXIS
    upstream_size_rule = "codec_feature"
    one_size = True
    format: ClassVar[str]

    def unsupported(self, task: str) -> str | None:
        """Return the reason on every task except classification, for which the papers have it as a failing baseline."""
        return None if task == "classification" else "the papers use it for classification only"

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Return the bytes of all files that are not entropy-coded picture data; minima and maxima do not count."""
        from sc2.measure.codec_headers import codec_header_bytes

        return sum(codec_header_bytes(file, self.format.lower()) for file in payload.streams[1:])

    def export(self, context: BuildContext[CodecFeatureArch], state: Mapping[str, Tensor] | None) -> Export:
        """Split the teacher at the cut."""
        from sc2.methods.codec_feature.halves import export_codec_feature

        assert state is None
        return export_codec_feature(context, context.arch.cut, self.format, AXIS.parse(context.point))

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the stages up to the cut and the compressor."""
        from sc2.methods.codec_feature.halves import CodecFeatureDevice, CodecFeatureDeviceContent

        return CodecFeatureDevice(CodecFeatureDeviceContent.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the decompressor and the stages after the cut."""
        from sc2.methods.codec_feature.halves import CodecFeatureServer, CodecFeatureServerContent

        return CodecFeatureServer(CodecFeatureServerContent.model_validate(blob))
