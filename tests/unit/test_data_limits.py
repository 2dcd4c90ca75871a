"""Sizes from outside: bounded memory and time for images, archives and files."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sc2.data.archive import LARGEST_IMAGE
from sc2.data.folders import FolderFiles
from sc2.data.geometry import Placement
from sc2.data.spec import SizeSpec
from sc2.data.transform import LARGEST_PX, prepare_image
from sc2.errors import DataError, FolderError
from tests.bounded import run_bounded

IMPORTS = """
from pathlib import Path
from typing import Any
from PIL import Image
from sc2.data.spec import SizeSpec
from sc2.data.transform import decode_image, prepare_image
from sc2.errors import DataError
Image.init()
"""
DECODE = """
try:
    image = decode_image(Path(sys.argv[1]).read_bytes(), "it")
    print(prepare_image(image, SizeSpec(resize=256, crop=224)).size)
except DataError as error:
    print(error)
"""


def png(width: int, height: int, rows: int | None = None) -> bytes:
    """A black grey image whose header says a size, with the pixels of so many rows (all of them by default)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    count = height if rows is None else rows
    data = b"".join(packer.compress(bytes(1 + width)) for _ in range(count)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def changed(image_format: str, change: Callable[[bytearray], None], **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 8, 7)).save(file, image_format, **options)
    data = bytearray(file.getvalue())
    change(data)
    return bytes(data)


def jpeg_bomb() -> bytes:
    def size(data: bytearray) -> None:
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = struct.pack(">HH", 65_500, 65_500)

    return changed("JPEG", size)


def webp_bomb() -> bytes:
    def size(data: bytearray) -> None:
        start = data.index(b"VP8 ") + 14
        data[start : start + 4] = struct.pack("<HH", 16_383, 16_383)

    return changed("WEBP", size)


def tiff_bomb() -> bytes:
    def size(data: bytearray) -> None:
        ifd = struct.unpack("<I", data[4:8])[0]
        for entry in range(ifd + 2, ifd + 2 + 12 * struct.unpack("<H", data[ifd : ifd + 2])[0], 12):
            if struct.unpack("<H", data[entry : entry + 2])[0] in (256, 257):
                data[entry : entry + 12] = data[entry : entry + 2] + struct.pack("<HII", 4, 1, 60_000)

    return changed("TIFF", size)


BOMBS = {
    "png": lambda: png(60_000, 60_000, rows=1),
    "png of 100 megapixels": lambda: png(10_000, 10_000),
    "ppm": lambda: b"P6 50000 50000 255\n" + bytes(99),
    "bmp": lambda: changed("BMP", lambda data: data.__setitem__(slice(18, 26), struct.pack("<ii", 50_000, 50_000))),
    "jpeg": jpeg_bomb,
    "webp": webp_bomb,
    "tiff": tiff_bomb,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "image").write_bytes(BOMBS[name]())
    said = run_bounded(IMPORTS, DECODE, str(tmp_path / "image"), mib=64, seconds=10)
    assert said.startswith("it: ")
    assert "pixels" in said or "not a readable image" in said


@pytest.mark.parametrize(("name", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_a_bomb_on_the_wire_costs_nothing(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "image").write_bytes(BOMBS[name]())
    code = (
        f"try:\n    decompress(Path(sys.argv[1]).read_bytes(), {kind!r}, (64, 64))\n"
        "except WireError as error:\n    print(error)\n"
    )
    imports = f"{IMPORTS}\nfrom sc2.data.image_codec import decompress\nfrom sc2.errors import WireError"
    assert kind in run_bounded(imports, code, str(tmp_path / "image"), mib=64, seconds=10)


LINES = [(1, 20_000), (20_000, 1), (1, 1_000_000), (3, 65_535), (65_000, 7)]


@pytest.mark.parametrize(("width", "height"), LINES)
def test_a_line_costs_nothing(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "image").write_bytes(png(width, height))
    assert run_bounded(IMPORTS, DECODE, str(tmp_path / "image"), mib=128, seconds=10) == "(224, 224)\n"


def test_the_largest_image_takes_bounded_memory(tmp_path: Path) -> None:
    side = int(LARGEST_PX**0.5)
    (tmp_path / "image").write_bytes(png(side, side))
    assert run_bounded(IMPORTS, DECODE, str(tmp_path / "image"), mib=1024, seconds=60) == "(224, 224)\n"


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "line"), [((2, 1500), True), ((1500, 3), True), ((40, 60), False)])
def test_a_line_gets_the_pixels_of_the_whole_one_resized(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], line: bool, interpolation: str
) -> None:
    spec = SizeSpec.model_validate({"resize": 40, "crop": 32, "interpolation": interpolation})
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    whole = np.asarray(prepare_image(Image.fromarray(pixels), spec)).astype(int)
    mask = pixels[:, :, 0]
    place = Placement.of(size, spec)
    masked = place.mask_in(mask, padding=255)
    monkeypatch.setattr("sc2.data.geometry._ROOM_PX", 0)
    assert place._is_line is line
    part = np.asarray(prepare_image(Image.fromarray(pixels), spec)).astype(int)
    difference = np.abs(part - whole)
    assert difference.max() <= (16 if interpolation == "bicubic" else 1)
    assert (difference > 1).mean() < 0.03
    assert np.array_equal(place.mask_in(mask, padding=255), masked)
    predicted = np.random.default_rng(1).integers(0, 9, (32, 32), dtype=np.uint8)
    restored = place.mask_out(predicted, outside=9)
    monkeypatch.undo()
    assert np.array_equal(restored, place.mask_out(predicted, outside=9))


def test_a_whole_image_longer_than_any_server_takes_is_refused() -> None:
    spec = SizeSpec(fit="whole", resize=64)
    assert Placement.of((10, 160), spec).size == (64, 1024)
    with pytest.raises(DataError, match=r"1 × 20000 pixels would become 64 × 1280000\. Set input.longest"):
        Placement.of((1, 20_000), spec)
    assert Placement.of((1, 20_000), SizeSpec(fit="whole", resize=64, longest=96)).size == (1, 96)


READ = """
from sc2.data.archive import read_members
from sc2.data.folders import FolderFiles
try:
    files = FolderFiles(Path(sys.argv[1])) if Path(sys.argv[1]).is_dir() else None
    read = files.read(files.names()) if files else read_members(Path(sys.argv[1]), {"a.jpg"})
    print(sum(len(data) for _, data in read))
except DataError as error:
    print(error)
"""


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(50 * 1024**3)
    said = run_bounded(IMPORTS, READ, str(tmp_path), mib=64, seconds=10)
    assert f"a.jpg: 53687091200 bytes, but at most {LARGEST_IMAGE} are read" in said


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(FolderError, match="neither a file nor a folder"):
        FolderFiles(tmp_path).names()
    with pytest.raises(DataError, match=r"a\.jpg: a pipe or a device"):
        list(FolderFiles(tmp_path).read(["a.jpg"]))


@pytest.mark.parametrize("packer", [gzip, bz2, lzma], ids=lambda packer: packer.__name__)
def test_a_packed_bomb_is_refused(tmp_path: Path, packer: Any) -> None:
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo("a.jpg")
    info.size = 300 * 1024**2
    path.write_bytes(packer.compress(info.tobuf() + bytes(64 * 1024**2)))
    said = run_bounded(IMPORTS, READ, str(path), mib=32, seconds=10)
    assert "a.jpg: 314572800 bytes" in said


def sparse_member() -> bytes:
    info = tarfile.TarInfo("a.jpg")
    info.size = 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[386:410] = b"%011o\0%011o\0" % (0, 512)  # the first part; the rest of the file is a hole
    header[483:495] = b"%011o\0" % (8 * 1024**3 - 1)
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(512) + bytes(1024)


@pytest.mark.parametrize("size", [2**40, 2**60])
def test_a_member_that_claims_more_than_there_is(tmp_path: Path, size: int) -> None:
    info = tarfile.TarInfo("a.jpg")
    info.size = size
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    assert "a.jpg: " in run_bounded(IMPORTS, READ, str(tmp_path / "a.tar"), mib=64, seconds=10)


def test_a_member_with_holes(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(sparse_member())
    said = run_bounded(IMPORTS, READ, str(tmp_path / "a.tar"), mib=64, seconds=10)
    assert "a.jpg" in said
    assert "holes" in said or "in an archive of this size" in said
