"""Every network as stages: the same output as the library, and cuts after stages, inside them and after the pooling."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from sc2.backbones import efficientnet, efficientnet_lite, hybrid_vit, mobilenet_v3, regnety, resnet, small_resnet
from sc2.backbones.base import StagedModel, cuts, module_path, stage_channels, stage_shape
from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.errors import ConfigError
from sc2.measure.macs import count_macs
from sc2.measure.size import parameter_count

FAMILIES: dict[str, Any] = {
    "efficientnet": efficientnet,
    "resnet": resnet,
    "efficientnet_lite": efficientnet_lite,
    "mobilenet_v3": mobilenet_v3,
    "regnety": regnety,
    "hybrid_vit": hybrid_vit,
    "small_resnet": small_resnet,
}
SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet18": ("resnet", {"depth": 18}),
    "efficientnet_lite0": ("efficientnet_lite", {}),
    "mobilenet_v3_small": ("mobilenet_v3", {"size": "small", "width_mult": 0.5}),
    "mobilenet_v3_large": ("mobilenet_v3", {"size": "large", "width_mult": 0.35}),
    "regnety_002": ("regnety", {"variant": "002"}),
    "efficientnet_b0": ("efficientnet", {"variant": "b0"}),
    "hybrid_vit": ("hybrid_vit", {"variant": "vit_small_r26_s32_224", "img_size": 64}),
}
LAYERS = ["stem", "layer1", "layer2", "layer3", "layer4"]

# Per network: parameters, MACs (both published by their authors or libraries, 1000 classes, 224 px), and the channels
# and sides of the tensors at stem … layer4.
PUBLISHED: dict[str, tuple[str, dict[str, Any], int, float, list[tuple[int, int]]]] = {
    "resnet50": ("resnet", {"depth": 50}, 25_557_032, 4.089e9, [(64, 56), (256, 56), (512, 28), (1024, 14), (2048, 7)]),
    "resnet101": (
        "resnet",
        {"depth": 101},
        44_549_160,
        7.80e9,
        [(64, 56), (256, 56), (512, 28), (1024, 14), (2048, 7)],
    ),
    "resnet152": (
        "resnet",
        {"depth": 152},
        60_192_808,
        11.51e9,
        [(64, 56), (256, 56), (512, 28), (1024, 14), (2048, 7)],
    ),
    "regnety_064": ("regnety", {}, 30_583_252, 6.39e9, [(32, 112), (144, 56), (288, 28), (576, 14), (1296, 7)]),
    "efficientnet_b0": (
        "efficientnet",
        {},
        5_288_548,
        0.385e9,
        [(16, 112), (24, 56), (40, 28), (112, 14), (1280, 7)],
    ),
    "hybrid_vit": ("hybrid_vit", {}, 36_431_912, 3.5e9, [(64, 56), (256, 56), (512, 28), (1024, 14), (2048, 7)]),
    "efficientnet_lite0": (
        "efficientnet_lite",
        {},
        4_652_008,
        0.385e9,  # as torch counts it; the authors' 407 million are of another rule
        [(16, 112), (24, 56), (40, 28), (112, 14), (1280, 7)],
    ),
    "mobilenet_v3_large": (
        "mobilenet_v3",
        {},
        5_483_032,
        0.217e9,
        [(16, 112), (24, 56), (40, 28), (112, 14), (960, 7)],
    ),
    "mobilenet_v3_small": (
        "mobilenet_v3",
        {"size": "small"},
        2_542_856,
        0.057e9,
        [(16, 112), (16, 56), (24, 28), (48, 14), (576, 7)],
    ),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def with_statistics(network: nn.Module) -> nn.Module:
    """The network in eval mode with batch statistics that are not the initial ones."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module", params=SMALL)
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, StagedModel]:
    """A network in its library's layout, and as stages that share its weights."""
    torch.manual_seed(0)
    family, args = SMALL[request.param]
    library = with_statistics(FAMILIES[family].network(7, **args))
    return library, FAMILIES[family].staged(library).eval()


def test_the_stages_give_the_librarys_output(pair: tuple[nn.Module, StagedModel]) -> None:
    library, staged = pair
    assert parameter_count(staged) == parameter_count(library)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(staged(images), library(images))


def test_every_cut_divides_the_network(pair: tuple[nn.Module, StagedModel]) -> None:
    """Cuts after stages, inside the second and the last of them, and after the pooling."""
    _, model = pair
    names, images, whole = cuts(model), torch.randn(1, 3, 64, 64), parameter_count(model)
    assert [cut for cut in names if cut in LAYERS] == LAYERS
    with torch.no_grad():
        logits = model(images)
        for cut in set(names) & {*LAYERS, "layer2.0", "layer4.0", "avgpool"}:
            before, after = model.up_to(cut), model.after(cut)
            features = before(images)
            assert torch.equal(after(features), logits), cut
            assert tuple(features.shape[1:]) == stage_shape(model, cut, 64), cut
            assert parameter_count(before) + parameter_count(after) == whole
            # What follows has the cuts that follow, under the same names.
            assert names[names.index(cut) + 1 :] == cuts(after)


def test_the_cuts_of_a_resnet() -> None:
    with torch.device("meta"):
        model = resnet.build(1000, 50)
    found = cuts(model)
    assert found[:6] == ["stem", "layer1.0", "layer1.1", "layer1", "layer2.0", "layer2.1"]
    assert found[-7:] == ["layer3.3", "layer3.4", "layer3", "layer4.0", "layer4.1", "layer4", "avgpool"]
    assert len(found) == 1 + (3 + 4 + 6 + 3) + 1
    shapes = {cut: stage_shape(model, cut, 224) for cut in ("layer3.4", "layer4.0", "avgpool")}
    assert shapes == {"layer3.4": (1024, 14, 14), "layer4.0": (2048, 7, 7), "avgpool": (2048, 1, 1)}
    # The last block is the whole stage.
    assert cuts(model.after("layer4.2")) == cuts(model.after("layer4")) == ["avgpool"]
    assert list(model.after("avgpool").state_dict()) == ["stages.head.2.weight", "stages.head.2.bias"]


@pytest.mark.parametrize("cut", ["layer4.0", "layer3", "avgpool"])
def test_the_output_at_a_cut_can_be_hooked(cut: str) -> None:
    model, images, seen = with_statistics(resnet.build(3, 18)), torch.randn(1, 3, 64, 64), []
    assert isinstance(model, StagedModel)
    hook = model.get_submodule(module_path(model, cut)).register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.no_grad():
        model(images)
        hook.remove()
        assert torch.equal(seen[0], model.up_to(cut)(images))


@pytest.mark.parametrize("cut", ["layer5", "layer4.3", "layer1.x", "layer1.", "stem.0", "head.0", "stem.avgpool", ""])
def test_a_cut_that_is_not_there_is_named_with_those_that_are(cut: str) -> None:
    with torch.device("meta"):
        model = resnet.build(10, 18)
    for ask in (
        model.up_to,
        model.after,
        lambda name: stage_shape(model, name, 64),
        lambda name: module_path(model, name),
    ):
        with pytest.raises(ConfigError, match=r"no cut '.*'; there are: stem, layer1\.0, layer1, .*, layer4, avgpool$"):
            ask(cut)


def test_stages_of_one_block_are_cut_as_a_whole() -> None:
    model = small_resnet.build(3, width=4)
    assert cuts(model) == [*LAYERS, "avgpool"]
    with pytest.raises(ConfigError, match=r"no cut 'layer1\.0'; there are: stem, layer1, layer2"):
        model.after("layer1.0")
    assert stage_shape(model, "layer4", 64) == (32, 2, 2)


def test_a_transformer_has_no_pooling_to_cut_at() -> None:
    with torch.device("meta"):
        model = hybrid_vit.build(10)
    assert cuts(model)[-2:] == ["layer4.0", "layer4"]
    with pytest.raises(ConfigError, match="no cut 'avgpool'"):
        model.after("avgpool")


def test_a_network_may_have_fewer_stages() -> None:
    with torch.device("meta"):
        model = hybrid_vit.build(10, variant="vit_base_r50_s16_224")
    assert list(model.stages) == ["stem", "layer1", "layer2", "layer3", "head"]
    assert stage_shape(model, "layer3", 224) == (1024, 14, 14)
    with pytest.raises(ConfigError, match=r"no cut 'layer4'; there are: .*layer3$"):
        model.up_to("layer4")


def test_asking_for_a_shape_leaves_the_model_alone() -> None:
    model = small_resnet.build(3, width=4).train()
    model.stages["layer2"].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    # One pixel per channel: batch norm in training mode would refuse it.
    assert stage_channels(model, "layer4", 32) == 32
    assert model.training
    assert not model.stages["layer2"].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    family, args, parameters, macs, shapes = PUBLISHED[name]
    with torch.device("meta"):
        model = build_network(NetworkSpec(name=family, args=args), 1000)
    assert parameter_count(model) == parameters
    assert [stage_shape(model, cut, 224) for cut in LAYERS] == [(c, side, side) for c, side in shapes]
    assert count_macs(model, torch.zeros(1, 3, 224, 224, device="meta")) == pytest.approx(macs, rel=0.02)


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_wider_network_is_bigger(size: str) -> None:
    with torch.device("meta"):
        widths = (0.35, 0.5, 1.0, 1.4)
        specs = [NetworkSpec(name="mobilenet_v3", args={"size": size, "width_mult": width}) for width in widths]
        models = [build_network(spec, 10) for spec in specs]
    assert all(small < large for small, large in pairwise(map(parameter_count, models)))
    assert all(small <= large for small, large in pairwise(stage_channels(model, "layer2", 64) for model in models))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("resnet", {"depth": 51}),
        ("mobilenet_v3", {"size": "medium"}),
        ("regnety", {"variant": "6.4GF"}),
        ("efficientnet_lite", {"variant": "lite9"}),
        ("hybrid_vit", {"variant": "vit_r26"}),
        ("small_resnet", {"breadth": 3}),
    ],
)
def test_a_network_that_cannot_be_built_is_an_error_of_the_configuration(name: str, args: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"the network {name} cannot be built with .*; change backbone\.args"):
        build_network(NetworkSpec(name=name, args=args), 3)
