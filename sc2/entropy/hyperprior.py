"""Hyperprior entropy models on the wire: z determines a scale, and with `mean_scale` also a mean, of each latent value.

    device   y, z = h_a(y) ─ round ─► z symbols ─ exact h_s ─► table of each y, mean of each y ─► y symbols
    server   z symbols ─ exact h_s ─► the same tables and means ─► y symbols ─► y_hat

z is coded under a factorised prior; y under 64 Gaussian tables with scales from 0.11 to 256 (Ballé et al., ICLR 2018;
Minnen et al., NeurIPS 2018; docs/papers.md#hyperprior-bottlenecks). All tables are integers and h_s is an
`ExactNetwork`, so both ends agree bit for bit on any machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sc2.entropy.coder import StreamDecoder, StreamEncoder, Streams, TableCoder, side_and_main
from sc2.entropy.exact_arrays import ONE
from sc2.entropy.factorized import FactorizedCoder
from sc2.entropy.synthesis import HyperSynthesis
from sc2.entropy.tables import Groups, Integers


class GaussianCoder:
    """Codes integers, each under the Gaussian table of its scale."""

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        lengths = tables["cdf_length"]
        cdf = nn.utils.rnn.pad_sequence(list(tables["cdf"].split(lengths.tolist())), batch_first=True)
        self.coder = TableCoder(cdf, lengths, tables["offset"])
        self.thresholds = tables["thresholds"].double()

    def indexes(self, scales: Tensor) -> Tensor:
        """Return the tables, int32, of scales (integers in units of 2^-12), in the same shape, e.g. [1, C, h, w]."""
        return torch.bucketize(scales.double().contiguous(), self.thresholds).int()

    def put(self, encoder: StreamEncoder, symbols: Tensor, indexes: Tensor) -> None:
        """Append symbols, int32 of any shape, under tables of the same shape, to a stream."""
        encoder.put(self.coder, _flat(symbols), Groups.of(_flat(indexes)))

    def take(self, decoder: StreamDecoder, indexes: Tensor) -> Tensor:
        """Return the next symbols of a stream, int32 in the shape of `indexes`.

        Raises:
            WireError: No encoder can have written the stream for these tables.
        """
        return torch.from_numpy(decoder.take(self.coder, Groups.of(_flat(indexes)))).reshape(indexes.shape)

    def bits(self, symbols: Tensor, indexes: Tensor) -> float:
        """Return the ideal code length of symbols, int32 of any shape, under tables of the same shape, in bits."""
        return self.coder.bits(_flat(symbols), _flat(indexes))


@dataclass(frozen=True)
class HyperSymbols:
    """Input of the coder: symbols of y and z, and the table of each symbol of y.

    Attributes:
        y: int32 [1, C, h, w]; of several images, before `split`, [B, C, h, w].
        z: int32 [1, L, zh, zw].
        indexes: int32 [1, C, h, w].
    """

    y: Tensor
    z: Tensor
    indexes: Tensor

    def split(self) -> list[HyperSymbols]:
        """Return the symbols of each image."""
        parts = (each.split(1) for each in (self.y, self.z, self.indexes))
        return [HyperSymbols(*own) for own in zip(*parts, strict=True)]


class HyperpriorCoder:
    """Codes latents y [1, C, h, w] with their side information z [1, L, zh, zw] into one stream, z then y."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.synthesis = HyperSynthesis(tables["synthesis"], tables["shift"], int(tables["channels"]))
        self.z_coder = FactorizedCoder(tables["z"])
        self.y_coder = GaussianCoder(tables["y"])

    def symbols(self, y: Tensor, z: Tensor, rounding: Callable[[Tensor], Tensor] = torch.round) -> HyperSymbols:
        """Round z [B, L, zh, zw], and y [B, C, h, w] around the means that the rounded z determines."""
        assert tuple(z.shape[2:]) == self.synthesis.z_size(*y.shape[2:]), "h_a and h_s disagree about the size of z"
        z_symbols = self.z_coder.symbols(z, rounding)
        indexes, means = self._parameters(z_symbols, *y.shape[2:])
        return HyperSymbols(rounding(y - means).int(), z_symbols, indexes)

    def latent(self, symbols: HyperSymbols) -> Tensor:
        """Return the latent y_hat, float32 [1, C, h, w], of the symbols."""
        _, means = self._parameters(symbols.z, *symbols.y.shape[2:])
        return symbols.y.float() + means

    def encode(self, symbols: HyperSymbols) -> bytes:
        """Return the stream of z and y."""
        encoder = StreamEncoder()
        self.z_coder.put(encoder, symbols.z)
        self.y_coder.put(encoder, symbols.y, symbols.indexes)
        return encoder.finish()

    def decode(self, streams: Sequence[bytes], height: int, width: int, version: int) -> Tensor:
        """Return y_hat, float32 [1, C, height, width], of one image; see `decode_all`."""
        return self.decode_all([(streams, version)], height, width)

    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        """Return y_hat, float32 [B, C, height, width]. The caller must limit the size: a wrong one costs memory.

        Raises:
            WireError: No encoder of its version of the wire format can have written an image's streams for this size.
        """
        with ExitStack() as stack:
            ends = [stack.enter_context(side_and_main(*each)) for each in sent]
            size = self.synthesis.z_size(height, width)
            z = torch.cat([self.z_coder.take(side, *size) for side, _ in ends])
            indexes, means = self._parameters(z, height, width)
            taken = [self.y_coder.take(main, own) for (_, main), own in zip(ends, indexes.split(1), strict=True)]
            return torch.cat(taken).float() + means

    def bits(self, symbols: HyperSymbols) -> float:
        """Return the ideal code length of y and z under their tables, in bits."""
        return self.y_coder.bits(symbols.y, symbols.indexes) + self.z_coder.bits(symbols.z)

    def _parameters(self, z: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            scales, means = self.synthesis(z, height, width)
        # Below 2^24 units, a mean is exact in float32.
        return self.y_coder.indexes(scales), torch.zeros(()) if means is None else (means / ONE).float()


def _flat(values: Tensor) -> Integers:
    flat: Integers = values.contiguous().numpy().reshape(-1)
    return flat
