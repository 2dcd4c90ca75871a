"""Checkpoints on disk, and both ends of the link as a user meets them: image → container → answer."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.checkpoint import load_checkpoint, load_phase, save_atomically
from sc2.commands.link import decode_file, encode_file
from sc2.data.spec import InputSpec, PixelSpec
from sc2.data.transform import decode_image, prepare_image
from sc2.errors import CheckpointError, DataError, WireError
from sc2.job import RunningJob
from sc2.methods import get_method
from sc2.runs.export import run as export
from sc2.runs.halves import device_fingerprint, load_device, load_server
from sc2.split.wire import Payload, pack, read_header, unpack

BACKBONE = NetworkSpec(name="small_resnet", args={"width": 4})
CLASSES = ["circle", "square", "star"]
TINY = {"encoder_channels": [6, 5, 4], "decoder_channels": [8, 8]}
METHODS = {"jpeg": "50", "entropic_student": "1"}


@pytest.fixture(scope="module")
def teacher() -> dict[str, Any]:
    torch.manual_seed(1)
    state = build_network(BACKBONE, len(CLASSES)).state_dict()
    content = {"task": "classification", "backbone": BACKBONE.model_dump(), "classes": CLASSES, "state": state}
    return {"kind": "teacher", **content}


def export_split(
    folder: Path, method: str, point: str, input_spec: Mapping[str, Any], teacher: Mapping[str, Any], seed: int = 0
) -> Path:
    """Run the stage `export` on an untrained split and return the folder of its halves."""
    folder.mkdir()
    values = TINY if method == "entropic_student" else {}
    params = get_method(method).Params.model_validate(values).model_dump(mode="json")
    arch = {key: value for key, value in params.items() if key != "phases"}
    save_atomically(dict(teacher), folder / "teacher.pt")
    checkpoints = []
    for phase in list(get_method(method).phases())[-1:]:
        torch.manual_seed(seed)
        context = get_method(method).context(arch, point, input_spec, teacher)
        phase_params = get_method(method).phase_params(phase, params["phases"][phase])
        model = get_method(method).training(phase_params, context).model
        checkpoints.append(folder / f"{phase}.pt")
        content = {"kind": "phase", "method": method, "phase": phase, "state": model.state_dict()}
        save_atomically(content, checkpoints[0])
    job = RunningJob(
        stage="export",
        keys={"benchmark": "tiny", "method": method, "point": point, "seed": "0"},
        spec={"arch": arch, "input": dict(input_spec)},
        inputs={"teacher": folder / "teacher.pt", "checkpoint": checkpoints},
        outputs={
            name: folder / f"{name}.{'json' if name == 'costs' else 'pt'}" for name in ("device", "server", "costs")
        },
        record_id="0" * 16,
    )
    export(job)
    return folder


@pytest.fixture(scope="module", params=METHODS)
def split(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    input_spec: dict[str, Any],
    teacher: dict[str, Any],
) -> Path:
    """Both halves of a codec's split and of a learned one."""
    folder = tmp_path_factory.mktemp("split") / request.param
    return export_split(folder, request.param, METHODS[request.param], input_spec, teacher)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph-like PNG that is neither square nor of the network's size."""
    path = tmp_path_factory.mktemp("image") / "image.png"
    coarse = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((50, 60), Image.Resampling.BILINEAR).save(path)
    return path


def logits_of(answer: str) -> list[float]:
    return json.loads(answer)["logits"]


# The two ends


def test_the_answer_over_the_wire_is_the_one_in_process(split: Path, image: Path, tmp_path: Path) -> None:
    container = tmp_path / "out.sc2"
    line = encode_file(split, image, container)
    answer = json.loads(decode_file([split], container, top=5, as_json=True))
    device, content = load_device(split)
    server, _ = load_server(split)
    spec = InputSpec.model_validate(content["input"])
    pixels = np.asarray(prepare_image(decode_image(image.read_bytes(), "image"), spec))
    payload = device.encode(pixels)
    expected = server.answer(server.decode(payload))[0]
    assert answer["logits"] == expected.tolist()
    assert answer["class"] == CLASSES[int(expected.argmax())] == CLASSES[answer["index"]]
    size = container.stat().st_size
    assert line == f"{container}: {size} bytes ({payload.num_bytes} payload), model {content['fingerprint']}"
    assert unpack(container.read_bytes(), bytes.fromhex(content["fingerprint"])) == payload


def test_the_printed_answer_is_a_list_of_probabilities(split: Path, image: Path, tmp_path: Path) -> None:
    encode_file(split, image, tmp_path / "out.sc2")
    lines = decode_file([split], tmp_path / "out.sc2", top=2, as_json=False).splitlines()
    assert len(lines) == 2
    names, percents = zip(*((line.split()[0], float(line.split()[1])) for line in lines), strict=True)
    assert set(names) < set(CLASSES)
    assert percents[0] >= percents[1]
    assert len(decode_file([split], tmp_path / "out.sc2", top=10, as_json=False).splitlines()) == 3


def test_each_end_needs_its_own_half_only(split: Path, image: Path, tmp_path: Path) -> None:
    device, server = tmp_path / "phone.pt", tmp_path / "cloud.pt"
    device.write_bytes((split / "device.pt").read_bytes())
    server.write_bytes((split / "server.pt").read_bytes())
    encode_file(device, image, tmp_path / "out.sc2")
    answer = decode_file([server], tmp_path / "out.sc2", top=1, as_json=True)
    assert logits_of(answer) == logits_of(decode_file([split], tmp_path / "out.sc2", top=1, as_json=True))


def test_the_device_half_holds_nothing_of_the_server(split: Path) -> None:
    half = load_checkpoint(split / "device.pt", "device")["half"]
    assert "backbone" not in half
    assert not [name for name in half.get("state", {}) if "tail" in name or "decoder" in name]
    assert (split / "device.pt").stat().st_size < (split / "server.pt").stat().st_size


def test_two_processes(split: Path, image: Path, tmp_path: Path) -> None:
    container = tmp_path / "out.sc2"
    command = [sys.executable, "-m", "sc2"]
    encoded = subprocess.run(
        [*command, "encode", str(split), str(image), "-o", str(container)], capture_output=True, text=True, check=True
    )
    decoded = subprocess.run(
        [*command, "decode", str(split), str(container), "--json"], capture_output=True, text=True, check=True
    )
    assert str(container) in encoded.stdout
    other = tmp_path / "other.sc2"
    encode_file(split, image, other)
    assert container.read_bytes() == other.read_bytes()
    here = logits_of(decode_file([split], other, top=1, as_json=True))
    # Another process may sum in another order; what was received is the same to the bit.
    np.testing.assert_allclose(logits_of(decoded.stdout), here, rtol=1e-5, atol=1e-6)


# What must not pass


def test_a_container_of_another_model_is_refused(
    split: Path, image: Path, tmp_path: Path, input_spec: dict[str, Any], teacher: dict[str, Any]
) -> None:
    method = load_checkpoint(split / "device.pt", "device")["method"]
    point, seed = ("60", 0) if method == "jpeg" else (METHODS[method], 1)
    other = export_split(tmp_path / "other", method, point, input_spec, teacher, seed=seed)
    encode_file(other, image, tmp_path / "out.sc2")
    with pytest.raises(WireError, match=r"out\.sc2: the container was made by another model"):
        decode_file([split], tmp_path / "out.sc2", top=1, as_json=False)


def test_every_flipped_byte_is_noticed(split: Path, image: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.sc2"
    encode_file(split, image, path)
    good = path.read_bytes()
    fingerprint = read_header(good).fingerprint
    for position in range(len(good)):
        for mask in (0x01, 0x80, 0xFF):
            bad = bytearray(good)
            bad[position] ^= mask
            with pytest.raises(WireError):
                unpack(bytes(bad), fingerprint)
    bad = bytearray(good)
    bad[-8] ^= 0x10
    path.write_bytes(bad)
    with pytest.raises(WireError, match=r"out\.sc2: the container is damaged"):
        decode_file([split], path, top=1, as_json=False)


def test_every_truncation_is_noticed(split: Path, image: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.sc2"
    encode_file(split, image, path)
    good = path.read_bytes()
    for length in range(len(good)):
        with pytest.raises(WireError):
            unpack(good[:length], None)
    for length in (0, 3, 20, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(WireError, match=r"out\.sc2: "):
            decode_file([split], path, top=1, as_json=False)
    path.write_bytes(good + b"\x00")
    with pytest.raises(WireError, match="unexpected bytes after the container, which has"):
        decode_file([split], path, top=1, as_json=False)


def test_a_whole_container_with_a_strange_payload_is_refused(split: Path, tmp_path: Path) -> None:
    """The checksum is right and the model too, but no device half writes this."""
    content = load_checkpoint(split / "server.pt", "server")
    strange = [Payload((), ()), Payload((b"12345678",), (1, 2, 3)), Payload((b"1234567",), (1, 1))]
    strange += [Payload((b"12345678",), (10_000, 10_000)), Payload((b"", b""), (2, 2))]
    for number, payload in enumerate(strange):
        path = tmp_path / f"{number}.sc2"
        path.write_bytes(pack(payload, bytes.fromhex(content["fingerprint"])))
        with pytest.raises(WireError, match=f"{number}.sc2: "):
            decode_file([split], path, top=1, as_json=False)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(20)])
def test_an_unreadable_image_is_refused_and_nothing_is_written(split: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image.png").write_bytes(content)
    with pytest.raises(DataError, match=r"image\.png: not a readable image"):
        encode_file(split, tmp_path / "image.png", tmp_path / "out.sc2")
    assert not (tmp_path / "out.sc2").exists()


def test_missing_files_are_named(split: Path, image: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere\.png: No such file"):
        encode_file(split, tmp_path / "nowhere.png", tmp_path / "out.sc2")
    with pytest.raises(DataError, match=r"cannot read .*nowhere\.sc2: No such file"):
        decode_file([split], tmp_path / "nowhere.sc2", top=1, as_json=False)
    with pytest.raises(DataError, match=r"cannot write .*out\.sc2: No such file"):
        encode_file(split, image, tmp_path / "no_such_folder" / "out.sc2")


# Checkpoints


def test_a_missing_checkpoint_is_named_with_the_command_that_builds_it(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"device\.pt does not exist; build it with: snakemake --cores all .*device"
    ):
        load_device(tmp_path)
    with pytest.raises(CheckpointError, match=r"other\.pt does not exist"):
        load_server(tmp_path / "other.pt")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(split: Path, tmp_path: Path, share: float) -> None:
    whole = (split / "device.pt").read_bytes()
    (tmp_path / "device.pt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"device\.pt is not a readable checkpoint"):
        load_device(tmp_path)


@pytest.mark.parametrize("content", [b"hello world" * 10, b"PK\x03\x04" + bytes(50), bytes(100), b"\x80\x02]q\x00."])
def test_a_checkpoint_of_junk_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "server.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="server"):
        load_server(tmp_path)


def test_a_checkpoint_of_another_kind_is_refused(split: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"server\.pt is a server checkpoint, but a device checkpoint is needed"):
        load_device(split / "server.pt")
    with pytest.raises(CheckpointError, match="is a device checkpoint, but a server checkpoint is needed"):
        load_server(split / "device.pt")
    with pytest.raises(CheckpointError, match="is a device checkpoint, but a teacher checkpoint is needed"):
        load_checkpoint(split / "device.pt", "teacher")


@pytest.mark.parametrize("content", [{"a": torch.ones(1)}, [1], torch.ones(2), {"kind": 3}])
def test_a_foreign_checkpoint_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="a phase checkpoint is needed"):
        load_checkpoint(tmp_path / "x.pt", "phase")


def foreign(split: Path, kind: str, path: Path) -> str:
    """Write a half that calls itself the other method's, with a fingerprint to match; returns that method."""
    content = load_checkpoint(split / f"{kind}.pt", kind)  # type: ignore[arg-type]
    [other] = set(METHODS) - {content["method"]}
    content["method"] = other
    if kind == "device":
        spec = InputSpec.model_validate(content["input"])
        content["fingerprint"] = device_fingerprint(other, content["half"], spec)
    torch.save(content, path)
    return other


def test_a_half_of_another_method_is_refused(split: Path, tmp_path: Path) -> None:
    for kind, load in (("device", load_device), ("server", load_server)):
        other = foreign(split, kind, tmp_path / f"{kind}.pt")
        wanted = rf"{kind}\.pt is no {kind} half of the current version of the method {other} .*export it again"
        with pytest.raises(CheckpointError, match=wanted):
            load(tmp_path)


def test_a_half_with_weights_of_another_shape_is_refused(
    tmp_path: Path, input_spec: dict[str, Any], teacher: dict[str, Any]
) -> None:
    folder = export_split(tmp_path / "split", "jpeg", "50", input_spec, teacher)
    content = load_checkpoint(folder / "server.pt", "server")
    content["half"]["backbone"] = {"name": "small_resnet", "args": {"width": 5}}
    torch.save(content, folder / "server.pt")
    with pytest.raises(
        CheckpointError, match=r"server\.pt is no server half of the current version of the method jpeg .*RuntimeError"
    ):
        load_server(folder)


def test_a_training_phase_of_another_method_is_refused(tmp_path: Path) -> None:
    save_atomically({"kind": "phase", "method": "end_to_end", "phase": "train", "state": {}}, tmp_path / "x.pt")
    assert load_phase(tmp_path / "x.pt", "end_to_end") == {}
    message = r"x\.pt is a checkpoint of the method end_to_end, not of entropic_student"
    with pytest.raises(CheckpointError, match=message):
        load_phase(tmp_path / "x.pt", "entropic_student")


# The fingerprint


def test_the_fingerprint_covers_whatever_decides_the_bytes() -> None:
    spec = PixelSpec(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    half = {"quality": 50, "state": {"w": torch.ones(2, 2)}, "tables": {"cdf": torch.arange(4, dtype=torch.int32)}}
    base = device_fingerprint("jpeg", half, spec)
    assert device_fingerprint("jpeg", dict(reversed(half.items())), spec) == base
    others = [
        device_fingerprint("webp", half, spec),
        device_fingerprint("jpeg", half | {"quality": 51}, spec),
        device_fingerprint("jpeg", half | {"state": {"w": torch.ones(4)}}, spec),
        device_fingerprint("jpeg", half | {"state": {"v": torch.ones(2, 2)}}, spec),
        device_fingerprint("jpeg", half | {"state": {"w": torch.ones(2, 2, dtype=torch.float64)}}, spec),
        device_fingerprint("jpeg", half | {"tables": {"cdf": torch.tensor([0, 1, 2, 4], dtype=torch.int32)}}, spec),
        device_fingerprint("jpeg", half, PixelSpec(mean=(0.4, 0.5, 0.5), std=spec.std)),
        device_fingerprint("jpeg", half, PixelSpec(mean=spec.mean, std=(0.25, 0.25, 0.3))),
    ]
    assert len({base, *others}) == 1 + len(others)
    transposed = half | {"state": {"w": torch.ones(2, 2).T}}
    assert device_fingerprint("jpeg", transposed, spec) == base


def test_a_device_half_is_the_same_whatever_the_size_of_its_images(
    input_spec: dict[str, Any], teacher: dict[str, Any], tmp_path: Path
) -> None:
    """Server halves of several tasks take the containers of one encoder."""
    larger = input_spec | {"resize": 64, "crop": 64, "interpolation": "nearest"}
    folders = [
        export_split(tmp_path / name, "entropic_student", "1", spec, teacher)
        for name, spec in (("small", input_spec), ("large", larger))
    ]
    prints = [load_checkpoint(folder / "device.pt", "device")["fingerprint"] for folder in folders]
    assert prints[0] == prints[1]


def test_a_device_half_that_was_altered_is_refused(split: Path, tmp_path: Path) -> None:
    content = load_checkpoint(split / "device.pt", "device")
    content["input"] = content["input"] | {"mean": [0.1, 0.5, 0.5]}
    torch.save(content, tmp_path / "device.pt")
    with pytest.raises(CheckpointError, match=r"device\.pt is damaged.*export it again"):
        load_device(tmp_path)


def test_both_halves_of_an_export_share_the_fingerprint(split: Path, input_spec: dict[str, Any]) -> None:
    device, server = load_checkpoint(split / "device.pt", "device"), load_checkpoint(split / "server.pt", "server")
    assert device["fingerprint"] == server["fingerprint"]
    spec = InputSpec.model_validate(input_spec)
    assert device_fingerprint(device["method"], device["half"], spec) == device["fingerprint"]
    costs = json.loads((split / "costs.json").read_text())
    assert costs["latent_shape"] in ([3, 32, 32], [4, 7, 7])
