"""The coder of latents under a factorised prior.

Device and server need no densities, only their quantised form (`sc2.entropy.densities`): cumulative counts per channel
(16-bit precision), the first value of each channel's table, and the medians around which the latent is rounded. Integer
tables produce the same bytes on every machine.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sc2.entropy.coder import VERSION, StreamDecoder, StreamEncoder, TableCoder
from sc2.entropy.neighbours import NeighbourCoder
from sc2.entropy.tables import Groups


class FactorizedCoder:
    """Codes latents [1, C, h, w] with one table per channel, or with several that coded neighbours choose from.

    Args:
        tables: As `densities.tables_of` returns them, or those of a `NeighbourCoder` and `medians`.
    """

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        self.coder = TableCoder.of(tables)
        self.neighbours = NeighbourCoder(tables) if "low" in tables else None
        self.channels = len(tables["medians"])
        self.medians = tables["medians"].view(1, -1, 1, 1)

    def symbols(self, latent: Tensor, rounding: Callable[[Tensor], Tensor] = torch.round) -> Tensor:
        """Round latents [B, C, h, w] to symbols, int32 [B, C, h, w]."""
        return rounding(latent - self.medians).int()

    def latent(self, symbols: Tensor) -> Tensor:
        """Return the latent y_hat, float32 [1, C, h, w], of symbols [1, C, h, w]."""
        return symbols + self.medians

    def put(self, encoder: StreamEncoder, symbols: Tensor) -> None:
        """Append symbols, int32 [1, C, h, w], to a stream."""
        if self.neighbours is not None:
            self.neighbours.put(encoder, symbols)
        else:
            encoder.put(self.coder, symbols.numpy().reshape(-1), self._groups(*symbols.shape[2:]))

    def take(self, decoder: StreamDecoder, height: int, width: int) -> Tensor:
        """Return the next symbols of a stream, int32 [1, C, height, width].

        Raises:
            WireError: No encoder can have written the stream for this shape.
        """
        if self.neighbours is not None:
            return self.neighbours.take(decoder, height, width)
        values = decoder.take(self.coder, self._groups(height, width))
        return torch.from_numpy(values).reshape(1, self.channels, height, width)

    def encode(self, symbols: Tensor) -> bytes:
        """Return the bytes of symbols, int32 [1, C, h, w], in a stream of their own."""
        encoder = StreamEncoder()
        self.put(encoder, symbols)
        return encoder.finish()

    def decode(self, data: bytes, height: int, width: int, version: int = VERSION) -> Tensor:
        """Return the symbols, int32 [1, C, height, width], that `encode` turned into `data`.

        Raises:
            WireError: No encoder of this version can have written the data for this shape.
        """
        decoder = StreamDecoder(data, version)
        symbols = self.take(decoder, height, width)
        decoder.finish()
        return symbols

    def bits(self, symbols: Tensor) -> float:
        """Return the ideal code length of symbols int32 [1, C, h, w] under the tables, in bits."""
        if self.neighbours is not None:
            return self.neighbours.bits(symbols)
        groups = self._groups(*symbols.shape[2:])
        return self.coder.bits(symbols.numpy().reshape(-1), groups.tables.repeat(groups.sizes))

    def _groups(self, height: int, width: int) -> Groups:
        return Groups.rows(self.channels, height * width)
