"""Faster R-CNN with a feature pyramid on a body (arXiv 1506.01497, 1612.03144), of torchvision's modules.

    layer1 … layer4 ─ feature pyramid ─ region proposals ─ box head ─► boxes, scores, classes

Resizing and normalising, which torchvision's class does itself, happen before the body: the boxes are in pixels of the
network's input. Its size follows from the features, whose strides are fixed: the server has no image.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from sc2.backbones.base import HEAD, StagedModel
from sc2.backbones.dilation import strides_and_channels
from sc2.backbones.state_file import chosen_rows
from sc2.errors import ConfigError

TAPS = ("layer1", "layer2", "layer3", "layer4")
BATCH_NORM_EPSILON = 1e-5
"""What torchvision's frozen batch norms add to a variance."""
_SAMPLER_SEED = 0

Boxes = dict[str, Tensor]
"""`boxes` float [N, 4] (x0, y0, x1, y1 in pixels of the network's input), `labels` int64 [N] (classes from 0), and for
predictions `scores` float [N], the best first."""


class _Body(nn.Module):
    """Placeholder for torchvision's backbone, of which the constructor of `FasterRCNN` reads one number."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels


class DetectionHead(nn.Module):
    """Features of layer1 … layer4, each [B, C, H, W], to boxes.

    Args:
        channels: Channels of the taps.
        stride: Stride of layer1 relative to the image.
        num_classes: Classes, background excluded.
        out_channels: Channels of the pyramid.
        representation: Width of the box head's layers.
        anchor_px: Side of the anchors per level of the pyramid, including the level above layer4, pixels.
        proposals: Proposals kept per image, and per level before non-maximum suppression.
        score_threshold: Boxes below this score are dropped.
        max_detections: Largest number of boxes per image.

    Raises:
        ConfigError: The number of anchors is not the number of levels.
    """

    def __init__(
        self,
        channels: Sequence[int],
        stride: int,
        num_classes: int,
        *,
        out_channels: int,
        representation: int,
        anchor_px: Sequence[int],
        proposals: int,
        score_threshold: float,
        max_detections: int,
    ) -> None:
        super().__init__()
        self.stride = stride
        if len(anchor_px) != len(channels) + 1:
            raise ConfigError(
                f"anchor_px needs {len(channels) + 1} sides, one per level of the pyramid: {list(anchor_px)}"
            )
        self.fpn = FeaturePyramidNetwork(list(channels), out_channels, extra_blocks=LastLevelMaxPool())
        pool = MultiScaleRoIAlign(featmap_names=list(TAPS), output_size=7, sampling_ratio=2)
        parts = FasterRCNN(
            _Body(out_channels),
            rpn_anchor_generator=AnchorGenerator([(side,) for side in anchor_px], [(0.5, 1.0, 2.0)] * len(anchor_px)),
            rpn_pre_nms_top_n_train=proposals,
            rpn_pre_nms_top_n_test=proposals,
            rpn_post_nms_top_n_train=proposals,
            rpn_post_nms_top_n_test=proposals,
            box_roi_pool=pool,
            box_head=TwoMLPHead(out_channels * 7**2, representation),
            box_predictor=FastRCNNPredictor(representation, 1 + num_classes),
            box_score_thresh=score_threshold,
            box_detections_per_img=max_detections,
        )
        self.rpn, self.roi_heads = parts.rpn, parts.roi_heads

    def forward(self, features: Mapping[str, Tensor]) -> list[Boxes]:
        """Return the boxes of every image for features by tap, each [B, C, H, W]; always in eval mode."""
        with self._mode(training=False):
            detections, _ = self._run(features, None)
        return [{**boxes, "labels": boxes["labels"] - 1} for boxes in detections]

    def losses(self, features: Mapping[str, Tensor], targets: Sequence[Boxes]) -> dict[str, Tensor]:
        """Return torchvision's four losses of a batch, in any mode.

        Args:
            features: Outputs of the taps for a batch, each [B, C, H, W].
            targets: `boxes` [N, 4] and `labels` [N] of each image; N may be 0.

        Returns:
            Scalars by name.
        """
        shifted = [{"boxes": target["boxes"], "labels": target["labels"] + 1} for target in targets]
        if self.training:
            return self._run(features, shifted)[1]
        # Proposals are sampled: in validation always the same ones, without disturbing the global random state.
        with self._mode(training=True), torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SAMPLER_SEED)
            return self._run(features, shifted)[1]

    def _run(
        self, features: Mapping[str, Tensor], targets: list[Boxes] | None
    ) -> tuple[list[Boxes], dict[str, Tensor]]:
        first = features[TAPS[0]]
        height, width = (self.stride * side for side in first.shape[2:])
        sizes = [(height, width)] * len(first)
        # Only the shape of the images is used.
        images = ImageList(first.new_empty(()).expand(len(first), 3, height, width), sizes)
        pyramid = self.fpn(OrderedDict((tap, features[tap]) for tap in TAPS))
        proposals, proposal_losses = self.rpn(images, pyramid, targets)
        detections, box_losses = self.roi_heads(pyramid, proposals, sizes, targets)
        return detections, {**proposal_losses, **box_losses}

    @contextmanager
    def _mode(self, *, training: bool) -> Iterator[None]:
        """Make torchvision's two modules return losses or boxes; they hold no layer that depends on the mode."""
        before = self.rpn.training, self.roi_heads.training
        self.rpn.training = self.roi_heads.training = training
        try:
            yield
        finally:
            self.rpn.training, self.roi_heads.training = before


def attach(model: StagedModel, num_classes: int, **args: Any) -> StagedModel:
    """Replace a classifier's head; arguments as for `DetectionHead`."""
    body = {name: stage for name, stage in model.stages.items() if name != HEAD}
    strides, channels = strides_and_channels(model)
    head = DetectionHead([channels[tap] for tap in TAPS], strides[TAPS[0]], num_classes, **args)
    return StagedModel({**body, HEAD: head}, TAPS)


def published(
    state: Mapping[str, Tensor], indices: Sequence[int] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Divide the weights of torchvision's Faster R-CNN into those of its body and those of a `DetectionHead`.

    The published COCO weights belong to frozen batch norms without the epsilon that was added to the library later; it
    is taken off their variances instead, so that they compute the same. Weights of ordinary batch norms, which count
    batches, had it all along.

    Args:
        state: The state dict of the whole detector.
        indices: The labels to keep, from 1, in this order: COCO's 80 categories have numbers up to 90. None keeps all.
    """
    body = _below(state, "backbone.body.")
    frozen = not any(name.endswith("num_batches_tracked") for name in body)
    for name, value in body.items():
        if frozen and name.endswith("running_var"):
            body[name] = value - BATCH_NORM_EPSILON
    head = {
        **{f"fpn.{name}": value for name, value in _below(state, "backbone.fpn.").items()},
        **{name: value for name, value in state.items() if name.startswith(("rpn.", "roi_heads."))},
    }
    if indices is not None:
        labels = torch.tensor([0, *indices])
        corners = (4 * labels[:, None] + torch.arange(4)).flatten()
        for layer, rows in (("cls_score", labels), ("bbox_pred", corners)):
            for kind in ("weight", "bias"):
                name = f"roi_heads.box_predictor.{layer}.{kind}"
                head[name] = chosen_rows(head, name, rows)
    return body, head


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
