"""Input compression with BPG: one HEVC intra picture, 4:4:4, 8 bits, one file per image.

Source: docs/papers.md#bpg; the format is in docs/bpg.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sc2.data.limits import refuse_foreign_size
from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext
from sc2.split.pixels import PixelDecoder, PixelEncoder, SendsPixels, whole_teacher
from sc2.strict import Strict

if TYPE_CHECKING:
    import numpy as np

    from sc2.split.wire import Payload

Programs = Literal["own", "libbpg"]


class BpgArch(Strict):
    """Which programs write and read the files; everything else is fixed to upstream's settings."""

    codec: Programs = Field(
        "own",
        description="own: this package, with PyAV's libx265 and HEVC decoder; libbpg: bpgenc and bpgdec from PATH",
    )


class BpgEncoder(PixelEncoder):
    """Writes BPG files."""

    format: Literal["BPG"] = "BPG"
    qp: int
    codec: Programs

    def compress(self, pixels: np.ndarray) -> bytes:
        """Compress one image (uint8 [H, W, 3]) to the bytes of a file, whose header holds the image's size."""
        from sc2.bpg import tools
        from sc2.bpg.encode import encode

        return tools.encode(pixels, self.qp) if self.codec == "libbpg" else encode(pixels, self.qp)


class BpgDecoder(PixelDecoder):
    """Reads BPG files."""

    format: Literal["BPG"] = "BPG"
    codec: Programs

    def decompress(self, data: bytes) -> np.ndarray:
        """Decompress a file to an image, uint8 [H, W, 3]."""
        from sc2.bpg import tools
        from sc2.bpg.container import read_header
        from sc2.bpg.decode import decode

        # Checked before the pixels are decoded: a damaged header may claim any size.
        header = read_header(data)[0]
        refuse_foreign_size((header.width, header.height), self.input, "BPG")
        return tools.decode(data) if self.codec == "libbpg" else decode(data)


AXIS = RateAxis(name="qp", symbol="QP ", low=0, high=51, number=int)


class Bpg(SendsPixels[BpgArch]):
    """BPG of the resized image."""

    Arch = BpgArch
    Params = BpgArch
    Encoder, Decoder = BpgEncoder, BpgDecoder
    rate_axis = AXIS

    def codec(self, context: BuildContext[BpgArch]) -> tuple[BpgEncoder, BpgDecoder]:
        """Return the codec at a QP."""
        codec = context.arch.codec
        return BpgEncoder(qp=AXIS.parse(context.point), codec=codec), BpgDecoder(codec=codec, **whole_teacher(context))

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Return the bytes of the file that are not slices of the picture."""
        from sc2.bpg.container import header_bytes

        return header_bytes(payload.streams[0])


METHOD = Bpg()
