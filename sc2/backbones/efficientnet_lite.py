"""EfficientNet-Lite of timm, cut where the resolution halves.

An EfficientNet (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, trained in TensorFlow: its
convolutions of stride 2 pad on the right and below.
"""

from collections.abc import Mapping

import timm
import torch
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn

from sc2.backbones.base import StagedModel, staged_by_resolution
from sc2.errors import CheckpointError


def network(num_classes: int, variant: str = "lite0") -> nn.Module:
    """Return timm's EfficientNet-Lite with random weights; `variant` is `lite0` … `lite4`."""
    model: nn.Module = timm.create_model(f"tf_efficientnet_{variant}", pretrained=False, num_classes=num_classes)
    return model


def build(num_classes: int, variant: str = "lite0") -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, variant))


def staged(model: EfficientNet) -> StagedModel:
    """Return timm's EfficientNet-Lite as stages that share its weights.

    Strides of the outputs: stem 2, layer1 4, layer2 8, layer3 16, layer4 32; channels of lite0 16, 24, 40, 112, 1280.
    Those of layer1 … layer3 have both signs: they end in linear convolutions.
    """
    stem, last = nn.Sequential(model.conv_stem, model.bn1), nn.Sequential(model.conv_head, model.bn2)
    blocks = [block for stage in model.blocks for block in stage]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classifier)
    return staged_by_resolution(nn.Sequential(stem, *blocks, last), head)


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
