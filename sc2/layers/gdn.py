"""Generalised divisive normalisation, the simplified form GDN1 (Ballé et al.; docs/papers.md#gdn).

    y_i = x_i / (β_i + Σ_j γ_ij |x_j|), inverse: y_i = x_i · (β_i + Σ_j γ_ij |x_j|)

The parameters have CompressAI's names, so that its weights load. Importing CompressAI itself takes longer than most
jobs on an exported half, and training needs only its entropy models.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_OFFSET = 2.0**-18


class GDN1(nn.Module):
    """Divide each of C channels by a learned weighted sum over all of them: [B, C, H, W] to the same shape.

    β stays at 1e-6 or above and γ at 0 or above: the trained value is the root of each, plus a small offset. With
    `squared`, the original GDN: y_i = x_i / sqrt(β_i + Σ_j γ_ij x_j²).
    """

    def __init__(self, channels: int, inverse: bool = False, squared: bool = False) -> None:
        super().__init__()
        self.inverse, self.squared = inverse, squared
        self.beta_reparam = _NonNegative(1e-6)
        self.beta = nn.Parameter(self.beta_reparam.initial(torch.ones(channels)))
        self.gamma_reparam = _NonNegative(0.0)
        self.gamma = nn.Parameter(self.gamma_reparam.initial(0.1 * torch.eye(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x [B, C, H, W], or invert a normalisation; the output has the same shape."""
        beta, gamma = self.beta_reparam(self.beta), self.gamma_reparam(self.gamma)
        weight = gamma[:, :, None, None]
        norm = functional.conv2d(x * x if self.squared else torch.abs(x), weight, beta)
        if self.squared:
            norm = torch.sqrt(norm)
        return x * norm if self.inverse else x / norm


class _NonNegative(nn.Module):
    """value = max(stored, bound)² - offset², with a gradient that can always bring it back above the bound."""

    pedestal: Tensor

    def __init__(self, minimum: float) -> None:
        super().__init__()
        offset = _OFFSET**2
        self.register_buffer("pedestal", torch.tensor([offset]))
        self.lower_bound = _LowerBound((minimum + offset) ** 0.5)

    def initial(self, value: Tensor) -> Tensor:
        """Return the stored form of a value, of the same shape."""
        return torch.sqrt(torch.max(value + self.pedestal, self.pedestal))

    def forward(self, stored: Tensor) -> Tensor:
        value: Tensor = self.lower_bound(stored) ** 2 - self.pedestal
        return value


class _LowerBound(nn.Module):
    bound: Tensor

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.register_buffer("bound", torch.tensor([float(bound)]))

    def forward(self, x: Tensor) -> Tensor:
        bounded: Tensor = _Bounded.apply(x, self.bound)
        return bounded


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: Tensor) -> Tensor:
        ctx.save_for_backward(x, bound)
        return torch.max(x, bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, bound = ctx.saved_tensors
        (gradient,) = gradients
        # Below the bound only gradients that raise the value pass; otherwise a parameter could never get back above it.
        return gradient * ((x >= bound) | (gradient < 0)), None
