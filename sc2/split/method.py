"""What a method is: its parameters, its rate axis, its training phases and its two halves. Imports no torch.

One method = one file `sc2/methods/<family>/<name>.py` with a subclass of `Method` called `METHOD`, and one YAML
`config/methods/<name>.yaml`. Networks are imported inside the functions that need them, so that a configuration can be
validated, and a workflow planned, without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast

from pydantic import ConfigDict

from sc2.data.spec import InputSpec
from sc2.split.axes import Axis
from sc2.strict import Strict
from sc2.tasks import get_task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from sc2.backbones.spec import BackboneSpec
    from sc2.backbones.teacher import TeacherCheckpoint
    from sc2.split.wire import Payload
    from sc2.tasks.base import Task
    from sc2.training.recipe import Recipe


A = TypeVar("A", bound=Strict)


class NoParams(Strict):
    """Nothing to set: the operating point says all."""


@dataclass(frozen=True)
class BuildContext(Generic[A]):
    """What a method needs to build its network, for training and for export alike; `Method.context` checks it.

    Attributes:
        arch: The method's parameters without those of its training phases.
        point: The operating point.
        input: The benchmark's input.
        teacher: The teacher's checkpoint.
        encoder: Weights of the method's network from another benchmark, whose encoder and entropy model are taken over
            and frozen (`encoder_from`); None where the encoder is trained.
    """

    arch: A
    point: str
    input: InputSpec
    teacher: TeacherCheckpoint
    encoder: Mapping[str, Tensor] | None = None

    @property
    def task(self) -> Task:
        """The benchmark's task."""
        return get_task(self.teacher.task)

    @property
    def num_classes(self) -> int:
        """Classes of the data set."""
        return len(self.teacher.classes)


class HalfContent(Strict):
    """What one half of a split is built from: plain values, specifications and tensors, and nothing else.

    Every family declares two of them, with `state` for the weights. A file of a half holds `plain()`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def plain(self) -> dict[str, Any]:
        """Return the content as a dictionary of plain values and tensors, as it is saved."""
        return self.model_dump(mode="python")


@dataclass(frozen=True)
class Export:
    """The two halves of a trained split.

    Attributes:
        device: All that the device needs to encode.
        server: All that the server needs to decode and answer.
        upstream_encoder_state: The state dict whose size upstream would report as the encoder's
            (docs/papers.md#encoder-size).
    """

    device: HalfContent
    server: HalfContent
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


class Method(ABC, Generic[A]):
    """One way to split and compress. Subclasses hold no state: every call gets what it needs.

    Attributes:
        Arch: The parameters of its architecture, which every phase and the export see.
        Params: `Arch`, and `phases` with the parameters of each training phase; `Arch` itself without training.
        rate_axis: What its operating points are.
    """

    Arch: ClassVar[type[Strict]] = NoParams
    Params: ClassVar[type[Strict]] = NoParams
    rate_axis: ClassVar[Axis]
    family: ClassVar[str]
    """The group of methods that legends put it in: the folder of its file, where its class does not say another."""

    upstream_size_rule: ClassVar[Literal["codec", "codec_feature", "learned", "quantized"]] = "learned"
    """How upstream counts the data size: a codec's file, the files of features and the pickles of their minima and
    maxima, or the pickle of what a learned encoder gave: coded strings, or a tensor of 8-bit symbols
    (docs/papers.md#data-size)."""

    takes_encoder: ClassVar[bool] = False
    """Whether its encoder can be taken over from another benchmark, whatever the task there (`encoder_from`)."""

    trains_encoder_only: ClassVar[bool] = False
    """Whether that is all it trains: a run that takes it over has no training, and exports the other run's weights."""

    one_size: ClassVar[bool] = False
    """Whether its networks are made for one size of input, so that the benchmark needs `input.fit: crop`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "family" not in vars(cls):
            cls.family = cls.__module__.split(".")[-2]

    def phases(self) -> Sequence[str]:
        """Names of the training phases in order: the fields of `Params.phases`, none for a codec."""
        field = self.Params.model_fields.get("phases")
        if field is None:
            return ()
        assert field.annotation is not None
        return tuple(field.annotation.model_fields)

    def context(
        self,
        arch: Mapping[str, Any],
        point: str,
        input_spec: Mapping[str, Any],
        teacher: Mapping[str, Any],
        encoder: Mapping[str, Tensor] | None = None,
    ) -> BuildContext[A]:
        """Check what a job says of a network that is to be built: the door between plain values and typed ones.

        Args:
            arch: Values of `Arch`.
            point: An operating point that `rate_axis` allows.
            input_spec: Values of `InputSpec`.
            teacher: The content of a teacher's checkpoint.
            encoder: See `BuildContext`.

        Raises:
            ValidationError: A value is missing, unknown or not allowed.
        """
        from sc2.backbones.teacher import TeacherCheckpoint

        typed = cast(A, self.Arch.model_validate(arch))
        return BuildContext(typed, point, InputSpec.model_validate(input_spec), TeacherCheckpoint.of(teacher), encoder)

    def phase_params(self, phase: str, params: Mapping[str, Any]) -> Strict:
        """Check the parameters of one training phase.

        Raises:
            LookupError: The method has no such phase.
            ValidationError: A value is missing, unknown or not allowed.
        """
        if phase not in self.phases():
            raise LookupError(f"{type(self).__name__} has no training phase {phase!r}")
        phases = cast(type[Strict], self.Params.model_fields["phases"].annotation)
        return cast(type[Strict], phases.model_fields[phase].annotation).model_validate(params)

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

    def networks(self, arch: A) -> Mapping[str, BackboneSpec]:
        """Return the networks that the method builds by name beside the teacher, by the parameter that names them.

        Their files are part of the method's code, and their arguments are checked with the configuration.
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

    def training(self, params: Strict, context: BuildContext[A]) -> Recipe:
        """Return the recipe of one training phase.

        Args:
            params: The phase's own parameters; their class tells which phase it is.
            context: What the network is built from.
        """
        raise LookupError(f"{type(self).__name__} has no training phase with {type(params).__name__}")

    @abstractmethod
    def export(self, context: BuildContext[A], state: Mapping[str, Tensor] | None) -> Export:
        """Make the two halves from the last phase's weights (None for a method without training)."""

    @abstractmethod
    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the device half from what `export` gave, and nothing else."""

    @abstractmethod
    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the server half from what `export` gave, and nothing else."""
