"""ResNet-18 … 152 of torchvision, cut after the stem and each of the four layers (docs/papers.md#cuts)."""

from torch import nn
from torchvision import models
from torchvision.ops import FrozenBatchNorm2d

from sc2.backbones.base import StagedModel


def network(num_classes: int, depth: int = 50, frozen_batch_norm: bool = False) -> nn.Module:
    """Return torchvision's ResNet with random weights.

    Args:
        num_classes: Outputs of the classifier.
        depth: 18, 34, 50, 101 or 152.
        frozen_batch_norm: Keep the batch norms unchanged, in training mode too, as torchvision's detectors do.
    """
    norm_layer = FrozenBatchNorm2d if frozen_batch_norm else None
    model: nn.Module = models.get_model(
        library_name(depth), weights=None, num_classes=num_classes, norm_layer=norm_layer
    )
    return model


def build(num_classes: int, depth: int = 50, frozen_batch_norm: bool = False) -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, depth, frozen_batch_norm))


def staged(model: models.ResNet) -> StagedModel:
    """Return torchvision's ResNet as stages that share its weights."""
    return StagedModel(
        {
            "stem": nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool),
            "layer1": model.layer1,
            "layer2": model.layer2,
            "layer3": model.layer3,
            "layer4": model.layer4,
            "head": nn.Sequential(model.avgpool, nn.Flatten(), model.fc),
        }
    )


def library_name(depth: int = 50, frozen_batch_norm: bool = False) -> str:
    """Return the name under which torchvision publishes weights."""
    return f"resnet{depth}"
