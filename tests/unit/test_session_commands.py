"""`sc2 encode --session` and `sc2 decode`: many images through one file, between processes."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sc2.cli import main
from sc2.commands import session
from sc2.commands.link import decode_file, encode_file
from sc2.commands.sending import Device, open_device
from sc2.errors import ConfigError, WireError
from sc2.runs.artifact import export_artifact
from sc2.split.session_file import SessionReader, SessionWriter, framed
from sc2.split.wire import Payload, unpack
from tests.contract.conftest import eight_images
from tests.served import codec_run, tiny_run
from tests.tiny_halves import CROP


@dataclass(frozen=True)
class Tiny:
    """A half with several rates, its artifact, and images."""

    run: Path
    artifact: Path
    images: list[Path]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("tiny")
    run = tiny_run("gained_student", folder / "run")
    export_artifact(run, folder / "artifact")
    images = [folder / f"{name}.png" for name in "abcd"]
    for path, image in zip(images, eight_images(), strict=False):
        Image.fromarray(image).save(path)
    return Tiny(run, folder / "artifact", images)


def encoded(checkpoint: Path, images: Sequence[Path], out: Path, **options: Any) -> list[str]:
    return list(session.encode_session(checkpoint, images, out, **options))


def payloads_in(path: Path) -> list[Payload]:
    with path.open("rb") as file:
        return [received.payload for received in SessionReader(file)]


def sent_by(tiny: Tiny, out: Path, **options: Any) -> list[Payload]:
    """Return the payloads of all images in a session file, which `out` is."""
    encoded(tiny.run, tiny.images, out, **options)
    return payloads_in(out)


def alone(tiny: Tiny, out: Path, image: Path, **options: Any) -> bytes:
    """Return the container of an image, which `out` holds, too."""
    encode_file(tiny.run, image, out, **options)
    return out.read_bytes()


def test_three_images_through_two_processes(tiny: Tiny, tmp_path: Path) -> None:
    """The device's process has no torch; the server's answers are those for containers."""
    trip, images = tmp_path / "trip.sc2", tiny.images[:3]
    code = "import sys; from sc2.cli import main; s = main(sys.argv[1:]); print(s, 'torch' in sys.modules)"
    arguments = ["encode", tiny.artifact, *images, "--session", "-o", trip]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    *lines, whole, status = done.stdout.splitlines()
    assert status == "0 False"
    containers = [alone(tiny, tmp_path / "one.sc2", image) for image in images]
    sent = payloads_in(trip)
    assert sent == [unpack(container, None) for container in containers]

    # Every packet: its number, the streams, a checksum; no shape of its own, and one stream needs no length.
    sizes = [3 + payload.num_bytes for payload in sent]
    assert lines == [
        f"image {number}, {image}: {len(framed(bytes(size)))} bytes (packet {size}, payload {size - 3})"
        for number, (image, size) in enumerate(zip(images, sizes, strict=True))
    ]
    hello = 1 + 18 + 1 + 1 + len(sent[0].shape) + 4
    total = hello + sum(len(framed(bytes(size))) for size in sizes) + 6
    assert trip.stat().st_size == total
    fingerprint = open_device(tiny.artifact).fingerprint.hex()
    assert whole == f"{trip}: {total} bytes for 3 images (hello {hello}, end 6), model {fingerprint}"
    assert total < sum(map(len, containers))

    command = [sys.executable, "-m", "sc2", "decode", str(tiny.run), str(trip), "--json"]
    decoded = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = list(map(json.loads, decoded.stdout.splitlines()))
    assert [answer["image"] for answer in answers] == [0, 1, 2]
    distinct = set()
    for answer, container in zip(answers, containers, strict=True):
        (tmp_path / "one.sc2").write_bytes(container)
        expected = json.loads(decode_file([tiny.run], tmp_path / "one.sc2", top=1, as_json=True))
        assert (answer["answer"]["class"], set(answer["answer"])) == (expected["class"], set(expected))
        # Another process may sum in another order.
        np.testing.assert_allclose(answer["answer"]["logits"], expected["logits"], rtol=1e-5, atol=1e-6)
        distinct.add(tuple(answer["answer"]["logits"]))
    assert len(distinct) == 3, "each image has an answer of its own"


def test_both_kinds_of_device_half_send_the_same_payloads(tiny: Tiny, tmp_path: Path) -> None:
    for checkpoint in (tiny.run, tiny.artifact):
        encoded(checkpoint, tiny.images, tmp_path / checkpoint.name, rate="1")
    assert payloads_in(tmp_path / "run") == payloads_in(tmp_path / "artifact")
    assert payloads_in(tmp_path / "run") != sent_by(tiny, tmp_path / "default")
    with pytest.raises(ConfigError, match="does not have the rate 99"):
        encoded(tiny.run, tiny.images, tmp_path / "none", rate="99")


def test_answers_are_those_for_containers(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trip, one = tmp_path / "trip.sc2", tmp_path / "one.sc2"
    encoded(tiny.run, tiny.images, trip)
    words, plain = [], []
    for number, image in enumerate(tiny.images):
        alone(tiny, one, image)
        words.append(f"image {number}:\n{decode_file([tiny.run], one, top=2, as_json=False)}")
        plain.append({"image": number, "answer": json.loads(decode_file([tiny.run], one, top=2, as_json=True))})
    assert main(["decode", str(tiny.run), str(trip), "--top", "2"]) == 0
    assert capsys.readouterr().out == "".join(f"{text}\n" for text in words)
    assert main(["decode", str(tiny.run), str(trip), "--json"]) == 0
    assert list(map(json.loads, capsys.readouterr().out.splitlines())) == plain


def test_several_tasks_answer_each_image(tiny: Tiny, tmp_path: Path) -> None:
    tasks = ("classification", "segmentation")
    runs = [codec_run(task, tmp_path / task, CROP, "50") for task in tasks]
    encoded(runs[0], tiny.images[:2], tmp_path / "trip.sc2")
    found = list(session.decode_session(runs, tmp_path / "trip.sc2", top=1, as_json=True))
    encode_file(runs[0], tiny.images[1], tmp_path / "one.sc2")
    both = json.loads(decode_file(runs, tmp_path / "one.sc2", top=1, as_json=True))
    assert json.loads(found[1]) == {"image": 1, "answer": both}
    assert set(both) == set(tasks)
    [_, words] = session.decode_session(runs, tmp_path / "trip.sc2", task="segmentation", top=1, as_json=False)
    told = decode_file(runs, tmp_path / "one.sc2", task="segmentation", top=1, as_json=False)
    assert words == f"image 1:\n{told}"
    with pytest.raises(ConfigError, match="two server halves for the task"):
        list(session.decode_session([runs[0], runs[0]], tmp_path / "trip.sc2", top=1, as_json=True))


def test_a_budget_counts_the_bytes_of_a_packet(tiny: Tiny, tmp_path: Path) -> None:
    """The highest rate whose packet fits, with the shape that it carries where its rate is not the first image's."""
    device, trip = open_device(tiny.run), tmp_path / "trip.sc2"
    # By rate, the highest first, then by image.
    rates = [sent_by(tiny, trip, rate=rate) for rate in reversed(device.half.rates)]
    own = [[3 + payload.num_bytes + len(payload.shape) for payload in each] for each in rates]
    # What the first image takes at its highest rate, so that it has that; others take what they get.
    budget = 3 + rates[0][0].num_bytes
    expected = [rates[0][0]]
    for image in range(1, len(tiny.images)):
        sizes = [
            size[image] - (len(each[image].shape) if each[image].shape == expected[0].shape else 0)
            for size, each in zip(own, rates, strict=True)
        ]
        expected.append(next(each[image] for size, each in zip(sizes, rates, strict=True) if size <= budget))
    assert len({payload.shape for payload in expected}) > 1, "not all images get the first one's rate"
    lines = encoded(tiny.run, tiny.images, trip, budget=budget)
    assert payloads_in(trip) == expected
    packets = [int(match[1]) for line in lines if (match := re.search(r"\(packet (\d+)", line))]
    assert (packets[0], len(packets)) == (budget, len(tiny.images))
    assert max(packets) <= budget
    # One byte less, and the first image no longer has this rate.
    encoded(tiny.run, tiny.images[:1], trip, budget=budget - 1)
    assert payloads_in(trip)[0].shape != expected[0].shape
    with pytest.raises(ConfigError, match=rf"{tiny.images[0]}: the image takes at least \d+ bytes, more than .* of 3"):
        encoded(tiny.run, tiny.images, tmp_path / "none", budget=3)
    assert not (tmp_path / "none").exists()


def test_a_payload_of_another_form_names_the_image_and_the_fix(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = open_device(tiny.run)

    class Changing:
        rates: Sequence[str] = ()
        calls = 0

        def at(self, rate: str) -> "Changing":
            return self

        def encode(self, pixels: np.ndarray) -> Payload:
            self.calls += 1
            payload = device.half.encode(pixels)
            return replace(payload, streams=(*payload.streams, b"")) if self.calls == 3 else payload

    for budget in (None, 10_000):
        changing = Device(Changing(), device.input, device.fingerprint)
        monkeypatch.setattr(session, "open_device", lambda *_, changing=changing: changing)
        lines: list[str] = []
        with pytest.raises(WireError, match=rf"^{tiny.images[2]}: the payload .*streams: 2.* another session file$"):
            lines.extend(session.encode_session(tiny.run, tiny.images, tmp_path / "trip.sc2", budget=budget))
        assert len(lines) == 2
        assert not (tmp_path / "trip.sc2").exists()


def test_several_images_need_a_session(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.sc2"
    arguments = ["encode", str(tiny.artifact), *map(str, tiny.images[:2]), "-o", str(out)]
    assert main(arguments) == 2
    assert "a container holds one image, not 2" in (error := capsys.readouterr().err)
    assert "add --session" in error
    assert not out.exists()
    assert main([*arguments, "--session"]) == 0
    assert len(payloads_in(out)) == 2
    assert main(["encode", str(tiny.artifact), str(tiny.images[0]), "--session", "-o", str(out)]) == 0
    assert len(payloads_in(out)) == 1
    assert main(["encode", str(tiny.artifact), str(tiny.images[0]), "-o", str(out)]) == 0
    assert out.read_bytes() == alone(tiny, tmp_path / "other.sc2", tiny.images[0])


@pytest.mark.parametrize("content", [None, b"no image"])
def test_an_image_that_cannot_be_read_is_named_and_nothing_is_written(
    content: bytes | None, tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, out = tmp_path / "bad.png", tmp_path / "out.sc2"
    if content is not None:
        bad.write_bytes(content)
    assert main(["encode", str(tiny.artifact), str(tiny.images[0]), str(bad), "--session", "-o", str(out)]) == 2
    assert "bad.png" in capsys.readouterr().err
    assert not out.exists()
    assert main(["encode", str(tiny.artifact), str(tiny.images[0]), "--session", "-o", str(tmp_path / "no/out")]) == 2
    told = capsys.readouterr()
    assert f"cannot write {tmp_path / 'no/out'}: there is no folder {tmp_path / 'no'}; create it" in told.err
    assert not told.out, "before any image is encoded"


@pytest.mark.parametrize("options", [[], ["--session"]])
def test_an_image_is_not_overwritten(
    options: list[str], tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "photo.png"
    image.write_bytes(tiny.images[0].read_bytes())
    same = tmp_path / "." / "photo.png"
    assert main(["encode", str(tiny.artifact), str(image), *options, "-o", str(same)]) == 2
    assert "photo.png is one of the images: name another file" in capsys.readouterr().err
    assert image.read_bytes() == tiny.images[0].read_bytes()


def test_what_is_wrong_with_a_file_is_told_after_the_answers_before_it(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trip = tmp_path / "trip.sc2"
    encoded(tiny.run, tiny.images[:3], trip)
    good = trip.read_bytes()
    fingerprint = open_device(tiny.artifact).fingerprint
    first = SessionWriter(io.BytesIO(), fingerprint)
    first.add(payloads_in(trip)[0])
    # Where packet 1 begins: behind the hello and packet 0.
    at = first.hello_bytes + len(framed(bytes(first.packet_bytes(payloads_in(trip)[0]))))
    damaged = bytearray(good)
    damaged[at + 4] ^= 1
    for content, answers, reason in (
        (bytes(damaged), 1, "packet 1: the packet is damaged, of another session, or"),
        (good[: at + 4], 1, "packet 1: the message is truncated: 3 bytes of the"),
        (good[:at], 1, "packet 1: the session is truncated"),
        (good[:-1], 3, "the end: the checksum is truncated"),
        (good[:9], 0, "the hello: the message is truncated"),
        (good[:3] + b"X" + good[4:], 0, "not an sc2 container"),
    ):
        trip.write_bytes(content)
        assert main(["decode", str(tiny.run), str(trip), "--json"]) == 2
        told = capsys.readouterr()
        assert [json.loads(line)["image"] for line in told.out.splitlines()] == list(range(answers))
        assert told.err.startswith(f"sc2: error: {trip}: {reason}")


def test_a_payload_that_no_device_sends_is_named(tiny: Tiny, tmp_path: Path) -> None:
    encoded(tiny.run, tiny.images[:1], tmp_path / "good.sc2")
    [good] = payloads_in(tmp_path / "good.sc2")
    with (tmp_path / "trip.sc2").open("wb") as file:
        writer = SessionWriter(file, open_device(tiny.artifact).fingerprint)
        for payload in (good, replace(good, streams=(good.streams[0] + b"\1",))):
            writer.add(payload)
        writer.end()
    answers: list[str] = []
    with pytest.raises(WireError, match=r"trip\.sc2: packet 1: "):
        answers.extend(session.decode_session([tiny.run], tmp_path / "trip.sc2", top=1, as_json=True))
    assert len(answers) == 1


def test_a_session_of_another_model_is_refused(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = codec_run("classification", tmp_path / "other", CROP, "50")
    encoded(tiny.run, tiny.images[:2], tmp_path / "trip.sc2")
    assert main(["decode", str(other), str(tmp_path / "trip.sc2")]) == 2
    told = capsys.readouterr()
    names = open_device(tiny.artifact).fingerprint.hex()
    assert told.out == ""
    assert f"trip.sc2: the hello: the session is of another model: it names the device half {names}" in told.err


def test_a_file_that_cannot_be_read_is_named(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(tiny.run), str(tmp_path / "nothing.sc2")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_the_help_says_what_a_budget_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["encode", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "container (with --session: packet, without the length before it) has at most so many bytes" in text
