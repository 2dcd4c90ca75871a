"""Published networks of the dense tasks in torchvision's layout: detectors and segmentation networks."""

import importlib
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from sc2.backbones.base import HEAD, StagedModel
from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.errors import CheckpointError


def published_dense(
    network: NetworkSpec, state: Mapping[str, Tensor], classes: int, indices: Sequence[int] | None
) -> StagedModel:
    """Load published weights into a network with the head of a dense task.

    Args:
        network: The network; its head's file says under which names torchvision keeps its parts (`published`).
        state: The published state dict.
        classes: Classes of the data set, without the background.
        indices: The published outputs to keep beside the background's, from 1, in this order; None keeps all.

    Raises:
        CheckpointError: The weights do not fit the network, or its outputs do not fit the classes.
    """
    assert network.head is not None
    head = importlib.import_module(f"sc2.backbones.heads.{network.head.name}")
    body_state, head_state = head.published(state, indices)
    model = build_network(network, classes)
    body = _body(network, body_state)
    own = {name: value for name, value in model.state_dict().items() if name.startswith(f"stages.{HEAD}.")}
    try:
        model.load_state_dict({**body, **own})
        model.head.load_state_dict(head_state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"the published {network.head.name} network does not fit {network.name} {network.args or ''} with "
            f"{classes} classes; check teacher.backbone, teacher.head and teacher.class_indices: {reason}"
        ) from error
    return model.eval()


def _body(network: NetworkSpec, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a library's body, which has no classifier, under the names of a `StagedModel`."""
    family = importlib.import_module(f"sc2.backbones.{network.name}")
    if not hasattr(family, "network"):
        raise CheckpointError(f"the network {network.name} has no published weights: train it instead")
    library: nn.Module = family.network(1, **network.args)
    staged: StagedModel = family.staged(library)
    classifier = set(map(id, staged.head.state_dict(keep_vars=True).values()))
    spare = {name for name, value in library.state_dict(keep_vars=True).items() if id(value) in classifier}
    missing, unexpected = library.load_state_dict(dict(state), strict=False)
    if unexpected or set(missing) - spare:
        wrong = [*unexpected, *(set(missing) - spare)]
        raise CheckpointError(
            f"the published body is not {network.name} {network.args or ''}: {len(wrong)} names differ, e.g. {wrong[0]}"
        )
    head = f"stages.{HEAD}."
    return {name: value for name, value in staged.state_dict().items() if not name.startswith(head)}
