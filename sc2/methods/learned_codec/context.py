"""The autoregressive model of y: the scale and mean of each value depend on z and on the preceding values.

Source: docs/papers.md#joint-autoregressive.

    z symbols ─ h_s ─► 2M channels ┐
    y_hat so far ─ masked 5×5 ─► 2M ┴─ three 1×1 layers ─► scales, means of the position ─► its y_hat ─► …

Both ends go through the latent in the same steps with the same function, in integer arithmetic (`sc2.entropy.exact`),
so the decoder gets the same tables and means as the encoder. A value depends on two columns to each side in the two
rows above and on the two values before it, so all positions with the same column + 3 · row are independent of each
other and form one step.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sc2.entropy.exact import ExactNetwork, exact_layers
from sc2.entropy.exact_arrays import ONE
from sc2.strict import Strict

REACH = 2
"""Columns to each side, and rows above, that the masked 5×5 convolution sees."""
_ROWS_PER_STEP = REACH + 1


class Step(NamedTuple):
    """P positions that do not depend on each other, counted row by row.

    Attributes:
        here: The positions in the latent, int64 [P].
        known: The same in the latent with a margin of zeros: of `REACH` rows above, and as many columns to each side.
        around: Those that the masked convolution sees, in the latent with its margin, int64 [P * 3 * 5].
    """

    here: Tensor
    known: Tensor
    around: Tensor


Choose = Callable[[Step, Tensor, Tensor], Tensor]
"""Returns the symbols, float64 [B, M, P], of a step, from scales and means [B, M, P] in units of 2^-12."""


class ContextLayers(Strict):
    """The networks of a context model in integer arithmetic, each as `exact_layers` returns it.

    Attributes:
        context: The masked convolution, from the values before a position to 2M channels.
        parameters: Three 1×1 layers, from these and 2M channels of side information to scales and means.
    """

    context: dict[str, dict[str, Any]]
    parameters: dict[str, dict[str, Any]]


def context_layers(codec: nn.Module) -> ContextLayers:
    """Return the context and parameter networks of CompressAI's joint model in integer arithmetic.

    Raises:
        CheckpointError: A network has no exact integer form.
    """
    masked, parameters = codec.get_submodule("context_prediction"), codec.get_submodule("entropy_parameters")
    assert isinstance(masked, nn.Conv2d)
    assert isinstance(parameters, nn.Sequential)
    # Without padding and without the rows below: it runs on the neighbourhoods of single positions.
    causal = nn.Conv2d(masked.in_channels, masked.out_channels, (REACH + 1, 2 * REACH + 1), device=masked.weight.device)
    with torch.no_grad():
        mask = masked.get_buffer("mask")
        causal.weight.copy_((masked.weight * mask)[:, :, : REACH + 1])
        assert masked.bias is not None
        assert causal.bias is not None
        causal.bias.copy_(masked.bias)
    return ContextLayers(context=exact_layers(nn.Sequential(causal)), parameters=exact_layers(parameters))


@lru_cache
def steps(height: int, width: int) -> tuple[Step, ...]:
    """Return all positions of a latent [height, width] in steps, each position after those it depends on.

    There are at most width + 3 · (height - 1) of them.
    """
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    order = columns + _ROWS_PER_STEP * rows
    of_steps = ((order == step).nonzero() for step in range(width + _ROWS_PER_STEP * (height - 1)))
    return tuple(_step(positions[:, 0], positions[:, 1], width) for positions in of_steps if len(positions))


def _step(rows: Tensor, columns: Tensor, width: int) -> Step:
    wide = width + 2 * REACH
    down = rows[:, None, None] + torch.arange(REACH + 1)[None, :, None]
    across = columns[:, None, None] + torch.arange(2 * REACH + 1)[None, None, :]
    known = (rows + REACH) * wide + columns + REACH
    return Step(rows * width + columns, known, (down * wide + across).flatten())


class ContextModel(nn.Module):
    """Goes through a latent in `steps` and computes the scale and mean of each value."""

    def __init__(self, layers: ContextLayers) -> None:
        super().__init__()
        self.context = ExactNetwork(layers.context)
        self.parameters_of = ExactNetwork(layers.parameters)

    def walk(self, side: Tensor, choose: Choose) -> Tensor:
        """Return the latent y_hat in units of 2^-12: integers as float64 [B, M, h, w].

        Args:
            side: Output of h_s, integers in the same units as float64 [B, 2M, h, w].
            choose: Returns the symbols of a step: rounds y in the encoder, decodes them in the decoder.
        """
        batch, channels, height, width = side.shape
        channels //= 2
        # A margin of zeros at the top and both sides only: the convolution sees nothing below.
        known = side.new_zeros(batch, channels, (height + REACH) * (width + 2 * REACH))
        side = side.flatten(2).transpose(1, 2).contiguous()
        with torch.no_grad():
            for step in steps(height, width):
                scales, means = self._predict(side, known, step)
                known.index_copy_(2, step.known, choose(step, scales, means) * ONE + means)
        return known.unflatten(2, (height + REACH, -1))[:, :, REACH:, REACH:-REACH]

    def _predict(self, side: Tensor, known: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Return scales and means [B, M, P] of a step, for side [B, h * w, 2M] and known [B, M, (h + 2) * (w + 4)]."""
        batch, positions = len(side), len(step.here)
        # The 15 values of each channel that a position sees are one vector.
        around = known.index_select(2, step.around).unflatten(2, (positions, -1)).transpose(1, 2)
        context = self.context.vectors(around.reshape(batch * positions, -1))
        here = side.index_select(1, step.here).flatten(0, 1)
        parameters = self.parameters_of.vectors(torch.cat((here, context), 1))
        scales, means = parameters.unflatten(0, (batch, positions)).transpose(1, 2).contiguous().chunk(2, 1)
        return scales, means
