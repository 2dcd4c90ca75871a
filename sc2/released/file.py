"""Reads a published checkpoint without running code in it, and gives its entries the names of today's libraries."""

import pickle
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from sc2.errors import CheckpointError

_INSIDE = ("model", "state_dict")
"""Entries under which a file of a training script keeps its state dict."""
_TABLES = ("_offset", "_quantized_cdf", "_cdf_length", "scale_table")
"""Entries that CompressAI builds from the others. In a file they have the shapes of its weights and of its version."""
_OLD = re.compile(r"(^|\.)_?(matri(?:x|ces)|bias(?:es)?|factors?)\.?(\d+)$")
_NEW = {"matr": "matrices", "bias": "biases", "fact": "factors"}


def read_released(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a published checkpoint, under today's names (`current_names`).

    Raises:
        CheckpointError: The file holds anything but tensors, plain values and the arguments of a script, is damaged, or
            has no state dict.
    """
    try:
        # torchdistill also saves its script's arguments, in a class that does nothing when it is read.
        with torch.serialization.safe_globals([Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, plain values and a script's arguments, or is damaged; it is not read, "
            "because that could run code in it. Save only its state dict where you trust it."
        ) from error
    except Exception as error:  # whatever torch raises on a damaged file
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path} cannot be read, it is damaged or truncated: {reason}") from error
    found = next(_states(content), None)
    if found is None:
        raise CheckpointError(f"{path} holds no state dict, i.e. a tensor for each name")
    return current_names(found)


def _states(content: object) -> Iterator[Mapping[str, Tensor]]:
    """Yield the state dicts in a file: its whole content, or an entry of it."""
    if not isinstance(content, Mapping):
        return
    for state in (content, *(content.get(name) for name in _INSIDE)):
        if isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values()):
            yield state


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict without the prefix of `DataParallel` and without coding tables, under today's names.

    The density of an entropy bottleneck was called `_matrix0` in CompressAI's first versions, then `_matrices.0`, and
    is `matrices.0` now; so for its biases and factors.
    """
    plain = {name.removeprefix("module."): value for name, value in state.items()}
    kept = {name: value for name, value in plain.items() if name.rpartition(".")[2] not in _TABLES}
    return {_OLD.sub(_renamed, name) if "entropy_bottleneck." in name else name: value for name, value in kept.items()}


def _renamed(found: re.Match[str]) -> str:
    return f"{found[1]}{_NEW[found[2][:4]]}.{found[3]}"
