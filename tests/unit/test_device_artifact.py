"""Device halves as files without torch: written, compared with torch's on images, run in a process without it."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from sc2.commands.link import encode_file
from sc2.device import half as device_half
from sc2.device.artifact import HALF, NETWORK, TABLES, is_artifact, read_artifact
from sc2.device.half import ArtifactHalf
from sc2.errors import CheckpointError, ConfigError, WireError
from sc2.runs.artifact import compare, export_artifact
from tests.contract.conftest import eight_images
from tests.served import tiny_run
from tests.tiny_halves import WHOLE

Halves = dict[str, Path]


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Halves:
    """A hyperprior for images of several sizes, a half with several rates, and a codec; each with its artifact."""
    folder = tmp_path_factory.mktemp("halves")
    names = {"entropic_student_mshp": WHOLE, "gained_student": None, "webp": None}
    made = {name: tiny_run(name, folder / name, spec) for name, spec in names.items()}
    for name, path in made.items():
        export_artifact(path, folder / f"{name}.artifact")
    return made


def artifact(path: Path) -> Path:
    return path.with_name(f"{path.name}.artifact")


def images(*shapes: tuple[int, int]) -> list[np.ndarray]:
    generator = np.random.default_rng(4)
    return [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def test_both_halves_send_the_same(halves: Halves) -> None:
    found = compare(
        halves["entropic_student_mshp"],
        artifact(halves["entropic_student_mshp"]),
        images((64, 128), (128, 64), (64, 64)),
    )
    assert (found.images, found.same + min(found.ties, 1) * found.images) >= (3, 3)
    assert 0 < found.largest < 1
    assert found.symbols > 3 * 100
    codec = compare(halves["webp"], artifact(halves["webp"]), images((32, 32)))
    assert (codec.same, codec.symbols, codec.largest) == (1, 0, 0)


def test_every_rate_of_a_half_with_several(halves: Halves) -> None:
    from sc2.runs.halves import load_device

    torch_half, _ = load_device(halves["gained_student"])
    own = ArtifactHalf(artifact(halves["gained_student"]))
    assert own.rates == tuple(torch_half.rates)
    [pixels] = images((32, 32))
    sizes = set()
    for rate in own.rates:
        assert own.at(rate).encode(pixels) == torch_half.at(rate).encode(pixels)
        sizes.add(own.at(rate).encode(pixels).num_bytes)
    assert len(sizes) > 1


def test_the_same_export_is_the_same_files(halves: Halves, tmp_path: Path) -> None:
    export_artifact(halves["webp"], tmp_path)
    first = artifact(halves["webp"])
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        file.name: file.read_bytes() for file in first.iterdir()
    }
    assert [file.name for file in tmp_path.iterdir()] == [HALF]


CHILD = """
import sys
from sc2.cli import main
status = main(sys.argv[1:])
import json, re, time
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
names = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"status": status, "cpu_s": time.process_time(), "mib": int(peak[1]) / 1024, "modules": names}))
"""


def run_child(*arguments: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert result["status"] == 0, done.stderr
    return result


def closure(extra: str) -> set[str]:
    """The package, the distributions that it asks for with an extra, and what those ask for."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"][extra]]
    waiting, found = [Requirement(line) for line in lines], {project["name"]}
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and name not in found:
            found.add(name)
            waiting += [Requirement(line) for line in requires(name) or []]
    return found


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peak memory is read from /proc")
def test_encoding_needs_what_the_extra_installs_and_little_else(halves: Halves, tmp_path: Path) -> None:
    Image.fromarray(images((64, 64))[0]).save(tmp_path / "image.png")
    arguments = (
        "encode",
        artifact(halves["entropic_student_mshp"]),
        tmp_path / "image.png",
        "-o",
        tmp_path / "out.sc2",
    )
    # The best of three: other processes take from the caches.
    runs = [run_child(*arguments) for _ in range(3)]
    assert min(run["cpu_s"] for run in runs) <= 0.5
    assert max(run["mib"] for run in runs) <= 150
    modules = set(runs[0]["modules"])
    assert {"numpy", "onnxruntime", "PIL", "constriction", "safetensors"} <= modules
    assert not modules & {"torch", "torchvision", "compressai", "timm", "pandas", "scipy", "yaml", "matplotlib"}
    allowed = closure("device")
    providers = packages_distributions()
    foreign = {
        name: providers[name]
        for name in modules & set(providers)
        if not {canonicalize_name(each) for each in providers[name]} & allowed
    }
    # What the environment itself puts into every process.
    assert not {name for name in foreign if not name.startswith(("_", "distutils", "google", "a1_coverage"))}
    container = (tmp_path / "out.sc2").read_bytes()
    encode_file(halves["entropic_student_mshp"], tmp_path / "image.png", tmp_path / "torch.sc2")
    assert container == (tmp_path / "torch.sc2").read_bytes()


def test_rates_and_budgets_are_as_with_torch(halves: Halves, tmp_path: Path) -> None:
    Image.fromarray(images((40, 50))[0]).save(tmp_path / "image.png")
    folder, out = artifact(halves["gained_student"]), tmp_path / "out.sc2"
    for options in ({"rate": "0"}, {"rate": "2"}, {"budget": 10_000}):
        encode_file(folder, tmp_path / "image.png", out, **options)
        own = out.read_bytes()
        encode_file(halves["gained_student"], tmp_path / "image.png", out, **options)
        assert own == out.read_bytes()
    with pytest.raises(ConfigError, match=r"does not have the rate 9; it has: 0, "):
        encode_file(folder, tmp_path / "image.png", out, rate="9")
    with pytest.raises(ConfigError, match="more than the budget of 3"):
        encode_file(folder, tmp_path / "image.png", out, budget=3)


def copied(source: Path, target: Path) -> Path:
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize("name", [HALF, NETWORK, TABLES])
def test_a_changed_byte_is_found(name: str, halves: Halves, tmp_path: Path) -> None:
    folder = copied(artifact(halves["entropic_student_mshp"]), tmp_path / "copy")
    data = bytearray((folder / name).read_bytes())
    for position in range(0, len(data), max(1, len(data) // 12)):
        changed = bytearray(data)
        changed[position] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(CheckpointError, match=r"damaged|not a device half|has version"):
            read_artifact(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"cannot read .*{re.escape(name)}"):
        read_artifact(folder)


def test_artifacts_are_told_from_other_paths(halves: Halves, tmp_path: Path) -> None:
    assert is_artifact(artifact(halves["webp"]))
    assert is_artifact(artifact(halves["webp"]) / HALF)
    assert not is_artifact(halves["webp"])
    assert not is_artifact(tmp_path / "nothing")


def rewritten(folder: Path, **changes: Any) -> Path:
    """Change what `half.json` says, with the hash that it then has."""
    import hashlib

    content = json.loads((folder / HALF).read_bytes())
    content.pop("sha256")
    content |= changes
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    (folder / HALF).write_text(json.dumps({**content, "sha256": digest}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "has version 2; this program reads 1"),
        ({"format": "another"}, "is not a device half"),
        ({"wire": 1}, "another version of the wire format"),
        ({"fingerprint": "00"}, "another version of the wire format"),
        ({"fingerprint": "zz"}, "export it again"),
        ({"extra": 1}, "export it again"),
        ({"sender": {"kind": "pigeon"}}, "cannot be built"),
    ],
)
def test_other_versions_are_refused(changes: dict[str, Any], message: str, halves: Halves, tmp_path: Path) -> None:
    folder = rewritten(copied(artifact(halves["webp"]), tmp_path / "copy"), **changes)
    with pytest.raises(CheckpointError, match=message):
        ArtifactHalf(folder)


def test_an_artifact_of_another_half_is_refused(halves: Halves, tmp_path: Path) -> None:
    folder = rewritten(copied(artifact(halves["webp"]), tmp_path / "copy"), fingerprint="00" * 8)
    with pytest.raises(CheckpointError, match="another device half"):
        compare(halves["webp"], folder, images((32, 32)))


def test_what_is_no_rounding_is_an_error(halves: Halves, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A network that is further away than its tolerance, and a coder that sends something else."""
    path = halves["entropic_student_mshp"]
    with monkeypatch.context() as patch:
        patch.setattr(device_half, "TOLERANCE", 1e-12)
        with pytest.raises(CheckpointError, match=r"image 0: the network's outputs are .* tolerances away"):
            compare(path, artifact(path), images((64, 64)))
    folder = copied(artifact(halves["webp"]), tmp_path / "copy")
    sender = {**json.loads((folder / HALF).read_bytes())["sender"], "options": {"quality": 1}}
    with pytest.raises(CheckpointError, match="for the same outputs of the network, the artifact sends something else"):
        compare(halves["webp"], rewritten(folder, sender=sender), images((32, 32)))


def test_values_that_are_not_finite_are_refused(halves: Halves) -> None:
    own = ArtifactHalf(artifact(halves["gained_student"]))

    class Broken:
        def run(self, *arguments: Any) -> list[np.ndarray]:
            return [np.array([np.nan], np.float32)]

    own._session = Broken()
    with pytest.raises(WireError, match="not finite"):
        own.encode(eight_images()[0])


def test_a_network_that_onnxruntime_cannot_run_is_named(halves: Halves, tmp_path: Path) -> None:
    import hashlib

    folder = copied(artifact(halves["gained_student"]), tmp_path / "copy")
    (folder / NETWORK).write_bytes(b"no model")
    files = json.loads((folder / HALF).read_bytes())["files"] | {NETWORK: hashlib.sha256(b"no model").hexdigest()}
    with pytest.raises(CheckpointError, match=r"onnxruntime cannot run network\.onnx"):
        ArtifactHalf(rewritten(folder, files=files))


def test_containers_name_the_half_of_the_server(halves: Halves) -> None:
    own = ArtifactHalf(artifact(halves["webp"]))
    content = json.loads((artifact(halves["webp"]) / HALF).read_bytes())
    assert own.fingerprint.hex() == content["fingerprint"]
