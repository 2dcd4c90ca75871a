"""Input compression with BPG: one HEVC intra picture, 4:4:4, 8 bits, one file per image (spec 1.2, docs/bpg.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from sc2.methods.codec import method
from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.split.wire import Payload


class Params(method.Params):
    """Which programs write and read the files; all else is fixed as upstream has it."""

    codec: Literal["own", "libbpg"] = Field(
        "own",
        description="own: this package over PyAV's libx265 and HEVC decoder; libbpg: bpgenc and bpgdec, found on PATH",
    )


class Bpg(method.CodecInput):
    """BPG of the resized image."""

    format = "BPG"
    Params = Params
    rate_axis = RateAxis(name="qp", symbol="QP ", low=0, high=51, integer=True)

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Bytes of the file that are not slices of the picture."""
        from sc2.bpg.container import header_bytes

        return header_bytes(payload.streams[0])

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Return the codec's settings and the whole teacher."""
        from sc2.methods.codec.bpg_halves import export_bpg

        assert state is None
        return export_bpg(context)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the compressor."""
        from sc2.methods.codec.bpg_halves import BpgDevice

        return BpgDevice(blob)

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the decompressor and the teacher."""
        from sc2.methods.codec.bpg_halves import BpgServer

        return BpgServer(blob)


METHOD = Bpg()
