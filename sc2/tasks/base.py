"""What a task is: its targets, the loss that a network learns it with, and how predictions are scored. No torch.

One task = one file `sc2/tasks/<name>.py` with a subclass of `Task` called `TASK`. Whatever needs torch is imported
inside the functions. The stages call the task and never branch on its name.

A *prediction* (in signatures: `answer`) is a network's result for one image, a *target* the ground truth, both in
pixels of the network's input or, once restored, of the stored image. A network's *output* holds the predictions of
a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sc2.backbones.spec import BackboneSpec, HeadSpec, NetworkSpec
from sc2.data.spec import SizeSpec
from sc2.errors import ConfigError
from sc2.strict import Strict

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from sc2.backbones.base import Features
    from sc2.data.geometry import Placement
    from sc2.data.store import SampleStore


class HeadParams(Strict):
    """Parameters of the head of a task's teacher; none where it is the network's own classifier."""


class Scorer(ABC):
    """Collects predictions and targets of a split, image by image."""

    @abstractmethod
    def add(self, answer: Any, target: Any) -> None:
        """Add the prediction and the target of one image, in the same pixel coordinates."""

    @abstractmethod
    def columns(self) -> dict[str, list[Any]]:
        """Return columns with a value per image, in the order in which the images were added."""

    @abstractmethod
    def summary(self) -> dict[str, float | None]:
        """Return the measures of the split, in percent; None where a measure is undefined.

        Raises:
            DataError: No image was added.
        """


class Task(ABC):
    """One task. Subclasses are stateless: every call receives what it needs."""

    name: ClassVar[str]
    Head: ClassVar[type[HeadParams]] = HeadParams
    select: ClassVar[tuple[str, Literal["min", "max"]]]
    """The measure of a scorer's summary that picks the epoch to keep, and its better direction."""
    multiple_px: ClassVar[int] = 1
    """The sides of the network's input must be multiples of this: the largest stride of the stages that it uses."""
    lr_factors: ClassVar[Mapping[str, float]] = {}
    """Factors on the learning rate of parts of the head, by name."""
    published_as: ClassVar[str] = "{}"
    """torchvision's name of the published networks of the task, `{}` in it for the name of the body."""
    published_by: ClassVar[Sequence[str]] = ()
    """The sources of published networks of the task (`teacher.source`); empty where all of them have some."""
    least_batch: ClassVar[int] = 1
    """Smallest number of images in a training step."""
    evaluation_batch: ClassVar[int] = 100
    """Images in a batch of the server's network in evaluation."""

    def network(self, backbone: BackboneSpec, head: HeadParams) -> NetworkSpec:
        """Return the network of a backbone and the task's head."""
        args = head.model_dump(mode="json")
        return NetworkSpec(**dict(backbone), head=HeadSpec(name=self.name, args=args))

    @abstractmethod
    def target(self, store: SampleStore, index: int) -> Any:
        """Return the target of a sample, in pixels of the stored image.

        Raises:
            DataError: The data set does not hold what the task needs.
        """

    def placed(self, target: Any, placement: Placement) -> Any:
        """Convert a target from the stored image to the network's input."""
        return target

    def restored(self, answer: Any, placement: Placement) -> Any:
        """Convert a prediction from the network's input back to the stored image."""
        return answer

    def mirrored(self, target: Any, width: int) -> Any:
        """Return the target of the image mirrored left to right; `width` of the input in pixels."""
        return target

    def shifted(self, target: Any, x: int, y: int, size: tuple[int, int]) -> Any:
        """Return the target of the image moved `x` pixels right and `y` down, in an input of `size` (width, height)."""
        return target

    def padded(self, target: Any, size: tuple[int, int]) -> Any:
        """Return the target of the image padded on the right and at the bottom to `size` (width, height)."""
        return target

    @abstractmethod
    def collate(self, targets: Sequence[Any]) -> Any:
        """Combine the targets of a batch; the result has the length B of the batch."""

    @abstractmethod
    def moved(self, targets: Any, device: torch.device) -> Any:
        """Return a batch of targets, as `collate` returns it, on a device."""

    @abstractmethod
    def single(self, targets: Any) -> list[Any]:
        """Split a batch of targets again, on the CPU: the inverse of `collate`."""

    @abstractmethod
    def losses(
        self,
        head: nn.Module,
        features: Features,
        targets: Any,
        *,
        output: Any = None,
        summed: bool = False,
        label_smoothing: float = 0.0,
    ) -> dict[str, Tensor]:
        """Return the task's own loss of a batch.

        Args:
            head: The head of a network.
            features: The head's input for a batch, [B, C, H, W] or by tap.
            targets: The collated targets of the batch.
            output: The head's output for the features, if already computed.
            summed: Return the sum over the batch instead of the mean.
            label_smoothing: Label smoothing of a cross entropy over classes.

        Returns:
            `loss`, a scalar, and its terms without gradients, where there are several.

        Raises:
            ConfigError: `label_smoothing` is set for a task without one.
        """

    def imitation(self, *, alpha: float, temperature: float) -> Imitation | None:
        """Return a loss that also learns from a teacher's predictions; None where the task learns from targets only.

        Args:
            alpha: Weight of the loss on targets; the divergence from the teacher has 1 - alpha.
            temperature: Softening of both distributions in the divergence.
        """
        return None

    @abstractmethod
    def answers(self, output: Any) -> list[Any]:
        """Split a network's output for a batch into one prediction per image, on the CPU."""

    @abstractmethod
    def resampled(self, samples: Mapping[str, Any], weights: np.ndarray) -> np.ndarray:
        """Return the split's primary quality with weighted images, in percent: float64 [resamples].

        Args:
            samples: The columns of the scorer, an entry per image.
            weights: How often each image counts, [resamples, images].

        Returns:
            NaN where the quality is not defined. With all weights 1, what the scorer's summary says.
        """

    @abstractmethod
    def chance(self, samples: Mapping[str, Any]) -> float:
        """Return the primary quality of the best answer that is the same for every image, in percent.

        Args:
            samples: The columns of any network's scorer, an entry per image.
        """

    def right(self, samples: Mapping[str, Any]) -> np.ndarray | None:
        """Return whether each image's answer is right, bool [images]; None where an answer is more or less so."""
        return None

    @abstractmethod
    def scorer(self, num_classes: int) -> Scorer:
        """Return an empty scorer."""

    @abstractmethod
    def describe(self, answer: Any, classes: Sequence[str], *, top: int) -> str:
        """Return a prediction as text, one line per item; only the `top` best where they are ranked."""

    @abstractmethod
    def as_json(self, answer: Any, classes: Sequence[str]) -> dict[str, Any]:
        """Return a prediction as JSON values."""

    def check_input(self, spec: SizeSpec) -> None:
        """Refuse an input whose size does not follow from the size of the network's features.

        Raises:
            ConfigError: A side is not a multiple of `multiple_px`.
        """
        key, side = ("multiple", spec.multiple) if spec.square is None else ("crop", spec.square)
        if side % self.multiple_px:
            raise ConfigError(f"input.{key} is {side}, but {self.name} needs a multiple of {self.multiple_px}")


class Imitation(ABC):
    """A loss on the outputs of a network and its teacher, and on the targets."""

    @abstractmethod
    def __call__(self, output: Any, reference: Any, targets: Any) -> Tensor:
        """Return the loss of a batch, a scalar; `reference` is the teacher's output, in the form of `output`."""
