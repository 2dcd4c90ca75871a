"""Reads how often each symbol of a published unit occurs, without running code from the file.

Published tables are pickles of a mapping from a value, the quantiser's step times the symbol, to its count. Where the
same mapping is JSON, from a symbol to its count, it is read too.
"""

import json
import pickle
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc2.errors import CheckpointError
from sc2.foreign import number, whole
from sc2.methods.unit.network import COUNTED, UnitNetwork
from sc2.methods.unit.point import AXIS
from sc2.split.method import BuildContext

COUNTS = "counts"
"""Entry of a unit's state dict that its table adds."""

_LARGEST = 16 * 1024**2
_MOST = 2**53
_APART = 0.02
"""How far a value may be from a multiple of the step, in steps: the step in a point's name is rounded."""
_HARMLESS: dict[tuple[str, str], Any] = {
    ("collections", "Counter"): Counter,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("builtins", "int"): int,
    ("__builtin__", "int"): int,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "scalar"): np.float32(0).__reduce__()[0],
    ("numpy._core.multiarray", "scalar"): np.float32(0).__reduce__()[0],
}
"""What a pickle of numbers may name."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _HARMLESS[module, name]


def read_counts(path: Path, context: BuildContext[Any]) -> dict[str, Tensor]:
    """Return `counts`, int64 [k, 256], of a unit: one published table holds for all of its channels.

    Args:
        path: The table.
        context: Of a unit: its point gives the step, the stride and the channels k.

    Raises:
        CheckpointError: The file would run code, is damaged, or belongs to another point.
    """
    point = AXIS.parse(context.point)
    table = _symbols(path, _table(path), point.step)
    network = UnitNetwork(context, point)
    with torch.no_grad():
        latent = network.encoder.eval()(torch.zeros(1, network.channels, network.size, network.size))
    if rest := int(table.sum()) % latent[0].numel():
        raise CheckpointError(
            f"{path}: its counts are not those of whole images of {latent[0].numel()} symbols each ({rest} are left "
            f"over), as the unit of {context.point} has. Check the point's stride and channels, and the file"
        )
    return {COUNTS: table.repeat(point.latent_channels, 1)}


def _table(path: Path) -> dict[float, int]:
    """Return the count of each key of a file."""
    if path.stat().st_size > _LARGEST:
        raise CheckpointError(f"{path}: {path.stat().st_size} bytes are no table of counts")
    try:
        with path.open("rb") as file:
            content = json.load(file) if path.suffix == ".json" else _Unpickler(file).load()
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than numbers, or is damaged ({error}); it is not read, because that could run code in "
            "it. Save the counts as JSON, from symbol to count, where you trust it"
        ) from error
    except Exception as error:  # whatever a damaged file raises
        raise CheckpointError(f"{path} cannot be read, it is damaged: {error or type(error).__name__}") from error
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path}: no table from values to counts")
    try:
        return {_plain(key): whole(_plain(count), "a count", high=_MOST) for key, count in content.items()}
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: no table from values to counts ({error})") from error


def _plain(value: Any) -> Any:
    """Return a number of Python for one of NumPy, or for JSON's key of a mapping."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        value = int(value) if value.isdecimal() else float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return number(value, "a value")


def _symbols(path: Path, table: Mapping[float, int], step: float) -> Tensor:
    """Return counts [256] by symbol; symbols from 255 on share the last one."""
    unit = 1.0 if path.suffix == ".json" else step
    counts = torch.zeros(COUNTED, dtype=torch.int64)
    for value, count in table.items():
        symbol = round(value / unit)
        if symbol < 0 or abs(value / unit - symbol) > _APART * max(1, symbol / 10):
            raise CheckpointError(
                f"{path}: the value {value} is no multiple of the step {unit}. Is it another point's?"
            )
        counts[min(symbol, COUNTED - 1)] += count
    return counts
