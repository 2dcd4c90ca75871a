"""The published Entropic Students, End-to-End networks and fine-tuned splits as networks of the family here."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sc2.methods.student.fine_tuned import PastedBottleneck
from sc2.methods.student.fine_tuned_split import AXIS, FineTunedSplit
from sc2.methods.student.method import BottleneckMethod
from sc2.methods.student.network import StudentNetwork
from sc2.released.parts import Parts
from sc2.split.method import BuildContext

_PLACES = {
    "encoder.": "encoder.",
    "decoder.": "decoder.",
    "entropy_bottleneck.": "prior.entropy_bottleneck.",
    "g_a.": "encoder.",
    "g_s.": "decoder.",
    "h_s.": "prior.hyper_synthesis.",
    "gaussian_conditional.": "prior.gaussian_conditional.",
}
"""Where the parts of a published bottleneck are in a `StudentNetwork`."""


def network(method: Any, context: BuildContext[Any]) -> nn.Module:
    """Return the network of a run, with whatever weights."""
    if isinstance(method, FineTunedSplit):
        return PastedBottleneck(context.teacher, AXIS.parse(context.point).cut)
    assert isinstance(method, BottleneckMethod)
    return StudentNetwork(context, method.prior)


def weights(method: Any, parts: Parts) -> dict[str, Tensor]:
    """Return the published weights under the names of the network.

    Args:
        method: The method.
        parts: The published network.

    Raises:
        CheckpointError: There is an entry with no place.
    """
    return _fine_tuned(parts) if isinstance(method, FineTunedSplit) else _student(parts)


def _student(parts: Parts) -> dict[str, Tensor]:
    return parts.placed({**_PLACES, **{f"h_a.{i}.": f"prior.hyper_analysis.{i + 1}." for i in range(3)}})


def _fine_tuned(parts: Parts) -> dict[str, Tensor]:
    """The published class keeps the entropy model twice deep, and the network's stages under its three parts."""
    prior = {f"prior.{name}": value for name, value in parts.others.items() if name.startswith("entropy_bottleneck.")}
    if prior and all(name.startswith("prior.entropy_bottleneck.entropy_bottleneck.") for name in prior):
        prior = {name.replace("entropy_bottleneck.", "", 1): value for name, value in prior.items()}
    before, after = _divided(parts.others)
    own = {f"encoder.{name}": value for name, value in parts.rest(before).items()}
    return own | prior | parts.tail(after)


def _divided(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the entries of the network before and after the entropy model, without their part's name."""
    before = {name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")}
    after = {
        name.removeprefix(part): value
        for name, value in state.items()
        for part in ("decoder.", "classifier.")
        if name.startswith(part)
    }
    return before, after
