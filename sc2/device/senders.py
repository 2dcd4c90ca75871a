"""From what the network returns to a payload: one class for each way that methods send, without torch.

An artifact names its sender and holds what that needs (`SENDERS`). docs/wire-format.md#streams-of-each-method says what
each of them sends.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sc2.data.image_codec import compress
from sc2.device.latents import ChannelCoder, HyperpriorCoder, JointCoder, LatentCoder
from sc2.entropy.affine import packed, quantised
from sc2.entropy.pictures import to_pictures
from sc2.errors import CheckpointError
from sc2.split.wire import Payload


@dataclass(frozen=True)
class Analysed:
    """What is sent of an image, before it is rounded and coded.

    Attributes:
        values: The network's outputs, float32; without a network the pixels, uint8 [H, W, 3].
        height: Height of the image (pixels).
        width: Width of the image (pixels).
        step: The rate at which it is sent, counted from 0; 0 where there is one only.
    """

    values: tuple[NDArray[Any], ...]
    height: int
    width: int
    step: int = 0


class Sender(ABC):
    """Turns analysed images into payloads."""

    side_values = False
    """Whether real numbers are sent as well as integers: their last bits are those of the network's arithmetic."""

    @abstractmethod
    def symbols(self, analysed: Analysed) -> tuple[NDArray[Any], ...]:
        """Return the integers that are sent."""

    @abstractmethod
    def send(self, analysed: Analysed) -> Payload:
        """Return the payload."""


class LatentSender(Sender):
    """An entropy-coded latent.

    Args:
        content: `prior`, the kind of entropy model; `tables`, what it needs; `shape`, what the wire says of the size:
            `latent` or `image`; `rates`, whether the step of the rate stands before that.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        priors: dict[str, Callable[[Mapping[str, Any]], LatentCoder]] = {
            "channels": ChannelCoder,
            "hyperprior": HyperpriorCoder,
            "joint": JointCoder,
        }
        self.coder = priors[content["prior"]](content["tables"])
        self.of_image, self.rates = content["shape"] == "image", bool(content["rates"])

    def symbols(self, analysed: Analysed) -> tuple[NDArray[Any], ...]:
        """Return the symbols of each latent, side information first."""
        return self.coder.rounded(analysed.values).symbols

    def send(self, analysed: Analysed) -> Payload:
        """Code the latent into one stream."""
        stream = self.coder.stream(self.coder.rounded(analysed.values), analysed.step)
        height, width = analysed.values[0].shape[2:]
        size = (analysed.height, analysed.width) if self.of_image else (int(height), int(width))
        return Payload((stream,), (analysed.step, *size) if self.rates else size)


class AffineSender(Sender):
    """A tensor in 8 bits over its own range, without an entropy coder; `sc2.entropy.affine` has the formula.

    Args:
        content: Nothing.
    """

    side_values = True

    def __init__(self, content: Mapping[str, Any]) -> None:
        pass

    def symbols(self, analysed: Analysed) -> tuple[NDArray[Any], ...]:
        """Return the quantised tensor, uint8 [1, C, h, w]."""
        return (quantised(analysed.values[0])[0].astype(np.uint8),)

    def send(self, analysed: Analysed) -> Payload:
        """Write scale, zero point and symbols."""
        symbols, scale, zero_point = quantised(analysed.values[0])
        _, channels, height, width = symbols.shape
        return Payload((packed(scale, zero_point, symbols.astype(np.uint8).tobytes()),), (channels, height, width))


class PictureSender(Sender):
    """Groups of channels as files of an image codec; `sc2.entropy.pictures` has the formula.

    Args:
        content: `format`, Pillow's name, and `options` of its encoder.
    """

    side_values = True

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.format, self.options = str(content["format"]), dict(content["options"])

    def symbols(self, analysed: Analysed) -> tuple[NDArray[Any], ...]:
        """Return the pictures, uint8 [H, W, 3] or [H, W]."""
        return tuple(to_pictures(analysed.values[0][0])[0])

    def send(self, analysed: Analysed) -> Payload:
        """Compress the pictures: minima and maxima first, then a file for each."""
        pictures, bounds = to_pictures(analysed.values[0][0])
        files = [compress(Image.fromarray(picture), self.format, self.options) for picture in pictures]
        return Payload((bounds.tobytes(), *files), ())


class LabelSender(Sender):
    """The classes with the largest logits, best first.

    Args:
        content: `num_labels`, how many are sent; `width`, bytes of each.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.num_labels, self.width = int(content["num_labels"]), int(content["width"])

    def symbols(self, analysed: Analysed) -> tuple[NDArray[Any], ...]:
        """Return the classes, int64 [n]; ties go to the lower index."""
        return (np.argsort(-analysed.values[0][0], kind="stable")[: self.num_labels],)

    def send(self, analysed: Analysed) -> Payload:
        """Write the classes, lowest byte first."""
        (labels,) = self.symbols(analysed)
        return Payload((b"".join(label.to_bytes(self.width, "little") for label in labels.tolist()),), ())

    def labels(self, payload: Payload) -> list[int]:
        """Return the classes of a payload that `send` made, best first."""
        [data] = payload.streams
        return [int.from_bytes(data[at : at + self.width], "little") for at in range(0, len(data), self.width)]


class _PixelSender(Sender):
    def symbols(self, analysed: Analysed) -> tuple[NDArray[Any], ...]:
        """Return nothing: no value is rounded."""
        return ()

    def send(self, analysed: Analysed) -> Payload:
        """Compress the image: one stream without a shape."""
        return Payload((self.compress(analysed.values[0]),), ())

    @abstractmethod
    def compress(self, pixels: NDArray[np.uint8]) -> bytes:
        """Return the file of an image, uint8 [H, W, 3]."""


class ImageSender(_PixelSender):
    """The image as a file of one of Pillow's formats.

    Args:
        content: `format`, Pillow's name, and `options` of its encoder.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.format, self.options = str(content["format"]), dict(content["options"])

    def compress(self, pixels: NDArray[np.uint8]) -> bytes:
        """Return the file of an image, uint8 [H, W, 3]."""
        return compress(Image.fromarray(pixels), self.format, self.options)


class BpgSender(_PixelSender):
    """The image as a BPG file; needs PyAV, or libbpg's program.

    Args:
        content: `qp`, and `codec`: `own` or `libbpg`.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.qp, self.codec = int(content["qp"]), str(content["codec"])

    def compress(self, pixels: NDArray[np.uint8]) -> bytes:
        """Return the file of an image, uint8 [H, W, 3].

        Raises:
            SC2Error: The encoder is not installed, or fails.
        """
        from sc2.bpg import tools
        from sc2.bpg.encode import encode

        try:
            return tools.encode(pixels, self.qp) if self.codec == "libbpg" else encode(pixels, self.qp)
        except ModuleNotFoundError as error:
            raise CheckpointError("BPG needs PyAV on the device: pip install av") from error


SENDERS: dict[str, Callable[[Mapping[str, Any]], Sender]] = {
    "latent": LatentSender,
    "affine": AffineSender,
    "pictures": PictureSender,
    "labels": LabelSender,
    "image": ImageSender,
    "bpg": BpgSender,
}


def sender_of(content: Mapping[str, Any]) -> Sender:
    """Return the sender that an artifact names.

    Raises:
        CheckpointError: There is no such sender, or what it needs is missing.
    """
    try:
        return SENDERS[content["kind"]](content)
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the artifact's coder cannot be built ({type(error).__name__}: {error}); it was written by another "
            "version of sc2, or is damaged: export it again"
        ) from error


def differing(one: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> int:
    """Return how many integers differ."""
    return sum(int((a != b).sum()) for a, b in zip(one, other, strict=True))
