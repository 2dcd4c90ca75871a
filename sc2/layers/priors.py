"""The entropy models that a bottleneck can have, each as one object: how it trains, and what each end of the link runs.

A `PriorKind` makes three things of one prior: the module that is trained (`sc2.layers.trained_priors`), the device's
coder and the server's. Networks and methods see these interfaces only. The halves need no CompressAI.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sc2.entropy.factorized import FactorizedCoder
from sc2.entropy.hyperprior import HyperpriorCoder, HyperSymbols
from sc2.errors import WireError
from sc2.layers.hyperprior import mean_scale_analysis, mean_scale_synthesis, scale_analysis, scale_synthesis

if TYPE_CHECKING:
    from sc2.layers.trained_priors import TrainedPrior


class LatentEncoder(ABC):
    """The device's end of a prior.

    Attributes:
        network: Networks that the device runs besides g_a; None where there are none.
        tables: Tables derived from the trained prior, by name.
    """

    network: nn.Module | None
    tables: Mapping[str, Tensor]

    @abstractmethod
    def symbols(self, y: Tensor) -> Any:
        """Round a latent [1, C, h, w] to what `encode` takes."""

    @abstractmethod
    def encode(self, symbols: Any) -> tuple[bytes, ...]:
        """Code the result of `symbols` into streams."""

    @abstractmethod
    def bits(self, symbols: Any) -> float:
        """Return the ideal code length of all streams under the tables, in bits."""


class LatentDecoder(ABC):
    """The server's end of a prior."""

    @abstractmethod
    def decode(self, streams: Sequence[bytes], height: int, width: int) -> Tensor:
        """Return y_hat [1, C, height, width].

        Raises:
            WireError: The streams are not of this prior, or not of this size.
        """


class PriorKind(ABC):
    """One way to model a latent; holds no state."""

    @abstractmethod
    def trained(self, arch: Mapping[str, Any]) -> "TrainedPrior":
        """Return the module that is trained, for a method's parameters."""

    @abstractmethod
    def encoder(self, half: Mapping[str, Any]) -> LatentEncoder:
        """Build the device's end from what the trained module exported for it."""

    @abstractmethod
    def decoder(self, half: Mapping[str, Any]) -> LatentDecoder:
        """Build the server's end from what the trained module exported for it."""


class _FactorizedEncoder(LatentEncoder):
    network = None

    def __init__(self, half: Mapping[str, Any]) -> None:
        self.tables = half["tables"]
        self.coder = FactorizedCoder(half["tables"])

    def symbols(self, y: Tensor) -> Tensor:
        return self.coder.symbols(y)

    def encode(self, symbols: Tensor) -> tuple[bytes, ...]:
        return (self.coder.encode(symbols),)

    def bits(self, symbols: Tensor) -> float:
        return self.coder.bits(symbols)


class _FactorizedDecoder(LatentDecoder):
    def __init__(self, half: Mapping[str, Any]) -> None:
        self.coder = FactorizedCoder(half["tables"])

    def decode(self, streams: Sequence[bytes], height: int, width: int) -> Tensor:
        if len(streams) != 1:
            raise WireError(f"a factorised-prior payload has one stream, not {len(streams)}")
        return self.coder.latent(self.coder.decode(streams[0], height, width))


class Factorized(PriorKind):
    """Every channel has a density of its own (docs/papers.md#fp-bottleneck)."""

    def trained(self, arch: Mapping[str, Any]) -> "TrainedPrior":
        """Return a prior for the last of `encoder_channels`."""
        from sc2.layers.trained_priors import FactorizedPrior

        return FactorizedPrior(arch["encoder_channels"][-1])

    def encoder(self, half: Mapping[str, Any]) -> LatentEncoder:
        """Build from `tables`."""
        return _FactorizedEncoder(half)

    def decoder(self, half: Mapping[str, Any]) -> LatentDecoder:
        """Build from `tables`."""
        return _FactorizedDecoder(half)


class _HyperEncoder(LatentEncoder):
    def __init__(self, half: Mapping[str, Any], analysis: nn.Sequential) -> None:
        self.coder = HyperpriorCoder(half["tables"])
        analysis.load_state_dict(half["state"])
        self.analysis = analysis
        self.network = nn.ModuleDict({"hyper_analysis": analysis, "hyper_synthesis": self.coder.synthesis})
        self.tables = {f"{part}.{name}": table for part in ("y", "z") for name, table in half["tables"][part].items()}

    def symbols(self, y: Tensor) -> HyperSymbols:
        return self.coder.symbols(y, self.analysis(y))

    def encode(self, symbols: HyperSymbols) -> tuple[bytes, ...]:
        return self.coder.encode(symbols)

    def bits(self, symbols: HyperSymbols) -> float:
        return self.coder.bits(symbols)


class _HyperDecoder(LatentDecoder):
    def __init__(self, half: Mapping[str, Any]) -> None:
        self.coder = HyperpriorCoder(half["tables"])

    def decode(self, streams: Sequence[bytes], height: int, width: int) -> Tensor:
        with torch.no_grad():
            return self.coder.decode(streams, height, width)


class Hyperprior(PriorKind):
    """Every value of the latent has a scale (and a mean) of its own, sent as side information.

    Source: docs/papers.md#hyperprior-bottlenecks.

    Args:
        analysis: Makes h_a for the channels of y and z.
        synthesis: Makes h_s for them; whether it has outputs for means decides whether there are any.
    """

    def __init__(
        self, analysis: Callable[[int, int], nn.Sequential], synthesis: Callable[[int, int], nn.Sequential]
    ) -> None:
        self.analysis, self.synthesis = analysis, synthesis

    def trained(self, arch: Mapping[str, Any]) -> "TrainedPrior":
        """Return a prior for the last of `encoder_channels`, with `hyper_channels` channels of z."""
        from sc2.layers.trained_priors import TrainedHyperprior

        channels, hyper_channels = arch["encoder_channels"][-1], arch["hyper_channels"]
        networks = self.analysis(channels, hyper_channels), self.synthesis(channels, hyper_channels)
        return TrainedHyperprior(channels, hyper_channels, *networks)

    def encoder(self, half: Mapping[str, Any]) -> LatentEncoder:
        """Build from `channels`, `hyper_channels`, `state` (of h_a) and `tables`."""
        return _HyperEncoder(half, self.analysis(half["channels"], half["hyper_channels"]))

    def decoder(self, half: Mapping[str, Any]) -> LatentDecoder:
        """Build from `tables`."""
        return _HyperDecoder(half)


FACTORIZED = Factorized()
SCALE_HYPERPRIOR = Hyperprior(scale_analysis, scale_synthesis)
MEAN_SCALE_HYPERPRIOR = Hyperprior(mean_scale_analysis, mean_scale_synthesis)
