"""A ResNet of four blocks for small images: the reference model of the embedded default.

One basic block per stage behind a convolution of stride 2, all four halving the resolution once more: strides 4, 8, 16,
32 at widths w, 2w, 4w, 8w. No pooling in front of the blocks: it would throw away strokes that are few pixels wide.
"""

from torch import nn
from torchvision.models.resnet import BasicBlock

from sc2.backbones.base import StagedClassifier


def build(num_classes: int, width: int = 32) -> StagedClassifier:
    """Return the network with random weights; `width` is the number of channels of the first stage."""
    return StagedClassifier(
        {
            "stem": nn.Sequential(
                nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ),
            "layer1": _halving_block(width, width),
            "layer2": _halving_block(width, 2 * width),
            "layer3": _halving_block(2 * width, 4 * width),
            "layer4": _halving_block(4 * width, 8 * width),
            "head": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, num_classes)),
        }
    )


def _halving_block(channels: int, out: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride=2, bias=False), nn.BatchNorm2d(out))
    return BasicBlock(channels, out, stride=2, downsample=shortcut)
