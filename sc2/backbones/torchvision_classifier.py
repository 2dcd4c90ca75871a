"""Any classifier of torchvision by its name, as a whole: for methods that run all of it on one side of the link."""

from torch import nn
from torchvision import models

from sc2.backbones.base import StagedModel
from sc2.backbones.base import whole as staged


def network(num_classes: int, model: str) -> nn.Module:
    """Return a classifier of torchvision with random weights; `model` is its name there, e.g. `convnext_tiny`."""
    classifier: nn.Module = models.get_model(model, weights=None, num_classes=num_classes)
    return classifier


def build(num_classes: int, model: str) -> StagedModel:
    """Return the network as one stage, with random weights."""
    return staged(network(num_classes, model))


def library_name(model: str) -> str:
    """Return the name under which torchvision publishes weights."""
    return model
