"""Pixels on the link: the device compresses the image, the server decompresses it and runs the whole teacher.

    device            wire             server
    x ─ compress ─► one stream ─► decompress ─ x̂ ─ teacher ─► its output

There is no network on the device and nothing to train. A method of this kind consists of an encoder, a decoder, and
the meaning of an operating point for them. Imports no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator

from sc2.backbones.spec import NetworkSpec
from sc2.data.spec import InputSpec
from sc2.errors import WireError
from sc2.split.content import HalfContent
from sc2.split.method import A, BuildContext, DeviceHalf, Export, Method, ServerHalf
from sc2.split.wire import Payload

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    State = dict[str, Tensor]
else:

    def _tensor(value: Any) -> Any:
        from torch import Tensor

        if not isinstance(value, Tensor):
            raise ValueError("must be a tensor")
        return value

    # The same type for pydantic, but torch is imported only once there are weights to check.
    State = dict[str, Annotated[Any, AfterValidator(_tensor)]]


class WholeTeacher(HalfContent):
    """What a server needs to run the whole teacher.

    Attributes:
        input: How pixels become the network's input, and which sizes are possible.
        backbone: The network.
        num_classes: Classes of the data set.
        state: Its weights.
    """

    input: InputSpec
    backbone: NetworkSpec
    num_classes: int
    state: State


class PixelEncoder(HalfContent, ABC):
    """A compressor and its settings: everything on the device."""

    @abstractmethod
    def compress(self, pixels: np.ndarray) -> bytes:
        """Compress one image (uint8 [H, W, 3], RGB)."""


class PixelDecoder(WholeTeacher, ABC):
    """A decompressor, its settings, and the teacher: everything on the server."""

    @abstractmethod
    def decompress(self, data: bytes) -> np.ndarray:
        """Decompress the result of `compress` into an image, uint8 [H, W, 3], RGB.

        Raises:
            WireError: The bytes are damaged, or the image has a size that the network's input cannot have.
        """


def whole_teacher(context: BuildContext[A]) -> dict[str, Any]:
    """Return the fields of `WholeTeacher`, for the constructor of a decoder."""
    teacher = WholeTeacher(
        input=context.input,
        backbone=context.teacher.backbone,
        num_classes=context.num_classes,
        state=context.teacher.state,
    )
    return dict(teacher)


class PixelDevice(DeviceHalf):
    """Compresses the resized image."""

    def __init__(self, encoder: PixelEncoder) -> None:
        self.encoder = encoder
        self.tables = {}

    def analyse(self, pixels: np.ndarray) -> np.ndarray:
        """Return the image unchanged, uint8 [H, W, 3]."""
        return pixels

    def code(self, latent: np.ndarray) -> Payload:
        """Compress the image, uint8 [H, W, 3]: one stream without a shape."""
        return Payload((self.encoder.compress(latent),), ())


class PixelServer(ServerHalf):
    """Decompresses the image and runs the whole teacher."""

    def __init__(self, decoder: PixelDecoder) -> None:
        from sc2.backbones.build import build_network

        self.network = build_network(decoder.backbone, decoder.num_classes)
        self.network.load_state_dict(decoder.state)
        self.network.eval().requires_grad_(False)
        # The network holds the weights from here on.
        self.decoder = decoder.model_copy(update={"state": {}})

    def decode(self, payload: Payload) -> Tensor:
        """Return the decompressed image as the network's input [1, 3, H, W]."""
        from sc2.data.normalise import normalise, to_batch

        if len(payload.streams) != 1 or payload.shape:
            raise WireError("a payload of pixels is one stream without a shape")
        return normalise(to_batch(self.decoder.decompress(payload.streams[0])), self.decoder.input)

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for images [B, 3, H, W]."""
        from torch import no_grad

        with no_grad():
            return self.network(batch)


class SendsPixels(Method[A]):
    """A method that sends the image.

    Attributes:
        Encoder: What runs on the device.
        Decoder: What runs on the server.
    """

    Encoder: ClassVar[type[PixelEncoder]]
    Decoder: ClassVar[type[PixelDecoder]]
    upstream_size_rule = "codec"

    @abstractmethod
    def codec(self, context: BuildContext[A]) -> tuple[PixelEncoder, PixelDecoder]:
        """Return the encoder and the decoder of an operating point."""

    def export(self, context: BuildContext[A], state: Mapping[str, Tensor] | None) -> Export:
        """Return the settings of the codec and the whole teacher."""
        assert state is None
        encoder, decoder = self.codec(context)
        return Export(device=encoder, server=decoder, upstream_encoder_state={})

    def load_device(self, blob: Mapping[str, Any]) -> PixelDevice:
        """Build the compressor."""
        return PixelDevice(self.Encoder.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> PixelServer:
        """Build the decompressor and the teacher."""
        return PixelServer(self.Decoder.model_validate(blob))
