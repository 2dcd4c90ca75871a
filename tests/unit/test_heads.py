"""Staged models with taps, dilation, and the two heads against torchvision's own models with the same weights."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3

from sc2.backbones.base import StagedModel, cuts
from sc2.backbones.build import build_network
from sc2.backbones.spec import BackboneSpec, HeadSpec, NetworkSpec
from sc2.errors import ConfigError
from sc2.tasks import get_task

SMALL = BackboneSpec(name="small_resnet", args={"width": 8})
RESNET = BackboneSpec(name="resnet", args={"depth": 18})
BACKBONES = [SMALL, RESNET, BackboneSpec(name="efficientnet_lite")]
HEADS: dict[str, dict[str, Any]] = {
    "detection": {
        "out_channels": 8,
        "representation": 16,
        "anchor_px": [8, 16, 24, 32, 48],
        "proposals": 20,
        "score_threshold": 0.01,
        "max_detections": 10,
    },
    "segmentation": {"output_stride": 8, "width": 8, "atrous_rates": [1, 2]},
}
TASKS = ["detection", "segmentation"]
LAST_CUTS = {"detection": "layer1", "segmentation": "layer4"}
"""Where the features of one stage are all that an answer needs."""
IDS = [backbone.name for backbone in BACKBONES]


def made(task: str, backbone: BackboneSpec = SMALL, **head: Any) -> tuple[NetworkSpec, StagedModel]:
    """The spec of a network and the network, with batch statistics that are not the initial ones."""
    spec = get_task(task).network(backbone, get_task(task).Head.model_validate(HEADS[task] | head))
    torch.manual_seed(0)
    model = build_network(spec, 3)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
    return spec, model.eval()


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(5)
    return torch.randn(2, 3, 64, 96)


def equal(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", BACKBONES, ids=IDS)
@pytest.mark.parametrize("task", TASKS)
def test_a_network_cut_before_all_that_an_answer_needs_gives_the_output_of_the_whole(
    task: str, backbone: BackboneSpec, images: Tensor
) -> None:
    spec, model = made(task, backbone)
    last = LAST_CUTS[task]
    allowed = cuts(model)[: cuts(model).index(last) + 1]
    allowed = [*allowed[:-2:3], *allowed[-2:]]
    with torch.no_grad():
        whole = model(images)
        for cut in allowed:
            front, rest = model.up_to(cut), model.after(cut)
            equal(rest(front(images)), whole)
        # What a device builds has no head, and is dilated all the same.
        device = build_network(spec.body, 3).up_to(last)
        device.load_state_dict(front.state_dict())
        equal(device.eval()(images), front(images))
    assert "head" not in front.stages
    assert set(rest.state_dict()) | set(front.state_dict()) == set(model.state_dict())


def test_a_cut_behind_what_an_answer_needs_is_refused() -> None:
    _, model = made("detection")
    with pytest.raises(ConfigError, match=r"output of layer1.*before the cut 'layer2': cut at layer1"):
        model.after("layer2")


@pytest.mark.parametrize(
    ("cut", "auxiliary"), [("layer2", True), ("layer3", True), ("layer4.0", False), ("layer4", False)]
)
def test_the_auxiliary_head_learns_where_layer3_is_behind_the_cut_or_at_it(
    cut: str, auxiliary: bool, images: Tensor
) -> None:
    task, (_, model) = get_task("segmentation"), made("segmentation", RESNET)
    front, rest = model.up_to(cut), model.after(cut)
    masks = torch.randint(0, 4, (2, 64, 96)).to(torch.uint8)
    features = rest.features(front(images).detach())
    found = task.losses(rest.head, features, masks)
    assert set(found) == ({"loss", "cross_entropy", "auxiliary"} if auxiliary else {"loss"})
    found["loss"].backward()
    learns = {name: parameter.grad is not None for name, parameter in rest.head.named_parameters()}
    assert all(learnt == (auxiliary or not name.startswith("aux.")) for name, learnt in learns.items())
    expected = functional.cross_entropy(model(images), masks.long())
    if auxiliary:
        expected = expected + 0.5 * functional.cross_entropy(model.head.auxiliary(model.features(images)), masks.long())
    equal(found["loss"], expected)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("backbone", BACKBONES, ids=IDS)
def test_a_dilated_body_computes_the_original_features_and_those_between(backbone: BackboneSpec, stride: int) -> None:
    _, dilated = made("segmentation", backbone, output_stride=stride)
    original = build_network(NetworkSpec(**dict(backbone)), 3).eval()
    original.load_state_dict(dilated.state_dict(), strict=False)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        fine, coarse = dilated.features(images)["layer4"], original.up_to("layer4")(images)
    assert fine.shape[2:] == (64 // stride, 96 // stride)
    assert coarse.abs().max() > 0
    # TensorFlow's padding: what was the first position of a stride now lies at its end.
    step = 32 // stride
    first = step - 1 if backbone.name == "efficientnet_lite" else 0
    equal(fine[:, :, first::step, first::step], coarse)


def test_a_stem_cannot_be_dilated() -> None:
    with pytest.raises(ConfigError, match="stem has a stride of 4"):
        build_network(NetworkSpec(**dict(RESNET), output_stride=2), 3)


# Detection


class Pyramid(nn.Module):
    """Body and feature pyramid as torchvision's detector takes them."""

    def __init__(self, model: StagedModel) -> None:
        super().__init__()
        self.model, self.out_channels = model, 8

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.model.features(x)
        return self.model.head.fpn(OrderedDict((tap, features[tap]) for tap in self.model.taps))


def torchvision_detector(model: StagedModel) -> FasterRCNN:
    """Torchvision's detector with the same weights, which neither resizes nor normalises."""
    sides = HEADS["detection"]["anchor_px"]
    detector = FasterRCNN(
        Pyramid(model),
        num_classes=4,
        min_size=64,
        max_size=96,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator([(side,) for side in sides], [(0.5, 1.0, 2.0)] * 5),
        **{f"rpn_{when}_nms_top_n_{mode}": 20 for when in ("pre", "post") for mode in ("train", "test")},
        box_score_thresh=0.01,
        box_detections_per_img=10,
    )
    detector.rpn, detector.roi_heads = model.head.rpn, model.head.roi_heads
    return detector


def test_the_detector_finds_and_learns_what_torchvisions_does(images: Tensor) -> None:
    _, model = made("detection")
    detector = torchvision_detector(model).eval()
    with torch.no_grad():
        detections, expected = model(images), detector(list(images))
    assert sum(len(boxes["boxes"]) for boxes in detections) > 0
    for own, theirs in zip(detections, expected, strict=True):
        assert torch.equal(own["labels"], theirs["labels"] - 1)
        equal(own["scores"], theirs["scores"])
        equal(own["boxes"], theirs["boxes"])
    targets = [
        {"boxes": torch.tensor([[3.0, 4, 40, 50], [50, 8, 70, 30]]), "labels": torch.tensor([2, 0])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    theirs = [{"boxes": target["boxes"], "labels": target["labels"] + 1} for target in targets]
    # Norms of the body in eval mode in both: only the proposals that are sampled are random.
    detector.train()
    for name in ("stem", *model.taps):
        model.stages[name].eval()
    torch.manual_seed(0)
    reference = detector(list(images), theirs)
    torch.manual_seed(0)
    own = model.head.losses(model.features(images), targets)
    assert own.keys() == reference.keys()
    for name, value in own.items():
        equal(value, reference[name])


def test_losses_in_validation_are_the_same_again_and_draw_nothing(images: Tensor) -> None:
    _, model = made("detection")
    targets = [{"boxes": torch.tensor([[3.0, 4, 40, 50]]), "labels": torch.tensor([2])}] * 2
    before = torch.get_rng_state()
    with torch.no_grad():
        one, two = (model.head.losses(model.features(images), targets) for _ in range(2))
    assert one == two
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())


def test_a_level_without_an_anchor_is_refused() -> None:
    head = HeadSpec(name="detection", args=HEADS["detection"] | {"anchor_px": [8]})
    with pytest.raises(ConfigError, match="needs 5 sides"):
        build_network(NetworkSpec(**dict(SMALL), head=head), 3)


# Segmentation


def test_the_segmenter_is_torchvisions(images: Tensor) -> None:
    _, model = made("segmentation", width=256, atrous_rates=[12, 24, 36])
    channels = model.head.classifier[0].convs[0][0].in_channels
    classifier = DeepLabHead(channels, 4)
    classifier.load_state_dict(model.head.classifier.state_dict())

    class Body(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            features = model.features(x)
            return OrderedDict(out=features["layer4"], aux=features["layer3"])

    reference = DeepLabV3(Body(), classifier, model.head.aux).eval()
    with torch.no_grad():
        features = model.features(images)
        expected = reference(images)
        equal(model(images), expected["out"])
        equal(model.head.auxiliary(features), expected["aux"])
    assert model(images).shape == (2, 4, 64, 96)
