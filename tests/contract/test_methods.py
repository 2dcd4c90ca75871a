"""What every method must do, whatever it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from sc2.checkpoint import save_atomically
from sc2.data.normalise import normalise
from sc2.errors import WireError
from sc2.methods import base_of, get_method, method_names
from sc2.runs.export import count_costs
from sc2.runs.halves import load_device, load_server
from sc2.split.axes import RateAxis
from sc2.split.wire import Payload, pack, unpack
from tests.contract.conftest import (
    Case,
    assert_same_output,
    joined,
    make_case,
    phase_recipe,
    phases_to_repeat,
    points,
    run_recipe,
    train_phase,
)

ONE_ARCHITECTURE = (
    *("entropic_student", "entropic_student_shp", "entropic_student_mshp", "end_to_end"),
    *("factorized_prior", "scale_hyperprior", "mean_scale_hyperprior", "joint_autoregressive"),
    *("gained_student", "entropic_student_joint"),
)
"""Methods whose two points here differ in no shape; the codecs have one pair of widths for all qualities."""


def equal_states(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_every_method_has_one_file_and_one_yaml(root: Path) -> None:
    yamls = {path.stem: yaml.safe_load(path.read_text()) for path in (root / "config" / "methods").glob("*.yaml")}
    assert set(yamls) == set(method_names()) != set()
    for name, content in yamls.items():
        get_method(name).Params.model_validate(content.get("params", {}))


def test_a_method_is_of_the_family_of_its_folder_unless_it_says_another(root: Path) -> None:
    folder_of = {path.stem: path.parent.name for path in (root / "sc2" / "methods").glob("*/*.py")}
    assert {name: get_method(name).family for name in method_names() if name != "lossless_image"} == {
        name: folder_of[name] for name in method_names() if name != "lossless_image"
    }
    assert (folder_of["lossless_image"], get_method("lossless_image").family) == ("codec", "corner")


def test_the_point_is_checked_against_the_rate_axis(method_name: str, task_name: str) -> None:
    axis = get_method(method_name).rate_axis
    assert all(axis.problem(point) is None for point in points(get_method(method_name), task_name))
    assert axis.problem("nonsense") is not None
    if isinstance(axis, RateAxis):
        assert axis.problem(str(int(axis.high) + 1)) is not None
        if axis.integer:
            assert axis.problem("1.5") is not None


def test_points_of_one_architecture_have_weights_of_the_same_shapes(method_name: str, teacher: dict[str, Any]) -> None:
    method = get_method(method_name)
    if teacher["task"] != "classification" or not method.phases():
        pytest.skip("the shapes are tried on classification, where a method is trained")
    spec = {"resize": 32, "crop": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
    one, other = (make_case(method_name, point, spec, teacher) for point in points(method, "classification"))
    phase = method.phases()[0]
    shapes = [
        {name: value.shape for name, value in phase_recipe(case, phase, seed=0).model.state_dict().items()}
        for case in (one, other)
    ]
    declared = [method.architecture(case.context.arch, case.context.point) for case in (one, other)]
    assert declared[0] != declared[1] or shapes[0] == shapes[1]
    assert (declared[0] == declared[1]) == (base_of(method_name) in ONE_ARCHITECTURE)


def test_bytes_decode_to_the_same_answer_as_in_process(case: Case, images: np.ndarray) -> None:
    device, server = case.device(), case.server()
    answers = [server.answer(server.decode(unpack(pack(device.encode(p), b"12345678"), b"12345678"))) for p in images]
    if case.state is None:
        expected = [server.answer(server.decode(device.code(device.analyse(p)))) for p in images]
    else:
        model = phase_recipe(case, case.method.phases()[-1], seed=0).model.eval()
        batch = normalise(torch.from_numpy(images).permute(0, 3, 1, 2), case.context.input)
        with torch.no_grad():
            expected = [model(x.unsqueeze(0)) for x in batch]
    for answer, wanted in zip(answers, expected, strict=True):
        if case.task == "classification":
            assert answer.shape == (1, len(case.context.teacher.classes))
            assert answer.argmax() == wanted.argmax()
            # Where only labels are sent, the classes that were not stand at -∞: there are no logits to compare.
            if answer.isneginf().any():
                continue
        assert_same_output(case.task, answer, wanted)
        [one] = case.context.task.answers(answer)
        assert case.context.task.as_json(one, case.context.teacher.classes)


def test_batched_answers_equal_single_ones(case: Case, images: np.ndarray) -> None:
    device, server = case.device(), case.server()
    received = [server.decode(device.encode(pixels)) for pixels in images]
    single = joined(case.task, [server.answer(tensor) for tensor in received])
    assert_same_output(case.task, server.answer(torch.cat(received)), single)


def test_several_images_at_once_give_what_each_alone_gives(case: Case, images: np.ndarray) -> None:
    device, server = case.device(), case.server()
    expected = [device.encode(pixels) for pixels in images]
    # Twice: the first images are compared with their own analysis in any case.
    for _ in range(2):
        assert [device.code(latent) for latent in device.analyse_all(list(images) * 5)] == expected * 5
    received = server.decode_all(expected)
    assert len(received) == len(expected)
    assert all(torch.equal(one, server.decode(payload)) for one, payload in zip(received, expected, strict=True))


def test_payload_size_is_the_length_of_its_bytes(case: Case, images: np.ndarray) -> None:
    device = case.device()
    for pixels in images:
        payload = device.encode(pixels)
        assert payload.num_bytes == sum(map(len, payload.streams)) > 0
        header = case.method.codec_header_bytes(payload)
        assert header is None or 0 < header < payload.num_bytes


def test_estimated_and_real_rate_agree(case: Case, images: np.ndarray) -> None:
    device = case.device()
    estimates = [case.method.estimate_bits(device, device.analyse(pixels)) for pixels in images]
    # An entropy model leaves coding tables on the device; without one there may be nothing to estimate.
    if not device.tables and estimates == [None] * len(images):
        return
    for pixels, bits in zip(images, estimates, strict=True):
        assert bits is not None
        real = device.encode(pixels).num_bytes
        assert abs(real - bits / 8) <= max(0.02 * real, 16)


def test_export_is_deterministic_and_halves_survive_the_disk(case: Case, images: np.ndarray, tmp_path: Path) -> None:
    one, two = case.export(), case.export()
    assert case.fingerprint(one) == case.fingerprint(two)
    spec = case.context.input.model_dump(mode="json")
    common = {"method": case.name, "input": spec, "fingerprint": case.fingerprint(one), "classes": ["a", "b", "c"]}
    for kind, half, again in (("device", one.device, two.device), ("server", one.server, two.server)):
        save_atomically({"kind": kind, **common, "half": half.plain()}, tmp_path / f"{kind}.pt")
        save_atomically({"kind": kind, **common, "half": again.plain()}, tmp_path / "again.pt")
        assert (tmp_path / f"{kind}.pt").read_bytes() == (tmp_path / "again.pt").read_bytes()
    device, _ = load_device(tmp_path)
    server, _ = load_server(tmp_path)
    fresh_device, fresh_server = case.device(), case.server()
    for pixels in images[:2]:
        payload = device.encode(pixels)
        assert payload == fresh_device.encode(pixels)
        answers = [half.answer(half.decode(payload)) for half in (server, fresh_server)]
        torch.testing.assert_close(*answers, rtol=0, atol=0)


def test_another_point_is_another_device(
    case: Case, input_spec: dict, teacher: dict, images: np.ndarray, labels: Any
) -> None:
    other = make_case(case.name, points(case.method, case.task)[1], input_spec, teacher)
    if list(phases_to_repeat(case)) != list(case.method.phases()):
        return
    for phase in other.method.phases():
        other.state = train_phase(other, phase, images, labels, seed=0)
    assert case.fingerprint(case.export()) != other.fingerprint(other.export())


@pytest.mark.parametrize("payload", [Payload((), ()), Payload((b"",), (1, 1)), Payload((b"\x00" * 5, b"x"), (3,))])
def test_a_foreign_payload_is_refused(case: Case, payload: Payload) -> None:
    server = case.server()
    with pytest.raises(WireError):
        server.decode(payload)


def test_costs_are_counted_once(case: Case) -> None:
    costs, device = count_costs(case.method, case.export(), (32, 32)), case.device()
    assert (costs["encoder_params"] == 0) == (device.network is None) == (costs["encoder_macs"] == 0)
    assert (costs["server_params"] == 0) == (costs["server_macs"] == 0)
    assert costs["encoder_macs"] + costs["server_macs"] > 0


def test_training_moves_only_what_it_trains(case: Case, images: np.ndarray, labels: Any) -> None:
    fresh = case.untrained()
    teacher_before = {name: value.clone() for name, value in fresh.context.teacher.state.items()}
    for phase in fresh.method.phases():
        recipe = phase_recipe(fresh, phase, seed=0)
        recipe.set_modes()
        frozen_before = [{k: v.clone() for k, v in module.state_dict().items()} for module in recipe.frozen]
        trained_before = [{k: v.clone() for k, v in module.state_dict().items()} for module in recipe.trained]
        run_recipe(recipe, fresh, images, labels, seed=0)
        for module, before in zip(recipe.frozen, frozen_before, strict=True):
            assert equal_states(module.state_dict(), before), f"{phase} moved a frozen module"
            assert not module.training
            assert all(p.grad is None and not p.requires_grad for p in module.parameters())
        moved = [not equal_states(m.state_dict(), b) for m, b in zip(recipe.trained, trained_before, strict=True)]
        assert all(moved), f"{phase} left a trained module as it was"
        fresh.state = recipe.model.state_dict()
    assert equal_states(fresh.context.teacher.state, teacher_before)


def test_gradients_reach_exactly_the_trained_parameters(case: Case, images: np.ndarray, labels: Any) -> None:
    batch = normalise(torch.from_numpy(images).permute(0, 3, 1, 2), case.context.input)
    for phase in case.method.phases():
        recipe = phase_recipe(case, phase, seed=0)
        recipe.set_modes()
        recipe.step(batch, labels)["loss"].backward()
        trained = {id(p) for p in recipe.trained_parameters()}
        for name, parameter in recipe.model.named_parameters():
            has_gradient = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            assert has_gradient == (id(parameter) in trained), f"{phase}: {name}"


def test_the_same_seed_gives_the_same_bits(case: Case, images: np.ndarray, labels: Any) -> None:
    for phase in phases_to_repeat(case):
        first = phase == case.method.phases()[0]
        start = case.untrained()
        # A first phase begins with its own initial weights: in some methods nothing else depends on the seed here.
        start.state = None if first else case.state
        one = train_phase(start, phase, images, labels, seed=7)
        two = train_phase(start, phase, images, labels, seed=7)
        three = train_phase(start, phase, images, labels, seed=8)
        assert equal_states(one, two)
        if first:
            assert not equal_states(one, three)


def test_a_killed_training_ends_with_the_same_weights(
    case: Case, images: np.ndarray, labels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of its second epoch, just after its state has been saved."""
    monkeypatch.setattr("sc2.training.state.SAVE_EVERY_S", 0.0)
    for phase in phases_to_repeat(case):
        start = case.untrained()
        start.state = case.state
        whole = train_phase(start, phase, images, labels, seed=3)
        killed = phase_recipe(start, phase, seed=3)
        calls = 0
        step = killed.step

        def dies_in_the_second_epoch(x: Tensor, y: Any, step=step) -> dict[str, Tensor]:
            nonlocal calls
            calls += 1
            if calls > 3:
                raise KeyboardInterrupt
            return step(x, y)

        killed.step = dies_in_the_second_epoch
        state = tmp_path / f"{phase}.pt"
        with pytest.raises(KeyboardInterrupt):
            run_recipe(killed, start, images, labels, seed=3, state_path=state)
        assert torch.load(state, weights_only=True)["step"] == 1
        resumed = phase_recipe(start, phase, seed=3)
        run_recipe(resumed, start, images, labels, seed=3, state_path=state)
        assert equal_states(resumed.model.state_dict(), whole)
