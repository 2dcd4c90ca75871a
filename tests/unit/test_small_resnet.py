"""The embedded default's network against torchvision's block."""

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from sc2.backbones.small_resnet import HalvingBlock


def test_the_block_is_torchvisions_with_the_same_names() -> None:
    shortcut = nn.Sequential(nn.Conv2d(6, 10, 1, stride=2, bias=False), nn.BatchNorm2d(10))
    reference = BasicBlock(6, 10, stride=2, downsample=shortcut)
    block = HalvingBlock(6, 10)
    block.load_state_dict(reference.state_dict())
    x = torch.randn(2, 6, 9, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(block(x), reference(x), rtol=0, atol=0)
