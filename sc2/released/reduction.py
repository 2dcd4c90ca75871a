"""The published CR+BQ networks of 24 modules as networks of the family here."""

from typing import Any

from torch import Tensor, nn

from sc2.methods.reduction.network import ReductionNetwork
from sc2.released.parts import Parts
from sc2.split.method import BuildContext


def network(method: Any, context: BuildContext[Any]) -> nn.Module:
    """Return the network of a run, with whatever weights."""
    return ReductionNetwork(context)


def weights(method: Any, parts: Parts) -> dict[str, Tensor]:
    """Return the published weights under the names of the network.

    Args:
        method: The method.
        parts: The published network.

    Raises:
        CheckpointError: There is an entry with no place.
    """
    return parts.placed({"encoder.": "encoder.", "decoder.": "decoder."})
