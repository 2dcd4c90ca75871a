"""From an exported device half to an artifact without torch, and the comparison of the two on images.

The network is exported to ONNX by torch; tables and settings are copied. onnxruntime adds numbers in another order than
torch does, so that the last bits of the network's outputs differ, and a value that lies between two symbols may be
rounded to the other one. Everything after the network is the same to the last bit. `compare` holds the artifact to it.
"""

import importlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sc2.data.spec import InputSpec
from sc2.device.artifact import Artifact, split_arrays, write_artifact
from sc2.device.half import ArtifactHalf, tolerances
from sc2.device.senders import Analysed, differing
from sc2.errors import CheckpointError
from sc2.methods import module_of
from sc2.runs.halves import load_device
from sc2.runs.quantised import quantised
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable

_PROBE_PX = 128
_OPSET = 20


def portable_of(method: str, half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return a device half as its family describes it.

    Args:
        method: Name of the method.
        half: The device half.
        content: What it was built from.

    Raises:
        CheckpointError: The family does not say how.
    """
    family = module_of(method).rpartition(".")[0]
    try:
        module = importlib.import_module(f"{family}.portable")
    except ModuleNotFoundError as error:
        raise CheckpointError(f"{method} cannot be exported without torch: its family has no portable.py") from error
    portable: Portable = module.portable(half, content)
    return portable


def export_artifact(checkpoint: Path, folder: Path, calibration: Iterable[NDArray[np.uint8]] | None = None) -> Artifact:
    """Write the artifact of a device half.

    Args:
        checkpoint: `device.pt`, or the folder that holds it.
        folder: The artifact's folder.
        calibration: Images as the network takes them, uint8 [H, W, 3], for a network in 8 bits; None for float32.

    Raises:
        CheckpointError: There is no usable device half.
    """
    half, content = load_device(checkpoint)
    portable, spec = portable_of(content["method"], half, content["half"]), InputSpec.model_validate(content["input"])
    sender, tables = split_arrays(arrays_of(portable.sender))
    artifact = Artifact(
        method=content["method"],
        point=content["point"],
        task=content["task"],
        fingerprint=content["fingerprint"],
        input=spec,
        pixels=portable.pixels,
        multiple=portable.multiple,
        rates=tuple(portable.rates),
        step=portable.step,
        sender=sender,
    )
    network = None if portable.network is None else onnx_of(portable, spec)
    written = write_artifact(folder, artifact, network, tables)
    if calibration is None or network is None:
        return written
    network = quantised(network, map(ArtifactHalf(folder).inputs, calibration))
    return write_artifact(folder, artifact.model_copy(update={"precision": "int8"}), network, tables)


def onnx_of(portable: Portable, spec: InputSpec) -> bytes:
    """Return the ONNX file of a device half's network, for the size of its input or for any where it has several.

    Raises:
        CheckpointError: torch cannot export it.
    """
    assert portable.network is not None
    side = _PROBE_PX if spec.square is None else -(-spec.square // portable.multiple) * portable.multiple
    inputs: dict[str, Tensor] = {"x": torch.zeros(1, 3, side, side)}
    any_size = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    sizes: list[Any] = [any_size if spec.square is None else {}]
    if portable.rates:
        inputs["rates"] = torch.as_tensor(portable.sender["positions"])[:1]
        sizes.append({})
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # Of torch's and onnxscript's own code; nothing of it concerns the network.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                portable.network.eval(),
                tuple(inputs.values()),
                dynamo=True,
                opset_version=_OPSET,
                dynamic_shapes=tuple(sizes),
                input_names=list(inputs),
                verbose=False,
            )
    except RuntimeError as error:
        raise CheckpointError(f"torch cannot export the network to ONNX: {error}") from error
    assert program is not None
    return _stripped(program.model_proto)


def _stripped(model: Any) -> bytes:
    """Return an ONNX model without what only describes its making: lines of code, files of this machine."""
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def arrays_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested plain values with arrays in place of tensors."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return arrays_of(value)
        return np.ascontiguousarray(value.detach().numpy()) if isinstance(value, Tensor) else value

    return {key: plain(value) for key, value in content.items()}


@dataclass
class Comparison:
    """How an artifact's payloads differ from those of the half that it was exported from.

    Attributes:
        images: Images that were encoded.
        same: Images with the same payload.
        symbols: Integers sent, in all images.
        ties: Integers that are another one: their value lay within the tolerance (`sc2.device.half`) of the middle
            between the two, or depends on one that did.
        side_only: Images of which only real numbers that are sent with the integers differ, in their last bits.
        largest: The largest difference of an output of the network, in units of the tolerance.
        bytes: Bytes of the artifact's payloads.
        torch_bytes: Bytes of the payloads of the half.
    """

    images: int = 0
    same: int = 0
    symbols: int = 0
    ties: int = 0
    side_only: int = 0
    largest: float = 0.0
    bytes: int = 0
    torch_bytes: int = 0


def compare(checkpoint: Path, folder: Path, images: Iterable[NDArray[np.uint8]]) -> Comparison:
    """Encode images with a device half and with its artifact, and account for every difference.

    Args:
        checkpoint: The device half.
        folder: The artifact.
        images: uint8 [H, W, 3], as the network takes them.

    Raises:
        CheckpointError: The artifact is of another half; its network is further from torch's than the tolerance; or it
            sends something else for the same outputs of the network, or other bytes for the same integers.
    """
    half, content = load_device(checkpoint)
    portable, artifact = portable_of(content["method"], half, content["half"]), ArtifactHalf(folder)
    if artifact.artifact.fingerprint != content["fingerprint"]:
        raise CheckpointError(f"{folder} was exported from another device half than {checkpoint}; export it again")
    found = Comparison()
    for pixels in images:
        _compare(half, portable, artifact, pixels, found)
    return found


def _compare(
    half: DeviceHalf, portable: Portable, artifact: ArtifactHalf, pixels: NDArray[np.uint8], found: Comparison
) -> None:
    name = f"image {found.images}"
    expected, own = half.encode(pixels), artifact.analyse(pixels)
    reference = own if portable.network is None else analysed(portable, artifact, pixels)
    if artifact.sender.send(reference) != expected:
        raise CheckpointError(f"{name}: for the same outputs of the network, the artifact sends something else")
    if portable.network is not None:
        found.largest = max(found.largest, *map(tolerances, own.values, reference.values))
    if found.largest > 1 and artifact.artifact.precision == "float32":
        raise CheckpointError(f"{name}: the network's outputs are {found.largest:.1f} tolerances away from torch's")
    sent, symbols = artifact.sender.send(own), artifact.sender.symbols(own)
    ties = differing(symbols, artifact.sender.symbols(reference))
    if sent != expected and not ties and not artifact.sender.side_values:
        raise CheckpointError(f"{name}: the artifact sends other bytes for the same symbols")
    found.images += 1
    found.same += sent == expected
    found.symbols += sum(array.size for array in symbols)
    found.ties += ties
    found.side_only += sent != expected and not ties
    found.bytes += sent.num_bytes
    found.torch_bytes += expected.num_bytes


def analysed(portable: Portable, artifact: ArtifactHalf, pixels: NDArray[np.uint8]) -> Analysed:
    """Return what torch's network makes of an image."""
    assert portable.network is not None
    inputs = [torch.from_numpy(values) for values in artifact.inputs(pixels).values()]
    with torch.no_grad():
        outputs = portable.network(*inputs)
    tensors = outputs if isinstance(outputs, tuple) else (outputs,)
    height, width = pixels.shape[:2]
    return Analysed(tuple(each.numpy() for each in tensors), height, width, artifact.step)
