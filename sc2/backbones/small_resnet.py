"""A ResNet of four blocks for small images: the teacher of the embedded default.

A convolution of stride 2, then one basic block per stage, each halving the resolution: strides 4, 8, 16, 32 at widths
w, 2w, 4w, 8w. No pooling before the blocks: it would discard strokes that are few pixels wide.
"""

from torch import Tensor, nn

from sc2.backbones.base import StagedModel


def build(num_classes: int, width: int = 32) -> StagedModel:
    """Return the network with random weights; `width` is the number of channels of the first stage."""
    return StagedModel(
        {
            "stem": nn.Sequential(
                nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ),
            "layer1": HalvingBlock(width, width),
            "layer2": HalvingBlock(width, 2 * width),
            "layer3": HalvingBlock(2 * width, 4 * width),
            "layer4": HalvingBlock(4 * width, 8 * width),
            "head": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, num_classes)),
        }
    )


class HalvingBlock(nn.Module):
    """ResNet's basic block with stride 2: input [B, channels, H, W], output [B, out, ⌈H/2⌉, ⌈W/2⌉].

    Not torchvision's, whose import takes longer than most jobs with this network.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=2, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the two convolutions' output and the projected input, for x [B, channels, H, W]."""
        hidden = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(hidden)) + self.downsample(x))
        return out
