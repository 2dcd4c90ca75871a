"""The latent as received, in one process and for whole batches: rounding and exact networks, but no coder.

CompressAI's own forward pass differs from its coder: it runs h_s in floating point, and the joint model's context on
latents that are rounded without subtracting their means.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sc2.entropy.exact import exact_layers, fixed_point
from sc2.entropy.exact_arrays import ONE
from sc2.entropy.synthesis import HyperSynthesis
from sc2.methods.learned_codec.context import ContextModel, Step, context_layers

Likelihoods = tuple[Tensor, ...]


def received(codec: nn.Module, y: Tensor) -> tuple[Tensor, Likelihoods]:
    """Return y_hat [B, M, h, w] as received, and the likelihoods of y [B, M, h, w] and, if any, of z [B, N, zh, zw].

    Args:
        codec: One of CompressAI's models, in eval mode.
        y: Its latents [B, M, h, w].
    """
    # By name: CompressAI's classes do not declare their parts' types.
    parts: Any = codec
    if not hasattr(parts, "h_a"):
        y_hat, likelihoods = parts.entropy_bottleneck(y)
        return y_hat, (likelihoods,)
    of_magnitude = type(codec).__name__ == "ScaleHyperprior"
    z = parts.h_a(y.abs() if of_magnitude else y)
    _, z_likelihoods = parts.entropy_bottleneck(z)
    scales, means = _side_information(parts, z, y)
    if hasattr(parts, "context_prediction"):
        assert means is not None
        y_hat, y_likelihoods = _walked(parts, y, torch.cat((scales, means), 1))
    else:
        mean = None if means is None else (means / ONE).to(y.dtype)
        y_hat, y_likelihoods = parts.gaussian_conditional(y, (scales / ONE).to(y.dtype), mean)
    return y_hat, (y_likelihoods, z_likelihoods)


def _side_information(parts: Any, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
    medians = parts.entropy_bottleneck.quantiles.detach()[:, 0, 1]
    symbols = torch.round(z - medians.view(1, -1, 1, 1))
    # Built each time: a stored one would be stale after a training step.
    network = HyperSynthesis(exact_layers(parts.h_s), fixed_point(medians), y.shape[1])
    scales, means = network(symbols, *y.shape[2:])
    return scales, means


def _walked(parts: Any, y: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    values = y.flatten(2)
    all_likelihoods = torch.empty_like(values)

    def rounded(step: Step, scales: Tensor, means: Tensor) -> Tensor:
        here, mean = values.index_select(2, step.here).double(), means / ONE
        _, likelihoods = parts.gaussian_conditional(here, scales / ONE, mean)
        all_likelihoods.index_copy_(2, step.here, likelihoods.to(y.dtype))
        return torch.round(here - mean)

    y_hat = ContextModel(context_layers(parts)).walk(side, rounded)
    return (y_hat / ONE).to(y.dtype), all_likelihoods.view_as(y)
