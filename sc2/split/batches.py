"""Device halves whose network runs on several images at once, with the results of each image alone.

A network adds numbers in another order for several images than for one, so the last bits of its outputs differ. What is
sent must not depend on that. So the first images are analysed alone as well, and the largest difference, times
`SAFETY`, becomes a margin. From then on only images of which a value lies within the margin of where its symbol
changes are analysed alone: all others have the same symbols whatever the last bits are. Each of these lonely analyses
is compared with that of the batch in turn, and a difference beyond the margin is an error.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sc2.data.normalise import to_batch
from sc2.errors import CheckpointError
from sc2.split.method import DeviceHalf
from sc2.split.wire import Payload

Streams = tuple[Sequence[bytes], int]
"""The streams of an image's payload, and their version of the wire format."""

CHECKED = 8
"""Images that a half analyses alone as well before it relies on a margin."""
SAFETY = 8
"""How many times the largest difference that was seen the margin is."""
LEAST_SLACK = 2.0**-20
"""The smallest margin, in units of an image's largest output: eight units in the last place of a float32."""
MOST_SLACK = 1e-4
"""The largest: whatever differs by more does so for another reason than the order of sums."""

Outputs = tuple[Tensor, ...]
"""What a network returns before it is rounded, real numbers [B, …] each."""


class Rounding:
    """Rounds to whole numbers."""

    def __call__(self, values: Tensor) -> Tensor:
        """Return values [B, …], rounded to the nearest whole number, halves to the even one."""
        return torch.round(values)

    def notice(self, distances: Tensor) -> None:
        """Take note of how far each image is from another result.

        Args:
            distances: Distances [B, …] of values from where the result would be another, in units of the outputs.
        """


class Watching(Rounding):
    """Rounds, and remembers which images come close to another result.

    Args:
        margins: The margin of each image, [B].

    Attributes:
        close: Whether a value of the image lay within its margin, bool [B].
    """

    def __init__(self, margins: Tensor) -> None:
        self.margins = margins
        self.close = torch.zeros(len(margins), dtype=torch.bool)

    def __call__(self, values: Tensor) -> Tensor:
        """Return values [B, …], rounded to the nearest whole number, halves to the even one."""
        whole = torch.round(values)
        self.notice(0.5 - (values - whole).abs_())
        return whole

    def notice(self, distances: Tensor) -> None:
        """Mark the images with a distance in [B, …] that is not above their margin, or not a number."""
        self.close |= ~(distances.flatten(1).amin(1) > self.margins)


class BatchedDevice(DeviceHalf):
    """A device half that says apart what its network returns and what becomes of it."""

    _compared = 0
    """Images that have been analysed both ways, up to `CHECKED`."""
    _largest_seen = 0.0
    """The largest difference between the two, in units of the image's largest output."""

    @abstractmethod
    def outputs(self, images: Tensor) -> Outputs:
        """Run the network on images, uint8 [B, 3, H, W]."""

    @abstractmethod
    def chosen(self, outputs: Outputs, size: tuple[int, int], rounding: Rounding) -> list[Any]:
        """Return the input of `code` for each image.

        Args:
            outputs: Result of `outputs`.
            size: Height and width of the images (pixels).
            rounding: Decides every symbol, or is told how close each decision was; values must be increasing functions
                of outputs whose slope is at most one, given the symbols before them.
        """

    def analyse(self, pixels: np.ndarray) -> Any:
        """Return the input of `code` for one image, uint8 [H, W, 3]."""
        with torch.no_grad():
            return self.chosen(self.outputs(to_batch(pixels)), _size(pixels), Rounding())[0]

    def analyse_all(self, images: Sequence[np.ndarray]) -> list[Any]:
        """Return what `analyse` returns for each of some images of one size, uint8 [H, W, 3].

        Raises:
            CheckpointError: The network's outputs depend on the batch by more than the order of its sums explains.
        """
        if len(images) == 1:
            return [self.analyse(images[0])]
        with torch.no_grad():
            together = self.outputs(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))
            units = torch.stack([part.flatten(1).abs().amax(1) for part in together]).amax(0)
            alone = self._first_alone(images, together, units)
            slack = max(LEAST_SLACK, SAFETY * self._largest_seen)
            watching = Watching(slack * units)
            results = self.chosen(together, _size(images[0]), watching)
            for index in watching.close.nonzero().flatten().tolist():
                if index not in alone:
                    alone[index] = self.outputs(to_batch(images[index]))
                    _difference(together, alone[index], index, units, slack)
            if alone:
                outputs = tuple(map(torch.cat, zip(*alone.values(), strict=True)))
                again = self.chosen(outputs, _size(images[0]), Rounding())
                for index, result in zip(alone, again, strict=True):
                    results[index] = result
            return results

    def _first_alone(self, images: Sequence[np.ndarray], together: Outputs, units: Tensor) -> dict[int, Outputs]:
        """Return the outputs for the images that are left to compare, each alone, by index."""
        alone = {}
        for index in range(min(CHECKED - self._compared, len(images))):
            alone[index] = self.outputs(to_batch(images[index]))
            difference = _difference(together, alone[index], index, units, MOST_SLACK / SAFETY)
            self._largest_seen = max(self._largest_seen, difference)
        self._compared += len(alone)
        return alone


def _size(pixels: np.ndarray) -> tuple[int, int]:
    return pixels.shape[0], pixels.shape[1]


def _difference(together: Outputs, alone: Outputs, index: int, units: Tensor, most: float) -> float:
    """Return how far the outputs for one image of a batch are from those for it alone, in its unit.

    Raises:
        CheckpointError: It is more than `most`.
    """
    parts = zip(together, alone, strict=True)
    largest = max(float((part[index] - own[0]).abs().max()) for part, own in parts)
    difference = largest / max(float(units[index]), torch.finfo(torch.float32).tiny)
    if not difference <= most:
        raise CheckpointError(
            f"the encoder's outputs for an image in a batch differ by {difference:.2g} of the largest one from those "
            f"for the image alone; only up to {most:.2g} is due to rounding. Is the model sound, and the torch build?"
        )
    return difference


class Decodes(Protocol):
    """The end of an entropy model that decodes images of one size together."""

    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        """Return y_hat [B, C, height, width] for the streams of each image, with their version."""


def by_size(payloads: Sequence[Payload], size: Callable[[Payload], tuple[int, int]], coder: Decodes) -> list[Tensor]:
    """Return the decoded tensor [1, C, h, w] of each payload; neighbours of one size are decoded together.

    Args:
        payloads: The payloads.
        size: Checks a payload's shape, and returns the height and width of what it is decoded to.
        coder: Decodes them.

    Raises:
        WireError: A payload cannot be decoded.
    """
    decoded: list[Tensor] = []
    for (height, width), alike in groupby(payloads, key=size):
        sent = [(payload.streams, payload.version) for payload in alike]
        decoded += coder.decode_all(sent, height, width).split(1)
    return decoded
