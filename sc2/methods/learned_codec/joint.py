"""The joint autoregressive and hierarchical prior on the wire (Minnen et al., arXiv 1809.02736).

Source: docs/papers.md#joint-autoregressive.

z is coded first and at once; the symbols of y follow in the same stream step by step, because the tables of a step
depend on the values of those before it.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor

from sc2.entropy.coder import StreamEncoder, Streams, side_and_main
from sc2.entropy.exact_arrays import ONE
from sc2.entropy.factorized import FactorizedCoder
from sc2.entropy.hyperprior import GaussianCoder
from sc2.entropy.synthesis import HyperSynthesis
from sc2.entropy.tables import Groups, Integers
from sc2.methods.learned_codec.context import ContextLayers, ContextModel, Step
from sc2.strict import Strict


class JointTables(Strict):
    """Everything both ends need to code latents.

    Attributes:
        z: Tables of z, from `densities.tables_of`.
        y: Tables of y, from `densities.gaussian_tables`.
        synthesis: h_s in integer arithmetic, from `exact_layers`.
        shift: Medians of z in units of 2^-12, int64 [N].
        channels: Channels of y, M.
        context: The context model.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    z: dict[str, Tensor]
    y: dict[str, Tensor]
    synthesis: dict[str, dict[str, Any]]
    shift: Tensor
    channels: int
    context: ContextLayers


@dataclass(frozen=True)
class JointSymbols:
    """The input of the coder.

    Attributes:
        steps: For each step through y its symbols, int32 [n], and the indices of their tables, int32 [n].
        z: Symbols of z, int32 [1, N, zh, zw].
    """

    steps: tuple[tuple[Integers, Integers], ...]
    z: Tensor


class JointCoder:
    """Codes latents y [1, M, h, w] with their side information z [1, N, zh, zw]."""

    def __init__(self, tables: JointTables) -> None:
        self.synthesis = HyperSynthesis(tables.synthesis, tables.shift, tables.channels)
        self.context = ContextModel(tables.context)
        self.z_coder, self.y_coder = FactorizedCoder(tables.z), GaussianCoder(tables.y)

    def symbols(self, y: Tensor, z: Tensor) -> JointSymbols:
        """Round the latent of one image; see `symbols_all`."""
        return self.symbols_all(y, z, torch.round)[0]

    def symbols_all(self, y: Tensor, z: Tensor, rounding: Callable[[Tensor], Tensor]) -> list[JointSymbols]:
        """Round z [B, N, zh, zw], then y [B, M, h, w] around the means from z and the preceding rounded values.

        Returns:
            The symbols of each image.
        """
        z_symbols = self.z_coder.symbols(z, rounding)
        coded, values = [], y.flatten(2).double()

        def rounded(step: Step, scales: Tensor, means: Tensor) -> Tensor:
            symbols = rounding(values.index_select(2, step.here) - means / ONE)
            coded.append(zip(_flat(symbols), _flat(self.y_coder.indexes(scales)), strict=True))
            return symbols

        self.context.walk(self._side(z_symbols, *y.shape[2:]), rounded)
        images = zip(zip(*coded, strict=True), z_symbols.split(1), strict=True)
        return [JointSymbols(steps, own) for steps, own in images]

    def encode(self, symbols: JointSymbols) -> bytes:
        """Code the symbols of z [1, N, zh, zw] and y [1, M, h, w] into one stream."""
        encoder = StreamEncoder()
        self.z_coder.put(encoder, symbols.z)
        for values, indexes in symbols.steps:
            encoder.put(self.y_coder.coder, values, Groups.of(indexes))
        return encoder.finish()

    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        """Return y_hat [B, M, height, width]. The caller limits the size, because a false one costs memory.

        Raises:
            WireError: No encoder of its version of the wire format can have written an image's streams for this size.
        """
        with ExitStack() as stack:
            ends = [stack.enter_context(side_and_main(*each)) for each in sent]
            size = self.synthesis.z_size(height, width)
            z = torch.cat([self.z_coder.take(side, *size) for side, _ in ends])

            def received(step: Step, scales: Tensor, means: Tensor) -> Tensor:
                indexes = _flat(self.y_coder.indexes(scales))
                parts = zip(ends, indexes, strict=True)
                taken = [main.take(self.y_coder.coder, Groups.of(own)) for (_, main), own in parts]
                return torch.from_numpy(np.stack(taken)).reshape(scales.shape).double()

            return (self.context.walk(self._side(z, height, width), received) / ONE).float()

    def bits(self, symbols: JointSymbols) -> float:
        """Return the ideal code length of y [1, M, h, w] and z [1, N, zh, zw] under their tables (bits)."""
        values, tables = (np.concatenate(parts) for parts in zip(*symbols.steps, strict=True))
        return self.y_coder.coder.bits(values, tables) + self.z_coder.bits(symbols.z)

    def _side(self, z: Tensor, height: int, width: int) -> Tensor:
        with torch.no_grad():
            scales, means = self.synthesis(z, height, width)
        assert means is not None
        return torch.cat((scales, means), 1)


def _flat(values: Tensor) -> Integers:
    """Return values [B, …] as int32 [B, n]."""
    flat: Integers = values.int().flatten(1).numpy()
    return flat
