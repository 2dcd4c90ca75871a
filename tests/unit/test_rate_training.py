"""Training on labels at a rate price: the loss, the optimiser, and the networks of end_to_end and fine_tuned_split."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.errors import ConfigError
from sc2.measure.macs import count_macs
from sc2.measure.size import parameter_count
from sc2.methods import get_method
from sc2.methods.student.fine_tuned import PastedBottleneck
from sc2.methods.student.from_scratch import UntrainedStudent
from sc2.training.recipe import Recipe, cosine

BACKBONE = NetworkSpec(name="small_resnet", args={"width": 4})
ARCH = {"cut": "layer1", "encoder_channels": [6, 5, 4], "decoder_channels": [8, 8], "latent_gain": 1.0}
ARCHS: dict[str, dict[str, Any]] = {"end_to_end": ARCH, "fine_tuned_split": {}}
CASES = [("end_to_end", "train", "0.01"), ("fine_tuned_split", "finetune", "layer2_0.01")]


@pytest.fixture(scope="module")
def teacher() -> dict[str, Any]:
    torch.manual_seed(1)
    model = build_network(BACKBONE, 3).train()
    for _ in range(3):
        model(torch.randn(8, 3, 32, 32))
    return {"task": "classification", "backbone": BACKBONE, "classes": ["a", "b", "c"], "state": model.state_dict()}


def recipe_of(
    name: str, phase: str, point: str, spec: dict[str, Any], teacher: dict[str, Any], **params: Any
) -> Recipe:
    method = get_method(name)
    return method.training(method.phase_params(phase, params), method.context(ARCHS[name], point, spec, teacher))


@pytest.mark.parametrize(("name", "phase", "point"), CASES)
def test_the_loss_is_cross_entropy_and_price_times_bits_per_image(
    name: str, phase: str, point: str, input_spec: dict[str, Any], teacher: dict[str, Any]
) -> None:
    recipe = recipe_of(name, phase, point, input_spec, teacher)
    model = recipe.model.eval()
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        terms, sums = recipe.step(images, labels), recipe.validate(images, labels)
        y_hat, (likelihoods,) = model.prior(model.encoder(images))
        logits = model.tail(model.decoder(y_hat) if name == "end_to_end" else y_hat)
    torch.testing.assert_close(terms["task"], functional.cross_entropy(logits, labels))
    torch.testing.assert_close(terms["bits"], -torch.log2(likelihoods).sum() / 4)
    torch.testing.assert_close(terms["loss"], terms["task"] + 0.01 * terms["bits"])
    recipe.judge.begin()
    recipe.validate(images, labels)
    assert recipe.judge.result()["top1_pct"] == 25 * (logits.argmax(1) == labels).sum()
    for term in ("loss", "task", "bits"):
        torch.testing.assert_close(sums[term], 4 * terms[term])


@pytest.mark.parametrize(("name", "phase", "point"), CASES)
def test_everything_is_trained_and_the_density_has_its_own_rate(
    name: str, phase: str, point: str, input_spec: dict[str, Any], teacher: dict[str, Any]
) -> None:
    recipe = recipe_of(name, phase, point, input_spec, teacher, lr=0.5, prior_lr_factor=3.0)
    optimizer = recipe.optimizer(recipe.trained_parameters())
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.5]
    prior = recipe.model.prior.entropy_bottleneck
    density = {id(parameter) for parameter in prior.parameters()} - {id(prior.quantiles)}
    given = [{id(parameter) for parameter in group["params"]} for group in optimizer.param_groups]
    assert given[1] == density
    assert given[0] | given[1] == {id(p) for p in recipe.model.parameters()} - {id(prior.quantiles)}
    assert all(parameter.requires_grad for parameter in recipe.model.parameters())
    assert recipe.select == ("loss", "min")


@pytest.mark.parametrize(("name", "phase", "point"), CASES)
def test_a_phase_that_is_not_there_is_refused(name: str, phase: str, point: str) -> None:
    with pytest.raises(LookupError, match="no training phase 'warm_up'"):
        get_method(name).phase_params("warm_up", {})


def test_cosine_is_torchs() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, total = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=37), 37
    for step in range(total):
        assert cosine()(step, total) == pytest.approx(schedule.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        schedule.step()


# From scratch


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[bool]:
    assert one.keys() == other.keys()
    return [torch.equal(value, other[name]) for name, value in one.items()]


def test_end_to_end_starts_from_the_seed_alone(input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    states = []
    other = build_network(BACKBONE, 3).state_dict()
    for seed, weights in ((0, teacher["state"]), (0, other), (1, teacher["state"])):
        context = get_method("end_to_end").context(ARCH, "1", input_spec, teacher | {"state": weights})
        torch.manual_seed(seed)
        states.append(UntrainedStudent(context).state_dict())
    assert all(equal(states[0], states[1]))
    assert not all(equal(states[0], states[2]))
    tail = {f"tail.{n}": v for n, v in build_network(BACKBONE, 3).after("layer1").state_dict().items()}
    assert tail.keys() <= states[0].keys()
    trained = {f"tail.stages.{name.removeprefix('stages.')}": value for name, value in teacher["state"].items()}
    weights = [n for n in tail if n.endswith("conv1.weight")]
    assert weights
    assert not any(torch.equal(states[0][name], trained[name]) for name in weights)


@pytest.mark.parametrize("taken_over", [False, True])
def test_the_rate_of_end_to_end_can_rise_first(
    taken_over: bool, input_spec: dict[str, Any], teacher: dict[str, Any]
) -> None:
    """With and without an encoder of another benchmark; the papers' schedules only fall."""
    method, rates = get_method("end_to_end"), {}
    context = method.context(ARCH, "1", input_spec, teacher)
    if taken_over:
        encoder = UntrainedStudent(context).state_dict()
        context = method.context(ARCH, "1", input_spec, teacher, encoder)
    for name in ("one_cycle", "poly"):
        factor = method.training(method.phase_params("train", {"schedule": name}), context).learning_rate
        rates[name] = [factor(step, 100) for step in range(100)]
    assert rates["poly"] == sorted(rates["poly"], reverse=True)
    assert rates["one_cycle"][0] < 0.1 < 0.99 < max(rates["one_cycle"])
    assert rates["one_cycle"].index(max(rates["one_cycle"])) in range(10, 30)


def test_a_network_with_frozen_batch_norms_cannot_be_trained_from_scratch(input_spec: dict[str, Any]) -> None:
    backbone = NetworkSpec(name="resnet", args={"depth": 50, "frozen_batch_norm": True})
    state = build_network(backbone, 2).state_dict()
    checkpoint = {"task": "classification", "backbone": backbone, "classes": ["a", "b"], "state": state}
    with pytest.raises(ConfigError, match="resnet with frozen batch norms cannot be trained from scratch"):
        UntrainedStudent(get_method("end_to_end").context(ARCH, "1", input_spec, checkpoint))


# Pasted into the pre-trained network


@pytest.mark.parametrize("cut", ["stem", "layer1", "layer2", "layer3", "layer4", "avgpool"])
def test_the_halves_are_the_teacher_cut_in_two(cut: str, input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    method = get_method("fine_tuned_split")
    context = method.context({}, f"{cut}_1e-5", input_spec, teacher)
    whole = build_network(BACKBONE, 3).eval()
    whole.load_state_dict(teacher["state"])
    network = PastedBottleneck(context.teacher, cut).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network.tail(network.encoder(images)), whole(images))
    exported = method.export(context, network.state_dict())
    device, server = method.load_device(exported.device.plain()), method.load_server(exported.server.plain())
    assert device.network is not None
    assert parameter_count(device.network) + parameter_count(server.network) == parameter_count(whole)
    assert parameter_count(device.network) == parameter_count(whole.up_to(cut))
    assert count_macs(device.network, images) + count_macs(
        whole.after(cut), network.encoder(images).detach()
    ) == count_macs(whole, images)
    assert method.curve(context.point) == cut


def test_points_are_a_cut_and_a_price() -> None:
    axis = get_method("fine_tuned_split").rate_axis
    for point in ("layer3_1e-5", "stem_0.1", "layer4.0_1e-15", "avgpool_8e-10"):
        assert axis.problem(point) is None
    for point in ("layer3", "layer9_1", "layer3_x", "1e-5", "layer3_1_2", "layer3_-1"):
        assert axis.problem(point) is not None
