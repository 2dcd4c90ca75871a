"""MobileNetV3 of torchvision, small or large (arXiv 1905.02244), cut where the resolution halves."""

from torch import nn
from torchvision import models

from sc2.backbones.base import StagedModel, staged_by_resolution


def network(num_classes: int, size: str = "large", width_mult: float = 1.0) -> nn.Module:
    """Return torchvision's MobileNetV3 with random weights.

    Args:
        num_classes: Outputs of the classifier.
        size: `small` or `large`.
        width_mult: Factor on all numbers of channels, rounded to multiples of 8.
    """
    model: nn.Module = models.get_model(
        library_name(size), weights=None, num_classes=num_classes, width_mult=width_mult
    )
    return model


def build(num_classes: int, size: str = "large", width_mult: float = 1.0) -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, size, width_mult))


def staged(model: models.MobileNetV3) -> StagedModel:
    """Return torchvision's MobileNetV3 as stages that share its weights.

    Strides of the outputs: stem 2, layer1 4, layer2 8, layer3 16, layer4 32; channels of the large network 16, 24, 40,
    112, 960, of the small one 16, 16, 24, 48, 576.
    """
    head = nn.Sequential(model.avgpool, nn.Flatten(), model.classifier)
    return staged_by_resolution(model.features, head)


def library_name(size: str = "large", width_mult: float = 1.0) -> str:
    """Return the name under which torchvision publishes weights."""
    return f"mobilenet_v3_{size}"
