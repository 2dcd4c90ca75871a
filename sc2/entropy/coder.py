"""The entropy coder: integers to bytes and back, with integer tables.

A table is a density as CompressAI's entropy models quantise it: cumulative counts that end at 2^16, and the value of
the first entry; its last entry is the escape, which stands for every value outside the table. The range coder is
constriction's. It sees only integer counts, so it writes and reads the same bytes on every machine.

Symbols are coded grouped by table: the coder processes whole arrays at once, which makes it fast. The values of escaped
symbols follow at the end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from sc2.errors import WireError

Integers = NDArray[np.int32]
PRECISION_BITS = 16
_CHUNK_BITS = 16
_MOST_ESCAPE_BITS = 31


@dataclass(frozen=True)
class Groups:
    """Symbols grouped by table.

    Attributes:
        order: Original position of each symbol, int32 [n]; a full slice if they are already grouped.
        tables: Table of each group, ascending.
        starts: Start of each group.
        sizes: Symbols in each group.
    """

    order: Integers | slice
    tables: Integers
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, indexes: Integers) -> "Groups":
        """Group symbols by the table of each, int32 [n]."""
        order: Integers | slice = slice(None)
        starts = _starts(indexes)
        if (np.diff(indexes[starts]) < 0).any():
            order = np.argsort(indexes, kind="stable").astype(np.int32)
            indexes = indexes[order]
            starts = _starts(indexes)
        return cls(order, indexes[starts], starts, np.diff(starts, append=len(indexes)))

    def __iter__(self) -> Iterator[tuple[int, slice]]:
        """Yield table and slice of each group."""
        parts = map(slice, self.starts.tolist(), (self.starts + self.sizes).tolist())
        return zip(self.tables.tolist(), parts, strict=True)

    def largest(self, values: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the largest value of each group, given one value per symbol, uint32 [n]."""
        return np.maximum.reduceat(values, self.starts)


class TableCoder:
    """Codes symbols int32 [n], the i-th under table `indexes[i]`.

    Args:
        cdf: Cumulative counts int32 [T, L]: a row starts at 0 and ends at 2^16; later entries are ignored.
        cdf_length: Number of used entries of each row, int32 [T]; at least three, for one value and the escape.
        offset: Value of each table's first entry, int32 [T].
    """

    def __init__(self, cdf: Any, cdf_length: Any, offset: Any) -> None:
        self.cdf = np.asarray(cdf, dtype=np.int64)
        self.offset = np.asarray(offset, dtype=np.int64)
        self.escape = np.asarray(cdf_length, dtype=np.int64) - 2
        self._models: dict[int, Any] = {}

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> "TableCoder":
        """Build a coder from the entries `cdf`, `cdf_length` and `offset` (arrays or tensors)."""
        return cls(tables["cdf"], tables["cdf_length"], tables["offset"])

    def encode(self, symbols: Integers, indexes: Integers) -> bytes:
        """Return the bytes of symbols int32 [n] under tables `indexes`, int32 [n]; never empty."""
        encoder = StepEncoder(self)
        encoder.put(symbols, indexes)
        return encoder.finish()

    def decode(self, data: bytes, indexes: Integers) -> Integers:
        """Return the symbols, int32 [n], under tables `indexes`, int32 [n].

        Damaged bytes result in wrong symbols or an error; the container detects damage.

        Raises:
            WireError: No encoder can have written these bytes for this number of symbols.
        """
        decoder = StepDecoder(self, data)
        symbols = decoder.take(indexes)
        decoder.finish()
        return symbols

    def bits(self, symbols: Integers, indexes: Integers) -> float:
        """Return the ideal code length of symbols [n] under tables `indexes` [n], including escapes, in bits."""
        entries, _, numbers = _escaped(symbols.astype(np.int64) - self.offset[indexes], self.escape[indexes])
        counts = self.cdf[indexes, entries + 1] - self.cdf[indexes, entries]
        # Bit lengths of integers below 2^53, from the exponents of their floating-point values.
        lengths = np.frexp(numbers.astype(np.float64))[1]
        return float((PRECISION_BITS - np.log2(counts)).sum() + (_LENGTH_BITS + lengths).sum())

    def entries(self, symbols: Integers, groups: Groups) -> tuple[Integers, list[int]]:
        """Return the table entries of symbols, both int32 [n], and the numbers that encode the escaped ones in order.

        Raises:
            WireError: A symbol is too far outside its table.
        """
        entries = self.offsets(groups)
        # In 32 bits, with wrap-around: as unsigned numbers, values below the table and values beyond 32 bits are both
        # large, because tables are short and offsets small.
        np.subtract(symbols, entries, out=entries)
        escaped = groups.largest(entries.view(np.uint32)) >= self.escape[groups.tables]
        numbers: list[int] = []
        for (table, part), has_escaped in zip(groups, escaped.tolist(), strict=True):
            if has_escaped:
                entries[part], escapes = self._with_escapes(symbols[part], table)
                numbers += escapes
        return entries, numbers

    def _with_escapes(self, symbols: Integers, table: int) -> tuple[Integers, list[int]]:
        values = symbols.astype(np.int64) - self.offset[table]
        entries, outside, numbers = _escaped(values, np.full(len(values), self.escape[table]))
        if numbers.max() >= 2**_MOST_ESCAPE_BITS:
            worst = symbols[outside][int(np.argmax(numbers))]
            raise WireError(f"a latent value of {worst} cannot be coded; is the model sound?")
        return entries, numbers.tolist()

    def offsets(self, groups: Groups) -> Integers:
        """Return the value of the first entry of each symbol's table, int32 [n]."""
        return np.repeat(self.offset[groups.tables].astype(np.int32), groups.sizes)

    def model(self, table: int) -> Any:
        """Return the range coder's model of a table."""
        if table not in self._models:
            counts = np.diff(self.cdf[table, : self.escape[table] + 2])
            # Counts divided by a power of two are exact floats, so the fixed-point numbers are the same everywhere.
            self._models[table] = constriction.stream.model.Categorical(counts / 2**PRECISION_BITS, perfect=False)
        return self._models[table]


class StepEncoder:
    """Codes symbols in steps into one stream, for tables that depend on the symbols before them."""

    def __init__(self, tables: TableCoder) -> None:
        self.tables = tables
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, symbols: Integers, indexes: Integers) -> None:
        """Append symbols int32 [n] under tables `indexes`, int32 [n]."""
        groups = Groups.of(indexes)
        entries, escaped = self.tables.entries(symbols[groups.order], groups)
        for table, part in groups:
            self._coder.encode(entries[part], self.tables.model(table))
        for number in escaped:
            _encode_number(self._coder, number)

    def finish(self) -> bytes:
        """Return the bytes of all steps; never empty."""
        # Words are big-endian, so bytes that the coder did not need are zeros at the end.
        return self._coder.get_compressed().astype(">u4").tobytes().rstrip(b"\0") or b"\0"


class StepDecoder:
    """Decodes what a `StepEncoder` wrote, in the same steps."""

    def __init__(self, tables: TableCoder, data: bytes) -> None:
        self.tables = tables
        self._coder = constriction.stream.queue.RangeDecoder(_words(data))
        self._bytes, self._symbols = len(data), 0

    def take(self, indexes: Integers) -> Integers:
        """Return the next symbols, int32 [n], under tables `indexes`, int32 [n].

        Raises:
            WireError: No encoder can have written these bytes for this number of symbols.
        """
        self._symbols += len(indexes)
        try:
            return self._take(indexes)
        except AssertionError as error:
            raise WireError(f"the stream of {self._bytes} bytes is not from this entropy coder: {error}") from error

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            WireError: The stream is longer than its symbols need.
        """
        if not self._coder.maybe_exhausted():
            raise WireError(f"the stream of {self._bytes} bytes is longer than its {self._symbols} symbols need")

    def _take(self, indexes: Integers) -> Integers:
        groups, tables = Groups.of(indexes), self.tables
        entries = np.empty(len(indexes), dtype=np.int32)
        for table, part in groups:
            entries[part] = self._coder.decode(tables.model(table), part.stop - part.start)
        symbols = tables.offsets(groups)
        np.add(symbols, entries, out=symbols)
        escaped = groups.largest(entries.view(np.uint32)) == tables.escape[groups.tables]
        for (table, part), has_escaped in zip(groups, escaped.tolist(), strict=True):
            if has_escaped:
                offset, escape = int(tables.offset[table]), int(tables.escape[table])
                for position in (part.start + np.flatnonzero(entries[part] == escape)).tolist():
                    symbols[position] = offset + _unfolded(_decode_number(self._coder), escape)
        if isinstance(groups.order, slice):
            return symbols
        restored = np.empty_like(symbols)
        restored[groups.order] = symbols
        return restored


_LENGTH_BITS = 5
_LENGTHS = constriction.stream.model.Uniform(2**_LENGTH_BITS)


def _escaped(values: NDArray[np.int64], escapes: NDArray[np.int64]) -> tuple[Any, Any, Any]:
    """Return the table entries [n] of values [n], which of them are escapes, and the numbers that encode those.

    The numbers are odd for values below a table and even above it, smaller for nearer values.
    """
    outside = (values < 0) | (values >= escapes)
    far, escape = values[outside], escapes[outside]
    return np.where(outside, escapes, values), outside, np.where(far >= 0, 2 * (far - escape), -2 * far - 1)


def _starts(tables: Integers) -> NDArray[np.int64]:
    """Return the starts of runs of equal tables [n]."""
    return np.concatenate(([0], np.flatnonzero(tables[1:] != tables[:-1]) + 1))


def _unfolded(number: int, escape: int) -> int:
    """Return the value, minus its table's offset, that the number of an escaped symbol encodes."""
    return -(number + 1) // 2 if number % 2 else number // 2 + escape


def _encode_number(coder: Any, number: int) -> None:
    """Code a number below 2^31: its bit length, then its bits."""
    length = number.bit_length()
    coder.encode(length, _LENGTHS)
    for shift, size in _chunks(length):
        coder.encode(number >> shift & (2**size - 1), constriction.stream.model.Uniform(2**size))


def _decode_number(coder: Any) -> int:
    chunks = _chunks(int(coder.decode(_LENGTHS)))
    return sum(int(coder.decode(constriction.stream.model.Uniform(2**size))) << shift for shift, size in chunks)


def _chunks(length: int) -> list[tuple[int, int]]:
    """Return (shift, size) of the pieces in which a number of `length` bits is coded."""
    return [(shift, min(_CHUNK_BITS, length - shift)) for shift in range(0, length, _CHUNK_BITS)]


def _words(data: bytes) -> NDArray[np.uint32]:
    if not data:
        raise WireError("the stream is empty")
    if len(data) > 1 and data[-1] == 0:
        raise WireError("the stream ends in a zero byte, which the encoder never writes")
    return np.frombuffer(data + b"\0" * (-len(data) % 4), dtype=">u4").astype(np.uint32)
