"""A device half as a folder of files that need no torch: `half.json`, `network.onnx`, `tables.safetensors`.

`half.json` says how an image becomes the network's input, how its outputs are rounded and coded, at which rates, and
the fingerprint that containers name; it holds the hashes of the other two files and of itself. A method without a
network or without tables has no such file.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from sc2.data.spec import InputSpec
from sc2.errors import CheckpointError
from sc2.split.wire import FINGERPRINT_BYTES, VERSION
from sc2.strict import Sha256, Strict
from sc2.system.atomic import replacing

HALF, NETWORK, TABLES = "half.json", "network.onnx", "tables.safetensors"
FORMAT: Final = "sc2 device half"
FORMAT_VERSION: Final = 1
_LARGEST_HALF = 2**24


class Artifact(Strict):
    """What `half.json` says.

    Attributes:
        format: The kind of file.
        version: Version of this layout.
        method: Name of the method.
        point: The operating point of the export.
        task: The benchmark's task, for which a server half was exported too.
        fingerprint: The device half that containers name, hex.
        wire: Version of the wire format in which payloads are coded.
        precision: `float32`, or `int8` where the network's weights and activations were quantised.
        input: How an image becomes pixels, and pixels numbers.
        pixels: What the network takes: `normalised` (x / 255 - mean) / std; `unit` x / 255, padded with zeros at the
            right and the bottom to multiples of `multiple`; `none` where there is no network.
        multiple: See `pixels`.
        rates: Operating points that it can send at; empty where it has one only.
        step: The index of the rate at which it sends.
        sender: `kind`, and what that needs (`sc2.device.senders`); arrays are in `tables.safetensors`, under the keys'
            path.
        files: SHA-256 of the other files, by name.
    """

    format: Literal["sc2 device half"] = FORMAT
    version: Literal[1] = FORMAT_VERSION
    method: str
    point: str
    task: str
    fingerprint: str
    wire: int = VERSION
    precision: Literal["float32", "int8"] = "float32"
    input: InputSpec
    pixels: Literal["normalised", "unit", "none"]
    multiple: int = 1
    rates: tuple[str, ...] = ()
    step: int = 0
    sender: dict[str, Any]
    files: dict[str, Sha256] = Field(default={})


def is_artifact(path: Path) -> bool:
    """Return whether a path is an artifact's folder, or the `half.json` in it."""
    return path.name == HALF or (path / HALF).is_file()


def write_artifact(
    folder: Path, artifact: Artifact, network: bytes | None, tables: Mapping[str, NDArray[Any]]
) -> Artifact:
    """Write an artifact's files; equal content gives equal bytes.

    Args:
        folder: Made if it is not there.
        artifact: Everything but `files`.
        network: The ONNX file, or None.
        tables: Arrays by the path of their keys in `sender`, e.g. `tables.cdf`.

    Returns:
        The artifact with the hashes of its files.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    contents = {NETWORK: network, TABLES: save(dict(tables)) if tables else None}
    files = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items() if data is not None}
    written = artifact.model_copy(update={"files": files})
    plain = written.model_dump(mode="json")
    text = json.dumps({**plain, "sha256": _digest(plain)}, indent=1, ensure_ascii=False) + "\n"
    # The file that names the others comes last: until then there is no artifact.
    (folder / HALF).unlink(missing_ok=True)
    for name, data in contents.items():
        if data is None:
            (folder / name).unlink(missing_ok=True)
        else:
            _write(folder / name, data)
    _write(folder / HALF, text.encode())
    return written


def read_artifact(path: Path) -> tuple[Artifact, bytes | None, dict[str, Any]]:
    """Read an artifact and check every byte of it.

    Args:
        path: The folder, or its `half.json`.

    Returns:
        What `half.json` says; the ONNX file or None; and the sender's content with its arrays in place.

    Raises:
        CheckpointError: A file is missing, damaged, or of another version.
    """
    folder = path.parent if path.name == HALF else path
    artifact = _read_half(folder / HALF)
    contents = {name: _checked(folder / name, digest) for name, digest in artifact.files.items()}
    sender = json.loads(json.dumps(artifact.sender))
    if TABLES in contents:
        from safetensors.numpy import load

        for name, array in load(contents[TABLES]).items():
            _put(sender, name.split("."), array)
    return artifact, contents.get(NETWORK), sender


def split_arrays(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return nested plain values without the arrays among them, and those by the path of their keys."""
    plain: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            plain[key], inner = split_arrays(value)
            arrays |= {f"{key}.{name}": array for name, array in inner.items()}
        elif isinstance(value, np.ndarray):
            arrays[key] = value
        else:
            plain[key] = value
    return plain, arrays


def _put(content: dict[str, Any], path: list[str], array: NDArray[Any]) -> None:
    for key in path[:-1]:
        content = content.setdefault(key, {})
    content[path[-1]] = array


def _read_half(path: Path) -> Artifact:
    try:
        size = path.stat().st_size
        content = json.loads(path.read_bytes()) if size <= _LARGEST_HALF else None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; write it with sc2 export-device") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}; export it again: sc2 export-device") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a device half that sc2 export-device wrote")
    if content.get("version") != FORMAT_VERSION:
        raise CheckpointError(f"{path} has version {content.get('version')}; this program reads {FORMAT_VERSION}")
    stored = content.pop("sha256", None)
    if stored != _digest(content):
        raise CheckpointError(f"{path} is damaged or edited: its content does not have its SHA-256; export it again")
    try:
        artifact = Artifact.model_validate(content)
        fits = len(bytes.fromhex(artifact.fingerprint)) == FINGERPRINT_BYTES
    except (ValidationError, ValueError) as error:
        raise CheckpointError(f"{path} is not what this version of sc2 writes; export it again: {error}") from error
    if not fits or artifact.wire != VERSION or set(artifact.files) - {NETWORK, TABLES}:
        raise CheckpointError(f"{path} was written for another version of the wire format; export it again")
    return artifact


def _checked(path: Path, digest: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; the artifact is incomplete") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(f"{path} is damaged: it does not have the SHA-256 that {HALF} names; export it again")
    return data


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)
