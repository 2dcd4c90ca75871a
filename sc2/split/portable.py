"""A device half as it leaves torch: a network to be exported, and how its outputs become a payload.

A family says so in `sc2/methods/<family>/portable.py`, with a function `portable(half, content)`; `sc2.device` runs
what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Portable:
    """A device half.

    Attributes:
        sender: `kind` and what it needs, as `sc2.device.senders` takes it: plain values and tensors.
        network: From the prepared image [1, 3, H, W], and the weights of the rate [1, R] where there are several, to
            what is rounded: a tensor or a tuple of tensors. None where the device only compresses pixels.
        pixels: How an image becomes the network's input; see `sc2.device.artifact`.
        multiple: Sides that the input is padded to, for `unit`.
        rates: Operating points that it can send at.
        step: The index of the one at which it sends.
    """

    sender: Mapping[str, Any]
    network: nn.Module | None = None
    pixels: Literal["normalised", "unit", "none"] = "none"
    multiple: int = 1
    rates: Sequence[str] = field(default=())
    step: int = 0


def latent_sender(
    prior: str, tables: Mapping[str, Any], *, shape: str = "latent", rates: bool = False
) -> dict[str, Any]:
    """Return the sender of a latent under an entropy model.

    Args:
        prior: `channels`, `hyperprior` or `joint`.
        tables: What it needs.
        shape: What the wire says of the size: `latent` or `image`.
        rates: Whether the step of the rate stands before that.
    """
    return {"kind": "latent", "prior": prior, "tables": tables, "shape": shape, "rates": rates}
