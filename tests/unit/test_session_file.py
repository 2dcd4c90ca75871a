"""Session files: what is written, byte by byte, and everything else, which is refused with the number of its packet."""

import io
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2.errors import WireError
from sc2.split.session import DeviceSession, Received
from sc2.split.session_file import SessionReader, SessionWriter, framed, is_session_file
from sc2.split.wire import MAX_CONTAINER_BYTES, Payload, pack
from tests import independent_decoder
from tests.bounded import run_bounded

MODEL = bytes(range(8))
SESSION = b"\1\2\3\4"
DOC = Path(__file__).parents[2] / "docs" / "wire-format.md"
THREE = [Payload((b"abc", b"d"), (15, 15)), Payload((b"", b""), (15, 300)), Payload((b"", b"efgh"), (15, 15))]


def messages_of(payloads: Sequence[Payload] = THREE, session: bytes = SESSION) -> list[bytes]:
    """Return the hello and the packets of a session."""
    device = DeviceSession(MODEL, payloads[0], session)
    return [device.hello, *map(device.packet, payloads)]


def assembled(messages: Sequence[bytes], packets: int | None = None) -> bytes:
    """Return a session file of any messages, with a right checksum; `packets` is the number that its end counts."""
    lengths = [bytes([len(message)]) for message in messages]  # all of them are short
    body = b"".join(part for pair in zip(lengths, messages, strict=True) for part in pair)
    body += bytes([0, len(messages) - 1 if packets is None else packets])
    return body + struct.pack("<I", zlib.crc32(body))


def written(payloads: Sequence[Payload] = THREE, session: bytes = SESSION) -> bytes:
    file = io.BytesIO()
    writer = SessionWriter(file, MODEL, session)
    for payload in payloads:
        writer.add(payload)
    writer.end()
    return file.getvalue()


def read(data: bytes) -> list[Received]:
    return list(SessionReader(io.BytesIO(data), [MODEL]))


def refusal(data: bytes, payloads: Sequence[Payload] = THREE) -> tuple[int, str]:
    """Return how many packets of a file are read before it is refused, all of them right ones, and why it is."""
    taken: list[Received] = []
    with pytest.raises(WireError) as caught:
        taken.extend(SessionReader(io.BytesIO(data), [MODEL]))
    assert taken == [Received(number, payload) for number, payload in enumerate(payloads)][: len(taken)]
    return len(taken), str(caught.value)


def test_the_bytes_of_a_file() -> None:
    file = io.BytesIO()
    writer = SessionWriter(file, MODEL, SESSION)
    hello, *packets = messages_of()
    assert [writer.add(payload) for payload in THREE] == packets
    assert (writer.packets, writer.hello_bytes, writer.end()) == (3, 1 + len(hello), 6)
    assert file.getvalue() == assembled([hello, *packets])
    assert read(file.getvalue()) == [Received(number, payload) for number, payload in enumerate(THREE)]


@pytest.mark.parametrize(("size", "prefix"), [(1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (16_384, "808001")])
def test_the_length_before_a_message(size: int, prefix: str) -> None:
    assert framed(b"x" * size) == bytes.fromhex(prefix) + b"x" * size


def test_bytes_saved_over_containers() -> None:
    """A container has 22 bytes more than the payload here; a packet 3, and its length 1 or 2. The rest is once."""
    sizes = [100, 124, 125, 300]
    payloads = [Payload((b"x" * size,), (15, 15)) for size in sizes]
    data = written(payloads)
    assert len(data) == sum(sizes) + (26 + 1) + 4 * 3 + (1 + 1 + 2 + 2) + (1 + 1 + 4)
    containers = sum(len(pack(payload, MODEL)) for payload in payloads)
    assert containers == sum(sizes) + 3 * 22 + 23  # a length of 300 takes two bytes
    assert containers - len(data) == 89 - 51
    # The second image is the first that pays: 33 bytes are said once, and each image saves 18.
    one, two = (len(written(payloads[:1] * count)) - count * len(pack(payloads[0], MODEL)) for count in (1, 2))
    assert (one, two) == (33 - 18, 33 - 36)


def test_a_session_may_end_before_its_first_packet() -> None:
    assert read(assembled(messages_of()[:1])) == []


def test_the_end_counts_more_than_127_packets() -> None:
    payloads = [Payload((b"%d" % number,), ()) for number in range(300)]
    data = written(payloads)
    assert data[-7:-4] == b"\x00\xac\x02"
    assert [received.payload for received in read(data)] == payloads


def test_a_decoder_made_from_the_page_reads_it() -> None:
    expected = [(payload.version, list(payload.shape), list(payload.streams)) for payload in THREE]
    assert independent_decoder.unpack_session(written()) == expected


def test_the_page_shows_a_real_file() -> None:
    section = DOC.read_text(encoding="utf-8").split("### Session files")[1]
    example = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert example is not None
    rows = [re.split(r" {3,}", line) for line in example[1].splitlines()]
    parts = [bytes.fromhex(row[0]) for row in rows]
    assert b"".join(parts) == written([Payload((b"hello",), (15, 15))] * 2)
    names = ("the hello", "packet 0", "packet 1")
    said = [f"{len(part) - 1} bytes: {name}" for part, name in zip(parts[:-1], names, strict=True)]
    said.append(f"the end: 2 packets, CRC 0x{int.from_bytes(parts[-1][-4:], 'little'):X}")
    assert [row[1] for row in rows] == said


def test_the_size_of_the_next_packet_is_known_before_it_is_written() -> None:
    file = io.BytesIO()
    writer = SessionWriter(file, MODEL)
    payloads = [*THREE, Payload((b"x" * 200, b""), (2**32 - 1, 0))]
    for payload in payloads:
        before = file.getvalue()
        foretold = writer.packet_bytes(payload)
        assert file.getvalue() == before
        assert foretold == len(writer.add(payload))
    assert writer.packet_bytes(THREE[0]) == 1 + 1 + 4 + 2
    assert writer.packet_bytes(THREE[1]) == 1 + 3 + 1 + 2
    writer.end()
    assert [received.payload for received in read(file.getvalue())] == payloads, "no number was used up"


@pytest.mark.parametrize(
    ("payload", "form"),
    [
        (Payload((b"abc",), (15, 15)), "version 2, streams: 1, shape integers: 2"),
        (Payload((b"abc", b"d"), (15,)), "version 2, streams: 2, shape integers: 1"),
        (Payload((b"abc", b"d"), (15, 15), 1), "version 1, streams: 2, shape integers: 2"),
    ],
)
def test_a_payload_of_another_form_is_refused_and_nothing_is_written(payload: Payload, form: str) -> None:
    file = io.BytesIO()
    writer = SessionWriter(file, MODEL, SESSION)
    writer.add(THREE[0])
    before = file.getvalue()
    for refused in (writer.add, writer.packet_bytes):
        with pytest.raises(WireError, match=re.escape(f"({form}) does not fit into the session, whose first payload")):
            refused(payload)
    assert (file.getvalue(), writer.packets) == (before, 1)
    for each in THREE[1:]:
        writer.add(each)
    writer.end()
    assert file.getvalue() == written()


def test_what_no_message_holds_is_not_written() -> None:
    file = io.BytesIO()
    writer = SessionWriter(file, MODEL)
    with pytest.raises(WireError, match="without a payload"):
        writer.end()
    with pytest.raises(WireError, match="not -1"):
        writer.add(Payload((), (-1,)))
    assert (file.getvalue(), writer.packets, writer.hello_bytes) == (b"", 0, 0)


def test_every_truncation_is_refused() -> None:
    data, (hello, *packets) = written(), messages_of()
    ends = [1 + len(hello)]
    ends += [ends[0] + sum(1 + len(packet) for packet in packets[: number + 1]) for number in range(3)]
    for size in range(len(data)):
        taken, reason = refusal(data[:size])
        assert taken == sum(end <= size for end in ends[1:])
        where = "the hello: " if size < ends[0] else f"packet {taken}: " if size <= ends[-1] else "the end: "
        assert reason.startswith(where)
        assert "truncated" in reason
    assert refusal(data[: ends[2]]) == (2, "packet 2: the session is truncated: its length is missing")
    assert refusal(data[: ends[2] + 4])[1] == (
        f"packet 2: the message is truncated: 3 bytes of the {len(packets[2])} that its length announces"
    )
    assert refusal(data[:-5])[1] == "the end: the session is truncated: its number of packets is missing"
    assert refusal(data[:-1])[1] == "the end: the checksum is truncated: 3 bytes of 4"
    for more in (b"\0", data):
        assert refusal(data + more) == (3, "the end: unexpected bytes after it")


def test_every_changed_byte_is_refused() -> None:
    data = written()
    for position in range(len(data)):
        for change in range(1, 256):
            refusal(data[:position] + bytes([data[position] ^ change]) + data[position + 1 :])


def test_missing_repeated_reordered_and_foreign_packets_are_refused() -> None:
    """Also where whoever did it made the end again: lengths, count and checksum are right."""
    hello, first, second, third = messages_of()
    foreign = messages_of(session=b"\1\2\3\5")[2]
    assert refusal(assembled([hello, first, third])) == (
        1,
        "packet 1: 1 packets are missing before packet 2, from 1 on",
    )
    assert refusal(assembled([hello, second, third]))[1].startswith("packet 0: 1 packets are missing before packet 1")
    assert refusal(assembled([hello, first, first, second, third])) == (
        1,
        "packet 1: packet 0 was received before; number 1 is expected",
    )
    assert refusal(assembled([hello, second, first, third]))[1].startswith("packet 0: 1 packets are missing")
    assert refusal(assembled([hello, first, foreign, third]))[1].startswith("packet 1: the packet is damaged, of anoth")
    assert refusal(assembled([hello, first, hello, second, third]))[1].startswith("packet 1: the packet is damaged")
    assert refusal(assembled([first, second, third]))[1].startswith("the hello: not the hello of a session")
    assert refusal(assembled([hello, first, second], packets=3)) == (
        2,
        "the end: it counts 3 packets, but 2 came before it",
    )


def test_heavy_damage_that_a_packet_s_checksum_does_not_find_is_found_at_the_end() -> None:
    hello, *packets = messages_of()
    other = messages_of([THREE[0], Payload((b"", b"other"), (15, 15)), THREE[2]])
    data = bytearray(assembled([hello, packets[0], other[2], packets[2]]))
    data[-4:] = assembled([hello, *packets])[-4:]
    seen: list[Received] = []
    with pytest.raises(
        WireError, match=r"^the end: the session is damaged: its checksum is [0-9a-f]{8}, but its bytes"
    ):
        seen.extend(SessionReader(io.BytesIO(data), [MODEL]))
    assert len(seen) == 3


def test_a_session_of_another_model_is_refused() -> None:
    for fingerprints in ([bytes(8)], [MODEL, bytes(8)]):
        with pytest.raises(
            WireError, match=r"^the hello: the session is of another model: it names .*0001020304050607"
        ):
            SessionReader(io.BytesIO(written()), fingerprints)
    reader = SessionReader(io.BytesIO(written()))
    assert (reader.agreed.fingerprint, reader.agreed.session, len(list(reader))) == (MODEL, SESSION, 3)


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        ("8100", "not in shortest form"),
        ("ffffffffff", "longer than 5 bytes"),
        ("ffffffff7f", "is above 4294967295"),
        ("8180808001", f"a message of {2**28 + 1} bytes; the largest has {MAX_CONTAINER_BYTES}"),
        ("8080808001", f"the message is truncated: 30 bytes of the {2**28}"),
        ("ff", "the length is truncated"),
        ("01", "a packet of 1 bytes"),
        ("02", "a packet of 2 bytes"),
    ],
)
def test_lengths_that_no_message_has_are_refused(length: str, reason: str) -> None:
    hello = messages_of()[0]
    behind = bytes(30 if length != "ff" else 0)
    taken, why = refusal(framed(hello) + bytes.fromhex(length) + behind)
    assert (taken, why.startswith("packet 0: "), reason in why) == (0, True, True), why
    if len(length) > 2:
        assert reason.replace("packet", "message") in refusal(bytes.fromhex(length) + behind)[1]


IMPORTS = "from sc2.split.session_file import SessionReader; from sc2.errors import WireError"
READ = """
try:
    with open(sys.argv[1], "rb") as file:
        print(len(list(SessionReader(file))))
except WireError as error:
    print(error)
"""


def test_no_more_memory_is_taken_than_the_file_has_bytes(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    claims.write_bytes(framed(messages_of()[0]) + bytes.fromhex("8080808001") + bytes(100))
    assert run_bounded(IMPORTS, READ, str(claims), mib=24).startswith("packet 0: the message is truncated: 100 bytes")
    sparse = tmp_path / "sparse"
    sparse.write_bytes(written())
    with sparse.open("r+b") as file:
        file.truncate(2**31)
    assert run_bounded(IMPORTS, READ, str(sparse), mib=24).strip() == "the end: unexpected bytes after it"
    assert run_bounded(IMPORTS, READ, "/dev/zero", mib=24).startswith("the hello: the hello is truncated: 0 bytes")


def test_what_a_pipe_delivers_bit_by_bit_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for byte in written():
                file.write(bytes([byte]))

    writer = threading.Thread(target=write)
    writer.start()
    with pipe.open("rb") as file:
        assert [received.payload for received in SessionReader(file, [MODEL])] == THREE
    writer.join()
    assert not is_session_file(pipe), "what would be read of it to find out is lost"


def test_a_session_file_is_known_by_its_start(tmp_path: Path) -> None:
    path = tmp_path / "file"
    long = written([Payload((b"",), (2**32 - 1,) * 255)])
    assert long[:2] == b"\x94\x0a", "a hello of 1300 bytes, and 1302 is the longest"

    def known(data: bytes) -> bool:
        path.write_bytes(data)
        return is_session_file(path)

    for data in (written(), long, framed(messages_of()[0]), written()[:2], written()[:4], long[:3]):
        assert known(data)
    container = pack(THREE[0], MODEL)
    for data in (b"", container, *(container[:size] for size in range(9)), written()[:1], b"\x80" * 9, bytes(40)):
        assert not known(data)
    assert not is_session_file(tmp_path)
    assert not is_session_file(tmp_path / "nothing")


@settings(derandomize=True, deadline=None, database=None, max_examples=100)
@given(
    st.lists(st.binary(max_size=200), max_size=3), st.lists(st.integers(0, 2**32 - 1), max_size=3), st.integers(1, 4)
)
def test_any_payloads_survive(streams: Sequence[bytes], shape: Sequence[int], count: int) -> None:
    payloads = [
        Payload(tuple(stream[number:] for stream in streams), tuple(integer // (number + 1) for integer in shape))
        for number in range(count)
    ]
    assert [received.payload for received in read(written(payloads))] == payloads


def test_needs_no_torch() -> None:
    program = "import sys, sc2.split.session_file; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
