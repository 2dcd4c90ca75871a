"""The entropy model of each learned image codec, by CompressAI's name of the whole model."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sc2.layers.priors import FACTORIZED, Hyperprior, LatentDecoder, LatentEncoder, PriorKind
from sc2.methods.learned_codec.joint import JointCoder, JointSymbols, JointTables
from sc2.methods.learned_codec.transforms import mean_scale_analysis, scale_analysis


def _not_built(channels: int, hyper_channels: int) -> nn.Sequential:
    raise AssertionError("CompressAI's models are what is trained here; the halves get h_s in whole numbers")


class _JointEncoder(LatentEncoder):
    def __init__(self, half: Mapping[str, Any], analysis: nn.Sequential) -> None:
        tables = JointTables.model_validate(half["tables"])
        self.coder = JointCoder(tables)
        analysis.load_state_dict(half["state"])
        self.analysis = analysis
        networks = {"hyper_analysis": analysis, "hyper_synthesis": self.coder.synthesis, "context": self.coder.context}
        self.network = nn.ModuleDict(networks)
        of_y = {f"y.{name}": table for name, table in tables.y.items()}
        self.tables = of_y | {f"z.{name}": table for name, table in tables.z.items()}

    def symbols(self, y: Tensor) -> JointSymbols:
        return self.coder.symbols(y, self.analysis(y))

    def encode(self, symbols: JointSymbols) -> tuple[bytes, ...]:
        return self.coder.encode(symbols)

    def bits(self, symbols: JointSymbols) -> float:
        return self.coder.bits(symbols)


class _JointDecoder(LatentDecoder):
    def __init__(self, half: Mapping[str, Any]) -> None:
        self.coder = JointCoder(JointTables.model_validate(half["tables"]))

    def decode(self, streams: Sequence[bytes], height: int, width: int) -> Tensor:
        with torch.no_grad():
            return self.coder.decode(streams, height, width)


class Joint(Hyperprior):
    """Scale and mean of each value of the latent come from z and from the values before it."""

    def encoder(self, half: Mapping[str, Any]) -> LatentEncoder:
        """Build from `channels`, `hyper_channels`, `state` (of h_a) and `tables`."""
        return _JointEncoder(half, self.analysis(half["channels"], half["hyper_channels"]))

    def decoder(self, half: Mapping[str, Any]) -> LatentDecoder:
        """Build from `tables`."""
        return _JointDecoder(half)


PRIORS: dict[str, PriorKind] = {
    "FactorizedPrior": FACTORIZED,
    "ScaleHyperprior": Hyperprior(scale_analysis, _not_built),
    "MeanScaleHyperprior": Hyperprior(mean_scale_analysis, _not_built),
    "JointAutoregressiveHierarchicalPriors": Joint(mean_scale_analysis, _not_built),
}
