"""What a method is: its parameters, its rate axis, its training phases and its two halves. Imports no torch.

One method = one file `sc2/methods/<family>/<name>.py` with a subclass of `Method` called `METHOD`, and one YAML.
Networks are imported inside functions, so that a configuration can be validated, and a workflow planned, without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast

from sc2.data.spec import InputSpec
from sc2.split.axes import Axis
from sc2.split.content import HalfContent
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
    """Nothing to set: the operating point determines everything."""


@dataclass(frozen=True)
class BuildContext(Generic[A]):
    """What a method needs to build its network, both for training and for export; `Method.context` validates it.

    Attributes:
        arch: The method's parameters without those of its training phases.
        point: The operating point.
        input: The benchmark's input.
        teacher: The teacher's checkpoint.
        encoder: Weights of the method's network from another benchmark, which are reused and frozen (`encoder_from`).
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


@dataclass(frozen=True)
class Export:
    """The two halves of a trained split.

    Attributes:
        device: Everything the device needs to encode.
        server: Everything the server needs to decode and to run the rest of the task model.
        upstream_encoder_state: The state dict whose size upstream would report as the encoder's
            (docs/papers.md#encoder-size).
    """

    device: HalfContent
    server: HalfContent
    upstream_encoder_state: dict[str, Tensor]


class DeviceHalf(ABC):
    """The encoder as it runs on the device."""

    network: nn.Module | None = None
    tables: Mapping[str, Tensor]

    rates: Sequence[str] = ()
    """Operating points that it can send at, from the fewest bytes to the most; empty where it has one only."""

    def at(self, rate: str) -> DeviceHalf:
        """Return the same half sending at another of its `rates`."""
        raise NotImplementedError(f"{type(self).__name__} has one rate only")

    @abstractmethod
    def analyse(self, pixels: np.ndarray) -> Any:
        """Run the encoder network on one image (uint8 [H, W, 3], RGB) and return the input of `code`."""

    def analyse_all(self, images: Sequence[np.ndarray]) -> list[Any]:
        """Return what `analyse` returns for each image of one size; `split.batches` has halves that do it at once."""
        return [self.analyse(pixels) for pixels in images]

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
        """Decode one payload into the tensor [1, …] that `answer` takes.

        Raises:
            WireError: The payload cannot be decoded.
        """

    def decode_all(self, payloads: Sequence[Payload]) -> list[Tensor]:
        """Return what `decode` returns for each payload; it may do what they have in common for all at once."""
        return [self.decode(payload) for payload in payloads]

    @abstractmethod
    def answer(self, batch: Tensor) -> Any:
        """Run the rest of the task model on a batch [B, …] of decoded tensors of one size.

        Returns:
            The task's output, which `Task.answers` splits by image: logits [B, K] in classification. Boxes and masks
            are in pixels of the network's input.
        """


class Method(ABC, Generic[A]):
    """One way to split and compress. Subclasses are stateless: every call receives what it needs.

    Attributes:
        Arch: The parameters of its architecture, used by every phase and by the export.
        Params: `Arch`, and `phases` with the parameters of each training phase; `Arch` itself without training.
        rate_axis: What its operating points are.
    """

    Arch: ClassVar[type[Strict]] = NoParams
    Params: ClassVar[type[Strict]] = NoParams
    rate_axis: ClassVar[Axis]
    family: ClassVar[str]
    """The group of methods that legends list it under; by default the folder of its file."""

    upstream_size_rule: ClassVar[Literal["codec", "codec_feature", "learned", "quantized"]] = "learned"
    """How upstream counts the data size: the codec's file; the files of features and the pickles of their minima and
    maxima; or the pickle of a learned encoder's output, which is coded strings or a tensor of 8-bit symbols
    (docs/papers.md#data-size)."""

    takes_encoder: ClassVar[bool] = False
    """Whether its encoder can be reused from another benchmark, whatever the task there (`encoder_from`)."""

    trains_encoder_only: ClassVar[bool] = False
    """Whether it trains only the encoder: a run that reuses one has no training and exports the other run's weights."""

    one_training: ClassVar[bool] = False
    """Whether one training gives every operating point: that of the first point in a grid, which must not depend on
    the point. The other points export its weights."""

    one_size: ClassVar[bool] = False
    """Whether its networks need one fixed input size, so that the benchmark must have `input.fit: crop`."""

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
        """Validate what a job says about the network to build: this is where plain values become typed ones.

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
        """Validate the parameters of one training phase.

        Raises:
            LookupError: The method has no such phase.
            ValidationError: A value is missing, unknown or not allowed.
        """
        if phase not in self.phases():
            raise LookupError(f"{type(self).__name__} has no training phase {phase!r}")
        phases = cast(type[Strict], self.Params.model_fields["phases"].annotation)
        return cast(type[Strict], phases.model_fields[phase].annotation).model_validate(params)

    def unsupported(self, task: str) -> str | None:
        """Return why the method cannot run on a task, so that the plan leaves it out there; None when it can."""
        return None

    def curve(self, point: str) -> str:
        """Name the curve that an operating point lies on, for a method whose points form several.

        Returns:
            A short label for legends, e.g. the layer that is split after; empty where the method has one curve.
        """
        return ""

    def point_problem(self, arch: A, point: str) -> str | None:
        """Say why an operating point that the axis allows does not go with an architecture; None where it does."""
        return None

    def architecture(self, arch: A, point: str) -> Hashable:
        """Return what an operating point says about the shapes of the trained weights.

        Points of which it is equal may start from each other's weights (`chain` in a benchmark). By default it is the
        point itself: every point is taken to have weights of its own shapes unless the method says otherwise.

        Args:
            arch: The method's parameters without those of its training phases.
            point: An operating point that `rate_axis` allows.
        """
        return point

    def networks(self, arch: A) -> Mapping[str, BackboneSpec]:
        """Return the networks that the method builds besides the teacher, keyed by the parameter that names them.

        Their files count as the method's code, and their arguments are validated with the configuration.
        """
        return {}

    def codec_header_bytes(self, payload: Payload) -> int | None:
        """Return the bytes of the payload that are headers and tables of a codec's format; None for learned methods."""
        return None

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Return the bits that the entropy model predicts for the result of `analyse`; None without such a model."""
        return None

    def side_measures(self, device: DeviceHalf, latent: Any, payload: Payload) -> Mapping[str, float]:
        """Return further measures of an image, named with their unit, e.g. `huffman_bytes`; the names never change."""
        return {}

    def training(self, params: Strict, context: BuildContext[A]) -> Recipe:
        """Return the recipe of one training phase.

        Args:
            params: The phase's own parameters; their class identifies the phase.
            context: What the network is built from.
        """
        raise LookupError(f"{type(self).__name__} has no training phase with {type(params).__name__}")

    def reuse_encoder(self, network: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Load the encoder of another benchmark's network, given by its state, into one that is to be trained.

        Only for a method that takes an encoder and trains the rest.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no encoder that is a part of a trained network")

    @abstractmethod
    def export(self, context: BuildContext[A], state: Mapping[str, Tensor] | None) -> Export:
        """Build the two halves from the last phase's weights (None for a method without training)."""

    @abstractmethod
    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the device half from the plain content that `export` returned, and nothing else."""

    @abstractmethod
    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the server half from the plain content that `export` returned, and nothing else."""
