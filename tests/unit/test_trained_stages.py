"""Stages after the cut that are trained with the bottleneck, as the papers do on dense tasks."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.methods import get_method
from sc2.methods.student.from_scratch import UntrainedStudent
from sc2.training.recipe import Recipe

BACKBONE = NetworkSpec(name="resnet", args={"depth": 18})
FROZEN = NetworkSpec(name="resnet", args={"depth": 18, "frozen_batch_norm": True})
ARCH: dict[str, dict[str, Any]] = {
    "entropic_student": {"encoder_channels": [6, 5, 4], "decoder_channels": [8, 8]},
    "channel_reduction_quantization": {"encoder_channels": [4, 4, 8, 4], "decoder_channels": [8, 8, 8]},
}
POINTS = {"entropic_student": "0.01", "channel_reduction_quantization": "3"}


def teacher(backbone: NetworkSpec) -> dict[str, Any]:
    torch.manual_seed(0)
    state = build_network(backbone, 3).state_dict()
    return {"task": "classification", "backbone": backbone, "classes": ["a", "b", "c"], "state": state}


def recipe_of(name: str, trained: list[str], spec: dict[str, Any], backbone: NetworkSpec = BACKBONE) -> Recipe:
    method = get_method(name)
    params = method.phase_params("distill", {"trained_stages": trained, "batch_size": 2})
    torch.manual_seed(1)
    return method.training(params, method.context(ARCH[name], POINTS[name], spec, teacher(backbone)))


def stepped(recipe: Recipe) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The model's state before and after one step."""
    recipe.set_modes()
    optimizer = recipe.optimizer(recipe.trained_parameters())
    before = {name: value.clone() for name, value in recipe.model.state_dict().items()}
    torch.manual_seed(2)
    recipe.step(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))["loss"].backward()
    optimizer.step()
    return before, recipe.model.state_dict()


@pytest.mark.parametrize("name", list(ARCH))
@pytest.mark.parametrize("trained", [[], ["layer2"], ["layer2", "layer3", "layer4"]], ids=len)
def test_one_step_changes_the_named_stages_and_no_other(
    name: str, trained: list[str], input_spec: dict[str, Any]
) -> None:
    before, after = stepped(recipe_of(name, trained, input_spec))
    changed = {
        key.split(".")[2] for key in before if key.startswith("tail.") and not torch.equal(before[key], after[key])
    }
    assert changed == set(trained)
    assert not torch.equal(before["encoder.0.weight"], after["encoder.0.weight"])


@pytest.mark.parametrize("name", list(ARCH))
def test_frozen_batch_norms_stay_as_they_are_in_a_trained_stage(name: str, input_spec: dict[str, Any]) -> None:
    before, after = stepped(recipe_of(name, ["layer2"], input_spec, FROZEN))
    norms = [key for key in before if key.startswith("tail.stages.layer2.0.bn1")]
    assert len(norms) == 4
    assert all(torch.equal(before[key], after[key]) for key in norms)
    assert not torch.equal(before["tail.stages.layer2.0.conv1.weight"], after["tail.stages.layer2.0.conv1.weight"])


@pytest.mark.parametrize("name", [*ARCH, "entropic_student_mshp"])
@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (["layer1"], "trained_stages: layer1 must come after the cut; allowed: layer2, layer3, layer4"),
        (["layer5"], "must be different stages"),
        (["layer2", "layer2"], "must be different stages"),
    ],
)
def test_a_stage_that_cannot_be_trained_is_refused(name: str, stages: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_method(name).Params.model_validate({"phases": {"distill": {"trained_stages": stages}}})


def test_frozen_batch_norms_compute_what_batch_norms_do_in_evaluation() -> None:
    torch.manual_seed(0)
    one, other = build_network(BACKBONE, 3).eval(), build_network(FROZEN, 3)
    for name, buffer in one.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    state = one.state_dict()
    assert {name for name in state if not name.endswith("num_batches_tracked")} == set(other.state_dict())
    other.load_state_dict(state)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(one(images), other.train()(images), rtol=1e-4, atol=1e-5)


def test_a_body_trained_elsewhere_may_continue_with_frozen_batch_norms(input_spec: dict[str, Any]) -> None:
    """As End-to-End on COCO does, whose detector has them."""
    method, arch = get_method("end_to_end"), ARCH["entropic_student"]
    source = UntrainedStudent(method.context(arch, "1e-6", input_spec, teacher(BACKBONE)))
    context = method.context(arch, "1e-6", input_spec, teacher(FROZEN), source.state_dict())
    recipe = method.training(method.phase_params("train", {}), context)
    taken, given = recipe.model.state_dict(), source.state_dict()
    assert torch.equal(taken["tail.stages.layer3.0.conv1.weight"], given["tail.stages.layer3.0.conv1.weight"])
    assert torch.equal(taken["tail.stages.layer3.0.bn1.running_var"], given["tail.stages.layer3.0.bn1.running_var"])
