"""The container that is sent over the link between the device half and the server half.

A `Payload` is the output of an encoder: byte strings, and the few integers that the decoder needs. `pack` puts it into
a container with a checksum and a fingerprint of the model that made it; `unpack` refuses every container that is not
exactly what `pack` writes. The layout is documented in `docs/wire-format.md`. This module does not import torch.
"""

import hashlib
import operator
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from sc2.errors import WireError
from sc2.split.varints import MAX_VARINT_BYTES, VarintReader, varints

# The first byte is not ASCII, so that a link that treats the container as text is noticed at once.
MAGIC = b"\x89SC2"
VERSION = 2
"""The version that is written: the one in which the device halves of this program code their payloads."""
VERSIONS = (1, 2)
"""The versions that are read. They have the same layout and differ in how payloads are coded."""
FINGERPRINT_BYTES = 8
CRC_BYTES = 4
MAX_SHAPE_INTEGERS = 255
MAX_STREAMS = 65_535
MAX_CONTAINER_BYTES = 2**28
"""Upper limit, because a damaged header may announce any length."""
_FIXED_BYTES = len(MAGIC) + 1 + FINGERPRINT_BYTES
_PIECE_BYTES = 2**20
_MAX_HEADER_BYTES = _FIXED_BYTES + MAX_VARINT_BYTES * (2 + MAX_SHAPE_INTEGERS + MAX_STREAMS)


@dataclass(frozen=True)
class Payload:
    """The output of an encoder, before it is packed.

    Attributes:
        streams: The byte strings of the entropy coder or codec, in the order in which the decoder expects them.
        shape: What the decoder needs besides the bytes, e.g. height and width of the latent; each integer is in
            0 … 2³² − 1.
        version: Version of the wire format in which the streams are coded; a decoder chooses by it.
    """

    streams: tuple[bytes, ...]
    shape: tuple[int, ...]
    version: int = VERSION

    @property
    def num_bytes(self) -> int:
        """Total length of all streams, without the container (bytes)."""
        return sum(len(stream) for stream in self.streams)


@dataclass(frozen=True)
class Header:
    """The header of a container, before its checksum is verified.

    Attributes:
        version: Version of the container format.
        fingerprint: 8 bytes that identify the device half that made it.
        shape: The payload's shape integers.
        stream_lengths: Length of each stream in bytes.
        num_bytes: Length of the header itself, that is where the first stream starts.
    """

    version: int
    fingerprint: bytes
    shape: tuple[int, ...]
    stream_lengths: tuple[int, ...]
    num_bytes: int

    @property
    def container_bytes(self) -> int:
        """Length of the whole container that this header announces, checksum included (bytes)."""
        return self.num_bytes + sum(self.stream_lengths) + CRC_BYTES


def fingerprint_of(content: bytes) -> bytes:
    """Return the 8 bytes that identify a device half: the start of the SHA-256 of `content`."""
    return hashlib.sha256(content).digest()[:FINGERPRINT_BYTES]


def pack(payload: Payload, fingerprint: bytes) -> bytes:
    """Return the container that holds `payload`.

    Args:
        payload: At most 65,535 streams and 255 shape integers, every integer in 0 … 2³² − 1, such that the container
            has at most `MAX_CONTAINER_BYTES`.
        fingerprint: 8 bytes that identify the device half, see `fingerprint_of`.

    Raises:
        WireError: The payload or the fingerprint does not fit the format.
    """
    check_fingerprint(fingerprint)
    if payload.version not in VERSIONS:
        raise WireError(f"there is no version {payload.version} of the container")
    header = b"".join((MAGIC, bytes((payload.version,)), fingerprint, varints(_header_integers(payload))))
    check_size(len(header) + payload.num_bytes + CRC_BYTES)
    body = b"".join((header, *payload.streams))
    return body + checksum(body)


def read_container(file: BinaryIO) -> bytes:
    """Return the one container in a file, without reading more than its header announces.

    Only the header and the length are checked; `unpack` checks the rest.

    Args:
        file: A file or pipe, at the start of the container.

    Raises:
        WireError: It does not start with a header, or is shorter or longer than its header announces.
    """
    data = bytearray(file.read(_MAX_HEADER_BYTES))
    header = read_header(data)
    # One byte more shows whether anything follows. In pieces, because an announced length must not size a buffer.
    while part := file.read(min(_PIECE_BYTES, max(0, header.container_bytes + 1 - len(data)))):
        data += part
    if len(data) > header.container_bytes:
        raise WireError(f"unexpected bytes after the container, which has {header.container_bytes}")
    _check_length(header, len(data))
    return bytes(data)


def unpack(data: bytes, fingerprint: bytes | None) -> Payload:
    """Return the payload of a container, after checking every byte of it.

    Args:
        data: One complete container and nothing else.
        fingerprint: The device half that the decoder belongs to (8 bytes); None accepts any.

    Raises:
        WireError: The container is damaged, truncated, followed by other bytes, of another version, or made by
            another model. The message says which.
    """
    if fingerprint is not None:
        check_fingerprint(fingerprint)
    header = read_header(data)
    _check_length(header, len(data))
    body, stored = data[:-CRC_BYTES], data[-CRC_BYTES:]
    if stored != checksum(body):
        raise WireError(
            f"the container is damaged: its checksum is {stored.hex()}, but its bytes have {checksum(body).hex()}"
        )
    # Only after the checksum: a damaged fingerprint must not be reported as another model.
    if fingerprint is not None and header.fingerprint != fingerprint:
        raise WireError(
            f"the container was made by another model: it names the device half {header.fingerprint.hex()}, "
            f"but this decoder belongs to {fingerprint.hex()}; decode with the server half of the same export"
        )
    return Payload(streams=_split(body, header), shape=header.shape, version=header.version)


def read_header(data: bytes | bytearray) -> Header:
    """Return the header of a container; the streams and the checksum are neither needed nor checked.

    Args:
        data: A container, or its start.

    Raises:
        WireError: The bytes do not start with a complete header of a version that this program reads.
    """
    if not MAGIC.startswith(data[: len(MAGIC)]):
        raise WireError(f"not an sc2 container: it starts with {data[:4].hex()}, not with {MAGIC.hex()}")
    # Only magic and version are in the same place in every version: the rest may be shorter in another one.
    if len(data) > len(MAGIC) and data[len(MAGIC)] not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise WireError(f"container version {data[len(MAGIC)]} is not supported; this program reads versions {known}")
    if len(data) < _FIXED_BYTES:
        raise WireError(f"the container is truncated: {len(data)} bytes, shorter than the shortest header")
    reader = VarintReader(data, _FIXED_BYTES, "container")
    num_integers = reader.count("shape integers", MAX_SHAPE_INTEGERS)
    num_streams = reader.count("streams", MAX_STREAMS)
    # Each integer takes at least one byte: do not start reading a list that cannot be complete.
    if num_integers + num_streams > len(data) - reader.position:
        raise WireError(
            f"the container is truncated: its header announces {num_integers + num_streams} integers, "
            f"but {len(data) - reader.position} bytes follow"
        )
    shape = tuple(reader.integer() for _ in range(num_integers))
    lengths = tuple(reader.integer() for _ in range(num_streams))
    fingerprint = data[len(MAGIC) + 1 : _FIXED_BYTES]
    header = Header(data[len(MAGIC)], bytes(fingerprint), shape, lengths, reader.position)
    check_size(header.container_bytes)
    return header


def check_size(size: int) -> None:
    """Refuse a message above `MAX_CONTAINER_BYTES`."""
    if size > MAX_CONTAINER_BYTES:
        raise WireError(f"a container of {size} bytes; the largest has {MAX_CONTAINER_BYTES}")


def check_fingerprint(fingerprint: bytes) -> None:
    """Refuse what is no fingerprint of a device half."""
    if len(fingerprint) != FINGERPRINT_BYTES:
        raise WireError(f"a fingerprint has {FINGERPRINT_BYTES} bytes, not {len(fingerprint)}")


def _header_integers(payload: Payload) -> list[int]:
    """Return the integers of the header in file order, after checking that the format can hold them."""
    if len(payload.shape) > MAX_SHAPE_INTEGERS:
        raise WireError(f"{len(payload.shape)} shape integers; a container holds at most {MAX_SHAPE_INTEGERS}")
    if len(payload.streams) > MAX_STREAMS:
        raise WireError(f"{len(payload.streams)} streams; a container holds at most {MAX_STREAMS}")
    integers = [len(payload.shape), len(payload.streams)]
    integers += [operator.index(integer) for integer in payload.shape]
    return integers + [len(stream) for stream in payload.streams]


def _check_length(header: Header, size: int) -> None:
    expected = header.container_bytes
    if size < expected:
        raise WireError(f"the container is truncated: {size} bytes of the {expected} that its header announces")
    if size > expected:
        raise WireError(f"{size - expected} unexpected bytes after the container, which has {expected}")


def _split(body: bytes, header: Header) -> tuple[bytes, ...]:
    streams, position = [], header.num_bytes
    for length in header.stream_lengths:
        streams.append(bytes(body[position : position + length]))
        position += length
    return tuple(streams)


def checksum(body: bytes) -> bytes:
    """Return the CRC-32 of what comes before it, 4 bytes."""
    return zlib.crc32(body).to_bytes(CRC_BYTES, "little")
