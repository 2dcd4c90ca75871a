"""What comes over the link and claims more than there is: it is refused before it costs memory or time."""

import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sc2.commands import link, sending
from sc2.data.image_codec import compress, decompress
from sc2.data.limits import largest_latent, refuse_foreign_latent, refuse_foreign_size
from sc2.data.spec import InputSpec
from sc2.errors import DataError, WireError
from sc2.split.wire import MAX_CONTAINER_BYTES, Payload, pack, unpack
from tests.bounded import run_bounded
from tests.tiny_halves import tiny_halves

MODEL = bytes(8)
CONTAINER = pack(Payload((b"abc", b"de"), (15, 15)), MODEL)
IMPORTS = "from sc2.split.wire import read_container; from sc2.errors import WireError"
READ = """
try:
    with open(sys.argv[1], "rb") as file:
        print(len(read_container(file)))
except WireError as error:
    print(error)
"""


def read(path: Path) -> str:
    """Return the length of the container of a file, or why it is refused; with 24 MiB of memory."""
    return run_bounded(IMPORTS, READ, str(path), mib=24).strip()


def test_a_sparse_file_and_an_endless_one_are_refused_at_their_start(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(2**31)
    assert read(sparse).startswith("not an sc2 container: it starts with 00000000")
    assert read(Path("/dev/zero")).startswith("not an sc2 container")
    # A container at its start: what follows is noticed by its first byte.
    with sparse.open("r+b") as file:
        file.write(CONTAINER)
    assert read(sparse) == f"unexpected bytes after the container, which has {len(CONTAINER)}"


def test_a_header_that_announces_more_than_any_container_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    head = b"\x89SC2\x02" + MODEL
    path.write_bytes(head + b"\x00\x01" + b"\xff\xff\xff\xff\x0f" + bytes(100))
    assert read(path).startswith(f"a container of {2**32 - 1 + 13 + 7 + 4} bytes; the largest has")
    path.write_bytes(head + b"\x00\x01" + b"\xff\xff\xff\x7f" + bytes(100))
    assert "the largest has" in read(path)
    path.write_bytes(head + b"\x00\x01" + b"\xff\xff\xff\x6f" + bytes(100))
    assert read(path).startswith("the container is truncated: 119 bytes of the 234881046")
    with pytest.raises(WireError, match="the largest has"):
        pack(Payload((bytes(2**26),) * 4, ()), MODEL)
    assert MAX_CONTAINER_BYTES == 2**28


def test_what_a_pipe_delivers_bit_by_bit_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for byte in CONTAINER:
                file.write(bytes([byte]))

    writer = threading.Thread(target=write)
    writer.start()
    assert link._read_container(pipe) == CONTAINER
    writer.join()


@pytest.mark.parametrize("size", range(len(CONTAINER)))
def test_every_truncated_file_is_named(size: int, tmp_path: Path) -> None:
    path = tmp_path / "container"
    path.write_bytes(CONTAINER[:size])
    with pytest.raises(WireError, match="truncated"):
        link._read_container(path)


def test_another_version_is_named_however_short_it_is() -> None:
    for rest in (b"", b"x", bytes(8), bytes(40)):
        with pytest.raises(WireError, match="version 3 is not supported"):
            unpack(b"\x89SC2\x03" + rest, MODEL)


def test_an_endless_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LARGEST_IMAGE", 1000)
    with pytest.raises(DataError, match="/dev/zero: larger than 1000 bytes"):
        sending.read_image(Path("/dev/zero"))
    with pytest.raises(DataError, match="cannot read"):
        sending.read_image(Path("/nonexistent"))


def declaring(image_format: str, width: int, height: int) -> bytes:
    """Return a small file of a format whose header declares a size."""
    if image_format == "PNG":
        header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\x35\xaf\x06\x1e"
    data = bytearray(compress(Image.new("RGB", (16, 16)), image_format, {}))
    if image_format == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    else:  # lossy WebP: 14 bits a side behind the start code
        at = data.index(b"\x9d\x01\x2a") + 3
        data[at : at + 4] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    return bytes(data)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("side", [10_000, 16_383, 65_535])
def test_an_image_that_declares_a_false_size_is_refused(image_format: str, side: int) -> None:
    data = declaring(image_format, side, side)
    with pytest.raises(WireError):
        decompress(data, image_format, (16, 16))


@pytest.mark.parametrize("mode", ["I;16", "P", "RGBA", "1"])
def test_pixels_of_another_kind_are_refused(mode: str) -> None:
    data = compress(Image.new("I;16", (8, 8)) if mode == "I;16" else Image.new(mode, (8, 8)), "PNG", {})
    with pytest.raises(WireError, match=f"pixels of mode {mode}"):
        decompress(data, "PNG", (8, 8))


def test_grey_and_colours_stand_for_each_other() -> None:
    grey = np.full((8, 8), 200, np.uint8)
    data = compress(Image.fromarray(grey), "PNG", {})
    assert np.array_equal(decompress(data, "PNG", (8, 8)), grey[..., None].repeat(3, axis=2))
    data = compress(Image.fromarray(grey), "WEBP", {"lossless": True})
    assert np.array_equal(decompress(data, "WEBP", (8, 8), "L"), grey)


WHOLE = {"fit": "whole", "resize": 64, "longest": 128, "multiple": 32, "mean": [0.5] * 3, "std": [0.25] * 3}


def test_only_one_side_of_an_image_may_be_long() -> None:
    spec = InputSpec.model_validate(WHOLE)
    for size in ((64, 128), (128, 64), (32, 128), (32, 32)):
        refuse_foreign_size(size, spec, "sent")
    for size in ((128, 128), (96, 96), (160, 32), (0, 64), (64, 33)):
        with pytest.raises(WireError, match="at most 64 and 128"):
            refuse_foreign_size(size, spec, "sent")


def test_a_latent_larger_than_that_of_any_image_is_refused_before_it_is_decoded() -> None:
    """An image of 64 × 128 pixels gives 15 × 31 positions; before, 128 × 128 were accepted."""
    encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 5, stride=2, padding=2), torch.nn.Conv2d(2, 2, 4, stride=2))
    spec = InputSpec.model_validate(WHOLE)
    largest = largest_latent(encoder.eval(), spec)
    assert largest == (15, 31) == tuple(encoder(torch.zeros(1, 3, 64, 128)).shape[2:])
    for size in ((15, 31), (31, 15), (1, 1)):
        refuse_foreign_latent(size, largest)
    for size in ((16, 16), (32, 1), (31, 31), (0, 1), (2**32 - 1, 1)):
        with pytest.raises(WireError, match="at most 15 and 31"):
            refuse_foreign_latent(size, largest)


@pytest.mark.parametrize("name", ["entropic_student", "entropic_student_mshp", "fine_tuned_split"])
def test_a_server_takes_no_latent_larger_than_its_encoder_makes(name: str) -> None:
    """32 × 32 pixels: before, any latent of up to 32 × 32 was decoded."""
    device, server = tiny_halves(name)
    streams = device.encode(np.zeros((32, 32, 3), np.uint8)).streams
    height, width = device.encode(np.zeros((32, 32, 3), np.uint8)).shape
    assert server.decode(Payload(streams, (height, width))).shape[2:] == (height, width)
    for shape in ((height + 1, width), (height, width + 1), (32, 32)):
        with pytest.raises(WireError, match=f"at most {height} and {width}"):
            server.decode(Payload(streams, shape))
