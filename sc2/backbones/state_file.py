"""Published weights: read without running any code that a file may hold, and cut to some of their classes."""

import pickle
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from sc2.errors import CheckpointError


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a PyTorch or safetensors file, without running any code that it may hold.

    It may be the entry `model` of the file, as in checkpoints of torchvision's and torchdistill's training scripts.

    Raises:
        CheckpointError: The file cannot be read as one.
    """
    try:
        # Such a script also saves its arguments, in a class that does nothing when it is read.
        with torch.serialization.safe_globals([Namespace]):
            state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, or is damaged; it is not read, because that could run "
            "code in it. Save only its state dict."
        ) from error
    except Exception as error:  # whatever the readers raise on a damaged file
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path} cannot be read, it is damaged or truncated: {reason}") from error
    if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
        state = state["model"]
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds no state dict, i.e. a tensor for each name: save only the state dict")
    return dict(state)


def chosen_rows(state: Mapping[str, Tensor], name: str, rows: Tensor) -> Tensor:
    """Return the rows of a published layer that `teacher.class_indices` asks for.

    Args:
        state: The layers of a head by name.
        name: A weight or bias with a row per output, [T, …].
        rows: Which of them, int64 [K], none negative.

    Returns:
        A copy, [K, …].

    Raises:
        CheckpointError: The layer is missing, or has fewer rows.
    """
    if name not in state or int(rows.max()) >= len(state[name]):
        raise CheckpointError(f"teacher.class_indices asks for rows up to {int(rows.max())} of {name}, which has fewer")
    return state[name][rows].clone()
