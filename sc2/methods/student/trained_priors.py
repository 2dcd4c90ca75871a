"""Trainable entropy models on CompressAI's densities: likelihoods, rounding in eval mode, export."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from torch import Tensor, nn

from sc2.entropy.densities import hyperprior_tables, scale_table, settle, tables_of
from sc2.entropy.exact import exact_layers, fixed_point
from sc2.entropy.exact_arrays import ONE
from sc2.entropy.neighbour_counts import count_neighbours, neighbour_tables
from sc2.entropy.neighbourhood import CLASSES
from sc2.entropy.synthesis import HyperSynthesis
from sc2.layers.prior_content import DevicePrior, HyperpriorContent, PriorContent
from sc2.methods.student import hyperprior
from sc2.methods.student.params import BottleneckArch, HyperpriorArch, Prior


@dataclass(frozen=True)
class PriorExport:
    """What a trained prior exports for the two halves.

    Attributes:
        device: What the device's end is built from.
        server: What the server's end is built from.
        upstream_state: The entries of the state dict that upstream counts as the encoder's, including tables
            (docs/papers.md#encoder-size).
    """

    device: DevicePrior
    server: PriorContent
    upstream_state: dict[str, Tensor]


class TrainedPrior(nn.Module):
    """y [B, C, h, w] to y_hat and the likelihoods of all streams: noise in training, rounding in eval mode.

    With `mixed`, y_hat is rounded in training as well, and gradients pass as if it were not; only the likelihoods are
    those of y with noise (Minnen and Singh, arXiv 2007.08739).
    """

    entropy_bottleneck: EntropyBottleneck

    @abstractmethod
    def forward(self, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return y_hat [B, C, h, w] and one tensor of likelihoods per stream, for y of the shape of y_hat.

        In eval mode y_hat equals the decoder's to the last bit.
        """

    @abstractmethod
    def export(self) -> PriorExport:
        """Return what the halves need, with fresh coding tables; the module is not changed."""

    def counting(self, encoder: nn.Module) -> Callable[[Iterable[Tensor]], None] | None:
        """Return what counts the symbols of an encoder's training images, None if no tables are made of counts.

        Args:
            encoder: Images [B, 3, H, W] to y [B, C, h, w].
        """
        return None

    def quantiles_loss(self) -> Tensor:
        """Return the loss of the quantiles, a scalar; they have a separate optimiser."""
        loss: Tensor = self.entropy_bottleneck.loss()
        return loss

    def quantiles(self) -> list[nn.Parameter]:
        """Return the parameters of that loss."""
        return [self.entropy_bottleneck.quantiles]

    def settle(self) -> None:
        """Set the quantiles to those of the learned density; call before anything is trained on rounded latents."""
        settle(self.entropy_bottleneck)


_FIRST_COUNTED, _COUNTED = -127, 256
"""Symbols from -127 to 127 are counted each for itself, all others together."""


class FactorizedPrior(TrainedPrior):
    """One density per channel (docs/papers.md#fp-bottleneck).

    Args:
        channels: C, the channels of y.
        mixed: See `TrainedPrior`.
        neighbours: Whether symbols are coded under tables that their neighbours choose, which are counted.
    """

    neighbour_counts: Tensor

    def __init__(self, channels: int, *, mixed: bool = False, neighbours: bool = False) -> None:
        super().__init__()
        self.mixed, self.neighbours = mixed, neighbours
        self.entropy_bottleneck = EntropyBottleneck(channels)
        if neighbours:
            counts = torch.zeros(CLASSES * channels, _COUNTED, dtype=torch.int64)
            self.register_buffer("neighbour_counts", counts)

    def counting(self, encoder: nn.Module) -> Callable[[Iterable[Tensor]], None] | None:
        """Return what counts the symbols of an encoder's training images by class of their neighbours."""
        if not self.neighbours:
            return None

        def count(batches: Iterable[Tensor]) -> None:
            self.neighbour_counts.zero_()
            for images in batches:
                symbols = torch.round(encoder(images) - self._medians()).int()
                self.neighbour_counts += count_neighbours(symbols, _COUNTED, first=_FIRST_COUNTED)

        return count

    def _medians(self) -> Tensor:
        return self.entropy_bottleneck.quantiles[:, :, 1:2].detach().reshape(1, -1, 1, 1)

    def forward(self, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return y_hat and the likelihoods of y, both [B, C, h, w] as y."""
        y_hat, likelihoods = self.entropy_bottleneck(y)
        if self.mixed and self.training:
            y_hat = _rounded(y, self._medians())
        return y_hat, (likelihoods,)

    def export(self) -> PriorExport:
        """Return the tables for both halves."""
        bottleneck = deepcopy(self.entropy_bottleneck)
        tables = tables_of(bottleneck)
        if self.neighbours:
            tables = neighbour_tables(self.neighbour_counts, first=_FIRST_COUNTED) | {"medians": tables["medians"]}
        content = PriorContent(tables=tables)
        return PriorExport(content, content, _prefixed("entropy_bottleneck", bottleneck))


class TrainedHyperprior(TrainedPrior):
    """Gaussians whose scales, and means if h_s has outputs for them, are predicted from z.

    Source: docs/papers.md#hyperprior-bottlenecks.

    Both training phases work, whereas upstream's scale hyperprior cannot be trained further with z frozen. In eval mode
    z is rounded and h_s runs in integer arithmetic, so that the decoder learns from, and validation sees, exactly what
    is received.
    """

    def __init__(
        self,
        channels: int,
        hyper_channels: int,
        analysis: nn.Sequential,
        synthesis: nn.Sequential,
        *,
        mixed: bool = False,
    ) -> None:
        super().__init__()
        self.mixed = mixed
        self.channels, self.hyper_channels = channels, hyper_channels
        self.hyper_analysis, self.hyper_synthesis = analysis, synthesis
        self.entropy_bottleneck = EntropyBottleneck(hyper_channels)
        self.gaussian_conditional = GaussianConditional(None)

    def forward(self, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return y_hat [B, C, h, w] for y of that shape, and the likelihoods of y and of z [B, L, zh, zw]."""
        z = self.hyper_analysis(y)
        z_hat, z_likelihoods = self.entropy_bottleneck(z)
        if self.training:
            scales, means = self._float_parameters(z_hat, *y.shape[2:])
        else:
            scales, means = self._exact_parameters(z, *y.shape[2:])
        y_hat, y_likelihoods = self.gaussian_conditional(y, scales, means)
        if self.mixed and self.training:
            y_hat = _rounded(y, means)
        return y_hat, (y_likelihoods, z_likelihoods)

    def _float_parameters(self, z_hat: Tensor, height: int, width: int) -> tuple[Tensor, Tensor | None]:
        out = self.hyper_synthesis(z_hat)[..., :height, :width]
        scales, means = out.split(self.channels, 1) if out.shape[1] > self.channels else (out, None)
        return scales, means

    def _exact_parameters(self, z: Tensor, height: int, width: int) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad():
            medians = self.entropy_bottleneck.quantiles[:, 0, 1]
            symbols = torch.round(z - medians.view(1, -1, 1, 1)).int()
            # Built each time: it has few weights, and a stored one would be stale after a training step.
            exact = HyperSynthesis(exact_layers(self.hyper_synthesis), fixed_point(medians), self.channels)
            scales, means = exact(symbols, height, width)
        return (scales / ONE).to(z.dtype), None if means is None else (means / ONE).to(z.dtype)

    def export(self) -> PriorExport:
        """Return the tables for both halves, and h_a for the device."""
        bottleneck, gaussian = deepcopy(self.entropy_bottleneck), deepcopy(self.gaussian_conditional)
        tables = hyperprior_tables(bottleneck, self.hyper_synthesis, self.channels)
        gaussian.update_scale_table(scale_table(), force=True)
        device = HyperpriorContent(
            channels=self.channels,
            hyper_channels=self.hyper_channels,
            state=self.hyper_analysis.state_dict(),
            tables=tables,
        )
        upstream = _prefixed("h_a", self.hyper_analysis) | _prefixed("h_s", self.hyper_synthesis)
        upstream |= _prefixed("entropy_bottleneck", bottleneck) | _prefixed("gaussian_conditional", gaussian)
        return PriorExport(device, PriorContent(tables=tables), upstream)


def _rounded(y: Tensor, means: Tensor | None) -> Tensor:
    """Round y [B, C, h, w] around the means, which broadcast to it; gradients pass to y and the means unchanged."""
    centred = y if means is None else y - means
    return y + (torch.round(centred) - centred).detach()


def _prefixed(name: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.{entry}": value for entry, value in module.state_dict().items()}


def trained_prior(prior: Prior, arch: BottleneckArch) -> TrainedPrior:
    """Return a new entropy model of this kind for a bottleneck."""
    mixed = arch.quantiser == "mixed"
    if prior == "factorized":
        return FactorizedPrior(arch.latent_channels, mixed=mixed, neighbours=arch.coder == "neighbours")
    assert isinstance(arch, HyperpriorArch)
    analysis, synthesis = hyperprior.NETWORKS[prior]
    channels = arch.latent_channels, arch.hyper_channels
    return TrainedHyperprior(*channels, analysis(*channels), synthesis(*channels), mixed=mixed)
