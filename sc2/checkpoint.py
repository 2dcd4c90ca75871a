"""Checkpoints on disk: written atomically, and read without running code."""

import io
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from sc2.errors import CheckpointError
from sc2.system.atomic import replacing


def save_atomically(content: Any, path: Path) -> None:
    """Save atomically with `torch.save`; equal content gives equal bytes."""
    # The archive inside a file is named after it; a buffer has no name, so the bytes depend only on the content.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


Kind = Literal["teacher", "phase", "device", "server"]


def load_checkpoint(path: Path, kind: Kind) -> dict[str, Any]:
    """Read a checkpoint of the given kind onto the CPU.

    Raises:
        CheckpointError: The file is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; build it with: snakemake --cores all {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch fails on damaged files in many ways: OSError, KeyError, UnpicklingError, …
        reason = str(error).partition("\n")[0][:160] or type(error).__name__
        raise CheckpointError(f"{path} is not a readable checkpoint (damaged or truncated?): {reason}") from error
    stored = content.get("kind") if isinstance(content, dict) else None
    if stored != kind:
        raise CheckpointError(f"{path} is a {stored or 'foreign'} checkpoint, but a {kind} checkpoint is needed")
    assert isinstance(content, dict)
    return content


def load_phase(path: Path, method: str) -> dict[str, Tensor]:
    """Return the weights (a state dict) of a training phase of a method.

    Raises:
        CheckpointError: There is no usable checkpoint, or it belongs to another method.
    """
    content = load_checkpoint(path, "phase")
    if content["method"] != method:
        raise CheckpointError(f"{path} is a checkpoint of the method {content['method']}, not of {method}")
    state: dict[str, Tensor] = content["state"]
    return state
