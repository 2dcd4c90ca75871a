"""The entropy coder: integers to bytes and back, with integer tables.

The range coder sees only integer counts, so it writes and reads the same bytes on every machine. constriction encodes;
`sc2.entropy.range_decoder` decodes, faster than constriction would. Symbols are coded grouped by table: whole
arrays at once. The values of escaped symbols follow at the end of their step.

A stream has the shortest form that its symbols have (docs/wire-format.md#the-end-of-a-stream), and that one alone is
read. Streams of version 1 of the format, which were whole words, are read but no longer written.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from sc2.entropy.intervals import Intervals, intervals
from sc2.entropy.tables import LENGTH_BITS, Groups, Integers, Tables, unfolded
from sc2.errors import WireError

VERSION = 2
"""The version of the wire format whose streams are written."""
_CHUNK_BITS = 16
_LENGTHS = constriction.stream.model.Uniform(2**LENGTH_BITS)
_CHUNKS = [constriction.stream.model.Uniform(2**size) if size else None for size in range(_CHUNK_BITS + 1)]


class TableCoder(Tables):
    """Codes symbols int32 [n], the i-th under table `indexes[i]`, as a stream of their own."""

    @cached_property
    def intervals(self) -> Intervals:
        """The tables as the decoder looks them up."""
        return intervals(self)

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

    Raises:
        WireError: It is empty, or ends as no stream does.
    """

    def __init__(self, data: bytes, version: int = VERSION) -> None:
        # Not at the top: numba takes half a second to start, and is not there on a device, which only encodes.
        from sc2.entropy import range_decoder

        self._data, self._version, self._loops = data, version, range_decoder
        self._words = _words(data)
        self._state = range_decoder.first_state(self._words)
        self._symbols = 0

    def take(self, tables: TableCoder, groups: Groups) -> Integers:
        """Return the next symbols, int32 [n], grouped by table.

        Raises:
            WireError: No encoder can have written these bytes for this number of symbols.
        """
        entries = self._loops.take(self._words, self._state, tables.intervals, groups)
        if entries is None:
            raise self._foreign()
        self._symbols += len(entries)
        symbols, escaped = tables.symbols(entries, groups)
        for position, offset, escape in escaped:
            symbols[position] = offset + unfolded(self._number(), escape)
        if isinstance(groups.order, slice):
            return symbols
        restored = np.empty_like(symbols)
        restored[groups.order] = symbols
        return restored

    def finish(self) -> None:
        """Check that the stream is the one that the encoder writes (docs/wire-format.md#the-end-of-a-stream).

        Raises:
            WireError: It is longer than its symbols need, or another than theirs.
        """
        size, offset, read = map(int, self._state)
        # The stream of one zero byte stands for that of no bytes.
        sent = 0 if self._data == b"\0" else len(self._data)
        zeros = 4 * read - sent
        if self._version == 1:
            longer, other = zeros < 0 or offset >= 2**33 - 1, False
        else:
            # Eight bytes are more than `offset` and `size` have.
            unit = 256 ** min(max(0, zeros), 8)
            longer = zeros < 0 or (sent > 0 and offset + (256 - self._data[-1]) * unit < size)
            other = offset >= unit
        if longer:
            raise WireError(f"the stream of {len(self._data)} bytes is longer than its {self._symbols} symbols need")
        if other:
            raise WireError(f"the stream of {len(self._data)} bytes is not what the encoder writes for its symbols")

    def _number(self) -> int:
        """Return a number below 2^31: its bit length comes first, then its bits."""
        length = self._bits(LENGTH_BITS)
        # The first bit is 1; version 1 sends it.
        sent = length if self._version == 1 else max(0, length - 1)
        rest = sum(self._bits(size) << shift for shift, size in _chunks(sent))
        return rest + (1 << sent if sent < length else 0)

    def _bits(self, size: int) -> int:
        number = self._loops.take_bits(self._words, self._state, size)
        if number is None:
            raise self._foreign()
        return number

    def _foreign(self) -> WireError:
        return WireError(f"the stream of {len(self._data)} bytes is not from this entropy coder")


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
    """Return a stream as words, with zeros behind it."""
    if not data:
        raise WireError("the stream is empty")
    if data[-1] == 0 and len(data) > 1:
        raise WireError("the stream ends in a zero byte, which the encoder never writes")
    # The decoder starts with two words.
    size = max(8, len(data) + -len(data) % 4)
    return np.frombuffer(data.ljust(size, b"\0"), dtype=">u4").astype(np.uint32)
