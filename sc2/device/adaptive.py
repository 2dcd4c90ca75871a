"""Which device half sends an image: the best one whose answer is expected within a deadline.

    expected = encode + base + bytes · slope        base: round trip and server; slope: 8 / rate, and a margin

Base and slope are those of the answers so far, the latest ones weighing most. (Dynamic split computing, Bakhtiarnia et
al., arXiv 2205.11269, chooses by the state of the channel too.) What answers on the device itself waits for nothing.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_REMEMBERED = 64
_FADING = 0.85
_CAUTION = 2.0
"""Deviations of past transfers that are added: a missed deadline costs more than a better answer gains."""
_LEAST_MS = 1.0


class Channel:
    """What answers have taken."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    def add(self, num_bytes: float, ms: float) -> None:
        """Note that so many bytes were answered after so long."""
        self._seen.append((num_bytes, ms))

    @property
    def known(self) -> bool:
        """Whether anything was answered yet."""
        return bool(self._seen)

    def expected_ms(self, num_bytes: float) -> float:
        """Return how long the answer to so many bytes should take; at least one has been seen.

        As long as all that was seen had the same size, more bytes are expected to take no longer: they are tried.
        """
        sizes, times = np.array(self._seen).T
        weights = _FADING ** np.arange(len(sizes))[::-1]
        mean_size, mean_time = (np.average(values, weights=weights) for values in (sizes, times))
        spread = np.average((sizes - mean_size) ** 2, weights=weights)
        together = np.average((sizes - mean_size) * (times - mean_time), weights=weights)
        slope = max(0.0, float(together / spread)) if spread > 0 else 0.0
        base = max(0.0, float(mean_time - slope * mean_size))
        return base + slope * num_bytes * (1 + _CAUTION * _deviation(slope * sizes, times - base, weights))


def _deviation(expected: NDArray[np.float64], taken: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return how far transfers were from what was expected, as a share of it; those that take no time do not count."""
    counted = weights * (expected > _LEAST_MS)
    if not counted.any():
        return 0.0
    relative = (taken - expected) / np.maximum(expected, _LEAST_MS)
    return float(np.sqrt(np.average(relative**2, weights=counted)))


@dataclass
class Option:
    """A way to get an answer.

    Attributes:
        num_bytes: Bytes of its latest container.
        encode_ms: How long its latest encoding took.
        local: Whether the device has the answer itself.
    """

    num_bytes: float
    encode_ms: float
    local: bool = False


def choose(options: Sequence[Option], channel: Channel, deadline_ms: float) -> int:
    """Return the index of the first option whose answer is expected within the deadline; else of the earliest one.

    Args:
        options: The best first.
        channel: What answers have taken; before the first one, the option with the fewest bytes is taken.
        deadline_ms: From the image to its answer.
    """
    remote = [index for index, option in enumerate(options) if not option.local]
    if remote and not channel.known:
        return min(remote, key=lambda index: options[index].num_bytes)
    expected = [
        option.encode_ms + (0.0 if option.local else channel.expected_ms(option.num_bytes)) for option in options
    ]
    fitting = [index for index, ms in enumerate(expected) if ms <= deadline_ms]
    return fitting[0] if fitting else int(np.argmin(expected))
