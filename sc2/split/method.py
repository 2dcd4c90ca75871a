"""What a method is: its parameters, its rate axis, its training phases and its two halves. Imports no torch.

One method = one file `sc2/methods/<name>.py` with a subclass of `Method` called `METHOD`, and one YAML
`config/methods/<name>.yaml`. Networks are imported inside the functions that need them, so that a configuration can be
validated, and a workflow planned, without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sc2.split.axes import Axis
from sc2.strict import Strict
from sc2.tasks import get_task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from sc2.split.wire import Payload
    from sc2.tasks.base import Task
    from sc2.training.recipe import Recipe


@dataclass(frozen=True)
class BuildContext:
    """What a method needs to build its network, for training and for export alike.

    Attributes:
        arch: The method's parameters without those of its training phases.
        point: The operating point.
        input: The benchmark's input specification (`resize`, `crop`, `interpolation`, `mean`, `std`).
        teacher: The teacher's checkpoint: `task`, `backbone`, `classes`, `state`.
        encoder: Weights of the method's network from another benchmark, whose encoder and entropy model are taken over
            and frozen (`encoder_from`); None where the encoder is trained.
    """

    arch: Mapping[str, Any]
    point: str
    input: Mapping[str, Any]
    teacher: Mapping[str, Any]
    encoder: Mapping[str, Tensor] | None = None

    @property
    def task(self) -> Task:
        """The benchmark's task."""
        return get_task(self.teacher.get("task", "classification"))

    @property
    def num_classes(self) -> int:
        """Classes of the data set."""
        return len(self.teacher["classes"])

    @property
    def pixels(self) -> dict[str, Any]:
        """What the device needs of the input to turn pixels into numbers: nothing of sizes.

        So that a device half that several tasks share is the same for all of them.
        """
        return {key: self.input[key] for key in ("mean", "std")}


@dataclass(frozen=True)
class Export:
    """The two halves of a trained split, as dictionaries of plain values and tensors.

    Attributes:
        device: All that the device needs to encode.
        server: All that the server needs to decode and answer.
        upstream_encoder_state: The state dict whose size upstream would report as the encoder's (spec 2.4).
    """

    device: dict[str, Any]
    server: dict[str, Any]
    upstream_encoder_state: dict[str, Tensor]


class DeviceHalf(ABC):
    """The encoder as it runs on the device, one image at a time."""

    network: nn.Module | None = None
    tables: Mapping[str, Tensor]

    @abstractmethod
    def analyse(self, pixels: np.ndarray) -> Any:
        """Run the encoder network on one image (uint8 [H, W, 3], RGB) and return what the coder takes."""

    @abstractmethod
    def code(self, latent: Any) -> Payload:
        """Turn the result of `analyse` into bytes."""

    def encode(self, pixels: np.ndarray) -> Payload:
        """Turn one image (uint8 [H, W, 3], RGB, already resized and cropped) into bytes."""
        return self.code(self.analyse(pixels))


class ServerHalf(ABC):
    """The decoder and the rest of the task model."""

    network: nn.Module

    @abstractmethod
    def decode(self, payload: Payload) -> Tensor:
        """Turn one payload into the tensor [1, …] that `answer` takes.

        Raises:
            WireError: The payload cannot be decoded.
        """

    @abstractmethod
    def answer(self, batch: Tensor) -> Any:
        """Run the rest of the task model on a batch of decoded tensors of one size.

        Returns:
            The task's output, which `Task.answers` takes apart; logits [B, classes] in classification. Boxes and masks
            are in pixels of the network's input: the device knows how the image lies in it.
        """


class Method(ABC):
    """One way to split and compress. Subclasses hold no state: every call gets what it needs."""

    Params: ClassVar[type[Strict]]
    rate_axis: ClassVar[Axis]
    family: ClassVar[str] = "other"
    """The group of methods that legends put it in. `sc2.report.looks` has the titles and hues of the families; one that
    it does not know stands in the legend under its own name."""

    upstream_size_rule: ClassVar[Literal["codec", "codec_feature", "learned", "quantized"]] = "learned"
    """How upstream counts the data size (spec 2.3): a codec's file, the files of features and the pickles of their
    minima and maxima, or the pickle of what a learned encoder gave: coded strings, or a tensor of 8-bit symbols."""

    takes_encoder: ClassVar[bool] = False
    """Whether its encoder can be taken over from another benchmark, whatever the task there (`encoder_from`)."""

    trains_encoder_only: ClassVar[bool] = False
    """Whether that is all it trains: a run that takes it over has no training, and exports the other run's weights."""

    one_size: ClassVar[bool] = False
    """Whether its networks are made for one size of input, so that the benchmark needs `input.fit: crop`."""

    def phases(self) -> Sequence[str]:
        """Names of the training phases in order: the fields of `Params.phases`, none for a codec."""
        field = self.Params.model_fields.get("phases")
        if field is None:
            return ()
        assert field.annotation is not None
        return tuple(field.annotation.model_fields)

    def unsupported(self, task: str) -> str | None:
        """Say why the method cannot run on a task; None when it can. The plan then has no runs of it there."""
        return None

    def curve(self, point: str) -> str:
        """Name the curve that an operating point lies on, for a method whose points form several.

        Args:
            point: An operating point that `rate_axis` allows.

        Returns:
            A short label for legends, e.g. the layer that is split after; empty where the method has one curve.
        """
        return ""

    def networks(self, params: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """Return the networks that the method builds by name beside the teacher.

        Their files are part of the method's code, and their arguments are checked with the configuration.

        Args:
            params: All parameters of the method.

        Returns:
            By the parameter that names it: `name`, a file in `sc2/backbones/`, and `args` of its `build`.
        """
        return {}

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Bytes of the payload that are headers and tables of a codec's own format; None for learned methods."""
        return None

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Bits that the entropy model predicts for what `analyse` returned; None where there is no such model."""
        return None

    def side_measures(self, device: DeviceHalf, latent: Any, payload: Payload) -> Mapping[str, float]:
        """Return further numbers about an image, by name with its unit, e.g. `huffman_bytes`; always the same names."""
        return {}

    def training(self, phase: str, params: Mapping[str, Any], context: BuildContext) -> Recipe:
        """Return the recipe of one training phase.

        Args:
            phase: One of `phases()`.
            params: The phase's own parameters.
            context: What the network is built from.
        """
        raise LookupError(f"{type(self).__name__} has no training phase {phase!r}")

    @abstractmethod
    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Make the two halves from the last phase's weights (None for a method without training)."""

    @abstractmethod
    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the device half from what `export` gave, and nothing else."""

    @abstractmethod
    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the server half from what `export` gave, and nothing else."""
