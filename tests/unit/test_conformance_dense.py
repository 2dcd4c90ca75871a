"""Published students on dense tasks beside ours with the same weights: features, logits, scores."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection._utils import overwrite_eps
from torchvision.ops import FrozenBatchNorm2d

from sc2.commands.untrained import untrained_context
from sc2.config.load import load_config
from sc2.methods import get_method
from sc2.released.convert import converted
from sc2.released.file import read_released
from tests.unit.test_conformance_sc2bench import Reference, saved, seeded

__all__ = ["seeded"]

pytestmark = pytest.mark.filterwarnings("ignore:The entropy_bottleneck_channels:DeprecationWarning")

METHOD = "entropic_student"
FP = {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 24, "num_target_channels": 256}}


def backbone(**more: Any) -> dict[str, Any]:
    kwargs = {"bottleneck_config": FP, "resnet_name": "resnet50", **more}
    return {"key": "splittable_resnet", "kwargs": kwargs}


def ours(benchmark: str, published: nn.Module, root: Path, folder: Path) -> Any:
    """Return our network of a benchmark with the weights of a published one."""
    own = load_config(root / "config/paper.yaml").benchmarks[benchmark]
    context = untrained_context(own, own.methods[METHOD], own.methods[METHOD].points[0])
    path = saved(published.state_dict(), folder / "published.pt")
    chosen = getattr(own.config.teacher, "class_indices", None)
    return converted(get_method(METHOD), context, read_released(path), chosen).eval()


@pytest.mark.parametrize("auxiliary", [True, False])
def test_segmentation(auxiliary: bool, sc2bench: Reference, root: Path, tmp_path: Path) -> None:
    """Equal logits, whether the file has the second head, which only a training reads, or not."""
    published = sc2bench("models.segmentation.deeplabv3").deeplabv3_model(
        backbone(replace_stride_with_dilation=[False, True, True]), pretrained=False, uses_aux=auxiliary, num_classes=21
    )
    published.eval()
    network = ours("voc2012_deeplabv3_resnet50", published, root, tmp_path)
    head = network.tail.head.aux.state_dict()
    if auxiliary:
        assert torch.equal(head["0.weight"], published.aux_classifier[0].weight)
    else:
        assert not any(value.any() for value in head.values())
    images = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        torch.testing.assert_close(network(images), published(images)["out"], rtol=0, atol=0)


@pytest.mark.parametrize("frozen", [True, False])
def test_detection(frozen: bool, sc2bench: Reference, root: Path, tmp_path: Path) -> None:
    """The pyramid's levels, and scores and boxes of COCO's 80 categories.

    Students from torchvision's weights of COCO have frozen batch norms without epsilon, those that the package builds
    by itself ordinary ones.
    """
    rcnn, layers = sc2bench("models.detection.rcnn"), {"bottleneck_layer": "0", "layer2": "1", "layer3": "2"}
    body = sc2bench("models.backbone").splittable_resnet(FP, norm_layer="FrozenBatchNorm2d" if frozen else "")
    network_there = rcnn.create_faster_rcnn_fpn(body, return_layer_dict={**layers, "layer4": "3"}, num_classes=91)
    published = rcnn.BaseRCNN(network_there)
    norms = [module for module in published.modules() if isinstance(module, FrozenBatchNorm2d | nn.BatchNorm2d)]
    assert all(isinstance(norm, FrozenBatchNorm2d) == frozen for norm in norms)
    for norm in norms:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        norm.running_var.uniform_(0.1, 0.4)  # so that an epsilon counts
        norm.running_mean.normal_(0, 0.1)
    overwrite_eps(published, 0.0)
    published.eval()
    network = ours("coco2017_fasterrcnn_resnet50", published, root, tmp_path)
    images, regions = torch.randn(1, 3, 96, 128), torch.randn(5, 256, 7, 7)
    head, heads = network.tail.head, published.roi_heads
    with torch.no_grad():
        levels, expected = head.fpn(network.features(images)), published.backbone(images)
        assert len(levels) == len(expected) == 5
        for level, other in zip(levels.values(), expected.values(), strict=True):
            assert float((level - other).abs().max()) < 1e-4 * float(other.abs().max())
        scores, boxes = head.roi_heads.box_predictor(head.roi_heads.box_head(regions))
        all_scores, all_boxes = heads.box_predictor(heads.box_head(regions))
    # COCO's numbers have gaps: 12 stands for nothing, so that our 12th category is number 13.
    assert (scores.shape, boxes.shape) == ((5, 81), (5, 324))
    assert torch.equal(scores[:, [0, 1, 11, 12, 80]], all_scores[:, [0, 1, 11, 13, 90]])
    assert torch.equal(boxes[:, 48:52], all_boxes[:, 52:56])
