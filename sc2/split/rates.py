"""Choosing among the rates of a device half that has several. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from sc2.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from sc2.split.wire import Payload


class Encodes(Protocol):
    """A device half, of torch or of an artifact."""

    @property
    def rates(self) -> Sequence[str]:
        """Operating points that it can send at, from the fewest bytes to the most; empty where it has one only."""

    def at(self, rate: str) -> Encodes:
        """Return the same half sending at another of its `rates`."""

    def encode(self, pixels: np.ndarray) -> Payload:
        """Turn one image (uint8 [H, W, 3], RGB, already resized and cropped) into bytes."""


def at_rate(device: Encodes, rate: str) -> Encodes:
    """Return a device half at another of its rates.

    Raises:
        ConfigError: It does not have that rate.
    """
    if not device.rates:
        raise ConfigError(f"this device half has one rate, and not {rate}: export the operating point that is wanted")
    if rate not in device.rates:
        raise ConfigError(f"this device half does not have the rate {rate}; it has: {', '.join(device.rates)}")
    return device.at(rate)


def within(device: Encodes, pixels: np.ndarray, budget_bytes: int, *, sent_bytes: Callable[[Payload], int]) -> Payload:
    """Return the payload of the highest rate at which an image fits into a budget.

    Bytes need not rise with the rate for every single image, so the rates are tried from the highest down.

    Args:
        device: A device half; one with a single rate is tried at that.
        pixels: The image, uint8 [H, W, 3].
        budget_bytes: Most bytes to send.
        sent_bytes: How many bytes are sent for a payload, with whatever goes around it.

    Raises:
        ConfigError: The image fits at no rate; the message says how many bytes the lowest one takes.
    """
    choices = [device.at(rate) for rate in reversed(device.rates)] or [device]
    fewest = 0
    for half in choices:
        payload = half.encode(pixels)
        sent = sent_bytes(payload)
        if sent <= budget_bytes:
            return payload
        fewest = min(fewest, sent) or sent
    raise ConfigError(f"the image takes at least {fewest} bytes, more than the budget of {budget_bytes}")
