"""Sessions: packets that arrive, and lost, repeated, reordered, foreign and damaged ones that are refused."""

import binascii
import re
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2.errors import WireError
from sc2.split.session import NUMBERS, DeviceSession, Hello, Received, ServerSession
from sc2.split.wire import Payload, pack
from tests import independent_decoder

MODEL = bytes(range(8))
DOC = Path(__file__).parents[2] / "docs" / "wire-format.md"
ONE = Payload((b"abc",), (15, 15))
PAYLOADS = [
    [Payload((), ())] * 3,
    [Payload((b"",), ()), Payload((b"xy",), ())],
    [ONE, Payload((b"",), (15, 15)), Payload((b"de",), (15, 16)), ONE],
    [Payload((b"\x00" * 127, b"\xff" * 128, b""), (0,)), Payload((b"", b"", b""), (2**32 - 1,))],
    [Payload((b"x" * 70_000,), (24, 55, 55), 1)] * 2,
]
EVENTS = ["send", "drop", "repeat", "swap", "foreign", "damage"]
few = settings(derandomize=True, deadline=None, database=None, max_examples=100)


def opened(first: Payload = ONE, session: bytes = b"\1\2\3\4") -> tuple[DeviceSession, ServerSession]:
    device = DeviceSession(MODEL, first, session)
    return device, ServerSession(device.hello, MODEL)


def refusal(server: ServerSession, packet: bytes, *, after_loss: bool = False) -> str:
    """Return why a packet is refused; the session stays as it was."""
    before = (server.number, set(server._lost))
    with pytest.raises(WireError) as caught:
        server.receive(packet, after_loss=after_loss)
    assert (server.number, server._lost) == before
    return str(caught.value)


@pytest.mark.parametrize("payloads", PAYLOADS, ids=lambda payloads: f"{len(payloads[0].streams)} streams")
def test_payloads_survive(payloads: Sequence[Payload]) -> None:
    device, server = opened(payloads[0])
    for number, payload in enumerate(payloads):
        packet = device.packet(payload)
        assert server.receive(packet) == Received(number, payload)
        assert (device.number, server.number) == (number + 1, number + 1)


@pytest.mark.parametrize("payloads", PAYLOADS, ids=lambda payloads: f"{len(payloads[0].streams)} streams")
def test_a_decoder_made_from_the_page_reads_them(payloads: Sequence[Payload]) -> None:
    device, _ = opened(payloads[0])
    for number, payload in enumerate(payloads):
        read = independent_decoder.unpack_packet(device.hello, number, device.packet(payload))
        assert read == (payload.version, list(payload.shape), list(payload.streams))


def test_three_bytes_more_than_the_payload() -> None:
    device, _ = opened()
    assert len(device.hello) == 26
    for _ in range(300):
        assert len(device.packet(ONE)) == ONE.num_bytes + 3
    assert len(device.packet(replace(ONE, shape=(15, 300)))) == ONE.num_bytes + 3 + 3
    assert len(pack(ONE, MODEL)) == ONE.num_bytes + 22


def test_hand_assembled_messages() -> None:
    body = b"\x89SCH\x01\x02" + MODEL + b"\1\2\3\4" + b"\x02\x01" + b"\x0f\x0f"
    hello = body + struct.pack("<I", binascii.crc32(body))
    device, _ = opened()
    assert device.hello == hello
    for number, first in ((0, b"\x00"), (1, b"\x01")):
        crc = binascii.crc_hqx(hello + struct.pack("<Q", number) + first + b"abc", 0xFFFF)
        assert device.packet(ONE) == first + b"abc" + struct.pack("<H", crc)


def test_a_lost_packet_is_named_and_may_be_given_up() -> None:
    device, server = opened()
    packets = [device.packet(ONE) for _ in range(9)]
    server.receive(packets[0])
    assert refusal(server, packets[3]) == "2 packets are missing before packet 3, from 1 on"
    assert server.receive(packets[1]).number == 1
    assert server.receive(packets[5], after_loss=True).number == 5
    assert "packet 3 was given up as lost; it has come too late" in refusal(server, packets[3], after_loss=True)
    assert server.receive(packets[6], after_loss=True).number == 6


def test_a_repeated_packet_is_refused() -> None:
    device, server = opened()
    packets = [device.packet(ONE) for _ in range(200)]
    for packet in packets[:150]:
        server.receive(packet)
    for number in (149, 100, 150 - NUMBERS // 2):
        assert f"packet {number} was received before; number 150 is expected" in refusal(server, packets[number])
    # Further back its number on the wire means another packet, under which the checksum is wrong.
    for number in (22, 150 - NUMBERS // 2 - 1):
        assert "damaged, of another session" in refusal(server, packets[number], after_loss=True)


@pytest.mark.parametrize("lost", [1, 63, 64, 127, 128, 129, 256, 1000])
def test_no_number_of_lost_packets_is_overlooked(lost: int) -> None:
    device, server = opened()
    server.receive(device.packet(ONE))
    for _ in range(lost):
        device.packet(ONE)
    packet = device.packet(ONE)
    reason = refusal(server, packet)
    if lost < NUMBERS // 2:
        assert reason.startswith(f"{lost} packets are missing")
        assert server.receive(packet, after_loss=True).number == lost + 1
    else:
        assert "more than 63 packets away" in reason
        refusal(server, packet, after_loss=True)


def test_reordered_packets_are_refused_and_taken_in_order() -> None:
    device, server = opened()
    first, second = device.packet(ONE), device.packet(replace(ONE, streams=(b"second",)))
    assert "1 packets are missing" in refusal(server, second)
    assert server.receive(first).number == 0
    assert server.receive(second).payload.streams == (b"second",)


def test_packets_of_other_sessions_are_refused() -> None:
    device, server = opened()
    others = [
        DeviceSession(MODEL, ONE, b"\1\2\3\5"),
        DeviceSession(bytes(8), ONE, b"\1\2\3\4"),
        DeviceSession(MODEL, replace(ONE, shape=(15, 16)), b"\1\2\3\4"),
        DeviceSession(MODEL, replace(ONE, version=1), b"\1\2\3\4"),
    ]
    for other in others:
        assert "of another session" in refusal(server, other.packet(ONE if other.number else _first_of(other)))
    server.receive(device.packet(ONE))
    assert len({DeviceSession(MODEL, ONE).hello for _ in range(20)}) == 20, "sessions are told apart by default"


def _first_of(session: DeviceSession) -> Payload:
    agreed = session._agreed
    return Payload((b"abc",), agreed.shape, agreed.version)


def test_the_hello_of_another_model_is_named() -> None:
    device, _ = opened()
    with pytest.raises(WireError, match=r"names the device half 0001020304050607, but this decoder belongs to 0{16}"):
        ServerSession(device.hello, bytes(8))
    assert ServerSession(device.hello, None).agreed == Hello(2, MODEL, b"\1\2\3\4", (15, 15), 1)


@pytest.mark.parametrize("own", [False, True])
def test_every_changed_byte_and_every_truncation_is_found(own: bool) -> None:
    device, server = opened(Payload((b"abc", b""), (15, 15)))
    device.packet(Payload((b"abc", b""), (15, 15)))
    server.number = 1
    packet = device.packet(Payload((b"abcdefg", b"xyz"), (15, 300) if own else (15, 15)))
    for position in range(len(packet)):
        for bit in range(8):
            changed = bytearray(packet)
            changed[position] ^= 1 << bit
            refusal(server, bytes(changed), after_loss=True)
    for size in range(len(packet)):
        refusal(server, packet[:size], after_loss=True)
    for more in (b"\0", b"x", packet):
        refusal(server, packet + more, after_loss=True)
    hello = device.hello
    for position in range(len(hello)):
        for value in {0, 1, 255, hello[position] ^ 1} - {hello[position]}:
            with pytest.raises(WireError):
                ServerSession(hello[:position] + bytes([value]) + hello[position + 1 :], None)
        with pytest.raises(WireError):
            ServerSession(hello[:position], None)
    with pytest.raises(WireError):
        ServerSession(hello + b"\0", None)


def sealed(server_number: int, body: bytes, hello: bytes) -> bytes:
    crc = binascii.crc_hqx(hello + struct.pack("<Q", server_number) + body, 0xFFFF)
    return body + struct.pack("<H", crc)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x80\x0f\x0f\x00", "repeats the shape"),
        (b"\x80\x8f\x00\x0f\x00", "not in shortest form"),
        (b"\x80\x0f", "the packet is truncated"),
        (b"\x00", "the packet is truncated"),
        (b"\x00\x05abcd", "-1 bytes more"),
        (b"\x00\x85\x00abcdef", "not in shortest form"),
    ],
)
def test_what_no_device_sends_is_refused_under_a_right_checksum(body: bytes, reason: str) -> None:
    device, server = opened(Payload((b"abc", b""), (15, 15)))
    assert reason in refusal(server, sealed(0, body, device.hello))


def test_bytes_without_a_stream_are_refused() -> None:
    device, server = opened(Payload((), ()))
    assert "1 bytes more than" in refusal(server, sealed(0, b"\0x", device.hello))
    assert "repeats the shape" in refusal(server, sealed(0, b"\x80", device.hello))


def hello_with(start: bytes = b"\x89SCH\x01\x02", integers: bytes = b"\x02\x01\x0f\x0f") -> bytes:
    body = start + MODEL + b"\1\2\3\4" + integers
    return body + struct.pack("<I", binascii.crc32(body))


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (b"\x89SC2" + bytes(30), "not the hello"),
        (b"\x89SCH\x02", "a session of version 2"),
        (b"\x89SCH\x01", "truncated"),
        (hello_with(b"\x89SCH\x01\x03"), "payloads of version 3; this program reads 1 and 2"),
        (hello_with(integers=b"\x80\x00\x01"), "not in shortest form"),
        (hello_with(integers=b"\x80\x02\x01"), "256 shape integers"),
        (hello_with(integers=b"\x00\x80\x80\x04"), "65536 streams"),
        (hello_with(integers=b"\x02\x01\x0f"), "the hello is truncated"),
        (hello_with(integers=b"\x01\x01\x0f\x0f"), "1 unexpected bytes"),
    ],
)
def test_what_is_no_hello_is_refused(hello: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=re.escape(reason)):
        ServerSession(hello, MODEL)


def test_what_a_session_cannot_send_is_refused() -> None:
    device, _ = opened()
    for payload, reason in (
        (replace(ONE, streams=(b"", b"")), "with 1 streams, not of version 2 with 2"),
        (replace(ONE, version=1), "version 2 with 1 streams, not of version 1"),
        (replace(ONE, shape=(1, 2, 3)), "2 integers, not 3"),
        (replace(ONE, shape=(-1, 2)), "not -1"),
    ):
        with pytest.raises(WireError, match=reason):
            device.packet(payload)
    assert device.number == 0, "nothing was sent"
    for first, session, reason in (
        (replace(ONE, version=3), b"1234", "no version 3"),
        (ONE, b"123", "4 bytes, not 3"),
        (Payload((), (0,) * 256), b"1234", "256 shape integers"),
        (Payload((), (2**32,)), b"1234", "not 4294967296"),
    ):
        with pytest.raises(WireError, match=reason):
            DeviceSession(MODEL, first, session)
    with pytest.raises(WireError, match="8 bytes, not 3"):
        DeviceSession(b"abc", ONE)


@few
@given(st.lists(st.binary(max_size=40), max_size=4), st.lists(st.integers(0, 2**32 - 1), max_size=3))
def test_any_payload_survives(streams: Sequence[bytes], shape: Sequence[int]) -> None:
    payload = Payload(tuple(streams), tuple(shape))
    device, server = opened(payload)
    other = replace(payload, shape=tuple(number // 2 for number in shape))
    for each in (payload, other, payload):
        assert server.receive(device.packet(each)).payload == each


@few
@given(
    st.lists(st.tuples(st.sampled_from(["send", "drop", "repeat", "swap", "foreign", "damage"]), st.integers(0, 99)))
)
def test_whatever_the_link_does_no_wrong_payload_is_taken(events: Sequence[tuple[str, int]]) -> None:
    """Every packet that is taken holds what was sent under its number, and numbers only rise."""
    device, server = opened()
    foreign = DeviceSession(MODEL, ONE, b"none")
    sent: list[bytes] = []
    last = -1
    for event, value in events:
        arriving = device.packet(replace(ONE, streams=(b"%d" % len(sent),)))
        sent.append(arriving)
        match event:
            case "drop":
                continue
            case "repeat" | "swap":
                arriving = sent[-1 - value % len(sent)]
            case "foreign":
                arriving = foreign.packet(replace(ONE, streams=(b"foreign",)))
            case "damage":
                at = value % len(arriving)
                arriving = arriving[:at] + bytes([arriving[at] ^ 1 + value]) + arriving[at + 1 :]
            case _:
                pass
        try:
            received = server.receive(arriving, after_loss=True)
        except WireError:
            assert event != "send" or len(sent) - 1 - last > NUMBERS // 2 - 1
            continue
        assert received.number > last
        assert received.payload.streams == (b"%d" % received.number,)
        last = received.number


def test_the_page_shows_real_messages() -> None:
    text = DOC.read_text(encoding="utf-8")
    [(hello, packet)] = re.findall(r"The hello is `([0-9a-f ]+)`,\nthe first packet `([0-9a-f ]+)`", text)
    device = DeviceSession(MODEL, Payload((b"hello",), (15, 15)), b"\1\2\3\4")
    assert bytes.fromhex(hello) == device.hello
    assert bytes.fromhex(packet) == device.packet(Payload((b"hello",), (15, 15)))


def test_needs_no_torch() -> None:
    program = "import sys, sc2.split.session; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
