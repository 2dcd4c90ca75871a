"""The part of a published split network after its bottleneck, under the names of a `StagedModel`.

Its entries have the names of the libraries' own networks, which the published code divides; `sc2/backbones/` divides
the same networks, so that the names follow from the networks themselves.
"""

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType

import torch
from torch import Tensor

from sc2.backbones.spec import BackboneSpec, NetworkSpec
from sc2.errors import CheckpointError
from sc2.teachers.labels import by_name, chosen_outputs

_PARTS = {
    "hybrid_vit": {
        "patch_embed_pruned_stages.": "patch_embed.backbone.stages.",
        "patch_embed_norm.": "patch_embed.backbone.norm.",
        "patch_embed_head.": "patch_embed.backbone.head.",
        "patch_embed_proj.": "patch_embed.proj.",
    }
}
"""Where the published code does not keep a library's names: the start of its names, and of the library's."""

Chosen = Sequence[int] | Mapping[str, int] | None
"""`teacher.class_indices` of the benchmark."""


def staged_names(backbone: BackboneSpec, classes: int = 2) -> dict[str, str]:
    """Return the name in a `StagedModel` for each name in the library's network."""
    family = _family(backbone)
    with torch.device("meta"):
        library = family.network(classes, **backbone.args)
    theirs = library.state_dict(keep_vars=True)
    ours = {id(value): name for name, value in family.staged(library).state_dict(keep_vars=True).items()}
    return {name: ours[id(value)] for name, value in theirs.items() if id(value) in ours}


def classifier_rest(
    state: Mapping[str, Tensor], backbone: BackboneSpec, classes: Sequence[str], chosen: Chosen
) -> dict[str, Tensor]:
    """Return a classifier's stages after a bottleneck by their names in a `StagedModel`.

    Args:
        state: Entries of the published network, by the library's names.
        backbone: The network.
        classes: Names of the data set's classes.
        chosen: Which of the file's outputs they are, where it has others.

    Raises:
        CheckpointError: An entry is unknown, or the outputs do not fit the classes.
    """
    own = _named(state, backbone)
    two, three = _shapes(backbone, 2), _shapes(backbone, 3)
    several = {name for name, shape in two.items() if shape != three[name]}
    heads = sorted(several & own.keys())
    outputs = len(own[heads[0]]) if heads else 0
    if heads and outputs != len(classes):
        rows = torch.tensor(chosen_outputs(chosen, classes, outputs))
        own |= {name: own[name][rows] for name in heads}
    return own


def dense_rest(
    state: Mapping[str, Tensor], backbone: NetworkSpec, classes: Sequence[str], chosen: Chosen
) -> dict[str, Tensor]:
    """Return the stages after a bottleneck, and the head, of a published detector or segmentation network.

    Args:
        state: Entries of the published network without its bottleneck, by torchvision's names.
        backbone: The network with its head.
        classes: Names of the data set's classes, without the background.
        chosen: Which of the file's outputs they are, where it has others.

    Raises:
        CheckpointError: An entry is unknown, or the file has fewer outputs.
    """
    assert backbone.head is not None
    head = importlib.import_module(f"sc2.backbones.heads.{backbone.head.name}")
    indices = by_name(chosen, classes) if isinstance(chosen, Mapping) else chosen
    body, own = head.published(state, indices)
    return _named(body, backbone) | {f"stages.head.{name}": value for name, value in own.items()}


def _named(state: Mapping[str, Tensor], backbone: BackboneSpec) -> dict[str, Tensor]:
    names, parts = staged_names(backbone), _PARTS.get(backbone.name, {})
    own: dict[str, Tensor] = {}
    for name, value in state.items():
        start = next((part for part in parts if name.startswith(part)), "")
        known = names.get(parts.get(start, "") + name.removeprefix(start))
        if known is None and name.endswith("num_batches_tracked"):
            continue  # of a batch norm that is frozen here: a counter that nothing reads
        if known is None:
            raise CheckpointError(
                f"the file has the entry {name}, which is none of {backbone.name} {backbone.args or ''}: is it a "
                "checkpoint of this benchmark and method?"
            )
        own[known] = value
    return own


def _shapes(backbone: BackboneSpec, classes: int) -> dict[str, torch.Size]:
    family = _family(backbone)
    with torch.device("meta"):
        network = family.staged(family.network(classes, **backbone.args))
    return {name: value.shape for name, value in network.state_dict().items()}


def _family(backbone: BackboneSpec) -> ModuleType:
    family = importlib.import_module(f"sc2.backbones.{backbone.name}")
    if not hasattr(family, "network"):
        raise CheckpointError(f"nobody publishes weights of {backbone.name}, the network of this benchmark")
    return family
