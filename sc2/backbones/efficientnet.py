"""EfficientNets of timm, trained in TensorFlow (arXiv 1905.11946, 1911.04252), cut where the resolution halves.

The papers' EfficientNet-L2 (Noisy Student) is `l2`; it is used whole, behind codecs on the input.
"""

import timm
from timm.models.efficientnet import EfficientNet
from torch import nn

from sc2.backbones.base import StagedModel, staged_by_resolution


def network(num_classes: int, variant: str = "b0") -> nn.Module:
    """Return timm's EfficientNet with random weights; `variant` is the end of its name there, `b0` … `b8`, `l2`."""
    model: nn.Module = timm.create_model(f"tf_efficientnet_{variant}", pretrained=False, num_classes=num_classes)
    return model


def build(num_classes: int, variant: str = "b0") -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, variant))


def staged(model: EfficientNet) -> StagedModel:
    """Return timm's EfficientNet as stages that share its weights.

    Strides of the outputs: stem 2, layer1 4, layer2 8, layer3 16, layer4 32. The first three layers end in linear
    convolutions, whose outputs have both signs. timm's dropout before the classifier is left out: its rate is 0.
    """
    stem, last = nn.Sequential(model.conv_stem, model.bn1), nn.Sequential(model.conv_head, model.bn2)
    blocks = [block for stage in model.blocks for block in stage]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classifier)
    return staged_by_resolution(nn.Sequential(stem, *blocks, last), head)
