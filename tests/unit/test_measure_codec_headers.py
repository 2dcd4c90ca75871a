"""Headers of image files: by hand, and against an independent walk over the files that Pillow writes."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sc2.errors import ConfigError, WireError
from sc2.measure.codec_headers import codec_header_bytes


def picture(mode: str = "RGB", size: int = 64) -> Image.Image:
    y, x = np.mgrid[:size, :size]
    noise = np.random.default_rng(0).integers(0, 60, (size, size))
    channels = [(3 * x + noise) % 256, (2 * y + noise) % 256, (x + y + noise) % 256, 4 * (x // 4) % 256]
    pixels = np.stack(channels[: len(mode)], axis=-1).astype(np.uint8)
    if mode == "CMYK":  # as an array it would be taken for RGBA
        return Image.fromarray(pixels[..., :3]).convert("CMYK")
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def segments(data: bytes) -> dict[int, int]:
    """Oracle for JPEG: bytes per marker, found with a regular expression instead of a parser of the scan."""
    sizes: dict[int, int] = {0xD8: 2, 0xD9: 2}
    position = 2
    while data[position : position + 2] != b"\xff\xd9":
        marker, length = data[position + 1], struct.unpack(">H", data[position + 2 : position + 4])[0]
        sizes[marker] = sizes.get(marker, 0) + 2 + length
        position += 2 + length
        if marker == 0xDA:
            scan = re.compile(rb"(?:[^\xff]|\xff[\x00\xd0-\xd7])*", re.DOTALL).match(data, position)
            assert scan is not None
            sizes[-1] = sizes.get(-1, 0) + len(scan[0])
            position = scan.end()
    assert sum(sizes.values()) == len(data)
    return sizes


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"optimize": True}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"restart_marker_blocks": 1}],
)
def test_jpeg_of_pillow(mode: str, options: dict[str, object]) -> None:
    data = saved(picture(mode), "JPEG", **options)
    assert codec_header_bytes(data, "jpeg") + segments(data)[-1] == len(data)


def test_optimised_jpeg_differs_only_through_its_huffman_tables() -> None:
    plain, optimised = (saved(picture(), "JPEG", quality=10, optimize=flag) for flag in (False, True))
    tables = [segments(data)[0xC4] for data in (plain, optimised)]
    headers = [codec_header_bytes(data, "jpeg") for data in (plain, optimised)]
    assert headers[0] - tables[0] == headers[1] - tables[1]
    # SOI, APP0, two DQT, SOF of 3 components, the four standard DHT, SOS, EOI
    assert headers[0] == 2 + 18 + 2 * 69 + 19 + 2 * (33 + 183) + 14 + 2
    assert headers[1] < headers[0]


def test_jpeg_by_hand() -> None:
    head = b"\xff\xd8" + b"\xff\xe0\x00\x04ab" + b"\xff\xff\xff\xda\x00\x03x"  # two fill bytes before SOS
    scan = b"\x12\xff\x00\x34\xff\xd0\x56\xff\xff\xd7\xff\x00"
    middle = b"\xff\xc4\x00\x02\xff\xda\x00\x02"
    data = head + scan + middle + b"\x99" + b"\xff\xff\xd9"
    assert codec_header_bytes(data, "jpeg") == len(head) + len(middle) + 3
    assert codec_header_bytes(b"\xff\xd8\xff\xd9", "jpeg") == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not start with FF D8"),
        (b"\xff\xd8", "no end marker"),
        (b"\xff\xd8\xff\xff", "no end marker"),
        (b"\xff\xd8\x00", "no marker at byte 2"),
        (b"\xff\xd8\xff\xd0\xff\xd9", "outside a scan"),
        (b"\xff\xd8\xff\xe0\x00", "truncated in the segment"),
        (b"\xff\xd8\xff\xe0\x00\x09ab", "truncated in the segment"),
        (b"\xff\xd8\xff\xe0\x00\x01\xff\xd9", "has length 1"),
        (b"\xff\xd8\xff\xda\x00\x02abc", "truncated in a scan"),
        (b"\xff\xd8\xff\xda\x00\x02abc\xff", "truncated in a scan"),
        (b"\xff\xd8\xff\xd9x", "goes on for 1 bytes"),
    ],
)
def test_damaged_jpeg(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        codec_header_bytes(data, "jpeg")


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\x00" * (len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


VP8 = b"\x10\x00\x00\x9d\x01\x2a\x40\x00\x40\x00"
VP8L = b"\x2f\x3f\xc0\x0f\x00"


def test_webp_by_hand() -> None:
    assert codec_header_bytes(riff(chunk(b"VP8 ", VP8 + b"pixels")), "webp") == 30
    assert codec_header_bytes(riff(chunk(b"VP8 ", VP8 + b"pixel")), "webp") == 31
    assert codec_header_bytes(riff(chunk(b"VP8L", VP8L + b"pixels")), "webp") == 26
    parts = [chunk(b"VP8X", bytes(10)), chunk(b"ICCP", b"abc"), chunk(b"ALPH", b"\x01alpha"), chunk(b"VP8 ", VP8)]
    assert codec_header_bytes(riff(*parts), "webp") == 12 + 18 + 12 + 9 + 18
    assert len(riff(*parts)) == 12 + 18 + 12 + 9 + 5 + 18


def test_webp_of_pillow() -> None:
    lossy, lossless = saved(picture(), "WEBP", quality=10), saved(picture(), "WEBP", lossless=True)
    for data, name, fixed in ((lossy, b"VP8 ", 10), (lossless, b"VP8L", 5)):
        assert data[12:16] == name
        size = struct.unpack("<I", data[16:20])[0]
        assert codec_header_bytes(data, "webp") == len(data) - size + fixed
    alpha = saved(picture("RGBA"), "WEBP", quality=10)
    assert alpha[12:16] == b"VP8X"
    at = alpha.index(b"ALPH")
    alpha_size, size = (struct.unpack("<I", alpha[i + 4 : i + 8])[0] for i in (at, alpha.index(b"VP8 ")))
    assert codec_header_bytes(alpha, "webp") == len(alpha) - (alpha_size - 1) - (size - 10)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a WebP file"),
        (b"RIFF\x04\x00\x00\x00WAVE", "not a WebP file"),
        (riff() + b"x", "has 13 bytes, but its header announces 12"),
        (riff(), "holds 0 images"),
        (riff(chunk(b"VP8L", VP8L), chunk(b"VP8L", VP8L)), "holds 2 images"),
        (riff(b"VP8 \x09\x00"), "truncated in the chunk"),
        (riff(b"VP8 \x09\x00\x00\x00abc"), "truncated in the chunk"),
        (riff(chunk(b"VP8 ", VP8[:9])), "has only 9 bytes"),
        (riff(chunk(b"VP8 ", b"\x11" + VP8[1:])), "key frame"),
        (riff(chunk(b"VP8 ", bytes(10))), "key frame"),
        (riff(chunk(b"VP8L", bytes(5))), "start with 2F"),
        (riff(chunk(b"ANMF", bytes(30))), "ANMF"),
    ],
)
def test_damaged_webp(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        codec_header_bytes(data, "webp")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 0}])
def test_png_of_pillow(mode: str, options: dict[str, object]) -> None:
    """What is left is a raw deflate stream: it inflates to the filtered lines, one byte and `size` pixels each."""
    data = saved(picture(mode), "PNG", **options)
    chunks = re.findall(rb"(....)IDAT", data, re.DOTALL)
    image_bytes = len(data) - codec_header_bytes(data, "png")
    assert image_bytes == sum(struct.unpack(">I", length)[0] for length in chunks) - 6
    start = data.index(b"IDAT") + 4
    if len(chunks) == 1:
        raw = zlib.decompressobj(wbits=-15)
        assert len(raw.decompress(data[start + 2 : start + 2 + image_bytes])) == 64 * (1 + len(mode) * 64)
        assert raw.eof
    # signature, IHDR, frame of each IDAT, zlib header and checksum, IEND
    assert codec_header_bytes(data, "png") == 8 + 25 + 12 * len(chunks) + 6 + 12


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not start with its signature"),
        (b"\x89PNG\r\n\x1a\n", "no end chunk"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x05IDAT" + bytes(8), "truncated in the chunk b'IDAT' at byte 8"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x00IEND" + bytes(4), "0 bytes of image data"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x00IEND" + bytes(9), "goes on for 5 bytes after its end chunk"),
    ],
)
def test_damaged_png(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        codec_header_bytes(data, "png")


def test_truncated_and_flipped_files_raise_nothing_else() -> None:
    for format in ("jpeg", "webp", "png"):
        data = saved(picture(size=16), format.upper())
        for position in range(len(data)):
            with pytest.raises(WireError):
                codec_header_bytes(data[:position], format)
            changed = data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]
            try:
                assert 0 <= codec_header_bytes(changed, format) <= len(data)
            except WireError:
                continue


def test_unknown_format_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'bpg'; known: jpeg, png, webp"):
        codec_header_bytes(b"", "bpg")
