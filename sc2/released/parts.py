"""A published network, divided into its bottleneck and the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sc2.errors import CheckpointError

BOTTLENECK = "bottleneck_layer."


@dataclass(frozen=True)
class Parts:
    """A published network.

    Attributes:
        bottleneck: Entries of its bottleneck, under the bottleneck's names.
        others: All other entries.
        rest: Gives entries of the network around the bottleneck the names of a `StagedModel`.
    """

    bottleneck: dict[str, Tensor]
    others: dict[str, Tensor]
    rest: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]

    def placed(self, places: Mapping[str, str]) -> dict[str, Tensor]:
        """Return all entries under the names of a network here: the bottleneck as `moved`, the others as its tail.

        Args:
            places: As of `moved`.

        Raises:
            CheckpointError: There is an entry with no place.
        """
        return moved(self.bottleneck, places) | self.tail(self.others)

    def tail(self, others: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return entries of the network behind the bottleneck under the names that they have in its `tail`."""
        return {f"tail.{name}": value for name, value in self.rest(others).items()}


def divided(state: Mapping[str, Tensor], rest: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]) -> Parts:
    """Divide a published state dict; in a dense network the bottleneck is deeper inside."""
    bottleneck = {name.partition(BOTTLENECK)[2]: value for name, value in state.items() if BOTTLENECK in name}
    return Parts(bottleneck, {name: value for name, value in state.items() if BOTTLENECK not in name}, rest)


def moved(state: Mapping[str, Tensor], places: Mapping[str, str]) -> dict[str, Tensor]:
    """Return entries under other names.

    Args:
        state: The entries.
        places: The start of each name, and what replaces it.

    Raises:
        CheckpointError: No start fits an entry.
    """
    own: dict[str, Tensor] = {}
    for name, value in state.items():
        start = next((start for start in places if name.startswith(start)), None)
        if start is None:
            raise CheckpointError(f"the file's bottleneck has the entry {name}, which this method's has not")
        own[places[start] + name.removeprefix(start)] = value
    return own


_BUILT = ("_offset", "_quantized_cdf", "_cdf_length", "scale_table")
_NOT_IN_ALL = ("num_batches_tracked", "target", "likelihood_lower_bound.bound", "lower_bound_scale.bound")
"""Entries that older files lack: a counter that nothing reads, and constants of the libraries."""


_LOSS_ALONE = ".head.aux."
"""Part of a segmentation network that only its loss reads; a file that lacks it gets zeros."""


def load(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load published weights into a network; all of its own must be there, and no others.

    Raises:
        CheckpointError: Names or shapes differ.
    """
    own = network.state_dict()
    may_lack = {name for name in own if name.rpartition(".")[2] in _BUILT or name.endswith(_NOT_IN_ALL)}
    spare: dict[str, Tensor] = {}
    if not any(_LOSS_ALONE in name for name in state):
        spare = {name: torch.zeros_like(value) for name, value in own.items() if _LOSS_ALONE in name}
    missing = sorted(own.keys() - state.keys() - may_lack - spare.keys())
    unknown = sorted(state.keys() - own.keys())
    shapes = [
        f"{name}: {tuple(value.shape)} in the file, {tuple(own[name].shape)} here"
        for name, value in state.items()
        if name in own and name not in may_lack and value.shape != own[name].shape
    ]
    problems = [f"no {name}" for name in missing[:1]] + [f"{name} too many" for name in unknown[:1]] + shapes[:1]
    if problems:
        count = len(missing) + len(unknown) + len(shapes)
        raise CheckpointError(
            f"the published weights do not fit: {count} entries differ, e.g. {'; '.join(problems)}. Check benchmark, "
            "method and point, and the method's params (widths, cut) in the configuration"
        )
    network.load_state_dict({**own, **spare, **state})
