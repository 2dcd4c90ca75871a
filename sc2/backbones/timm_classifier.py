"""Any classifier of timm by its name, as a whole: for methods that run all of it on one side of the link."""

import timm
from torch import nn

from sc2.backbones.base import StagedModel
from sc2.backbones.base import whole as staged


def network(num_classes: int, model: str) -> nn.Module:
    """Return a classifier of timm with random weights; `model` is its name there without a tag, e.g. `levit_128s`."""
    classifier: nn.Module = timm.create_model(model, pretrained=False, num_classes=num_classes)
    return classifier


def build(num_classes: int, model: str) -> StagedModel:
    """Return the network as one stage, with random weights."""
    return staged(network(num_classes, model))
