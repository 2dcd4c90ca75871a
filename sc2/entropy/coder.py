"""The entropy coder: integers to bytes and back, with integer tables.

The range coder is constriction's. It sees only integer counts, so it writes and reads the same bytes on every machine.
Symbols are coded grouped by table: the coder processes whole arrays at once, which makes it fast. The values of escaped
symbols follow at the end of their step.

A stream has the shortest form that its symbols have (docs/wire-format.md#the-end-of-a-stream), and that one alone is
read. Streams of version 1 of the format, which were whole words, are read but no longer written.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from sc2.entropy.tables import LENGTH_BITS, Groups, Integers, Tables, unfolded
from sc2.errors import WireError

VERSION = 2
"""The version of the wire format whose streams are written."""
_CHUNK_BITS = 16
_LENGTHS = constriction.stream.model.Uniform(2**LENGTH_BITS)
_CHUNKS = [constriction.stream.model.Uniform(2**size) if size else None for size in range(_CHUNK_BITS + 1)]


class TableCoder(Tables):
    """Codes symbols int32 [n], the i-th under table `indexes[i]`, as a stream of their own."""

    def encode(self, symbols: Integers, indexes: Integers) -> bytes:
        """Return the bytes of symbols int32 [n] under tables `indexes`, int32 [n]."""
        return self.encode_groups(symbols, Groups.of(indexes))

    def encode_groups(self, symbols: Integers, groups: Groups) -> bytes:
        """Return the bytes of symbols int32 [n], grouped by table."""
        encoder = StreamEncoder()
        encoder.put(self, symbols, groups)
        return encoder.finish()

    def decode(self, data: bytes, indexes: Integers, version: int = VERSION) -> Integers:
        """Return the symbols, int32 [n], under tables `indexes`, int32 [n].

        Damaged bytes result in wrong symbols or an error; the container detects damage.

        Raises:
            WireError: No encoder of this version can have written these bytes for this number of symbols.
        """
        return self.decode_groups(data, Groups.of(indexes), version)

    def decode_groups(self, data: bytes, groups: Groups, version: int = VERSION) -> Integers:
        """Return the symbols, int32 [n], grouped by table.

        Raises:
            WireError: As `decode`.
        """
        decoder = StreamDecoder(data, version)
        symbols = decoder.take(self, groups)
        decoder.finish()
        return symbols


class StreamEncoder:
    """Codes symbols into one stream, in steps, because the tables of a step may depend on the symbols before it."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, tables: Tables, symbols: Integers, groups: Groups) -> None:
        """Append symbols int32 [n], grouped by table."""
        entries, escaped = tables.entries(symbols[groups.order], groups)
        for table, part in groups:
            self._coder.encode(entries[part], tables.model(table))
        for number in escaped:
            for piece, model in _pieces_of(number):
                self._coder.encode(piece, model)

    def finish(self) -> bytes:
        """Return the bytes of all steps: the shortest that decode to their symbols, whatever zeros follow them."""
        return _shortest(self._coder)


class StreamDecoder:
    """Decodes what a `StreamEncoder` wrote, in the same steps.

    Args:
        data: The whole stream.
        version: Version of the wire format that it was written in.
    """

    def __init__(self, data: bytes, version: int = VERSION) -> None:
        self._data, self._version = data, version
        self._coder = constriction.stream.queue.RangeDecoder(_words(data))
        self._symbols = 0
        # What has been read, to compare the stream with what an encoder makes of it.
        self._read: list[tuple[Any, Any]] = []

    def take(self, tables: Tables, groups: Groups) -> Integers:
        """Return the next symbols, int32 [n], grouped by table.

        Raises:
            WireError: No encoder can have written these bytes for this number of symbols.
        """
        entries = np.empty(len(groups), dtype=np.int32)
        self._symbols += len(entries)
        for table, part in groups:
            entries[part] = self._next(tables.model(table), part.stop - part.start)
        symbols, escaped = tables.symbols(entries, groups)
        for position, offset, escape in escaped:
            symbols[position] = offset + unfolded(self._number(), escape)
        if isinstance(groups.order, slice):
            return symbols
        restored = np.empty_like(symbols)
        restored[groups.order] = symbols
        return restored

    def finish(self) -> None:
        """Check that the stream is the one that the encoder writes.

        Raises:
            WireError: It is longer than its symbols need, or another than theirs.
        """
        if self._version == 1:
            needed = self._coder.maybe_exhausted()
        else:
            encoder = constriction.stream.queue.RangeEncoder()
            for entries, model in self._read:
                encoder.encode(entries, model)
            written = _shortest(encoder)
            needed = len(written) == len(self._data)
            if needed and written != self._data:
                raise WireError(f"the stream of {len(written)} bytes is not what the encoder writes for its symbols")
        if not needed:
            raise WireError(f"the stream of {len(self._data)} bytes is longer than its {self._symbols} symbols need")

    def _next(self, model: Any, *count: int) -> Any:
        """Return the next entries under one model, int32 [count], or one entry without a count."""
        try:
            entries = self._coder.decode(model, *count)
        except AssertionError as error:
            raise WireError(f"the stream of {len(self._data)} bytes is not from this entropy coder: {error}") from error
        self._read.append((entries, model))
        return entries

    def _number(self) -> int:
        """Return a number below 2^31: its bit length comes first, then its bits."""
        length = int(self._next(_LENGTHS))
        # The first bit is 1; version 1 sends it.
        sent = length if self._version == 1 else max(0, length - 1)
        rest = sum(int(self._next(_CHUNKS[size])) << shift for shift, size in _chunks(sent))
        return rest + (1 << sent if sent < length else 0)


Streams = tuple[Sequence[bytes], int]
"""The streams of an image's payload, and the version of the wire format that they are written in."""


@contextmanager
def one_stream(streams: Sequence[bytes], version: int) -> Iterator[StreamDecoder]:
    """Yield the decoder of a payload of one stream; at the end of the block all of it must have been read.

    Raises:
        WireError: There is not exactly one stream, or it is not what the encoder writes for what was read.
    """
    if len(streams) != 1:
        raise WireError(f"the payload has one stream, not {len(streams)}")
    decoder = StreamDecoder(streams[0], version)
    yield decoder
    decoder.finish()


@contextmanager
def side_and_main(streams: Sequence[bytes], version: int) -> Iterator[tuple[StreamDecoder, StreamDecoder]]:
    """Yield the decoders of the side information z and of y, which is read after it: from version 2 on, the same.

    Raises:
        WireError: There are not as many streams as the version has, or one is not what the encoder writes for what was
            read.
    """
    if version > 1:
        with one_stream(streams, version) as both:
            yield both, both
        return
    if len(streams) != 2:
        raise WireError(f"a payload of version 1 has two streams, y and z, not {len(streams)}")
    main, side = (StreamDecoder(stream, version) for stream in streams)
    yield side, main
    side.finish()
    main.finish()


def _pieces_of(number: int) -> Iterator[tuple[int, Any]]:
    """Yield the values that encode a number below 2^31, and their models: its bit length, then all bits but the first.

    The first is always 1: were it sent, a number would have more than one form.
    """
    length = number.bit_length()
    yield length, _LENGTHS
    for shift, size in _chunks(max(0, length - 1)):
        yield number >> shift & (2**size - 1), _CHUNKS[size]


def _chunks(length: int) -> list[tuple[int, int]]:
    """Return (shift, size) of the pieces in which `length` bits are coded, the lowest first."""
    return [(shift, min(_CHUNK_BITS, length - shift)) for shift in range(0, length, _CHUNK_BITS)]


def _shortest(encoder: Any) -> bytes:
    """Return the shortest bytes that, with zeros after them, lie in the interval of what has been coded.

    In units of the last bit of the coder's state of 64 bits, the interval is low … low + size. The number in it that is
    a multiple of the largest power of 256 ends in the most zero bytes; it is the smallest of them. A stream is never
    empty, so that no payload has a size without a logarithm.
    """
    num_words, (low, size) = encoder.pos()
    words = encoder.get_compressed()[:num_words]
    zeros = next(count for count in range(8, -1, -1) if -(-low >> 8 * count) << 8 * count < low + size)
    chosen = -(-low >> 8 * zeros) << 8 * zeros
    # `get_compressed` rounds up to a whole word; where that has carried into the words before, `chosen` carries too.
    carries = (chosen >> 64) - (low + 2**32 - 1 >> 64)
    head = words.astype(">u4").tobytes()
    if carries:
        head = (int.from_bytes(head, "big") + 1).to_bytes(len(head), "big")
    return (head + (chosen % 2**64).to_bytes(8, "big")).rstrip(b"\0") or b"\0"


def _words(data: bytes) -> NDArray[np.uint32]:
    if not data:
        raise WireError("the stream is empty")
    if data[-1] == 0 and len(data) > 1:
        raise WireError("the stream ends in a zero byte, which the encoder never writes")
    return np.frombuffer(data + b"\0" * (-len(data) % 4), dtype=">u4").astype(np.uint32)
