import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sc2.data.spec import SizeSpec
from sc2.data.transform import decode_image, plain_pixels, prepare_image
from sc2.errors import DataError


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(width, height):
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(
        np.stack([rows * 7 % 256, columns * 5 % 256, (rows + columns) * 3 % 256], 2).astype(np.uint8)
    )


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (Image.new("L", (4, 4), 90), "PNG", (90, 90, 90)),
        (Image.new("LA", (4, 4), (90, 10)), "PNG", (90, 90, 90)),
        (Image.new("RGBA", (4, 4), (9, 8, 7, 0)), "PNG", (9, 8, 7)),
        (Image.new("1", (4, 4), 1), "PNG", (255, 255, 255)),
        (Image.new("I;16", (4, 4), 90 * 256 + 17), "PNG", (90, 90, 90)),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG", (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (255, 0, 255, 0)), "TIFF", (0, 255, 0)),
        (Image.new("RGB", (4, 4), (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE), "PNG", (1, 2, 3)),
    ],
)
def test_every_mode_becomes_rgb(image, kind, expected):
    decoded = decode_image(encoded(image, kind), "x")
    assert decoded.mode == "RGB"
    assert decoded.getpixel((2, 2)) == expected


def test_a_palette_with_transparency_raises_no_warning():
    image = Image.new("RGB", (4, 4), (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert decode_image(encoded(image, "PNG", transparency=b"\x00\x80"), "x").getpixel((0, 0)) == (1, 2, 3)


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise
    image = Image.new("RGB", (16, 8), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    decoded = decode_image(encoded(image, "JPEG", exif=exif, quality=95), "x")
    assert decoded.size == (8, 16)
    assert decoded.getpixel((4, 2))[0] > 200
    assert decoded.getpixel((4, 13))[0] < 50


def damaged():
    png, jpeg = encoded(picture(40, 40), "PNG"), encoded(picture(40, 40), "JPEG")
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = png[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
    return {
        "nothing": b"",
        "text": b"hello",
        "png": png[:60],
        "crc": png[:40] + b"x" + png[41:],
        "jpeg": jpeg[:-90],
        "bomb": bomb,
    }


@pytest.mark.parametrize("name", ["nothing", "text", "png", "crc", "jpeg", "bomb"])
def test_a_damaged_image_is_named(name):
    with pytest.raises(DataError, match=r"cat\.png: not a readable image"):
        decode_image(damaged()[name], "cat.png")


@pytest.mark.parametrize("size", [(16, 16), (40, 31), (31, 40), (16, 33), (9, 13), (17, 16)])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_prepare_image_equals_torchvision(size, interpolation):
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    image = picture(*size)
    expected = Compose([Resize(16, InterpolationMode(interpolation)), CenterCrop(12)])(image)
    spec = SizeSpec(resize=16, crop=12, interpolation=interpolation)
    assert prepare_image(image, spec).tobytes() == expected.tobytes()


def test_an_image_of_the_right_size_is_untouched():
    image = picture(16, 16)
    assert prepare_image(image, SizeSpec(resize=16, crop=16)) is image


NINE = bytes(range(27))


@pytest.mark.parametrize("header", [b"P6\n3 3\n255\n", b"P6\n9 1\n255\n", b"P6\n1 9\n255\n"])
def test_a_plain_file_needs_no_decoding(header):
    found = plain_pixels(header + NINE)
    assert found is not None
    assert np.array_equal(found, np.asarray(decode_image(header + NINE, "x")))


@pytest.mark.parametrize(
    "data",
    [
        b"P6 3 3 255 " + NINE,
        b"P6\n# a comment\n3 3\n255\n" + NINE,
        b"P6\n3 3\n255\r\n" + NINE,
        b"P6\n3 3\n255\n" + NINE + b"\n",
        b"P6\n3 3\n255\n" + NINE[:-1],
        b"P6\n03 3\n255\n" + NINE,
        b"P6\n0 3\n255\n",
        b"P6\n3 3\n99\n" + NINE,
        b"P6\n3 3\n65535\n" + 2 * NINE,
        b"P5\n3 9\n255\n" + NINE,
        b"\nP6\n3 3\n255\n" + NINE,
        b"",
    ],
)
def test_any_other_file_is_left_to_pillow(data):
    assert plain_pixels(data) is None


def test_a_plain_file_of_too_many_pixels_is_left_to_pillow(monkeypatch):
    monkeypatch.setattr("sc2.data.transform.LARGEST_PX", 8)
    assert plain_pixels(b"P6\n3 3\n255\n" + NINE) is None
