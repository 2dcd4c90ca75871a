"""EfficientNet-Lite of timm, cut where the resolution halves.

An EfficientNet (`sc2.backbones.efficientnet`) without squeeze-and-excitation and with ReLU6, trained in TensorFlow: its
convolutions of stride 2 pad on the right and below. Outputs of lite0 have 16, 24, 40, 112 and 1280 channels.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sc2.backbones import efficientnet
from sc2.backbones.base import StagedModel
from sc2.backbones.efficientnet import staged as staged
from sc2.errors import CheckpointError


def network(num_classes: int, variant: str = "lite0") -> nn.Module:
    """Return timm's EfficientNet-Lite with random weights; `variant` is `lite0` … `lite4`."""
    return efficientnet.network(num_classes, variant)


def build(num_classes: int, variant: str = "lite0") -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, variant))


def library_state(state: Mapping[str, Tensor], variant: str = "lite0") -> dict[str, Tensor]:
    """Return weights under timm's names; a file may have those of EfficientNet's first port to PyTorch.

    Both libraries list the same tensors in the same order; their names end alike (`weight`, `running_mean` …).

    Raises:
        CheckpointError: A file with the port's names has other tensors.
    """
    if "_conv_stem.weight" not in state:
        return dict(state)
    with torch.device("meta"):
        names = list(network(1, variant).state_dict())
    kinds = [[name.rpartition(".")[2] for name in every] for every in (state, names)]
    if kinds[0] != kinds[1]:
        raise CheckpointError(f"{len(state)} tensors that are not those of an EfficientNet-{variant} in their order")
    return dict(zip(names, state.values(), strict=True))
