"""CR+BQ: the published architecture row by row, other backbones, and what its training leaves alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.config.load import load_config
from sc2.errors import ConfigError
from sc2.methods import get_method
from sc2.methods.reduction.affine import through_quantizer
from sc2.methods.reduction.network import ReductionNetwork, expansion, reduction
from sc2.split.method import BuildContext
from sc2.training.hints import HintLoss

METHOD = get_method("channel_reduction_quantization")
SMALL = {"encoder_channels": [6, 5, 8, 5], "decoder_channels": [5, 6, 8]}

# Legacy layout at 224 px: kind, output channels, side; C stands for the operating point.
ROWS = """
conv 64 112, bn 64 112, relu 64 112, pool 64 56, conv 64 57, bn 64 57, conv 256 58, bn 256 58, relu 256 58,
conv 64 59, bn 64 59, conv C 60, bn C 60, relu C 60, conv 64 59, bn 64 59, conv 128 58, bn 128 58, relu 128 58,
conv 256 57, bn 256 57, conv 256 56, bn 256 56, relu 256 56
"""
KINDS = {"conv": nn.Conv2d, "bn": nn.BatchNorm2d, "relu": nn.ReLU, "pool": nn.MaxPool2d}


def test_every_row_of_the_published_architecture() -> None:
    rows = [row.split() for row in ROWS.replace("C", "3").replace("\n", " ").split(",")]
    encoder, decoder = reduction(3, [64, 64, 256, 64]), expansion(3, [64, 128, 256], 256)
    modules = [*encoder, *decoder]
    assert [len(encoder), len(decoder), len(rows)] == [12, 12, 24]
    x = torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        for module, (kind, channels, side) in zip(modules, rows, strict=True):
            x = module.eval()(x)
            assert type(module) is KINDS[kind]
            assert x.shape == (1, int(channels), int(side), int(side))
    assert all(module.bias is None for module in modules if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize(("halvings", "side"), [(1, 36), (2, 20), (3, 12)])
def test_the_number_of_poolings_follows_the_cut(halvings: int, side: int) -> None:
    with torch.no_grad():
        z = reduction(2, [4, 4, 4, 4], halvings)(torch.zeros(1, 3, 64, 64))
        assert z.shape == (1, 2, side, side)
        assert expansion(2, [4, 4, 4], 7)(z).shape == (1, 7, side - 4, side - 4)


def make_context(backbone: NetworkSpec, size: int, point: str = "3", **arch: Any) -> BuildContext:
    torch.manual_seed(0)
    model = build_network(backbone, 3).train()
    model(torch.randn(4, 3, 64, 64))
    teacher = {"task": "classification", "backbone": backbone, "classes": ["a", "b", "c"], "state": model.state_dict()}
    spec = {"resize": size, "crop": size, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.25] * 3}
    return METHOD.context(SMALL | arch, point, spec, teacher)


SMALL_RESNET = NetworkSpec(name="small_resnet", args={"width": 4})
EFFICIENTNET = NetworkSpec(name="efficientnet_lite")


@pytest.mark.parametrize("cut", ["stem", "layer1", "layer2"])
@pytest.mark.parametrize("size", [64, 50])
def test_features_fit_the_backbone_at_the_cut(cut: str, size: int) -> None:
    context = make_context(SMALL_RESNET, size, cut=cut, hints=[cut, "layer3"])
    network = ReductionNetwork(context).eval()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = build_network(SMALL_RESNET, 3).eval().up_to(cut)(images).shape
        assert network.decoder(network.encoder(images)).shape == expected
        assert network(images).shape == (2, 3)


def test_a_cut_without_a_picture_is_refused() -> None:
    class Global(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, :3, :3]

    from sc2.backbones.base import StagedModel
    from sc2.methods.reduction.network import _target

    with pytest.raises(ConfigError, match=r"have a side of 3 for images of 64; .* choose another cut"):
        _target(StagedModel({"stem": Global()}), "stem", 64)


def test_a_network_of_linear_bottlenecks_keeps_its_weights_and_its_signs() -> None:
    context = make_context(EFFICIENTNET, 64, output_relu=False, hints=["layer2"])
    recipe = METHOD.training(METHOD.phase_params("distill", {}), context)
    recipe.set_modes()
    before = {name: value.clone() for name, value in recipe.model.tail.state_dict().items()}
    recipe.step(torch.randn(2, 3, 64, 64), torch.tensor([0, 1]))["loss"].backward()
    assert all(torch.equal(value, before[name]) for name, value in recipe.model.tail.state_dict().items())
    assert not recipe.model.tail.training
    with torch.no_grad():
        assert (recipe.model.decoder(recipe.model.encoder(torch.randn(2, 3, 64, 64))) < 0).any()


def test_only_the_wire_and_validation_are_quantised() -> None:
    network = ReductionNetwork(make_context(SMALL_RESNET, 32)).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        z = network.encoder(images)
        assert torch.equal(network(images), network.tail(network.decoder(through_quantizer(z))))
        network.encoder.train()
        expected = network.encoder(images)
        assert torch.equal(network(images), network.tail(network.decoder(expected)))


def test_the_loss_is_the_squared_error_of_all_hints_summed_over_the_batch() -> None:
    context = make_context(SMALL_RESNET, 32, hints=["layer1", "layer3"])
    recipe = METHOD.training(METHOD.phase_params("distill", {}), context)
    recipe.model.eval()
    images, student = torch.randn(3, 3, 32, 32), recipe.model
    teacher = recipe.frozen[-1]
    with torch.no_grad():
        terms = recipe.step(images, torch.zeros(3, dtype=torch.long))
        features = student.decoder(through_quantizer(student.encoder(images)))
        late = student.tail.stages["layer3"](student.tail.stages["layer2"](features))
        expected = ((features - teacher.up_to("layer1")(images)) ** 2).sum()
        expected = expected + ((late - teacher.up_to("layer3")(images)) ** 2).sum()
    torch.testing.assert_close(terms["loss"], expected)
    torch.testing.assert_close(terms["sse"], expected / 3)


def test_an_encoder_from_elsewhere_stays_as_it_is_and_the_decoder_starts_there() -> None:
    first = ReductionNetwork(make_context(SMALL_RESNET, 32)).state_dict()
    other = {name: value + 0.01 for name, value in first.items() if value.is_floating_point()}
    context = replace(make_context(SMALL_RESNET, 32), encoder=first | other)
    recipe = METHOD.training(METHOD.phase_params("distill", {"lr": 0.1}), context)
    student = recipe.model

    def parts_unlike(values: dict[str, Tensor]) -> set[str]:
        found = student.state_dict()
        return {name.partition(".")[0] for name in values if not torch.equal(found[name], values[name])}

    assert parts_unlike(other) == {"tail"}
    recipe.set_modes()
    optimizer = recipe.optimizer(recipe.trained_parameters())
    recipe.step(torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long))["loss"].backward()
    optimizer.step()
    assert parts_unlike(other) == {"tail", "decoder"}
    METHOD.reuse_encoder(student, first)
    assert parts_unlike(first) == {"decoder"}


def test_a_half_of_other_values_is_refused() -> None:
    context = make_context(SMALL_RESNET, 32)
    export = METHOD.export(context, ReductionNetwork(context).state_dict())
    device, server = export.device.plain(), export.server.plain()
    assert METHOD.load_device(device).network is not None
    for load, half in ((METHOD.load_device, device), (METHOD.load_server, server)):
        with pytest.raises(ValidationError, match="channels"):
            load({key: value for key, value in half.items() if key != "channels"})
        with pytest.raises(ValidationError, match="lates"):
            load(half | {"lates": 3})


def test_hints_are_hooked_where_they_are() -> None:
    loss = HintLoss("layer1", ["layer1", "layer4"])
    assert loss.student_paths == ["decoder", "tail.stages.layer4"]
    assert loss.teacher_paths == ["stages.layer1", "stages.layer4"]


def test_hints_before_the_cut_are_refused() -> None:
    with pytest.raises(ValueError, match="no hints before the cut: layer1; allowed: layer2"):
        METHOD.Params.model_validate({"cut": "layer2", "hints": ["layer1", "layer2"]})


def test_imagenettes_encoder_is_smaller_than_the_whole_network(root: Any) -> None:
    """At the benchmark's own widths; the papers' would cost the device more MACs than the whole EfficientNet-Lite0."""
    from sc2.measure.macs import count_macs

    benchmark = load_config(root / "config/imagenette.yaml").benchmarks["imagenette_efficientnet_lite0"]
    params = benchmark.methods[type(METHOD).__module__.rpartition(".")[2]].params.model_dump()
    side = benchmark.config.input.crop
    assert side is not None
    images = torch.zeros(1, 3, side, side)
    whole = build_network(NetworkSpec(**dict(benchmark.config.teacher.backbone)), 10)
    assert count_macs(reduction(12, params["encoder_channels"]), images) < count_macs(whole, images) / 2
