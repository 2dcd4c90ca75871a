"""Published teachers of the dense tasks: torchvision's own networks, with the same weights, say the same."""

import hashlib
import json
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.models.segmentation.fcn import FCNHead
from torchvision.ops import FrozenBatchNorm2d

from sc2.backbones.base import StagedModel
from sc2.backbones.spec import BackboneSpec, NetworkSpec
from sc2.backbones.state_file import read_state
from sc2.backbones.teacher import TeacherCheckpoint, teacher_model
from sc2.checkpoint import load_checkpoint
from sc2.data.source import SPLITS
from sc2.errors import CheckpointError
from sc2.job import RunningJob
from sc2.tasks import get_task
from sc2.teachers.dense import published_dense
from sc2.teachers.fetch import run as fetch

DETECTOR = BackboneSpec(name="resnet", args={"depth": 18, "frozen_batch_norm": True})
SEGMENTER = BackboneSpec(name="resnet", args={"depth": 18})
CLASSES = ["a", "b", "c", "d", "e"]


@pytest.fixture(autouse=True)
def seeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SC2_DATA", str(tmp_path))
    torch.manual_seed(0)


def with_statistics(network: nn.Module) -> nn.Module:
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        if name.endswith("running_var"):
            # Small in the first of them, so that an epsilon of 1e-5 counts.
            buffer.uniform_(0.0005, 0.002) if name.endswith("body.bn1.running_var") else buffer.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def detector() -> FasterRCNN:
    """torchvision's detector with batch norms without an epsilon, as for its published COCO weights."""
    torch.manual_seed(1)
    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5)
    network = with_statistics(FasterRCNN(body, num_classes=6, box_score_thresh=0.01))
    for module in network.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0
    assert isinstance(network, FasterRCNN)
    return network


@pytest.fixture(scope="module")
def segmenter() -> DeepLabV3:
    torch.manual_seed(2)
    library = resnet18(weights=None)
    names = {"layer3": "aux", "layer4": "out"}
    body = IntermediateLayerGetter(library, return_layers=names)
    network = DeepLabV3(body, DeepLabHead(512, 6), FCNHead(256, 6))
    assert isinstance(with_statistics(network), DeepLabV3)
    return network


def network_of(task: str, backbone: BackboneSpec, **head: Any) -> NetworkSpec:
    return get_task(task).network(backbone, get_task(task).Head.model_validate(head))


def loaded(task: str, state: dict[str, Tensor], indices: list[int] | None = None, classes: int = 5) -> StagedModel:
    backbone, head = (
        (DETECTOR, {"score_threshold": 0.01}) if task == "detection" else (SEGMENTER, {"output_stride": 32})
    )
    return published_dense(network_of(task, backbone, **head), state, classes, indices)


def test_a_published_detector_finds_the_same_boxes(detector: FasterRCNN) -> None:
    model, images = loaded("detection", detector.state_dict()), torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        pyramid = detector.backbone(images)
        listed = ImageList(images, [(96, 128)])
        proposals, _ = detector.rpn(listed, pyramid)
        [expected], _ = detector.roi_heads(pyramid, proposals, [(96, 128)])
        features = model.features(images)
        own = model.head.fpn(OrderedDict(features))
        [found] = model(images)
    for one, other in zip(own.values(), pyramid.values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert len(found["boxes"]) > 0
    torch.testing.assert_close(found["boxes"], expected["boxes"], rtol=1e-3, atol=1e-2)
    assert torch.equal(found["labels"] + 1, expected["labels"])


def test_an_epsilon_would_change_what_the_detector_computes(detector: FasterRCNN) -> None:
    """Otherwise the test above could not tell whether it is taken off."""
    images = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        without = detector.backbone.body(images)["0"]
        norms = [module for module in detector.modules() if isinstance(module, FrozenBatchNorm2d)]
        for module in norms:
            module.eps = 1e-5
        with_epsilon = detector.backbone.body(images)["0"]
        for module in norms:
            module.eps = 0.0
    assert (without - with_epsilon).abs().max() > 10 * 1e-4 * without.abs().mean()


def test_kept_classes_of_a_detector_are_its_rows(detector: FasterRCNN) -> None:
    model = loaded("detection", detector.state_dict(), [4, 1], classes=2)
    regions = torch.randn(7, 1024)
    with torch.no_grad():
        scores, boxes = detector.roi_heads.box_predictor(regions)
        own_scores, own_boxes = model.head.roi_heads.box_predictor(regions)
    torch.testing.assert_close(own_scores, scores[:, [0, 4, 1]])
    torch.testing.assert_close(own_boxes, boxes.reshape(7, 6, 4)[:, [0, 4, 1]].reshape(7, 12))


def test_files_with_the_librarys_older_names_are_read(detector: FasterRCNN) -> None:
    """As the published file has them: without the `.0` of layers that became blocks later."""
    state, old = detector.state_dict(), {}
    for name, value in state.items():
        renamed = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        if "_blocks." in name:
            before, _, after = name.rpartition(".0.")
            renamed = f"{before}.{after}"
        old[renamed] = value
    assert len(set(old) - set(state)) == 18
    one, other = loaded("detection", state).state_dict(), loaded("detection", old).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_published_segmenter_labels_the_same_pixels(segmenter: DeepLabV3) -> None:
    model, images = loaded("segmentation", segmenter.state_dict()), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected, features = segmenter(images), model.features(images)
        torch.testing.assert_close(model(images), expected["out"], rtol=1e-4, atol=1e-5)
        auxiliary = model.head.auxiliary(features)
        torch.testing.assert_close(auxiliary, expected["aux"], rtol=1e-4, atol=1e-5)
        kept = loaded("segmentation", segmenter.state_dict(), [5, 2], classes=2)(images)
    torch.testing.assert_close(kept, expected["out"][:, [0, 5, 2]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_networks_that_do_not_fit_are_refused(task: str, detector: FasterRCNN, segmenter: DeepLabV3) -> None:
    state = (detector if task == "detection" else segmenter).state_dict()
    with pytest.raises(CheckpointError, match=r"does not fit resnet .* with 7 classes; check teacher\.backbone"):
        loaded(task, state, classes=7)
    with pytest.raises(CheckpointError, match="class_indices asks for rows"):
        loaded(task, state, [1, 6], classes=2)
    first = next(name for name in state if name.endswith("layer2.0.conv1.weight"))
    with pytest.raises(CheckpointError, match=r"the published body is not resnet .*: 1 names differ, e\.g\. layer2"):
        loaded(task, {name: value for name, value in state.items() if name != first})
    other = network_of(task, BackboneSpec(name="small_resnet", args={}))
    with pytest.raises(CheckpointError, match="small_resnet has no published weights"):
        published_dense(other, state, 5, None)


def test_the_stage_fetches_a_checkpoint_of_a_training_script(tmp_path: Path, segmenter: DeepLabV3) -> None:
    weights = tmp_path / "published.pt"
    saved = {"model": segmenter.state_dict(), "optimizer": {"lr": 0.1}, "best_value": 80.6, "args": Namespace(seed=1)}
    torch.save(saved, weights)
    meta = tmp_path / "meta.json"
    splits = {split: {"images": 1, "sha256": "0" * 64} for split in SPLITS}
    meta.write_text(json.dumps({"name": "d", "classes": CLASSES, "splits": splits}))
    teacher = {
        "source": "file",
        "weights": weights.name,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()[:8],
        "backbone": SEGMENTER.model_dump(),
        "head": {"output_stride": 32},
        "class_indices": None,
    }
    spec = {"task": "segmentation", "teacher": teacher}
    job = RunningJob(
        "fetch_teacher", {"benchmark": "b"}, spec, {"meta": meta}, {"checkpoint": tmp_path / "t.pt"}, "0" * 16
    )
    fetch(job)
    made = teacher_model(TeacherCheckpoint.of(load_checkpoint(tmp_path / "t.pt", "teacher")))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(made(images), segmenter(images)["out"], rtol=1e-4, atol=1e-5)


class Harmful:
    """Anything but a namespace of arguments."""


def test_a_checkpoint_with_other_objects_is_still_refused(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(1)}, "args": Harmful()}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        read_state(tmp_path / "w.pt")
