"""Trained densities as integer coding tables; CompressAI's models, without a coder.

A training needs this and no coder, so that an edit of a coder makes no training stale.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sc2.entropy.exact import exact_layers, fixed_point
from sc2.entropy.exact_arrays import ONE

if TYPE_CHECKING:
    from compressai.entropy_models import EntropyBottleneck

SCALES = 64
SMALLEST_SCALE, LARGEST_SCALE = 0.11, 256.0


def settle(bottleneck: EntropyBottleneck) -> None:
    """Set the quantiles to those of the learned density.

    The quantiles have their own optimiser during training, but do not converge in a short schedule; their final values
    solve an equation in the density, which is solved here. The medians move with them: call this before anything is
    trained on rounded latents.
    """
    with torch.no_grad():
        bottleneck.update(force=True, update_quantiles=True)
        # The tables made by `update` are dropped: more training would change their values and shapes, so they do not
        # belong into a checkpoint (`tables_of` rebuilds them).
        for name, buffer in list(bottleneck.named_buffers(recurse=False)):
            if name in ("_offset", "_quantized_cdf", "_cdf_length"):
                bottleneck.register_buffer(name, buffer.new_empty(0))


def tables_of(bottleneck: EntropyBottleneck) -> dict[str, Tensor]:
    """Return the tables of a bottleneck, rebuilt from its density; the quantiles do not change.

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


def scale_table() -> list[float]:
    """Return the standard deviations of the Gaussian tables: 64 from 0.11 to 256, equally spaced in the logarithm."""
    # Computed as in CompressAI, bit for bit.
    scales: list[float] = torch.exp(torch.linspace(math.log(SMALLEST_SCALE), math.log(LARGEST_SCALE), SCALES)).tolist()
    return scales


def gaussian_tables() -> dict[str, Tensor]:
    """Return CompressAI's tables for `scale_table()` as integers.

    Returns:
        `cdf` int32, the rows of all tables one after another, `cdf_length` int32 [64], `offset` int32 [64], and
        `thresholds` int64 [63]: a scale above the i-th (in units of 2^-12) belongs to a table after the i-th.
    """
    from compressai.entropy_models import GaussianConditional

    model = GaussianConditional(None)
    model.update_scale_table(scale_table())
    lengths = model.cdf_length
    rows = [row[:length] for row, length in zip(model.quantized_cdf, lengths.tolist(), strict=True)]
    thresholds = [math.floor(scale * ONE) for scale in scale_table()[:-1]]
    return {
        "cdf": torch.cat(rows),
        "cdf_length": lengths.clone(),
        "offset": model.offset.clone(),
        "thresholds": torch.tensor(thresholds),
    }


def hyperprior_tables(bottleneck: EntropyBottleneck, synthesis: nn.Sequential, channels: int) -> dict[str, Any]:
    """Return everything both ends need to code latents of a trained hyperprior, as plain values and tensors.

    Args:
        bottleneck: Entropy model of z; its quantiles are used unchanged (see `settle`).
        synthesis: h_s, with layers that `exact_layers` supports. Its output has C channels, the scales, or 2C: scales
            first, then means.
        channels: C, the channels of y.

    Returns:
        `z` (tables of the factorised prior), `y` (Gaussian tables), `synthesis` (layers of h_s in integers),
        `shift` int64 [L] (the medians of z in units of 2^-12), `channels`.

    Raises:
        CheckpointError: h_s has no exact form.
    """
    layers, z = exact_layers(synthesis), tables_of(bottleneck)
    return {
        "z": z,
        "y": gaussian_tables(),
        "synthesis": layers,
        "shift": fixed_point(z["medians"]),
        "channels": channels,
    }
