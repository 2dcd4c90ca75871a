"""BPG pictures: against libbpg's own decoder, over sizes, formats and QPs, and with damaged files."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sc2.bpg.bits import ue7
from sc2.bpg.chroma import upsample
from sc2.bpg.colour import planes_to_rgb, rgb_to_ycbcr
from sc2.bpg.container import ColorSpace, Header, PixelFormat, header_bytes, read_header, unpack
from sc2.bpg.decode import decode, decode_planes
from sc2.bpg.encode import encode, wrap
from sc2.errors import WireError
from tests.unit.bpg_files import (
    BPGENC_BLACK,
    FIXTURES,
    hevc_stream,
    libbpg_decode,
    libbpg_missing,
    photograph,
)

SIZES = [(1, 1), (9, 1), (1, 7), (8, 8), (65, 63), (223, 225)]
SAMPLINGS = [
    (PixelFormat.GREY, "gray"),
    (PixelFormat.YUV420_JPEG, "yuv420p"),
    (PixelFormat.YUV420_MPEG2, "yuv420p"),
    (PixelFormat.YUV422_JPEG, "yuv422p"),
    (PixelFormat.YUV422_MPEG2, "yuv422p"),
    (PixelFormat.YUV444, "yuv444p"),
]


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(np.mean((one.astype(float) - two) ** 2), 1e-9))


def without_length(data: bytes) -> bytes:
    """Return the file as bpgenc writes it: the picture data end where the file ends."""
    header, start, _ = read_header(data)
    return data[:6] + ue7(header.width) + ue7(header.height) + b"\x00" + data[start:]


def test_a_file_of_bpgenc() -> None:
    assert np.array_equal(decode(BPGENC_BLACK), np.zeros((32, 32, 3), np.uint8))


@pytest.mark.parametrize("name", FIXTURES)
def test_pixels_are_those_of_libbpg(name: str) -> None:
    width, height, file, digest = FIXTURES[name]
    pixels = decode(bytes.fromhex(file))
    assert pixels.shape == (height, width, 3)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == digest


@pytest.mark.skipif(libbpg_missing() is not None, reason=libbpg_missing() or "")
def test_libbpg_reads_what_is_written_here(tmp_path: Path) -> None:
    files, sizes = [], []
    for width, height in SIZES:
        for qp in (0, 26, 51):
            files.append(encode(photograph(width, height), qp))
            sizes.append((width, height))
    for got, data in zip(libbpg_decode(files, sizes, tmp_path), files, strict=True):
        assert np.array_equal(got, decode(data))


@pytest.mark.skipif(libbpg_missing() is not None, reason=libbpg_missing() or "")
@pytest.mark.parametrize(("pixel_format", "format"), SAMPLINGS)
def test_every_format_decodes_as_in_libbpg(pixel_format: PixelFormat, format: str, tmp_path: Path) -> None:
    files = []
    for bit_depth in (8, 10, 12):
        stream = hevc_stream(61, 47, format, bit_depth)
        for space in [ColorSpace.YCBCR_BT601] if format == "gray" else list(ColorSpace):
            for limited in (False, True):
                files.append(wrap(stream, Header(pixel_format, bit_depth, space, limited, 61, 47)))
    for got, data in zip(libbpg_decode(files, [(61, 47)] * len(files), tmp_path), files, strict=True):
        assert np.array_equal(got, decode(data)), unpack(data).header


@pytest.mark.parametrize("size", SIZES)
def test_every_size(size: tuple[int, int], capfd: pytest.CaptureFixture) -> None:
    pixels = photograph(*size)
    data = encode(pixels, 10)
    decoded = decode(data)
    assert decoded.shape == pixels.shape
    assert psnr(decoded, pixels) > 38
    assert data == encode(pixels, 10)
    assert np.array_equal(decode(without_length(data)), decoded)
    assert 0 < header_bytes(data) < 32
    assert capfd.readouterr() == ("", "")


def test_rate_and_distortion_over_qp() -> None:
    pixels = photograph(128, 96)
    files = [encode(pixels, qp) for qp in range(5, 51, 5)]
    qualities = [psnr(decode(data), pixels) for data in files]
    assert all(len(one) > len(two) for one, two in pairwise(files))
    assert all(one > two for one, two in pairwise(qualities))
    assert qualities[0] > 45
    assert qualities[-1] < 35


def test_slices_have_the_qp_that_bpgenc_gives_them() -> None:
    # x265 subtracts 6 log2(1.4) = 2.9 from the QP of intra pictures; without that (ipratio 1) QP 27 must give the same.
    header = Header(PixelFormat.YUV444, 8, ColorSpace.YCBCR_BT601, False, 64, 64)
    with_offset = wrap(hevc_stream(64, 64, "yuv444p", 8, qp=30), header)
    assert with_offset == wrap(hevc_stream(64, 64, "yuv444p", 8, qp=27, params="ipratio=1"), header)


def test_conversion_to_ycbcr_and_back() -> None:
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    rgb = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    planes = rgb_to_ycbcr(rgb)
    # JFIF's equations in floating point
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    expected = np.stack([y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402])
    assert np.abs(planes - np.clip(expected, 0, 255)).max() <= 0.5 + 1e-3
    back = planes_to_rgb(list(planes), Header(PixelFormat.YUV444, 8, ColorSpace.YCBCR_BT601, False, rgb.shape[1], 1))
    assert np.abs(back.astype(int) - rgb).max() <= 2
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    planes = rgb_to_ycbcr(grey)
    assert np.array_equal(planes[0], grey[..., 0])
    assert np.all(planes[1:] == 128)


@pytest.mark.parametrize("bit_depth", [8, 10, 12])
def test_upsampling_keeps_a_flat_plane_and_follows_a_slope(bit_depth: int) -> None:
    for pixel_format, _ in SAMPLINGS[1:5]:
        rows, columns = (12 if pixel_format.chroma_format_idc == 1 else 23), 16
        flat = np.full((rows, columns), 3 << (bit_depth - 4))
        assert np.array_equal(upsample(flat, pixel_format, 31, 23, bit_depth), np.full((23, 31), 3 << (bit_depth - 4)))
        slope = np.tile(8 * np.arange(columns), (rows, 1))
        shift = 0.25 if pixel_format in (PixelFormat.YUV420_JPEG, PixelFormat.YUV422_JPEG) else 0.0
        inner = upsample(slope, pixel_format, 31, 23, bit_depth)[:, 8:-8]
        # The filter of seven taps bends a slope by up to 3 % of its step of 8.
        assert np.abs(inner - 8 * (np.arange(8, 23) / 2 - shift)).max() <= 1


def test_every_truncation_is_noticed() -> None:
    data = encode(photograph(40, 24), 40)
    for end in range(len(data)):
        with pytest.raises(WireError):
            decode(data[:end])


def test_truncation_is_noticed_where_the_file_does_not_say_its_length() -> None:
    data = without_length(encode(photograph(40, 24), 35))
    whole, missed = decode(data), []
    for end in range(len(data)):
        try:
            pixels = decode(data[:end])
        except WireError:
            continue
        missed.append(len(data) - end)
        assert np.array_equal(pixels, whole)
    assert all(missing <= 2 for missing in missed)  # bytes that only fill up the last block


def test_damaged_files_decode_or_raise() -> None:
    data = encode(photograph(40, 24), 35)
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        damaged[generator.integers(4, 40)] ^= 1 << generator.integers(8)
        try:
            decode(bytes(damaged), max_pixels=2**16)
        except WireError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("bit_depth", [11, 13, 14])
def test_bit_depths_that_are_not_handled(bit_depth: int) -> None:
    data = bytearray(encode(photograph(16, 16), 30))
    data[4] |= bit_depth - 8
    with pytest.raises(WireError, match=f"{bit_depth} bits are not supported"):
        decode(bytes(data))


def test_images_that_are_refused() -> None:
    for pixels in (np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(WireError, match="takes uint8 images"):
            encode(pixels, 30)
    for qp in (-1, 52):
        with pytest.raises(WireError, match="QP must be from"):
            encode(np.zeros((4, 4, 3), np.uint8), qp)


def test_planes_keep_their_sampling() -> None:
    header = Header(PixelFormat.YUV420_JPEG, 10, ColorSpace.YCBCR_BT601, False, 61, 47)
    planes = decode_planes(unpack(wrap(hevc_stream(61, 47, "yuv420p", 10), header)))
    assert [plane.shape for plane in planes] == [(47, 61), (24, 31), (24, 31)]
    assert all(plane.dtype == np.dtype("<u2") and plane.max() < 1024 for plane in planes)
