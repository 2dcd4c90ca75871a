"""A teacher that trainings imitate: it runs once per batch for all trainings that share the batches."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Reference:
    """A frozen network and what a training takes from it for each batch.

    Args:
        network: The teacher, in eval mode.
        run: Returns what the training takes, for images [B, 3, H, W].

    Attributes:
        network: The teacher that runs.
    """

    def __init__(self, network: nn.Module, run: Callable[[Tensor], Any]) -> None:
        self.network = network
        self._run = run
        self._source = self
        self._shared = False
        self._images: Tensor | None = None
        self._taken: Any = None
        self._asked: list[Reference] = []

    def of(self, images: Tensor) -> Any:
        """Return what the training takes from the teacher for images [B, 3, H, W], without gradients."""
        return self._source._for(self, images)

    def follow(self, other: "Reference") -> None:
        """Take everything from another training's teacher, which must have the same weights and be asked for the same.

        This one's own network is given up.
        """
        self._source, self.network, self._run = other._source, other.network, other._run
        self._source._shared = True

    def _for(self, asking: "Reference", images: Tensor) -> Any:
        # Each training asks once for a batch. The same images once more are a batch that happens to be the same object.
        if images is self._images and asking not in self._asked:
            self._asked.append(asking)
            return self._taken
        assert not self.network.training, "the teacher must be in eval mode"
        with torch.no_grad():
            taken = self._run(images)
        if self._shared:
            self._images, self._taken, self._asked = images, taken, [asking]
        return taken
