"""The entropy model of each learned image codec, by CompressAI's name of the whole model."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sc2.entropy.coder import Streams
from sc2.layers.prior_content import DevicePrior, HyperpriorContent, PriorContent, hyperprior_content
from sc2.layers.priors import FACTORIZED, Hyperprior, LatentDecoder, LatentEncoder, PriorKind
from sc2.methods.learned_codec.joint import JointCoder, JointSymbols, JointTables
from sc2.methods.learned_codec.transforms import mean_scale_analysis, scale_analysis


class _JointEncoder(LatentEncoder):
    def __init__(self, content: HyperpriorContent, analysis: nn.Sequential) -> None:
        tables = JointTables.model_validate(content.tables)
        self.coder = JointCoder(tables)
        analysis.load_state_dict(content.state)
        self.analysis = analysis
        networks = {"hyper_analysis": analysis, "hyper_synthesis": self.coder.synthesis, "context": self.coder.context}
        self.network = nn.ModuleDict(networks)
        of_y = {f"y.{name}": table for name, table in tables.y.items()}
        self.tables = of_y | {f"z.{name}": table for name, table in tables.z.items()}

    def outputs(self, y: Tensor) -> tuple[Tensor, ...]:
        return y, self.analysis(y)

    def chosen(self, outputs: tuple[Tensor, ...], rounding: Callable[[Tensor], Tensor]) -> list[JointSymbols]:
        y, z = outputs
        return self.coder.symbols_all(y, z, rounding)

    def encode(self, symbols: JointSymbols) -> bytes:
        return self.coder.encode(symbols)

    def bits(self, symbols: JointSymbols) -> float:
        return self.coder.bits(symbols)


class _JointDecoder(LatentDecoder):
    def __init__(self, content: PriorContent) -> None:
        self.coder = JointCoder(JointTables.model_validate(content.tables))

    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        with torch.no_grad():
            return self.coder.decode_all(sent, height, width)


class Joint(Hyperprior):
    """The scale and mean of each value of the latent are predicted from z and the values before it."""

    def encoder(self, content: DevicePrior) -> LatentEncoder:
        """Build the device's end from its tables, which include the context model, and h_a."""
        half = hyperprior_content(content)
        return _JointEncoder(half, self.analysis(half.channels, half.hyper_channels))

    def decoder(self, content: PriorContent) -> LatentDecoder:
        """Build the server's end."""
        return _JointDecoder(content)


PRIORS: dict[str, PriorKind] = {
    "FactorizedPrior": FACTORIZED,
    "ScaleHyperprior": Hyperprior(scale_analysis),
    "MeanScaleHyperprior": Hyperprior(mean_scale_analysis),
    "JointAutoregressiveHierarchicalPriors": Joint(mean_scale_analysis),
}
