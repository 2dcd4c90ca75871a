"""Published bottleneck units as units of the family here (docs/papers.md#unit-architecture)."""

from typing import Any

from torch import Tensor, nn

from sc2.entropy.logistic_mixture import LogisticMixturePrior
from sc2.errors import CheckpointError
from sc2.methods.unit.network import UnitNetwork
from sc2.methods.unit.point import AXIS
from sc2.released.frequencies import COUNTS
from sc2.released.parts import Parts, moved
from sc2.split.method import BuildContext

_PLACES = {
    "conv2_2.": "encoder.0.",
    "bn2_1.": "encoder.1.",
    "conv2_3.": "encoder.3.",
    "bn3_1.": "encoder.4.",
    "conv2_4.": "decoder.0.",
    "bn4_1.": "decoder.1.",
    "conv2_5.": "decoder.3.",
    "bn5_1.": "decoder.4.",
    COUNTS: COUNTS,
}
"""Where the parts of a published unit are in a `UnitNetwork`."""
_TRAINING_ONLY = ("priorEncoder.", "priorDecoder.", "bitEstimator")
"""A density that estimated the rate; nothing reads it after the training, nor the one that is here in its place."""


def network(method: Any, context: BuildContext[Any]) -> nn.Module:
    """Return the network of a run, with whatever weights."""
    return UnitNetwork(context, AXIS.parse(context.point))


def weights(method: Any, parts: Parts) -> dict[str, Tensor]:
    """Return the published weights and counts under the names of the network, whose own density is as it starts.

    Args:
        method: The method.
        parts: The published unit.

    Raises:
        CheckpointError: There is an entry with no place, or no table of frequencies.
    """
    if COUNTS not in parts.others:
        raise CheckpointError("a unit needs the published table of how often its symbols occur: use `sc2 import-units`")
    kept = {name: value for name, value in parts.others.items() if not name.startswith(_TRAINING_ONLY)}
    density = LogisticMixturePrior(len(parts.others[COUNTS])).state_dict()
    return moved(kept, _PLACES) | {f"prior.{name}": value for name, value in density.items()}
