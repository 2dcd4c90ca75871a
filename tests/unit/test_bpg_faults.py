"""BPG files of libbpg that were once read wrongly, refused, or read at great cost; sizes that are refused in time."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sc2.bpg import chroma, colour
from sc2.bpg.bits import ue7
from sc2.bpg.container import MAX_PIXELS, BpgFile, ColorSpace, Header, PixelFormat, header_bytes, pack, unpack
from sc2.bpg.decode import decode
from sc2.bpg.encode import encode, wrap
from sc2.errors import WireError
from tests.bounded import run_bounded
from tests.unit.bpg_files import hevc_stream, photograph

CORPUS = Path(__file__).parents[1] / "corpus" / "bpg"


def corpus(name: str) -> bytes:
    return (CORPUS / f"{name}.bpg").read_bytes()


def test_lossless_files_of_jctvc_are_refused_and_not_read_wrongly() -> None:
    data = corpus("lossless_jctvc_a")
    with pytest.raises(WireError, match=r"implicit RDPCM.*bpgdec"):
        decode(data)
    assert 0 < header_bytes(data) < 64


def test_a_file_with_a_hash_behind_its_slices_is_read() -> None:
    data = corpus("hash")
    pixels = decode(data)
    assert pixels.shape == (65, 97, 3)
    # What libbpg's decoder gives.
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert digest == "76fe37a94cd9c87377c26eb5694bd2e3746cf962b3daf1356de69b0df465845a"


def test_truncation_is_noticed_with_a_hash_behind_the_slices() -> None:
    data = corpus("hash")
    whole, slices = decode(data), unpack(data).units[-1]
    for end in [*range(0, len(data) - len(slices), 97), *range(len(data) - len(slices) - 9, len(data))]:
        try:
            pixels = decode(data[:end])
        except WireError:
            continue
        assert np.array_equal(pixels, whole)


def test_the_hash_is_compared() -> None:
    file = unpack(corpus("hash"))
    parameters, slices, check = file.units
    for position in (300, 700, 1200):
        damaged = bytearray(slices)
        damaged[position] ^= 4
        with pytest.raises(WireError):
            decode(pack(replace(file, units=(parameters, bytes(damaged), check))))


def test_a_large_picture_takes_little_memory() -> None:
    """16.8 million pixels: 110 bytes of memory for each took 1.9 GB; three of them are the image."""
    imports = "import pathlib; import av; from sc2.bpg.decode import decode"
    code = "print(decode(pathlib.Path(sys.argv[1]).read_bytes()).shape)"
    assert run_bounded(imports, code, str(CORPUS / "flat4.bpg"), mib=350).strip() == "(4096, 4096, 3)"


def test_a_size_is_checked_in_whole_coding_blocks() -> None:
    """A line of one pixel's width is coded in blocks: 2^26 pixels would become 64 times as many."""
    file = unpack(encode(photograph(16, 16), 40))
    coding = replace(file.coding, log2_min_cb=6, log2_diff_max_min_cb=0)
    for width, height in ((1, MAX_PIXELS), (MAX_PIXELS, 1)):
        header = replace(file.header, width=width, height=height)
        with pytest.raises(WireError, match="but at most"):
            decode(pack(BpgFile(header, coding, file.units)))
        with pytest.raises(WireError, match="but at most"):
            decode(pack(BpgFile(replace(header, width=width + 1), file.coding, file.units)))


def test_claimed_lengths_cost_nothing() -> None:
    start = b"BPG\xfb\x60\x08" + ue7(8) + ue7(8) + ue7(0)
    for claim in (start + ue7(2**32 - 1), start + ue7(1) + b"x" + ue7(2**32 - 1), start[:6] + ue7(8) + ue7(2**32 - 1)):
        with pytest.raises(WireError):
            decode(claim + bytes(100))


@pytest.mark.parametrize("pixel_format", [PixelFormat.YUV420_JPEG, PixelFormat.YUV422_MPEG2, PixelFormat.YUV444])
def test_parts_of_a_picture_fit_together(pixel_format: PixelFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    name = {1: "yuv420p", 2: "yuv422p", 3: "yuv444p"}[pixel_format.chroma_format_idc]
    header = Header(pixel_format, 10, ColorSpace.YCBCR_BT709, True, 61, 47)
    data, image = wrap(hevc_stream(61, 47, name, 10), header), photograph(61, 47)
    pixels, planes = decode(data), colour.rgb_to_ycbcr(image)
    monkeypatch.setattr(chroma, "_SAMPLES_AT_ONCE", 128)
    monkeypatch.setattr(colour, "_PIXELS_AT_ONCE", 100)
    assert np.array_equal(decode(data), pixels)
    assert np.array_equal(colour.rgb_to_ycbcr(image), planes)
