"""A session: the short profile of the container, for many images over one link.

What a container repeats for every image, the device sends once, in a *hello*: fingerprint, version, number of streams,
and the usual shape. After it a payload is a *packet*: a byte with its number, the streams, and a checksum over hello,
whole number and packet; three bytes more than the payload. Because the checksum covers the hello, packets of other
sessions are refused as damaged ones are. The layout is in `docs/wire-format.md#sessions`. This module does not import
torch.

The link delivers each message whole or not at all; packets that are lost, repeated, reordered or damaged are noticed.
"""

import binascii
import operator
import os
from dataclasses import dataclass

from sc2.errors import WireError
from sc2.split.varints import VarintReader, varints
from sc2.split.wire import (
    CRC_BYTES,
    FINGERPRINT_BYTES,
    MAX_CONTAINER_BYTES,
    MAX_SHAPE_INTEGERS,
    MAX_STREAMS,
    VERSIONS,
    Payload,
    check_fingerprint,
    check_size,
    checksum,
)

HELLO_MAGIC = b"\x89SCH"
SESSION_VERSION = 1
SESSION_BYTES = 4
PACKET_CRC_BYTES = 2
NUMBERS = 128
"""A packet carries its number modulo this."""
_FIXED_BYTES = len(HELLO_MAGIC) + 2 + FINGERPRINT_BYTES + SESSION_BYTES
_SHORTEST_PACKET = 1 + PACKET_CRC_BYTES
_OWN_SHAPE = 0x80


@dataclass(frozen=True)
class Hello:
    """What both ends of a session agree on before the first packet.

    Attributes:
        version: Version of the wire format in which payloads are coded.
        fingerprint: 8 bytes that identify the device half, see `wire.fingerprint_of`.
        session: 4 bytes that tell the session from others of the same device half.
        shape: The usual shape; a payload of another one carries its own, of as many integers.
        num_streams: Streams of every payload.
    """

    version: int
    fingerprint: bytes
    session: bytes
    shape: tuple[int, ...]
    num_streams: int

    def pack(self) -> bytes:
        """Return the message.

        Raises:
            WireError: It does not fit the format.
        """
        check_fingerprint(self.fingerprint)
        if self.version not in VERSIONS:
            raise WireError(f"there is no version {self.version} of the wire format")
        if len(self.session) != SESSION_BYTES:
            raise WireError(f"the number of a session has {SESSION_BYTES} bytes, not {len(self.session)}")
        if len(self.shape) > MAX_SHAPE_INTEGERS or not 0 <= self.num_streams <= MAX_STREAMS:
            raise WireError(f"a hello holds no {len(self.shape)} shape integers and {self.num_streams} streams")
        versions = bytes((SESSION_VERSION, self.version))
        integers = varints((len(self.shape), self.num_streams, *map(operator.index, self.shape)))
        body = b"".join((HELLO_MAGIC, versions, self.fingerprint, self.session, integers))
        return body + checksum(body)

    @classmethod
    def unpack(cls, data: bytes) -> "Hello":
        """Return the content of a message, after checking every byte of it.

        Raises:
            WireError: It is damaged, truncated, followed by other bytes, or of another version.
        """
        if not HELLO_MAGIC.startswith(data[: len(HELLO_MAGIC)]):
            raise WireError(f"not the hello of a session: it starts with {data[:4].hex()}, not {HELLO_MAGIC.hex()}")
        versions = data[len(HELLO_MAGIC) : len(HELLO_MAGIC) + 2]
        if versions[:1] not in (b"", bytes((SESSION_VERSION,))):
            raise WireError(f"a session of version {versions[0]}; this program knows version {SESSION_VERSION}")
        if len(data) < _FIXED_BYTES + CRC_BYTES:
            raise WireError(f"the hello is truncated: {len(data)} bytes, shorter than the shortest")
        body, stored = data[:-CRC_BYTES], data[-CRC_BYTES:]
        if stored != checksum(body):
            raise WireError(f"the hello is damaged: its checksum is {stored.hex()}, not {checksum(body).hex()}")
        if versions[1] not in VERSIONS:
            raise WireError(f"payloads of version {versions[1]}; this program reads {' and '.join(map(str, VERSIONS))}")
        reader = VarintReader(body, _FIXED_BYTES, "hello")
        num_integers = reader.count("shape integers", MAX_SHAPE_INTEGERS)
        num_streams = reader.count("streams", MAX_STREAMS)
        shape = tuple(reader.integer() for _ in range(num_integers))
        if reader.position != len(body):
            raise WireError(f"{len(body) - reader.position} unexpected bytes in the hello")
        fingerprint, session = data[6 : 6 + FINGERPRINT_BYTES], data[_FIXED_BYTES - SESSION_BYTES : _FIXED_BYTES]
        return cls(versions[1], bytes(fingerprint), bytes(session), shape, num_streams)


class DeviceSession:
    """The device's end: makes packets.

    Args:
        fingerprint: 8 bytes that identify the device half.
        first: A payload of the usual shape, with as many streams as every other one.
        session: 4 bytes; drawn at random by default, so that no session is taken for another.

    Attributes:
        hello: The message to send before the first packet.
        number: Packets made so far.
    """

    def __init__(self, fingerprint: bytes, first: Payload, session: bytes | None = None) -> None:
        session = os.urandom(SESSION_BYTES) if session is None else session
        self._agreed = Hello(first.version, fingerprint, session, tuple(first.shape), len(first.streams))
        self.hello = self._agreed.pack()
        self._start = _start_of(self.hello)
        self.number = 0

    def packet(self, payload: Payload) -> bytes:
        """Return the next packet.

        Raises:
            WireError: The payload is of another version, or has another number of streams or shape integers, than the
                hello says: a new session is needed.
        """
        agreed = self._agreed
        if (payload.version, len(payload.streams)) != (agreed.version, agreed.num_streams):
            raise WireError(
                f"the session has payloads of version {agreed.version} with {agreed.num_streams} streams, "
                f"not of version {payload.version} with {len(payload.streams)}; begin another one"
            )
        if len(payload.shape) != len(agreed.shape):
            raise WireError(f"the session has shapes of {len(agreed.shape)} integers, not {len(payload.shape)}")
        own = payload.shape != agreed.shape
        first = self.number % NUMBERS | (_OWN_SHAPE if own else 0)
        shape = map(operator.index, payload.shape if own else ())
        lengths = [len(stream) for stream in payload.streams[:-1]]
        body = b"".join((bytes((first,)), varints(shape), varints(lengths), *payload.streams))
        check_size(len(body) + PACKET_CRC_BYTES)
        packet = body + _packet_checksum(self._start, self.number, body)
        self.number += 1
        return packet


@dataclass(frozen=True)
class Received:
    """What a packet holds.

    Attributes:
        number: Packets before it in the session.
        payload: What the server half decodes.
    """

    number: int
    payload: Payload


class ServerSession:
    """The server's end: takes packets, in order.

    Args:
        hello: The device's first message.
        fingerprint: The device half that the server half belongs to; None accepts any.

    Attributes:
        agreed: What the hello says.
        number: The number of the packet that is expected next.

    Raises:
        WireError: The hello is damaged, or from another model.
    """

    def __init__(self, hello: bytes, fingerprint: bytes | None) -> None:
        self.agreed = Hello.unpack(hello)
        if fingerprint is not None and self.agreed.fingerprint != fingerprint:
            raise WireError(
                f"the session is of another model: it names the device half {self.agreed.fingerprint.hex()}, "
                f"but this decoder belongs to {fingerprint.hex()}"
            )
        self._start = _start_of(hello)
        self._lost: set[int] = set()
        self.number = 0

    def receive(self, packet: bytes, *, after_loss: bool = False) -> Received:
        """Return the payload of the expected packet; a refused one changes nothing.

        Args:
            packet: One whole packet and nothing else.
            after_loss: Take a later one, and give those in between up as lost.

        Raises:
            WireError: It is damaged, or of another session; packets before it are missing; or it has come before or
                too late. The message says which.
        """
        if not _SHORTEST_PACKET <= len(packet) <= MAX_CONTAINER_BYTES:
            raise WireError(f"a packet of {len(packet)} bytes; it has from {_SHORTEST_PACKET} to {MAX_CONTAINER_BYTES}")
        body, stored = packet[:-PACKET_CRC_BYTES], packet[-PACKET_CRC_BYTES:]
        number = self._number_of(packet[0])
        if number < 0 or stored != _packet_checksum(self._start, number, body):
            raise WireError(
                f"the packet is damaged, of another session, or more than {NUMBERS // 2 - 1} packets away from number "
                f"{self.number}, which is expected"
            )
        if number < self.number:
            late = "given up as lost; it has come too late" if number in self._lost else "received before"
            raise WireError(f"packet {number} was {late}; number {self.number} is expected")
        if number > self.number and not after_loss:
            raise WireError(f"{number - self.number} packets are missing before packet {number}, from {self.number} on")
        payload = self._payload(body)
        self._lost = {lost for lost in self._lost if lost > number - NUMBERS} | set(range(self.number, number))
        self.number = number + 1
        return Received(number, payload)

    def _number_of(self, first: int) -> int:
        """Return the whole number nearest to the expected one that a packet's first byte may mean; negative if none."""
        ahead = (first - self.number) % NUMBERS
        return self.number + ahead - (NUMBERS if ahead >= NUMBERS // 2 else 0)

    def _payload(self, body: bytes) -> Payload:
        reader, shape = VarintReader(body, 1, "packet"), self.agreed.shape
        if body[0] & _OWN_SHAPE:
            shape = tuple(reader.integer() for _ in self.agreed.shape)
            if shape == self.agreed.shape:
                raise WireError("the packet is damaged: it repeats the shape that was agreed on")
        lengths = [reader.integer() for _ in range(self.agreed.num_streams - 1)]
        rest = len(body) - reader.position - sum(lengths)
        if rest < 0 or (rest and not self.agreed.num_streams):
            raise WireError(f"the packet is damaged: its streams have {rest} bytes more than it says")
        ends = [*lengths, rest] if self.agreed.num_streams else []
        streams, position = [], reader.position
        for length in ends:
            streams.append(bytes(body[position : position + length]))
            position += length
        return Payload(tuple(streams), shape, self.agreed.version)


def _start_of(hello: bytes) -> int:
    """Return the state of a packet's checksum after the hello."""
    return binascii.crc_hqx(hello, 0xFFFF)


def _packet_checksum(start: int, number: int, body: bytes) -> bytes:
    crc = binascii.crc_hqx(body, binascii.crc_hqx(number.to_bytes(8, "little"), start))
    return crc.to_bytes(PACKET_CRC_BYTES, "little")
