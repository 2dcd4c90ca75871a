"""The device half of an artifact: numpy, onnxruntime, Pillow and constriction; no torch."""

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sc2.data.spec import InputSpec
from sc2.device.artifact import NETWORK, Artifact, read_artifact
from sc2.device.senders import Analysed, LabelSender, sender_of
from sc2.errors import CheckpointError, WireError
from sc2.split.wire import Payload

TOLERANCE = 1e-5
"""How far an output of the network may lie from torch's, in units of a symbol, or of the largest output above 1."""


class ArtifactHalf:
    """Encodes images with an artifact.

    Args:
        path: The artifact's folder.

    Attributes:
        artifact: What `half.json` says.
        sender: Rounds and codes what the network returns.
        rates: Operating points that it can send at, from the fewest bytes to the most; empty where it has one only.

    Raises:
        CheckpointError: The artifact is missing, damaged, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.artifact, network, content = read_artifact(path)
        self.sender = sender_of(content)
        self.rates, self.step = self.artifact.rates, self.artifact.step
        self._positions = content.get("positions")
        self._session = None if network is None else _session(network, path)

    @property
    def input(self) -> InputSpec:
        """How an image becomes the network's input."""
        return self.artifact.input

    @property
    def fingerprint(self) -> bytes:
        """What containers name."""
        return bytes.fromhex(self.artifact.fingerprint)

    def at(self, rate: str) -> "ArtifactHalf":
        """Return the same half at another of its rates."""
        other = copy(self)
        other.step = self.rates.index(rate)
        return other

    def encode(self, pixels: NDArray[np.uint8]) -> Payload:
        """Turn one image (uint8 [H, W, 3], RGB, already resized and cropped) into bytes."""
        return self.sender.send(self.analyse(pixels))

    def analyse(self, pixels: NDArray[np.uint8]) -> Analysed:
        """Run the network on one image, uint8 [H, W, 3].

        Raises:
            WireError: It returns values that are not finite.
        """
        height, width = pixels.shape[:2]
        if self._session is None:
            return Analysed((pixels,), height, width, self.step)
        values = tuple(self._session.run(None, self.inputs(pixels)))
        if not all(np.isfinite(value).all() for value in values):
            raise WireError("the network returns values that are not finite; is the model sound?")
        return Analysed(values, height, width, self.step)

    def labels(self, payload: Payload) -> list[int] | None:
        """Return the classes in a payload, best first, where the device classifies itself; None otherwise."""
        return self.sender.labels(payload) if isinstance(self.sender, LabelSender) else None

    def inputs(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the network's inputs for an image, uint8 [H, W, 3]: `x` [1, 3, h, w], and `rates` [1, R] if it has."""
        inputs = {"x": prepared(pixels, self.artifact)}
        if self._positions is not None:
            inputs["rates"] = self._positions[self.step : self.step + 1]
        return inputs


def prepared(pixels: NDArray[np.uint8], artifact: Artifact) -> NDArray[np.float32]:
    """Return an image, uint8 [H, W, 3], as the network takes it, float32 [1, 3, h, w]."""
    x = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) / np.float32(255)
    if artifact.pixels == "unit":
        down, right = (-side % artifact.multiple for side in x.shape[2:])
        return np.pad(x, ((0, 0), (0, 0), (0, down), (0, right)))
    mean, std = (
        np.array(values, np.float32).reshape(1, 3, 1, 1) for values in (artifact.input.mean, artifact.input.std)
    )
    return (x - mean) / std


def tolerances(own: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the largest difference between two outputs of a network, in units of `TOLERANCE`."""
    largest = float(np.abs(own - reference).max(initial=0.0))
    return largest / (TOLERANCE * max(1.0, float(np.abs(reference).max(initial=0.0))))


def _session(network: bytes, path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread, as the torch path is measured; a device's image is too small for more.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class for each of its states
        reason = str(error).partition("\n")[0][:160]
        raise CheckpointError(f"{path}: onnxruntime cannot run {NETWORK}: {reason}") from error
