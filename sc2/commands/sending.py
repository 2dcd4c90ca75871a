"""A device half, of either kind, and what it makes of image files. torch is imported only for a `device.pt`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sc2.data.archive import LARGEST_IMAGE
from sc2.data.spec import InputSpec
from sc2.data.transform import decode_image, prepare_image
from sc2.device.artifact import is_artifact
from sc2.errors import DataError
from sc2.split.rates import Encodes, at_rate, within
from sc2.split.wire import Payload, pack


@dataclass(frozen=True)
class Device:
    """A device half, ready to encode.

    Attributes:
        half: Turns pixels into payloads.
        input: How an image becomes pixels.
        fingerprint: What containers name.
    """

    half: Encodes
    input: InputSpec
    fingerprint: bytes

    def container(self, data: bytes, name: str, *, budget: int | None = None) -> tuple[bytes, Payload]:
        """Return the container of an image file, and its payload.

        Args:
            data: The whole image file.
            name: What to call it in an error message.
            budget: Most bytes of the container: the highest rate that fits is sent.

        Raises:
            ConfigError: The image fits into the budget at no rate.
            DataError: The image cannot be decoded.
        """
        payload = self.payload(data, name, budget=budget, sent_bytes=lambda sent: len(pack(sent, self.fingerprint)))
        return pack(payload, self.fingerprint), payload

    def payload(self, data: bytes, name: str, *, budget: int | None, sent_bytes: Callable[[Payload], int]) -> Payload:
        """Return the payload of an image file, to be sent in whatever form.

        Args:
            data: The whole image file.
            name: What to call it in an error message.
            budget: Most bytes to send: the highest rate that fits is chosen; None takes the half's own.
            sent_bytes: How many bytes are sent for a payload, with what goes around it.

        Raises:
            ConfigError: The image fits into the budget at no rate.
            DataError: The image cannot be decoded.
        """
        pixels = np.asarray(prepare_image(decode_image(data, name), self.input))
        return self.half.encode(pixels) if budget is None else within(self.half, pixels, budget, sent_bytes=sent_bytes)

    def labels(self, payload: Payload) -> list[int] | None:
        """Return the classes in a payload, best first, where the device classifies itself; None otherwise."""
        read = getattr(self.half, "labels", None)
        found: list[int] | None = None if read is None else read(payload)
        return found


def open_device(checkpoint: Path, rate: str | None = None) -> Device:
    """Return a device half.

    Args:
        checkpoint: An artifact's folder, or `device.pt` or the folder that holds it.
        rate: Another operating point of a half with several.

    Raises:
        CheckpointError: There is no usable device half.
        ConfigError: It does not have this rate.
    """
    half: Encodes
    if is_artifact(checkpoint):
        from sc2.device.half import ArtifactHalf

        half = artifact = ArtifactHalf(checkpoint)
        spec, fingerprint = artifact.input, artifact.fingerprint
    else:
        from sc2.runs.halves import load_device

        half, content = load_device(checkpoint)
        spec, fingerprint = InputSpec.model_validate(content["input"]), bytes.fromhex(content["fingerprint"])
    return Device(half if rate is None else at_rate(half, rate), spec, fingerprint)


def read_image(path: Path) -> bytes:
    """Return an image's file.

    Raises:
        DataError: It cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_IMAGE + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > LARGEST_IMAGE:
        raise DataError(f"{path}: larger than {LARGEST_IMAGE} bytes, the most that is read of an image")
    return data


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file.

    Raises:
        DataError: It cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error
