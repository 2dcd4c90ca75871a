"""Checkpoints on disk: teachers, training phases, and the two halves of an exported split.

Every file is a `torch.save` of plain values and tensors with a `kind`, read with `weights_only=True`. The fingerprint
of a device half is in every container it writes and in the server half that was exported with it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from torch import Tensor

from sc2.checkpoint import load_checkpoint
from sc2.data.spec import InputSpec, PixelSpec
from sc2.errors import CheckpointError
from sc2.methods import get_method
from sc2.split.method import DeviceHalf, ServerHalf
from sc2.split.wire import FINGERPRINT_BYTES

Half = TypeVar("Half", DeviceHalf, ServerHalf)


def half_path(checkpoint: Path, kind: Literal["device", "server"]) -> Path:
    """Return the file of a half: `checkpoint` itself, or the file in the folder `checkpoint`."""
    return checkpoint / f"{kind}.pt" if checkpoint.is_dir() else checkpoint


def load_device(checkpoint: Path) -> tuple[DeviceHalf, dict[str, Any]]:
    """Load a device half, without the server half; also returns its content (`input`, `fingerprint`, …).

    Raises:
        CheckpointError: There is no usable device half, or its content does not match its fingerprint.
    """
    path = half_path(checkpoint, "device")
    content = load_checkpoint(path, "device")
    if (
        device_fingerprint(content["method"], content["half"], InputSpec.model_validate(content["input"]))
        != content["fingerprint"]
    ):
        raise CheckpointError(f"{path} is damaged: its content does not match its fingerprint; export it again")
    return _built(get_method(content["method"]).load_device, content, path), content


def load_server(checkpoint: Path) -> tuple[ServerHalf, dict[str, Any]]:
    """Load a server half; also returns its content (`classes`, `fingerprint`, …).

    Raises:
        CheckpointError: There is no usable server half.
    """
    path = half_path(checkpoint, "server")
    content = load_checkpoint(path, "server")
    return _built(get_method(content["method"]).load_server, content, path), content


def _built(build: Callable[[Mapping[str, Any]], Half], content: Mapping[str, Any], path: Path) -> Half:
    try:
        return build(content["half"])
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        # Whatever the constructor raises for the content of another method, or of another version of the method.
        reason = f"{type(error).__name__}: {error}".partition("\n")[0][:160]
        raise CheckpointError(
            f"{path} is no {content['kind']} half of the current version of the method {content['method']} ({reason}); "
            f"export it again: snakemake --cores all {path}"
        ) from error


def device_fingerprint(method: str, half: Mapping[str, Any], input_spec: PixelSpec) -> str:
    """Return the hash of all that determines a device half's bytes: method, normalisation, values, tensors.

    Returns:
        The first bytes of a SHA-256, as many as a container holds, in hex.
    """
    # Resizing, cropping and padding happen before and are left out: one encoder can serve several tasks, each with its
    # own server half.
    pixels = {"mean": input_spec.mean, "std": input_spec.std}
    digest = hashlib.sha256(json.dumps([method, pixels], sort_keys=True).encode())
    _feed(digest, half)
    return digest.digest()[:FINGERPRINT_BYTES].hex()


def _feed(digest: "hashlib._Hash", value: Any) -> None:
    if isinstance(value, Mapping):
        for key in sorted(value):
            digest.update(f"{key}:".encode())
            _feed(digest, value[key])
    elif isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().contiguous().numpy().tobytes())
    else:
        digest.update(json.dumps(value).encode())
    digest.update(b";")
