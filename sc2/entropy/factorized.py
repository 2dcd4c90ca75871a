"""A trained factorised prior as integer tables, and the coder of its latents.

The device and the server need no densities, only their quantised form: cumulative counts per channel (16 bit
precision), where each channel's table starts, and the medians around which the latent is rounded. Integer tables code
the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sc2.entropy.coder import Integers, TableCoder

if TYPE_CHECKING:
    from compressai.entropy_models import EntropyBottleneck


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


class FactorizedCoder:
    """Codes latents [1, C, h, w] with one table per channel."""

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        self.coder = TableCoder.of(tables)
        self.channels = len(tables["cdf"])
        self.medians = tables["medians"].view(1, -1, 1, 1)

    def symbols(self, latent: Tensor) -> Tensor:
        """Round a latent [1, C, h, w] to symbols int32 of the same shape."""
        return torch.round(latent - self.medians).int()

    def latent(self, symbols: Tensor) -> Tensor:
        """Return the latent y_hat [1, C, h, w] that the symbols stand for."""
        return symbols + self.medians

    def encode(self, symbols: Tensor) -> bytes:
        """Code symbols int32 [1, C, h, w] into bytes."""
        return self.coder.encode(symbols.numpy().reshape(-1), self._indexes(*symbols.shape[2:]))

    def decode(self, data: bytes, height: int, width: int) -> Tensor:
        """Return the symbols int32 [1, C, height, width] that `encode` turned into `data`.

        Raises:
            WireError: No encoder can have written the data for this shape.
        """
        values = self.coder.decode(data, self._indexes(height, width))
        return torch.from_numpy(values).reshape(1, self.channels, height, width)

    def bits(self, symbols: Tensor) -> float:
        """Return the ideal code length of symbols int32 [1, C, h, w] under the tables, in bits."""
        return self.coder.bits(symbols.numpy().reshape(-1), self._indexes(*symbols.shape[2:]))

    def _indexes(self, height: int, width: int) -> Integers:
        return np.repeat(np.arange(self.channels, dtype=np.int32), height * width)
