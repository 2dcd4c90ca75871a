"""DeepLabv3's head on a body (arXiv 1706.05587), of torchvision's modules, with a second, auxiliary head for training.

layer4 ─ atrous pooling, conv3×3, conv1×1 ─ enlarged to the image's size ─► logits
layer3 ─ FCN head ─ enlarged ─► auxiliary logits, in training only, and only where layer3 is at hand
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import ASPP
from torchvision.models.segmentation.fcn import FCNHead

from sc2.backbones.base import HEAD, StagedModel
from sc2.backbones.dilation import strides_and_channels

AUXILIARY, MAIN = TAPS = ("layer3", "layer4")


class SegmentationHead(nn.Module):
    """Features of layer3 and layer4 to logits [B, 1 + classes, H, W]; output 0 is the background.

    Args:
        channels: Channels of layer3 and layer4.
        stride: By how much smaller than the image layer4 is.
        num_classes: Classes without the background.
        width: Channels inside the head; 256 makes it torchvision's `DeepLabHead`, with the same parameter names.
        atrous_rates: Dilations of the atrous pooling.
    """

    def __init__(
        self, channels: Sequence[int], stride: int, num_classes: int, width: int, atrous_rates: Sequence[int]
    ) -> None:
        super().__init__()
        self.stride = stride
        self.classifier = nn.Sequential(
            ASPP(channels[1], list(atrous_rates), width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 1 + num_classes, 1),
        )
        self.aux = FCNHead(channels[0], 1 + num_classes)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the logits [B, 1 + classes, H, W], without the auxiliary ones."""
        return self._enlarged(self.classifier(features[MAIN]), features)

    def auxiliary(self, features: Mapping[str, Tensor]) -> Tensor | None:
        """Return the logits of the auxiliary head, [B, 1 + classes, H, W]; None where layer3 lies before a cut."""
        return self._enlarged(self.aux(features[AUXILIARY]), features) if AUXILIARY in features else None

    def _enlarged(self, logits: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        # Known from the features: on the server there is no image.
        height, width = (self.stride * side for side in features[MAIN].shape[2:])
        return functional.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)


def attach(model: StagedModel, num_classes: int, *, width: int, atrous_rates: Sequence[int]) -> StagedModel:
    """Put the head in the place of a classifier's.

    Args:
        model: A classifier; its head is dropped.
        num_classes: Classes without the background.
        width: Channels inside the head.
        atrous_rates: Dilations of the atrous pooling.
    """
    body = {name: stage for name, stage in model.stages.items() if name != HEAD}
    strides, channels = strides_and_channels(model)
    head = SegmentationHead([channels[tap] for tap in TAPS], strides[MAIN], num_classes, width, atrous_rates)
    return StagedModel({**body, HEAD: head}, TAPS, loss_taps=[AUXILIARY])


def masks(logits: Tensor) -> Tensor:
    """Return classes of pixels, uint8 [B, H, W], of logits [B, 1 + classes, H, W]; 0 the background, k + 1 class k."""
    return logits.argmax(1).to(torch.uint8)
