"""How latents are rounded and coded on the device, without torch; docs/wire-format.md says what is sent.

Every coder takes the values that the network has returned, float32 [1, C, h, w], in two steps: `rounded` makes
integers of them, `stream` codes those. Tables and networks in whole numbers are the exported ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sc2.entropy.coder import StreamEncoder, TableCoder
from sc2.entropy.exact_arrays import ONE, Values, exact_network
from sc2.entropy.neighbourhood import put as put_by_neighbours
from sc2.entropy.tables import Groups, Integers

_REACH = 2


@dataclass(frozen=True)
class Rounded:
    """The input of the entropy coder.

    Attributes:
        symbols: Integers, one array for each tensor that was rounded, side information first.
        steps: Of the last tensor, symbols and the indices of their tables, int32 [n] each, in the order of coding; none
            where a coder works them out of `symbols`.
    """

    symbols: tuple[NDArray[Any], ...]
    steps: tuple[tuple[Integers, Integers], ...] = ()


class LatentCoder(ABC):
    """Rounds and codes latents."""

    @abstractmethod
    def rounded(self, values: Sequence[NDArray[np.float32]]) -> Rounded:
        """Return the symbols of the network's outputs, [1, C, h, w] each."""

    @abstractmethod
    def put(self, encoder: StreamEncoder, rounded: Rounded, step: int) -> None:
        """Append the symbols to a stream, at a rate of the device."""

    def stream(self, rounded: Rounded, step: int = 0) -> bytes:
        """Return the one stream of the symbols, at a rate of the device."""
        encoder = StreamEncoder()
        self.put(encoder, rounded, step)
        return encoder.finish()


class ChannelCoder(LatentCoder):
    """A table per channel, of the rate where there are several, or nine that coded neighbours choose from.

    Args:
        tables: `cdf`, `cdf_length`, `offset`; `medians` float32 [C] where values are rounded around them, `low` with
            tables for neighbours.
    """

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.coder = TableCoder.of(tables)
        self.medians = np.asarray(tables["medians"]).reshape(1, -1, 1, 1) if "medians" in tables else None
        self.low = int(np.asarray(tables["low"]).item()) if "low" in tables else None

    def rounded(self, values: Sequence[NDArray[np.float32]]) -> Rounded:
        """Return the symbols of y, [1, C, h, w]."""
        (y,) = values
        centred = y if self.medians is None else y - self.medians
        return Rounded((np.rint(centred).astype(np.int32),))

    def put(self, encoder: StreamEncoder, rounded: Rounded, step: int) -> None:
        """Append the symbols of y, by channel or along diagonals."""
        (symbols,) = rounded.symbols
        if self.low is not None:
            put_by_neighbours(encoder, self.coder, symbols, self.low)
            return
        _, channels, height, width = symbols.shape
        tables = np.arange(step * channels, (step + 1) * channels, dtype=np.int32)
        encoder.put(self.coder, symbols.reshape(-1), Groups.of(np.repeat(tables, height * width)))


class _Gaussians:
    """64 tables by scale."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        lengths = np.asarray(tables["cdf_length"])
        rows = np.split(np.asarray(tables["cdf"]), np.cumsum(lengths)[:-1])
        cdf = np.zeros((len(rows), lengths.max()), np.int64)
        for row, counts in zip(cdf, rows, strict=True):
            row[: len(counts)] = counts
        self.coder = TableCoder(cdf, lengths, tables["offset"])
        self.thresholds = np.asarray(tables["thresholds"], np.float64)

    def indexes(self, scales: Values) -> Integers:
        """Return the tables of scales, in their shape."""
        found: Integers = np.searchsorted(self.thresholds, scales, side="left").astype(np.int32)
        return found


class HyperpriorCoder(LatentCoder):
    """z, then y under the tables and around the means that z determines; both in one stream.

    Args:
        tables: `z`, `y`, `synthesis`, `shift`, `channels`, as `sc2.entropy.densities.hyperprior_tables` returns them.
    """

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.z_coder, self.gaussians = ChannelCoder(tables["z"]), _Gaussians(tables["y"])
        self.synthesis, self.channels = exact_network(tables["synthesis"]), int(tables["channels"])
        self.shift = np.asarray(tables["shift"], np.float64).reshape(1, -1, 1, 1)

    def rounded(self, values: Sequence[NDArray[np.float32]]) -> Rounded:
        """Return the symbols of z and y, given y [1, C, h, w] and z [1, L, zh, zw]."""
        y, z = values
        side = self.z_coder.rounded((z,)).symbols[0]
        return Rounded((side, *self.around(y, self.parameters(side, *y.shape[2:]))))

    def around(self, y: NDArray[np.float32], parameters: Values) -> tuple[Integers, Integers]:
        """Return the symbols of y and the indices of their tables, both int32 [1, C, h, w]."""
        scales, means = parameters[:, : self.channels], parameters[:, self.channels :]
        centred = y - (means / ONE).astype(np.float32) if means.size else y
        return np.rint(centred).astype(np.int32), self.gaussians.indexes(scales)

    def put(self, encoder: StreamEncoder, rounded: Rounded, step: int) -> None:
        """Append z, then y."""
        side, symbols, indexes = rounded.symbols
        self.z_coder.put(encoder, Rounded((side,)), 0)
        encoder.put(self.gaussians.coder, symbols.reshape(-1), Groups.of(indexes.reshape(-1)))

    def parameters(self, z: Integers, height: int, width: int) -> Values:
        """Return scales and, where there are any, means of y as channels, in units of 2^-12."""
        return self.synthesis(z.astype(np.float64) * ONE + self.shift)[..., :height, :width]


class JointCoder(HyperpriorCoder):
    """As a hyperprior, but scales and means also depend on the values before each position.

    Args:
        tables: Also `context`: `context` and `parameters`, networks in whole numbers.
    """

    def __init__(self, tables: Mapping[str, Any]) -> None:
        super().__init__(tables)
        self.context = exact_network(tables["context"]["context"])
        self.parameters_of = exact_network(tables["context"]["parameters"])

    def rounded(self, values: Sequence[NDArray[np.float32]]) -> Rounded:
        """Return the symbols of z and y, and those of y by step; y goes by the values that were rounded before."""
        y, z = values
        side = self.z_coder.rounded((z,)).symbols[0]
        height, width = y.shape[2:]
        parameters = self.parameters(side, height, width)[0]
        known = np.zeros((self.channels, height + _REACH, width + 2 * _REACH))
        steps, all_symbols = [], np.zeros(y.shape, np.int32)
        for rows, columns in _context_steps(height, width):
            predicted = self._predicted(parameters, known, rows, columns)
            scales, means = predicted[: self.channels], predicted[self.channels :]
            symbols = np.rint(y[0, :, rows, columns].T.astype(np.float64) - means / ONE)
            steps.append((symbols.astype(np.int32).reshape(-1), self.gaussians.indexes(scales).reshape(-1)))
            known[:, rows + _REACH, columns + _REACH] = symbols * ONE + means
            all_symbols[0, :, rows, columns] = symbols.T
        return Rounded((side, all_symbols), tuple(steps))

    def put(self, encoder: StreamEncoder, rounded: Rounded, step: int) -> None:
        """Append z, then y step by step."""
        self.z_coder.put(encoder, Rounded(rounded.symbols[:1]), 0)
        for symbols, indexes in rounded.steps:
            encoder.put(self.gaussians.coder, symbols, Groups.of(indexes))

    def _predicted(self, side: Values, known: Values, rows: Any, columns: Any) -> Values:
        """Return scales, then means, [2M, P] of the positions of a step."""
        down = rows[:, None, None] + np.arange(_REACH + 1)[None, :, None]
        across = columns[:, None, None] + np.arange(2 * _REACH + 1)[None, None, :]
        context = self.context(known[:, down, across].swapaxes(0, 1))
        here = side[:, rows, columns].T[:, :, None, None]
        return self.parameters_of(np.concatenate((here, context), 1))[:, :, 0, 0].T


def _context_steps(height: int, width: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield rows and columns of the positions with the same column + 3 · row, by row."""
    rows, columns = np.indices((height, width)).reshape(2, -1)
    order = columns + (_REACH + 1) * rows
    for step in range(width + (_REACH + 1) * (height - 1)):
        here = np.flatnonzero(order == step)
        if len(here):
            yield rows[here], columns[here]
