"""Checkpoints on disk: written whole or not at all, and read without running code."""

import io
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from sc2.errors import CheckpointError
from sc2.system.atomic import replacing


def save_atomically(content: Any, path: Path) -> None:
    """Save with `torch.save` so that `path` is either whole or not there; equal content gives equal bytes."""
    # The archive inside the file is named after it: a buffer has no name, so the bytes depend on the content only.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


Kind = Literal["teacher", "phase", "device", "server"]


def load_checkpoint(path: Path, kind: Kind) -> dict[str, Any]:
    """Read a checkpoint of a kind onto the CPU.

    Raises:
        CheckpointError: The file is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; build it with: snakemake --cores all {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch stumble in many ways: OSError, KeyError, UnpicklingError, …
        reason = str(error).partition("\n")[0][:160] or type(error).__name__
        raise CheckpointError(f"{path} is no readable checkpoint (damaged or truncated?): {reason}") from error
    found = content.get("kind") if isinstance(content, dict) else None
    if found != kind:
        raise CheckpointError(f"{path} holds a {found or 'foreign'} checkpoint, a {kind} checkpoint is needed")
    assert isinstance(content, dict)
    return content


def load_phase(path: Path, method: str) -> dict[str, Tensor]:
    """Return the weights of a training phase of a method.

    Raises:
        CheckpointError: There is no usable checkpoint, or it is of another method.
    """
    content = load_checkpoint(path, "phase")
    if content["method"] != method:
        raise CheckpointError(f"{path} is a checkpoint of the method {content['method']}, not of {method}")
    state: dict[str, Tensor] = content["state"]
    return state
