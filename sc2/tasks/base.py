"""What a task is: what a sample's target is, what loss a network learns it by, and how answers are scored. No torch.

One task = one file `sc2/tasks/<name>.py` with a subclass of `Task` called `TASK`. Whatever needs torch is imported
inside the functions. The drivers ask the task and never look at its name.

An *answer* is what a network says about one image, a *target* what is true of it: both in pixels of the network's
input, or, once restored, of the stored image. A network's *output* holds the answers of a whole batch.
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
    """What can be set of the head of a task's teacher; nothing where it is the network's own classifier."""


class Scorer(ABC):
    """Collects answers and targets of a split, image by image."""

    @abstractmethod
    def add(self, answer: Any, target: Any) -> None:
        """Take the answer and the target of one image, in the same pixels."""

    @abstractmethod
    def columns(self) -> dict[str, list[Any]]:
        """Return what is known of each image by name, in the order in which the images came."""

    @abstractmethod
    def summary(self) -> dict[str, float | None]:
        """Return the numbers of the split, in percent; None where a number is not defined.

        Raises:
            DataError: No image came.
        """


class Task(ABC):
    """One task. Subclasses hold no state: every call gets what it needs."""

    name: ClassVar[str]
    Head: ClassVar[type[HeadParams]] = HeadParams
    select: ClassVar[tuple[str, Literal["min", "max"]]]
    """The number of a scorer's summary that picks the epoch to keep, and its better direction."""
    multiple_px: ClassVar[int] = 1
    """What the sides of the network's input must be multiples of: the largest stride of the stages that it uses."""
    lr_factors: ClassVar[Mapping[str, float]] = {}
    """Factors on the learning rate of parts of the head, by name."""
    takes_published: ClassVar[bool] = False
    """Whether a published classifier is a teacher of the task as it is."""
    least_batch: ClassVar[int] = 1
    """Images that a step of a training needs at least."""
    evaluation_batch: ClassVar[int] = 100
    """Images whose answers are computed at once in evaluation."""

    def network(self, backbone: BackboneSpec, head: HeadParams) -> NetworkSpec:
        """Return the network that a backbone makes with the task's head."""
        args = head.model_dump(mode="json")
        return NetworkSpec(**dict(backbone), head=HeadSpec(name=self.name, args=args))

    @abstractmethod
    def target(self, store: SampleStore, index: int) -> Any:
        """Return the target of a sample, in pixels of the stored image.

        Raises:
            DataError: The data set does not hold what the task needs.
        """

    def placed(self, target: Any, placement: Placement) -> Any:
        """Bring a target into the network's input."""
        return target

    def restored(self, answer: Any, placement: Placement) -> Any:
        """Bring an answer back to the stored image."""
        return answer

    def mirrored(self, target: Any, width: int) -> Any:
        """Return a target of the image mirrored left to right; `width` of the input in pixels."""
        return target

    def shifted(self, target: Any, x: int, y: int, size: tuple[int, int]) -> Any:
        """Return a target of the image moved by `x` pixels to the right and `y` down, in an input of width, height."""
        return target

    def padded(self, target: Any, size: tuple[int, int]) -> Any:
        """Return a target of the image padded on the right and at the bottom to a width and height."""
        return target

    @abstractmethod
    def collate(self, targets: Sequence[Any]) -> Any:
        """Put the targets of a batch together; the result has the length of the batch."""

    @abstractmethod
    def moved(self, targets: Any, device: torch.device) -> Any:
        """Return a batch of targets on a device."""

    @abstractmethod
    def single(self, targets: Any) -> list[Any]:
        """Take a batch of targets apart again, on the CPU."""

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
            features: What it takes, of a batch.
            targets: Of the batch.
            output: What the head gave for the features, where that is known already.
            summed: The sum over the batch instead of the mean.
            label_smoothing: Of a cross entropy over classes.

        Returns:
            `loss`, a scalar, and the parts that it is the sum of, without gradients, where there are several.

        Raises:
            ConfigError: Label smoothing is asked for where it has no meaning.
        """

    def imitation(self, *, alpha: float, temperature: float) -> Imitation | None:
        """Return the loss that learns from a teacher's answers too; None where the task learns from targets.

        Args:
            alpha: Weight of the targets' loss; 1 - alpha of the divergence from the teacher.
            temperature: Softening of both distributions in the divergence.
        """
        return None

    @abstractmethod
    def answers(self, output: Any) -> list[Any]:
        """Take a network's output for a batch apart: one answer per image, on the CPU."""

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
        """Return an answer in words, a line each; the `top` best where they are ranked."""

    @abstractmethod
    def as_json(self, answer: Any, classes: Sequence[str]) -> dict[str, Any]:
        """Return an answer as values of JSON."""

    def check_input(self, spec: SizeSpec) -> None:
        """Refuse an input whose sides the network's features cannot be told from.

        Raises:
            ConfigError: The message says which side is needed.
        """
        key, side = ("multiple", spec.multiple) if spec.square is None else ("crop", spec.square)
        if side % self.multiple_px:
            raise ConfigError(f"input.{key} is {side}, but {self.name} needs a multiple of {self.multiple_px}")


class Imitation(ABC):
    """A loss on a network's and a teacher's outputs and the targets."""

    @abstractmethod
    def __call__(self, output: Any, reference: Any, targets: Any) -> Tensor:
        """Return the loss of a batch, a scalar."""
