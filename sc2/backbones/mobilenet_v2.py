"""MobileNetV2 of torchvision, cut where the resolution halves.

TensorFlow pads a stride-2 convolution on the right and bottom only; `tf_same_padding` does the same, without which
weights trained in TensorFlow lose up to nine points of accuracy. Weights that went through a quantised model have their
batch norms folded into the convolutions: the batch norms in the file hold no statistics of any data, and training with
batch statistics instead would turn the features into noise. `frozen_batch_norm` keeps them unchanged, in training mode
too.
"""

from timm.layers import Conv2dSame
from torch import nn
from torchvision import models
from torchvision.ops import FrozenBatchNorm2d

from sc2.backbones.base import StagedModel, staged_by_resolution


def network(
    num_classes: int, tf_same_padding: bool = False, frozen_batch_norm: bool = False, width_mult: float = 1.0
) -> nn.Module:
    """Return torchvision's MobileNetV2 with random weights; parameter names are torchvision's with either padding.

    Args:
        num_classes: Outputs of the classifier.
        tf_same_padding: Pad as TensorFlow does.
        frozen_batch_norm: Keep the batch norms unchanged, in training mode too.
        width_mult: Factor on all numbers of channels, rounded to multiples of 8; below 1 the last one stays 1280.
    """
    norm_layer = FrozenBatchNorm2d if frozen_batch_norm else None
    model: nn.Module = models.mobilenet_v2(
        weights=None, num_classes=num_classes, width_mult=width_mult, norm_layer=norm_layer
    )
    if tf_same_padding:
        _pad_as_tensorflow(model)
    return model


def build(
    num_classes: int, tf_same_padding: bool = False, frozen_batch_norm: bool = False, width_mult: float = 1.0
) -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, tf_same_padding, frozen_batch_norm, width_mult))


def staged(model: models.MobileNetV2) -> StagedModel:
    """Return torchvision's MobileNetV2 as stages that share its weights.

    Strides of the outputs: stem 2, layer1 4 (24 channels), layer2 8 (32), layer3 16 (96), layer4 32 (1280).
    """
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classifier)
    return staged_by_resolution(model.features, head)


def _pad_as_tensorflow(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and child.stride[0] > 1:
                same = Conv2dSame(
                    child.in_channels,
                    child.out_channels,
                    child.kernel_size,
                    stride=child.stride,
                    groups=child.groups,
                    bias=child.bias is not None,
                )
                setattr(parent, name, same)
