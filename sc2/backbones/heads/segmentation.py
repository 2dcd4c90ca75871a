"""DeepLabv3's head on a body (arXiv 1706.05587), of torchvision's modules, with a second, auxiliary head for training.

layer4 ─ atrous pooling, conv3×3, conv1×1 ─ enlarged to the image's size ─► logits
layer3 ─ FCN head ─ enlarged ─► auxiliary logits, in training only, and only where layer3 is available
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import ASPP
from torchvision.models.segmentation.fcn import FCNHead

from sc2.backbones.base import HEAD, StagedModel
from sc2.backbones.dilation import strides_and_channels
from sc2.backbones.state_file import chosen_rows

AUXILIARY, MAIN = TAPS = ("layer3", "layer4")


class SegmentationHead(nn.Module):
    """Features of layer3 and layer4, each [B, C, H, W], to logits [B, 1 + K, height, width] at the image's size.

    Output 0 is the background.

    Args:
        channels: Channels of layer3 and layer4.
        stride: Stride of layer4 relative to the image.
        num_classes: Classes K, background excluded.
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
        """Return the main logits [B, 1 + K, height, width] for features by tap, each [B, C, H, W]."""
        return self._enlarged(self.classifier(features[MAIN]), features)

    def auxiliary(self, features: Mapping[str, Tensor]) -> Tensor | None:
        """Return the auxiliary logits [B, 1 + K, height, width]; None where layer3 lies before a cut."""
        return self._enlarged(self.aux(features[AUXILIARY]), features) if AUXILIARY in features else None

    def _enlarged(self, logits: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        # Derived from the features: the server has no image.
        height, width = (self.stride * side for side in features[MAIN].shape[2:])
        return functional.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)


def attach(model: StagedModel, num_classes: int, *, width: int, atrous_rates: Sequence[int]) -> StagedModel:
    """Replace a classifier's head.

    Args:
        model: A classifier; its head is dropped.
        num_classes: Classes, background excluded.
        width: Channels inside the head.
        atrous_rates: Dilations of the atrous pooling.
    """
    body = {name: stage for name, stage in model.stages.items() if name != HEAD}
    strides, channels = strides_and_channels(model)
    head = SegmentationHead([channels[tap] for tap in TAPS], strides[MAIN], num_classes, width, atrous_rates)
    return StagedModel({**body, HEAD: head}, TAPS, loss_taps=[AUXILIARY])


def masks(logits: Tensor) -> Tensor:
    """Return the class of each pixel, uint8 [B, H, W], for logits [B, 1 + K, H, W]: 0 background, k + 1 class k."""
    return logits.argmax(1).to(torch.uint8)


def published(
    state: Mapping[str, Tensor], indices: Sequence[int] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Divide the weights of torchvision's DeepLabv3 into those of its body and those of a `SegmentationHead`.

    Args:
        state: The state dict of the whole network.
        indices: The labels to keep, from 1, in this order; None keeps all.

    Raises:
        CheckpointError: The network has fewer labels.
    """
    body, head = {}, {}
    for name, value in state.items():
        part, _, rest = name.partition(".")
        if part == "backbone":
            body[rest] = value
        else:
            head[f"aux.{rest}" if part == "aux_classifier" else name] = value
    if indices is not None:
        rows = torch.tensor([0, *indices])
        for layer in ("classifier.4", "aux.4"):
            for name in (f"{layer}.weight", f"{layer}.bias"):
                head[name] = chosen_rows(head, name, rows)
    return body, head
