"""Coding tables as integers, and what the entropy coder asks of them.

A table is a density as CompressAI's entropy models quantise it: cumulative counts that end at 2^16, and the value of
the first entry; its last entry is the escape, which stands for every value outside the table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import constriction
import numpy as np
from numpy.typing import NDArray

from sc2.errors import WireError

Integers = NDArray[np.int32]
PRECISION_BITS = 16
LENGTH_BITS = 5
"""Bits in which the length of an escaped symbol's number is coded."""
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
    def of(cls, indexes: Integers) -> Self:
        """Group symbols by the table of each, int32 [n]."""
        order: Integers | slice = slice(None)
        if (indexes[1:] < indexes[:-1]).any():
            order = np.argsort(indexes, kind="stable").astype(np.int32)
            indexes = indexes[order]
        bounds = _bounds(indexes)
        starts = bounds[:-1]
        return cls(order, indexes[starts], starts, bounds[1:] - starts)

    @classmethod
    def rows(cls, tables: int, size: int) -> Self:
        """Return groups of `size` symbols, one after the other, under table 0, 1, …, `tables` - 1."""
        starts = np.arange(tables, dtype=np.int64) * size
        return cls(slice(None), np.arange(tables, dtype=np.int32), starts, np.full(tables, size))

    def __len__(self) -> int:
        """Return the number of symbols."""
        return int(self.sizes.sum())

    def __iter__(self) -> Iterator[tuple[int, slice]]:
        """Yield table and slice of each group."""
        parts = map(slice, self.starts.tolist(), (self.starts + self.sizes).tolist())
        return zip(self.tables.tolist(), parts, strict=True)

    def largest(self, values: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the largest value of each group, given one value per symbol, uint32 [n]."""
        return np.maximum.reduceat(values, self.starts)


class Tables:
    """A row of tables, by number.

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
    def of(cls, tables: Mapping[str, Any]) -> Self:
        """Read the entries `cdf`, `cdf_length` and `offset` (arrays or tensors)."""
        return cls(tables["cdf"], tables["cdf_length"], tables["offset"])

    def bits(self, symbols: Integers, indexes: Integers) -> float:
        """Return the ideal code length of symbols [n] under tables `indexes` [n], including escapes, in bits."""
        entries, _, numbers = _escaped(symbols.astype(np.int64) - self.offset[indexes], self.escape[indexes])
        counts = self.cdf[indexes, entries + 1] - self.cdf[indexes, entries]
        # Bit lengths of integers below 2^53, from the exponents of their floating-point values.
        lengths = np.frexp(numbers.astype(np.float64))[1]
        return float((PRECISION_BITS - np.log2(counts)).sum() + (LENGTH_BITS + np.maximum(0, lengths - 1)).sum())

    def entries(self, symbols: Integers, groups: Groups) -> tuple[Integers, list[int]]:
        """Return the table entries of symbols, both int32 [n], and the numbers that encode the escaped ones in order.

        Raises:
            WireError: A symbol is too far outside its table.
        """
        entries = self.offsets(groups)
        # In 32 bits, with wrap-around: as unsigned numbers, values below the table and values beyond 32 bits are both
        # large, because tables are short and offsets small.
        np.subtract(symbols, entries, out=entries)
        numbers: list[int] = []
        for table, part in self._with_escapes(entries, groups, at_least=True):
            entries[part], escapes = self._escapes(symbols[part], table)
            numbers += escapes
        return entries, numbers

    def symbols(self, entries: Integers, groups: Groups) -> tuple[Integers, list[tuple[int, int, int]]]:
        """Return the symbols, int32 [n], of table entries int32 [n], and what is known of the escaped ones in order.

        Returns:
            The symbols, and for each escaped one its position, its table's offset and its table's escape.
        """
        symbols = self.offsets(groups)
        np.add(symbols, entries, out=symbols)
        escaped = []
        for table, part in self._with_escapes(entries, groups, at_least=False):
            offset, escape = int(self.offset[table]), int(self.escape[table])
            positions = part.start + np.flatnonzero(entries[part] == escape)
            escaped += [(position, offset, escape) for position in positions.tolist()]
        return symbols, escaped

    def _with_escapes(self, entries: Integers, groups: Groups, *, at_least: bool) -> list[tuple[int, slice]]:
        """Return the groups that hold escapes; with `at_least`, entries are values that may lie beyond them."""
        largest, escapes = groups.largest(entries.view(np.uint32)), self.escape[groups.tables]
        found = largest >= escapes if at_least else largest == escapes
        return [group for group, has_escaped in zip(groups, found.tolist(), strict=True) if has_escaped]

    def _escapes(self, symbols: Integers, table: int) -> tuple[Integers, list[int]]:
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


def rows_in_order(tables: range, size: int) -> Integers:
    """Return the table of each symbol, int32, where `size` symbols of each table follow one another."""
    return np.repeat(np.arange(tables.start, tables.stop, dtype=np.int32), size)


def unfolded(number: int, escape: int) -> int:
    """Return the value, minus its table's offset, that the number of an escaped symbol encodes."""
    return -(number + 1) // 2 if number % 2 else number // 2 + escape


def _escaped(values: NDArray[np.int64], escapes: NDArray[np.int64]) -> tuple[Any, Any, Any]:
    """Return the table entries [n] of values [n], which of them are escapes, and the numbers that encode those.

    The numbers are odd for values below a table and even above it, smaller for nearer values.
    """
    outside = (values < 0) | (values >= escapes)
    far, escape = values[outside], escapes[outside]
    return np.where(outside, escapes, values), outside, np.where(far >= 0, 2 * (far - escape), -2 * far - 1)


def _bounds(tables: Integers) -> NDArray[np.int64]:
    """Return the starts of runs of equal tables [n], and the end of the last one."""
    changes = np.flatnonzero(tables[1:] != tables[:-1])
    bounds = np.empty(len(changes) + 2, np.int64)
    bounds[0], bounds[1:-1], bounds[-1] = 0, changes + 1, len(tables)
    return bounds
