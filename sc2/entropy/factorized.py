"""A trained factorised prior as integer tables, and the range coder over them.

The device and the server need no densities, only their quantised form: cumulative counts per channel (16 bit
precision), where each channel's table starts, and the medians around which the latent is rounded. Integer tables code
the same bytes on every machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from compressai.ans import RansDecoder, RansEncoder
from compressai.entropy_models import EntropyBottleneck
from torch import Tensor

from sc2.errors import WireError

PRECISION_BITS = 16
BYPASS_BITS = 4
BYPASS_MAX = 2**BYPASS_BITS - 1


def settle(bottleneck: EntropyBottleneck) -> None:
    """Put the quantiles where the learned density says.

    The quantiles have an optimiser of their own during training, but a short schedule leaves them on the way; their
    final values are the solution of an equation in the density, so it is solved. The medians move with them: call
    this before anything is trained on rounded latents.
    """
    with torch.no_grad():
        bottleneck.update(force=True, update_quantiles=True)
        # The tables that came with it are dropped: a checkpoint must not hold what would be stale after more training
        # and whose shape depends on it (tables are rebuilt by `tables_of`).
        for name, buffer in list(bottleneck.named_buffers(recurse=False)):
            if name in ("_offset", "_quantized_cdf", "_cdf_length"):
                bottleneck.register_buffer(name, buffer.new_empty(0))


def tables_of(bottleneck: EntropyBottleneck) -> dict[str, Tensor]:
    """Return the tables of a bottleneck, built anew from its density; the quantiles stay as they are.

    Returns:
        `cdf` int32 [C, L], `cdf_length` int32 [C], `offset` int32 [C], `medians` float32 [C].
    """
    bottleneck.update(force=True)
    return {
        "cdf": bottleneck.quantized_cdf.clone(),
        "cdf_length": bottleneck.cdf_length.clone(),
        "offset": bottleneck.offset.clone(),
        "medians": bottleneck.quantiles.detach()[:, 0, 1].clone(),
    }


@dataclass(frozen=True)
class FactorizedCoder:
    """Codes latents [1, C, h, w] with one table per channel."""

    tables: Mapping[str, Tensor]

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return int(self.tables["cdf"].shape[0])

    def symbols(self, latent: Tensor) -> Tensor:
        """Round a latent [1, C, h, w] to symbols int32 of the same shape."""
        return torch.round(latent - self._medians()).int()

    def latent(self, symbols: Tensor) -> Tensor:
        """Return the latent y_hat [1, C, h, w] that the symbols stand for."""
        return symbols.float() + self._medians()

    def encode(self, symbols: Tensor) -> bytes:
        """Code symbols int32 [1, C, h, w] into bytes."""
        coded: bytes = RansEncoder().encode_with_indexes(
            symbols.reshape(-1).tolist(), self._indexes(symbols.shape[2], symbols.shape[3]), *self._lists()
        )
        return coded

    def decode(self, data: bytes, height: int, width: int) -> Tensor:
        """Return the symbols int32 [1, C, height, width] that `encode` turned into `data`.

        Raises:
            WireError: The data end too early.
        """
        if len(data) < 4 or len(data) % 4:
            raise WireError(f"a range-coded stream is a whole number of 4-byte words, this one has {len(data)} bytes")
        values = RansDecoder().decode_with_indexes(data, self._indexes(height, width), *self._lists())
        return torch.tensor(values, dtype=torch.int32).reshape(1, self.channels, height, width)

    def bits(self, symbols: Tensor) -> float:
        """Return the ideal code length of symbols [1, C, h, w] under the tables, in bits.

        A symbol outside its channel's table costs the table's escape entry and the coder's bypass code: groups of
        four bits, their number first.
        """
        cdf = self.tables["cdf"].long()
        length = (self.tables["cdf_length"].long() - 2).view(1, -1, 1, 1)
        value = symbols.long() - self.tables["offset"].long().view(1, -1, 1, 1)
        escaped = (value < 0) | (value >= length)
        entry = torch.where(escaped, length.expand_as(value), value)
        channel = torch.arange(self.channels).view(1, -1, 1, 1).expand_as(value)
        counts = cdf[channel, entry + 1] - cdf[channel, entry]
        ideal = (PRECISION_BITS - torch.log2(counts.double())).sum().item()
        raw = torch.where(value < 0, -2 * value - 1, 2 * (value - length))[escaped]
        return ideal + sum(_bypass_bits(int(number)) for number in raw)

    def _medians(self) -> Tensor:
        return self.tables["medians"].view(1, -1, 1, 1)

    def _indexes(self, height: int, width: int) -> list[int]:
        return torch.arange(self.channels).repeat_interleave(height * width).tolist()

    def _lists(self) -> tuple[list[list[int]], list[int], list[int]]:
        return self.tables["cdf"].tolist(), self.tables["cdf_length"].tolist(), self.tables["offset"].tolist()


def _bypass_bits(number: int) -> int:
    groups = -(-number.bit_length() // BYPASS_BITS)
    return BYPASS_BITS * (groups // BYPASS_MAX + 1 + groups)
