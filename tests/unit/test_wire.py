"""The container: round trips, every way of damaging one, and the document that describes it."""

import binascii
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sc2.errors import WireError
from sc2.split.wire import (
    MAX_SHAPE_INTEGERS,
    MAX_STREAMS,
    Payload,
    fingerprint_of,
    pack,
    read_header,
    unpack,
)

MODEL = bytes(range(8))
DOC = Path(__file__).parents[2] / "docs" / "wire-format.md"
PAYLOADS = [
    Payload((), ()),
    Payload((b"",), ()),
    Payload((b"", b"", b""), (0,)),
    Payload((b"abc",), (15, 15)),
    Payload((b"\x00" * 127, b"\xff" * 128), (55, 55)),
    Payload((bytes(range(256)) * 70, b"z"), (1, 127, 128, 16383, 16384, 2**32 - 1)),
    Payload((b"x" * 3_000_000,), (24, 55, 55)),
    Payload(tuple(bytes([n]) * n for n in range(200)), tuple(range(255))),
]


def sealed(body: bytes) -> bytes:
    """Add the checksum, computed without the code under test."""
    return body + struct.pack("<I", binascii.crc32(body))


def message(data: bytes, fingerprint: bytes | None = MODEL) -> str:
    with pytest.raises(WireError) as caught:
        unpack(data, fingerprint)
    return str(caught.value)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda p: f"{len(p.streams)}x{p.num_bytes}")
def test_round_trip(payload: Payload) -> None:
    data = pack(payload, MODEL)
    assert unpack(data, MODEL) == payload
    assert unpack(data, None) == payload
    assert pack(payload, MODEL) == data
    header = read_header(data)
    assert (header.version, header.fingerprint, header.shape) == (2, MODEL, payload.shape)
    assert header.stream_lengths == tuple(len(stream) for stream in payload.streams)
    assert header.container_bytes == len(data)
    assert read_header(data[: header.num_bytes]) == header


def test_overhead_is_small() -> None:
    for payload, added in (
        (Payload((b"x" * 100,), (15, 15)), 22),
        (Payload((b"x" * 500,), (55, 55)), 23),
        (Payload((b"x" * 500, b"y" * 90), (14, 14)), 24),
    ):
        assert len(pack(payload, MODEL)) - payload.num_bytes == added


def test_hand_assembled_container() -> None:
    for version in (1, 2):
        body = b"\x89SC2" + bytes([version]) + MODEL + b"\x02\x01" + b"\x0f\xac\x02" + b"\x03" + b"abc"
        payload = Payload((b"abc",), (15, 300), version)
        assert unpack(sealed(body), MODEL) == payload
        assert pack(payload, MODEL) == sealed(body)
    assert Payload((b"abc",), (15, 300)).version == 2, "what is written without a word about it"
    with pytest.raises(WireError, match="no version 3"):
        pack(Payload((b"abc",), (), 3), MODEL)


@pytest.mark.parametrize("payload", [PAYLOADS[0], PAYLOADS[2], PAYLOADS[3], PAYLOADS[4]])
@pytest.mark.parametrize("fingerprint", [MODEL, None])
def test_every_changed_byte_is_found(payload: Payload, fingerprint: bytes | None) -> None:
    data = pack(payload, MODEL)
    for position in range(len(data)):
        for value in range(256):
            if value != data[position]:
                message(data[:position] + bytes([value]) + data[position + 1 :], fingerprint)


@pytest.mark.parametrize("payload", PAYLOADS[:5])
def test_every_truncation_is_found(payload: Payload) -> None:
    data = pack(payload, MODEL)
    for size in range(len(data)):
        assert "truncated" in message(data[:size])


def test_random_bytes_never_raise_anything_else() -> None:
    start = b"\x89SC2\x02" + MODEL
    for seed in range(2000):
        message(start + fingerprint_of(seed.to_bytes(4, "little")))


def test_problems_are_told_apart() -> None:
    good = pack(Payload((b"abc",), (15, 15)), MODEL)
    head = b"\x89SC2\x02" + MODEL
    assert "not an sc2 container" in message(b"GIF89a" + bytes(40))
    assert "version 3 is not supported" in message(sealed(b"\x89SC2\x03" + good[5:-4]))
    assert "1 unexpected bytes after" in message(good + b"\x00")
    assert "checksum" in message(good[:-1] + bytes([good[-1] ^ 1]))
    assert "checksum" in message(good[:6] + bytes([good[6] ^ 1]) + good[7:])
    assert "not in shortest form" in message(sealed(head + b"\x80\x00\x00"))
    assert "longer than 5 bytes" in message(sealed(head + b"\x00\x01" + b"\xff" * 9 + b"\x01"))
    assert "above 4294967295" in message(sealed(head + b"\x00\x01" + b"\xff\xff\xff\xff\x1f"))
    assert "256 shape integers" in message(sealed(head + b"\x80\x02\x00"))
    assert "65536 streams" in message(sealed(head + b"\x00\x80\x80\x04"))
    assert "announces 65535 integers" in message(sealed(head + b"\x00\xff\xff\x03"))


def test_another_model_is_named() -> None:
    other = fingerprint_of(b"another device half")
    text = message(pack(Payload((b"abc",), (1, 1)), MODEL), other)
    assert "made by another model" in text
    assert MODEL.hex() in text
    assert other.hex() in text


def test_what_does_not_fit_is_refused() -> None:
    for payload in (
        Payload((), (-1,)),
        Payload((), (2**32,)),
        Payload((), (0,) * (MAX_SHAPE_INTEGERS + 1)),
        Payload((b"",) * (MAX_STREAMS + 1), ()),
    ):
        with pytest.raises(WireError):
            pack(payload, MODEL)
    with pytest.raises(WireError, match="8 bytes, not 3"):
        pack(PAYLOADS[0], b"abc")
    with pytest.raises(WireError, match="8 bytes, not 3"):
        unpack(pack(PAYLOADS[0], MODEL), b"abc")


def test_fingerprint_is_the_start_of_sha256() -> None:
    assert fingerprint_of(b"").hex() == "e3b0c44298fc1c14"


def test_document_shows_a_real_container() -> None:
    dump = re.search(r"```hexdump\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert dump is not None
    data = bytes.fromhex("".join(line.split("|")[0][8:] for line in dump[1].splitlines()))
    expected = Payload((b"hello", b"wire"), (15, 300))
    assert unpack(data, fingerprint_of(b"device half")) == expected
    assert pack(expected, fingerprint_of(b"device half")) == data


def test_needs_no_torch() -> None:
    program = "import sys, sc2.split.wire; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
