"""Entropy models as the two ends of the link run them, each as one object. No CompressAI.

Each family trains its entropy models itself: a trained one exports a `PriorContent` for each end, from which a
`PriorKind` builds the coders.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sc2.entropy.coder import Streams, one_stream
from sc2.entropy.factorized import FactorizedCoder
from sc2.entropy.hyperprior import HyperpriorCoder, HyperSymbols
from sc2.layers.prior_content import DevicePrior, HyperpriorContent, PriorContent, hyperprior_content


class LatentEncoder(ABC):
    """The device's end of a prior.

    Attributes:
        network: Networks that the device runs besides g_a, or None.
        tables: Tables derived from the trained prior, by name.
    """

    network: nn.Module | None
    tables: Mapping[str, Tensor]

    @abstractmethod
    def outputs(self, y: Tensor) -> tuple[Tensor, ...]:
        """Return all that is rounded for latents y [B, C, h, w]: themselves, and what networks make of them."""

    @abstractmethod
    def chosen(self, outputs: tuple[Tensor, ...], rounding: Callable[[Tensor], Tensor]) -> list[Any]:
        """Round outputs, [B, …] each, to the symbols that `encode` takes, those of each image."""

    def symbols(self, y: Tensor) -> Any:
        """Round a latent [1, C, h, w] to the symbols that `encode` takes."""
        return self.chosen(self.outputs(y), torch.round)[0]

    @abstractmethod
    def encode(self, symbols: Any) -> bytes:
        """Code the result of `symbols` into one stream."""

    @abstractmethod
    def bits(self, symbols: Any) -> float:
        """Return the ideal code length of the stream under the tables, in bits."""


class LatentDecoder(ABC):
    """The server's end of a prior."""

    @abstractmethod
    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        """Return y_hat [B, C, height, width] for the streams of images of one size.

        Raises:
            WireError: Streams do not fit this prior, this size or their version of the wire format.
        """

    def decode(self, streams: Sequence[bytes], height: int, width: int, version: int) -> Tensor:
        """Return y_hat [1, C, height, width] of one image; see `decode_all`."""
        return self.decode_all([(streams, version)], height, width)


class PriorKind(ABC):
    """One way to model a latent; stateless."""

    @abstractmethod
    def encoder(self, content: DevicePrior) -> LatentEncoder:
        """Build the device's end.

        Raises:
            CheckpointError: The content belongs to another entropy model.
        """

    @abstractmethod
    def decoder(self, content: PriorContent) -> LatentDecoder:
        """Build the server's end."""


class _FactorizedEncoder(LatentEncoder):
    network = None

    def __init__(self, content: PriorContent) -> None:
        self.tables = content.tables
        self.coder = FactorizedCoder(content.tables)

    def outputs(self, y: Tensor) -> tuple[Tensor, ...]:
        return (y,)

    def chosen(self, outputs: tuple[Tensor, ...], rounding: Callable[[Tensor], Tensor]) -> list[Tensor]:
        (y,) = outputs
        return list(self.coder.symbols(y, rounding).split(1))

    def encode(self, symbols: Tensor) -> bytes:
        return self.coder.encode(symbols)

    def bits(self, symbols: Tensor) -> float:
        return self.coder.bits(symbols)


class _FactorizedDecoder(LatentDecoder):
    def __init__(self, content: PriorContent) -> None:
        self.coder = FactorizedCoder(content.tables)

    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        symbols = []
        for streams, version in sent:
            with one_stream(streams, version) as decoder:
                symbols.append(self.coder.take(decoder, height, width))
        return self.coder.latent(torch.cat(symbols))


class Factorized(PriorKind):
    """Each channel has its own density (docs/papers.md#fp-bottleneck)."""

    def encoder(self, content: DevicePrior) -> LatentEncoder:
        """Build the device's end from its tables."""
        return _FactorizedEncoder(content)

    def decoder(self, content: PriorContent) -> LatentDecoder:
        """Build the server's end."""
        return _FactorizedDecoder(content)


class _HyperEncoder(LatentEncoder):
    def __init__(self, content: HyperpriorContent, analysis: nn.Sequential) -> None:
        self.coder = HyperpriorCoder(content.tables)
        analysis.load_state_dict(content.state)
        self.analysis = analysis
        self.network = nn.ModuleDict({"hyper_analysis": analysis, "hyper_synthesis": self.coder.synthesis})
        self.tables = {f"{part}.{name}": table for part in ("y", "z") for name, table in content.tables[part].items()}

    def outputs(self, y: Tensor) -> tuple[Tensor, ...]:
        return y, self.analysis(y)

    def chosen(self, outputs: tuple[Tensor, ...], rounding: Callable[[Tensor], Tensor]) -> list[HyperSymbols]:
        y, z = outputs
        return self.coder.symbols(y, z, rounding).split()

    def encode(self, symbols: HyperSymbols) -> bytes:
        return self.coder.encode(symbols)

    def bits(self, symbols: HyperSymbols) -> float:
        return self.coder.bits(symbols)


class _HyperDecoder(LatentDecoder):
    def __init__(self, content: PriorContent) -> None:
        self.coder = HyperpriorCoder(content.tables)

    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        with torch.no_grad():
            return self.coder.decode_all(sent, height, width)


class Hyperprior(PriorKind):
    """Each value of the latent has its own scale (and mean), sent as side information.

    Source: docs/papers.md#hyperprior-bottlenecks.

    Args:
        analysis: Builds h_a for the channels of y and z. h_s is among the tables, in integer arithmetic; it may have
            outputs for means or none.
    """

    def __init__(self, analysis: Callable[[int, int], nn.Sequential]) -> None:
        self.analysis = analysis

    def encoder(self, content: DevicePrior) -> LatentEncoder:
        """Build the device's end from its tables and h_a."""
        half = hyperprior_content(content)
        return _HyperEncoder(half, self.analysis(half.channels, half.hyper_channels))

    def decoder(self, content: PriorContent) -> LatentDecoder:
        """Build the server's end."""
        return _HyperDecoder(content)


FACTORIZED = Factorized()
