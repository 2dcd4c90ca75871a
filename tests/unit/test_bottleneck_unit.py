"""What a unit's training may move and what it learns from; its two halves."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.entropy.counts import count_symbols
from sc2.errors import ConfigError, WireError
from sc2.methods import get_method
from sc2.methods.unit.halves import UnitDevice, UnitDeviceContent, UnitServer, UnitServerContent, split_unit
from sc2.methods.unit.network import COUNTED, UnitNetwork
from sc2.methods.unit.params import UnitArch
from sc2.methods.unit.point import AXIS, UnitPoint
from sc2.methods.unit.training import distilled, divergence, supervised
from sc2.split.method import BuildContext, Export
from sc2.split.wire import Payload
from sc2.tasks import get_task
from sc2.training.recipe import Recipe

POINT = "layer2_q0.5_s2_k6"
Context = BuildContext[UnitArch]


# The network


@pytest.fixture(scope="module")
def context(input_spec: dict[str, Any]) -> Context:
    torch.manual_seed(1)
    backbone = NetworkSpec(name="small_resnet", args={"width": 4})
    model = build_network(backbone, 3).train()
    model(torch.randn(8, 3, 32, 32))
    teacher = {
        "task": "classification",
        "backbone": backbone.model_dump(),
        "classes": ["a", "b", "c"],
        "state": model.state_dict(),
    }
    return get_method("bottleneck_unit").context({"signed_features": False}, POINT, input_spec, teacher)


def recipe_of(context: Context, name: str = "bottleneck_unit", **changes: Any) -> Recipe:
    torch.manual_seed(0)
    method = get_method(name)
    return method.training(method.phase_params("unit", changes), context)


def network_of(recipe: Recipe) -> UnitNetwork:
    assert isinstance(recipe.model, UnitNetwork)
    return recipe.model


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 1, 2, 0, 1, 2])


def test_points_name_cut_step_stride_and_channels() -> None:
    assert AXIS.parse("layer4.0_q3.38_s4_k96") == UnitPoint("layer4.0", 3.38, 4, 96)
    method = get_method("bottleneck_unit")
    assert method.curve("layer4.0_q3.38_s4_k96") == "layer4.0"
    for wrong, reason in (
        ("layer3_q0_s2_k4", "step must lie between"),
        ("layer3_q1_s2.5_k4", "stride must be a whole number"),
        ("layer3_q1_k4", "has 4 parts"),
        ("layer9_q1_s2_k4", "cut must be"),
        ("layer3_q1_k4_s2", "must begin with s"),
    ):
        problem = method.rate_axis.problem(wrong)
        assert problem is not None
        assert reason in problem


def test_a_checkpoint_holds_the_unit_and_nothing_of_the_network_around_it(context: Context) -> None:
    state = network_of(recipe_of(context)).state_dict()
    assert {name.split(".")[0] for name in state} == {"encoder", "decoder", "prior", "counts"}


def test_the_loss_is_the_tasks_and_the_price_of_the_bits(context: Context, batch: tuple[Tensor, Tensor]) -> None:
    for name in ("bottleneck_unit", "bottleneck_unit_distilled"):
        recipe = recipe_of(context, name, bit_price=0.25)
        for terms in (recipe.step(*batch), {k: v / 6 for k, v in recipe.validate(*batch).items()}):
            torch.testing.assert_close(terms["loss"], terms["task"] + 0.25 * terms["bits"])
            assert terms["bits"] > 0


def test_bits_in_validation_are_those_of_the_symbols(context: Context, batch: tuple[Tensor, Tensor]) -> None:
    recipe = recipe_of(context)
    network = network_of(recipe).eval()
    with torch.no_grad():
        symbols = torch.round(network.latent(network.before(batch[0])))
        expected = network.prior.bits(symbols)
    assert recipe.validate(*batch)["bits"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_supervised_loss_looks_at_labels_and_distilled_at_the_teacher_only(
    context: Context, batch: tuple[Tensor, Tensor]
) -> None:
    network, task = network_of(recipe_of(context)).eval(), get_task("classification")
    before = network.before(batch[0])
    features, labels, other = network.received(network.latent(before)), batch[1] * 0, batch[1] * 0 + 1

    def loss(objective: Any, before: Tensor, labels: Tensor, **settings: float) -> float:
        return objective(task, network, features, before, labels, **settings)["loss"].item()

    assert loss(supervised, before, labels) == loss(supervised, -before, labels)
    assert loss(supervised, before, labels) != loss(supervised, before, other)
    assert loss(distilled, before, labels, temperature=1) == loss(distilled, before, other, temperature=1)
    assert loss(distilled, before, labels, temperature=1) != loss(distilled, -before, labels, temperature=1)


def test_the_divergence_is_between_softened_classes() -> None:
    torch.manual_seed(0)
    logits, teacher_logits = torch.randn(4, 3), torch.randn(4, 3)
    teacher, student = teacher_logits.div(2).softmax(1), logits.div(2).softmax(1)
    expected = 4 * (teacher * (teacher / student).log()).sum(1).mean()
    torch.testing.assert_close(divergence(logits, teacher_logits, temperature=2), expected)
    assert divergence(logits, logits, temperature=3).item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_passes_straight_through_the_rounding(context: Context) -> None:
    network = network_of(recipe_of(context)).eval()
    latent = torch.rand(2, 6, 2, 2).mul(3).requires_grad_()
    rounded = torch.round(latent.detach()).requires_grad_()
    network.head(network.received(latent)).sum().backward()
    network.tail(network.decoder(rounded * network.step)).sum().backward()
    torch.testing.assert_close(latent.grad, rounded.grad)


def test_tables_are_the_counts_of_the_images_they_were_calibrated_on(
    context: Context, batch: tuple[Tensor, Tensor]
) -> None:
    recipe = recipe_of(context)
    network = network_of(recipe).eval()
    assert recipe.calibrate is not None
    recipe.calibrate([batch[0][:2]])
    recipe.calibrate([batch[0][:4], batch[0][4:]])
    with torch.no_grad():
        expected = count_symbols(torch.round(network.encoder(network.before(batch[0])) / 0.5), COUNTED)
    assert torch.equal(network.counts, expected)
    assert network.counts.sum().item() == 6 * 6 * 2 * 2


def test_a_cut_that_the_network_has_not_is_refused(context: Context) -> None:
    with pytest.raises(ConfigError, match=r"no cut 'layer4\.0'; there are: stem, layer1"):
        UnitNetwork(context, AXIS.parse("layer4.0_q1_s2_k4"))


def test_a_unit_after_the_pooling(context: Context, batch: tuple[Tensor, Tensor]) -> None:
    network = UnitNetwork(context, AXIS.parse("avgpool_q1_s1_k4")).eval()
    assert (network.channels, network.size) == (32, 1)
    assert network(batch[0]).shape == (6, 3)


# The two halves


@pytest.fixture
def halves(context: Context, batch: tuple[Tensor, Tensor]) -> tuple[UnitDevice, UnitServer]:
    recipe = recipe_of(context)
    assert recipe.calibrate is not None
    recipe.model.eval()
    recipe.calibrate([batch[0]])
    return halves_of(split_unit(network_of(recipe), context, AXIS.parse(POINT)))


def halves_of(exported: Export) -> tuple[UnitDevice, UnitServer]:
    device = UnitDevice(UnitDeviceContent.model_validate(exported.device.plain()))
    return device, UnitServer(UnitServerContent.model_validate(exported.server.plain()))


def test_huffman_order_0_and_per_channel_rates_are_in_order(
    halves: tuple[UnitDevice, UnitServer], batch: tuple[Tensor, Tensor]
) -> None:
    """On average over what the tables were fitted on: Huffman ≥ one table ≥ a table per channel."""
    device, _ = halves
    assert device.network is not None
    with torch.no_grad():
        symbols = [torch.round(device.network(x.unsqueeze(0)) / device.step).int() for x in batch[0]]
    huffman = sum(map(device.huffman_bytes, symbols))
    order0 = sum(map(device.order0_bytes, symbols))
    assert huffman >= order0 >= sum(map(device.bits, symbols)) / 8 > 0
    assert all(isinstance(device.huffman_bytes(one), int) for one in symbols)


def test_a_payload_of_another_shape_is_refused(halves: tuple[UnitDevice, UnitServer]) -> None:
    device, server = halves
    payload = device.encode(np.zeros((32, 32, 3), dtype=np.uint8))
    assert payload.shape == (2, 2)
    with pytest.raises(WireError, match="shape 2×2, not 1 and 2×3"):
        server.decode(Payload(payload.streams, (2, 3)))
    with pytest.raises(WireError, match="one stream and the shape 2×2, not 2 and none"):
        server.decode(Payload((*payload.streams, b"x"), ()))


def test_units_at_one_cut_share_all_but_themselves(context: Context) -> None:
    """What a change of the rate swaps: nothing of the frozen network, on either side."""
    from sc2.measure.switch import HalfContents

    contents = []
    for point in (POINT, "layer2_q1_s1_k4"):
        network = UnitNetwork(context, AXIS.parse(point))
        exported = split_unit(network, context, AXIS.parse(point))
        device, server = halves_of(exported)
        contents.append(
            (
                HalfContents.of(exported.device.plain(), device.network),
                HalfContents.of(exported.server.plain(), server.network),
                network,
            )
        )
    (device_a, server_a, _), (device_b, server_b, unit) = contents
    sizes = [
        sum(t.numel() * t.element_size() for t in part.state_dict().values()) for part in (unit.encoder, unit.decoder)
    ]
    tables_of_unit = split_unit(unit, context, AXIS.parse(POINT)).device.plain()["tables"]
    tables = sum(t.numel() * t.element_size() for t in tables_of_unit.values())
    assert device_a.missing_bytes(device_b) <= sizes[0] + tables
    assert server_a.missing_bytes(server_b) <= sizes[1] + tables
    assert device_a.missing_bytes(device_b) > 0.5 * sizes[0]
    assert device_b.num_bytes > 2 * sizes[0]


def test_a_half_of_other_values_is_refused(context: Context) -> None:
    method = get_method("bottleneck_unit")
    exported = split_unit(network_of(recipe_of(context)), context, AXIS.parse(POINT))
    device, server = exported.device.plain(), exported.server.plain()
    with pytest.raises(ValidationError, match="input"):
        method.load_device(server)
    with pytest.raises(ValidationError, match="strid"):
        method.load_server({**server, "strid": 2})
    assert device.keys() == server.keys() | {"input"}
