"""Labels on the link: what is sent, what the server makes of it, and what counts as answered."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.checkpoint import save_atomically
from sc2.commands.link import decode_file, encode_file
from sc2.data.normalise import normalise
from sc2.data.spec import InputSpec
from sc2.errors import WireError
from sc2.measure.macs import count_macs
from sc2.measure.quality import top1_pct, top5_pct, topk_correct
from sc2.measure.size import parameter_count
from sc2.methods import get_method
from sc2.methods.corner.halves import LabelServer, WholeNetworkDevice, label_bytes
from sc2.runs.export import count_costs
from sc2.runs.halves import device_fingerprint
from sc2.split.method import Export, NoParams
from sc2.split.wire import Payload

BACKBONE = NetworkSpec(name="small_resnet", args={"width": 4})


def make_teacher(num_classes: int) -> dict[str, Any]:
    torch.manual_seed(1)
    state = build_network(BACKBONE, num_classes).state_dict()
    classes = [f"class{i}" for i in range(num_classes)]
    return {"task": "classification", "backbone": BACKBONE.model_dump(), "classes": classes, "state": state}


def export(point: str, spec: dict[str, Any], num_classes: int) -> Export:
    method = get_method("teacher_on_device")
    return method.export(method.context({}, point, spec, make_teacher(num_classes)), None)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)


def halves(point: str, spec: dict[str, Any], num_classes: int) -> tuple[WholeNetworkDevice, LabelServer]:
    method, exported = get_method("teacher_on_device"), export(point, spec, num_classes)
    device, server = method.load_device(exported.device.plain()), method.load_server(exported.server.plain())
    assert isinstance(device, WholeNetworkDevice)
    assert isinstance(server, LabelServer)
    return device, server


@pytest.mark.parametrize(
    ("num_classes", "size"), [(1, 1), (2, 1), (10, 1), (256, 1), (257, 2), (1000, 2), (65_536, 2), (65_537, 3)]
)
def test_bytes_of_a_label(num_classes: int, size: int) -> None:
    assert label_bytes(num_classes) == size
    assert 256**size >= num_classes


@pytest.mark.parametrize("num_classes", [3, 10, 300])
def test_the_label_is_the_teachers(num_classes: int, input_spec: dict[str, Any], images: np.ndarray) -> None:
    teacher = make_teacher(num_classes)
    model = build_network(BACKBONE, num_classes).eval()
    model.load_state_dict(teacher["state"])
    with torch.no_grad():
        logits = model(normalise(torch.from_numpy(images).permute(0, 3, 1, 2), InputSpec.model_validate(input_spec)))
    for point, count in (("top1", 1), ("top5", min(5, num_classes))):
        device, server = halves(point, input_spec, num_classes)
        payloads = [device.encode(pixels) for pixels in images]
        assert {payload.num_bytes for payload in payloads} == {count * label_bytes(num_classes)}
        answers = server.answer(torch.cat([server.decode(payload) for payload in payloads]))
        best = logits.topk(count).indices
        assert torch.equal(answers.topk(count).indices, best)
        assert torch.equal(answers.topk(count).values, -torch.arange(float(count)).expand(len(images), -1))
        assert (answers.isneginf().sum(1) == num_classes - count).all()


def test_top5_counts_only_what_was_sent(input_spec: dict[str, Any], images: np.ndarray) -> None:
    labels = torch.arange(12) % 10
    measured = {}
    for point in ("top1", "top5"):
        device, server = halves(point, input_spec, 10)
        answers = torch.cat([server.decode(device.encode(pixels)) for pixels in images])
        measured[point] = (top1_pct(answers, labels), top5_pct(answers, labels))
    assert measured["top1"][0] == measured["top1"][1] == measured["top5"][0]
    assert measured["top5"][1] > measured["top5"][0]


def test_a_class_at_minus_infinity_is_never_correct() -> None:
    logits = torch.tensor([[0.0, -torch.inf, -torch.inf], [-torch.inf, -torch.inf, 0.0]])
    for k in (1, 2, 3, 5):
        assert topk_correct(logits, torch.tensor([1, 2]), k).tolist() == [False, True]
    assert not topk_correct(torch.full((1, 3), -torch.inf), torch.tensor([0]), 1).any()
    assert topk_correct(torch.full((1, 3), torch.inf), torch.tensor([0]), 1).all()


def test_equal_logits_send_the_lower_classes(input_spec: dict[str, Any], images: np.ndarray) -> None:
    device, _ = halves("top5", input_spec, 10)
    assert device.network is not None
    for parameter in device.network.parameters():
        parameter.data.zero_()
    assert device.analyse(images[0]) == [0, 1, 2, 3, 4]


def test_all_costs_are_the_devices(input_spec: dict[str, Any]) -> None:
    costs = count_costs(get_method("teacher_on_device"), export("top1", input_spec, 10), (32, 32))
    model = build_network(BACKBONE, 10).eval()
    assert costs["encoder_params"] == parameter_count(model)
    assert costs["encoder_macs"] == count_macs(model, torch.zeros(1, 3, 32, 32))
    assert costs["server_params"] == costs["server_macs"] == 0
    assert costs["sc2bench_encoder_kb"] > 4 * costs["encoder_params"] / 1024


def labels_as_bytes(*labels: int) -> bytes:
    return b"".join(label.to_bytes(2, "little") for label in labels)


@pytest.mark.parametrize(
    "payload",
    [
        Payload((), ()),
        Payload((labels_as_bytes(0, 1, 2, 3, 4),), (1,)),
        Payload((labels_as_bytes(0, 1, 2, 3, 4), b""), ()),
        Payload((labels_as_bytes(0, 1, 2, 3),), ()),
        Payload((labels_as_bytes(0, 1, 2, 3, 300),), ()),
        Payload((labels_as_bytes(0, 1, 2, 3, 1),), ()),
    ],
)
def test_damaged_labels_are_refused(payload: Payload, input_spec: dict[str, Any]) -> None:
    _, server = halves("top5", input_spec, 300)
    with pytest.raises(WireError, match=r"5 class indices are sent as one stream of 10 bytes|are not distinct classes"):
        server.decode(payload)


def test_the_printed_answer_lists_what_was_sent(input_spec: dict[str, Any], images: np.ndarray, tmp_path: Path) -> None:
    exported, classes = export("top1", input_spec, 10), make_teacher(10)["classes"]
    device, spec = exported.device.plain(), InputSpec.model_validate(input_spec)
    fingerprint = device_fingerprint("teacher_on_device", device, spec)
    common = {"method": "teacher_on_device", "point": "top1", "input": input_spec, "fingerprint": fingerprint}
    save_atomically({"kind": "device", **common, "half": device}, tmp_path / "device.pt")
    server = {
        "kind": "server",
        "task": "classification",
        **common,
        "classes": classes,
        "half": exported.server.plain(),
    }
    save_atomically(server, tmp_path / "server.pt")
    Image.fromarray(images[0]).save(tmp_path / "image.png")
    encode_file(tmp_path, tmp_path / "image.png", tmp_path / "out.sc2")
    [line] = decode_file([tmp_path], tmp_path / "out.sc2", top=5, as_json=False).splitlines()
    name, percent, _ = line.split()
    assert percent == "100.00"
    text = decode_file([tmp_path], tmp_path / "out.sc2", top=5, as_json=True)
    answer = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert answer["class"] == name == classes[answer["index"]]
    assert answer["logits"].count(None) == 9


def test_the_point_of_a_local_model_is_its_width(input_spec: dict[str, Any]) -> None:
    method, teacher = get_method("local_model"), make_teacher(3)
    sizes = []
    for point in ("8", "16"):
        context = method.context({}, point, input_spec, teacher)
        model = method.training(method.phase_params("train", {}), context).model
        same = build_network(NetworkSpec(name="small_resnet", args={"width": int(point)}), 3)
        assert parameter_count(model) == parameter_count(same)
        device = method.load_device(method.export(context, model.state_dict()).device.plain())
        assert parameter_count(device.network) == parameter_count(same)  # type: ignore[arg-type]
        sizes.append(parameter_count(same))
    assert sizes[0] < sizes[1]
    with pytest.raises(LookupError, match="no training phase 'distill'"):
        method.phase_params("distill", {})
    with pytest.raises(LookupError, match="no training phase with NoParams"):
        method.training(NoParams(), method.context({}, "8", input_spec, teacher))
