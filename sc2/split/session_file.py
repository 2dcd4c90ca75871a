"""Session files: the messages of a session one after the other, in a file or on a link that delivers bytes.

Before each message comes its length. A length of 0, which no message has, ends the session; the number of packets and
a checksum of everything before it follow, so that a file that lacks its last packets is noticed, too. The layout is in
`docs/wire-format.md#session-files`. This module does not import torch.
"""

import copy
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sc2.errors import WireError
from sc2.split.session import HELLO_MAGIC, DeviceSession, Hello, Received, ServerSession
from sc2.split.varints import MAX_VARINT_BYTES, VarintReader, varints
from sc2.split.wire import CRC_BYTES, MAX_CONTAINER_BYTES, Payload

_END = varints((0,))
_PIECE_BYTES = 2**20


def framed(message: bytes) -> bytes:
    """Return a message of at least one byte behind its length."""
    return varints((len(message),)) + message


def is_session_file(path: Path) -> bool:
    """Whether a file begins as a session file does, with the length and the magic of a hello, or ends within the magic.

    What is no regular file or cannot be read is none: a pipe would lose the bytes that are looked at.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(MAX_VARINT_BYTES + len(HELLO_MAGIC))
    except OSError:
        return False
    length_bytes = next((index for index, byte in enumerate(start) if byte < 0x80), len(start)) + 1
    magic = start[length_bytes : length_bytes + len(HELLO_MAGIC)]
    return magic != b"" and HELLO_MAGIC.startswith(magic)


class SessionWriter:
    """Writes a session: `add` each payload, then `end` it. The first payload decides what the hello says.

    Args:
        file: Where to write, e.g. a file or a socket's; it is only written to.
        fingerprint: 8 bytes that identify the device half.
        session: 4 bytes; drawn at random by default, so that no session is taken for another.

    Attributes:
        hello_bytes: Length of the hello with the length before it (bytes); 0 before the first payload.
    """

    def __init__(self, file: BinaryIO, fingerprint: bytes, session: bytes | None = None) -> None:
        self._file, self._fingerprint, self._number = file, fingerprint, session
        self._device: DeviceSession | None = None
        self._form = (0, 0, 0)
        self._checksum = 0
        self.hello_bytes = 0

    @property
    def packets(self) -> int:
        """Packets written so far."""
        return 0 if self._device is None else self._device.number

    def packet_bytes(self, payload: Payload) -> int:
        """Return the length of the next packet if it held this payload, without the length before it (bytes).

        Nothing is written.

        Raises:
            WireError: As `add`.
        """
        return len(copy.copy(self._opened(payload)).packet(payload))

    def add(self, payload: Payload) -> bytes:
        """Write the next packet, with the hello before the first one, and return it without the length before it.

        Raises:
            WireError: The payload does not fit the format, or is of another version or has another number of streams or
                shape integers than the first one. Nothing has been written.
        """
        device = self._opened(payload)
        packet = device.packet(payload)
        if self._device is None:
            self._device, self._form = device, _form_of(payload)
            self.hello_bytes = self._write(framed(device.hello))
        self._write(framed(packet))
        return packet

    def end(self) -> int:
        """Write the end of the session, and return its length (bytes).

        Raises:
            WireError: There was no payload.
        """
        if self._device is None:
            raise WireError("a session without a payload has no hello")
        mark = self._write(_END + varints((self.packets,)))
        return mark + self._write(self._checksum.to_bytes(CRC_BYTES, "little"))

    def _opened(self, payload: Payload) -> DeviceSession:
        if self._device is None:
            return DeviceSession(self._fingerprint, payload, self._number)
        if _form_of(payload) != self._form:
            raise WireError(
                f"the payload ({_described(_form_of(payload))}) does not fit into the session, whose first payload "
                f"decides ({_described(self._form)}): put it into another session file"
            )
        return self._device

    def _write(self, data: bytes) -> int:
        self._file.write(data)
        self._checksum = zlib.crc32(data, self._checksum)
        return len(data)


class SessionReader:
    """Reads a session; iterate over it, once, for its packets in order.

    No more is read than messages announce, and no more is kept than is there.

    Args:
        file: A file or pipe, at the start of the session.
        fingerprints: The device halves that the server halves belong to (8 bytes each); none accepts any.

    Attributes:
        agreed: What the hello says.

    Raises:
        WireError: The hello is damaged, truncated, or from another model. The message begins with `the hello: `.
    """

    def __init__(self, file: BinaryIO, fingerprints: Sequence[bytes] = ()) -> None:
        self._file = file
        self._checksum = 0
        with _named("the hello"):
            hello = self._message()
            self._session = ServerSession(hello, None)
            for fingerprint in fingerprints:
                ServerSession(hello, fingerprint)
        self.agreed: Hello = self._session.agreed

    def __iter__(self) -> Iterator[Received]:
        """Yield the packets, up to the end of the session and of the file.

        Raises:
            WireError: A packet is damaged, truncated, missing, repeated or of another session, or the end is not that
                of the packets before it. The message begins with `packet N: `, N from 0, or with `the end: `.
        """
        while True:
            with _named(f"packet {self._session.number}"):
                message = self._message()
                received = self._session.receive(message) if message else None
            if received is None:
                break
            yield received
        with _named("the end"):
            self._check_end()

    def _check_end(self) -> None:
        packets = self._integer("number of packets")
        if packets != self._session.number:
            raise WireError(f"it counts {packets} packets, but {self._session.number} came before it")
        expected = self._checksum.to_bytes(CRC_BYTES, "little")
        stored = self._read(CRC_BYTES)
        if len(stored) < CRC_BYTES:
            raise WireError(f"the checksum is truncated: {len(stored)} bytes of {CRC_BYTES}")
        if stored != expected:
            raise WireError(
                f"the session is damaged: its checksum is {stored.hex()}, but its bytes have {expected.hex()}"
            )
        if self._file.read(1):
            raise WireError("unexpected bytes after it")

    def _message(self) -> bytes:
        """Return the next message; empty at the end of the session."""
        length = self._integer("length")
        if length > MAX_CONTAINER_BYTES:
            raise WireError(f"a message of {length} bytes; the largest has {MAX_CONTAINER_BYTES}")
        message = self._read(length)
        if len(message) < length:
            raise WireError(f"the message is truncated: {len(message)} bytes of the {length} that its length announces")
        return message

    def _integer(self, name: str) -> int:
        data = b""
        while len(data) < MAX_VARINT_BYTES and (byte := self._read(1)):
            data += byte
            if byte < b"\x80":
                break
        if not data:
            raise WireError(f"the session is truncated: its {name} is missing")
        return VarintReader(data, 0, name).integer()

    def _read(self, size: int) -> bytes:
        """Return so many bytes, or what is left; in pieces, because an announced length must not size a buffer."""
        data = bytearray()
        while part := self._file.read(min(_PIECE_BYTES, size - len(data))):
            data += part
        self._checksum = zlib.crc32(data, self._checksum)
        return bytes(data)


def _form_of(payload: Payload) -> tuple[int, int, int]:
    """Return what all payloads of a session share: version, number of streams, number of shape integers."""
    return payload.version, len(payload.streams), len(payload.shape)


def _described(form: tuple[int, int, int]) -> str:
    version, streams, integers = form
    return f"version {version}, streams: {streams}, shape integers: {integers}"


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except WireError as error:
        raise WireError(f"{what}: {error}") from error
