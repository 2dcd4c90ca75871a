"""How big a model is: parameters, coding tables, and the encoder size by upstream's rule."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sc2.errors import CheckpointError


def parameter_count(module: nn.Module) -> int:
    """Return the number of parameters, trainable or not; a shared parameter counts once, a buffer not at all."""
    return sum(parameter.numel() for parameter in module.parameters())


def parameter_bytes(module: nn.Module) -> int:
    """Return the bytes of all parameters as they are stored now; a shared parameter counts once."""
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def table_bytes(tables: Mapping[str, Tensor]) -> int:
    """Return the bytes of coding tables that a device has to hold, each number in its stored type.

    The rows of a table of cumulative counts `…cdf` differ in length, and shorter ones are padded to be stored as one
    tensor: of each row the entries count that `…cdf_length` says it has. All other tensors count whole.

    Args:
        tables: Tensors by name.
    """

    def entries(name: str) -> int:
        lengths = tables.get(f"{name}_length")
        return tables[name].numel() if lengths is None else int(lengths.sum())

    return sum(entries(name) * table.element_size() for name, table in tables.items())


def state_bits(state_dict: Mapping[str, Any]) -> int:
    """Return the encoder size by sc2bench's rule (bits); a number for comparison, not what a device stores.

    Every entry counts with the width of its type: parameters, but also batch-norm statistics, step counters and the
    CDF tables of entropy models. A boolean counts 2 bits, as upstream (arXiv 2203.08875, its model size analysis).

    Args:
        state_dict: Tensors by name, as `Module.state_dict()` gives them. An entry counts as often as it is listed.

    Raises:
        CheckpointError: An entry is not a tensor.
    """
    return sum(tensor.numel() * _upstream_bits(tensor) for tensor in _tensors(state_dict).values())


def _upstream_bits(tensor: Tensor) -> int:
    return 2 if tensor.dtype == torch.bool else 8 * tensor.element_size()


def _tensors(state_dict: Mapping[str, Any]) -> Mapping[str, Tensor]:
    for name, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"entry {name!r} of the state is a {type(value).__name__}, whose size is not defined")
    return state_dict
