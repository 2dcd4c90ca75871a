"""Published bottleneck units: their weights, their tables of counts, and the halves made from them."""

import collections
import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sc2.commands.import_released import import_released
from sc2.commands.untrained import untrained_context
from sc2.config.load import load_config
from sc2.entropy.huffman import code_lengths
from sc2.errors import CheckpointError, ConfigError
from sc2.jobs.identity import job
from sc2.jobs.plan import Run
from sc2.methods import get_method
from sc2.methods.unit.halves import UnitDevice
from sc2.methods.unit.network import UnitNetwork
from sc2.methods.unit.point import AXIS
from sc2.released.convert import converted, read_files
from sc2.released.frequencies import read_counts
from sc2.split.method import BuildContext
from tests.configuration import Project

BENCHMARK, METHOD = "ilsvrc2012_resnet50", "bottleneck_unit"


@dataclass(frozen=True)
class Unit:
    """A published unit: its point, the side of its decoder's map, the symbols of an image."""

    point: str
    side: int
    symbols: int


PUBLISHED = {
    "s1_7": Unit("layer4_q7.0179_s4_k32", 7, 128),
    "s2_5": Unit("layer4.0_q4_s2_k32", 7, 512),
    "s3_5": Unit("layer3.4_q0.5_s4_k64", 17, 1024),
}
POINT = PUBLISHED["s1_7"].point


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BuildContext[Any]]:
    """What the units of the papers' grid are built from, by point."""
    torch.manual_seed(0)
    project = Project(tmp_path_factory.mktemp("project"))
    benchmark = load_config(project.folder / "paper.yaml").benchmarks[BENCHMARK]
    points = [unit.point for unit in PUBLISHED.values()]
    return {point: untrained_context(benchmark, benchmark.methods[METHOD], point) for point in points}


def made_unit(channels: int = 2048, latent: int = 32) -> dict[str, Tensor]:
    """Return a unit in the published layout, with random weights."""
    torch.manual_seed(1)
    state = {
        "conv2_2.weight": torch.randn(channels, 1, 3, 3),
        "conv2_3.weight": 30 * torch.randn(latent, channels, 1, 1) / channels**0.5,
        "conv2_4.weight": torch.randn(latent, channels, 1, 1),
        "conv2_5.weight": torch.randn(channels, 1, 3, 3),
        "priorEncoder.conv1.weight": torch.randn(latent, 1, 3, 3),
        "bitEstimator_z.f1.h": torch.randn(1, 8, 1, 1),
    }
    for name, width in (("bn2_1", channels), ("bn3_1", latent), ("bn4_1", channels), ("bn5_1", channels)):
        state |= {f"{name}.weight": torch.rand(width), f"{name}.bias": torch.randn(width)}
        state |= {f"{name}.running_mean": torch.randn(width), f"{name}.running_var": torch.rand(width) + 0.5}
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)
    return state


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A unit and its table in the published layout: 3 images of 128 symbols, values in steps of 7.0179."""
    weights, table = tmp_path / "model7.pth.tar", tmp_path / "freq7.pickle"
    torch.save({"epoch": 3, "state_dict": made_unit()}, weights)
    counts = collections.Counter({np.float32(7.0179 * symbol): number for symbol, number in enumerate((250, 130, 4))})
    table.write_bytes(pickle.dumps(counts, protocol=4))
    return weights, table


def published_files(name: str, folder: Path) -> tuple[Path, Path]:
    data = Path(os.environ.get("SC2_DATA") or "data") / "spic-units"
    if not data.is_dir():
        pytest.skip("SC2_DATA names no folder that holds spic-units/")
    content = json.loads((data / "frequency_tables.json").read_text())[name]
    values = {float(np.float32(content["q"] * int(symbol))): number for symbol, number in content["counts"].items()}
    table = folder / "freq.pickle"
    table.write_bytes(pickle.dumps(values))
    return data / f"{name}.pth", table


def by_hand(state: dict[str, Tensor], features: Tensor, step: float, stride: int, padding: int) -> tuple[Tensor, ...]:
    """Return the symbols and the features of a published unit, written down from its description."""

    def normalised(x: Tensor, name: str) -> Tensor:
        numbers = [state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        mean, variance, weight, bias = (number.view(1, -1, 1, 1) for number in numbers)
        return ((x - mean) / (variance + 1e-5).sqrt() * weight + bias).clamp_min(0)

    channels = features.shape[1]
    x = functional.conv2d(features, state["conv2_2.weight"], stride=stride, padding=1, groups=channels)
    x = functional.conv2d(normalised(x, "bn2_1"), state["conv2_3.weight"])
    symbols = torch.round(normalised(x, "bn3_1") / step)
    x = functional.conv_transpose2d(symbols * step, state["conv2_4.weight"])
    x = normalised(x, "bn4_1")
    x = functional.conv_transpose2d(x, state["conv2_5.weight"], stride=stride, padding=padding, groups=channels)
    return symbols, normalised(x, "bn5_1")


def agrees(weights: Path, table: Path, context: BuildContext[Any], side: int) -> UnitNetwork:
    """Check that an imported unit computes what is published, and return it."""
    method = get_method(METHOD)
    network = converted(method, context, read_files(context, weights, table), None).eval()
    assert isinstance(network, UnitNetwork)
    state = torch.load(weights, weights_only=True, map_location="cpu")["state_dict"]
    features = 4 * torch.rand(2, network.channels, network.size, network.size)
    stride = AXIS.parse(context.point).stride
    padding = 1 if stride == 2 and side == 7 else 0
    symbols, expected = by_hand(state, features, network.step, stride, padding)
    assert expected.shape[2:] == (side, side)
    with torch.no_grad():
        ours = torch.round(network.latent(features))
        assert torch.equal(ours, symbols)
        assert len(symbols.unique()) > 2
        torch.testing.assert_close(network.decoder(ours * network.step), expected, rtol=1e-4, atol=1e-4)
    return network


def test_a_unit_in_the_published_layout(files: tuple[Path, Path], contexts: dict[str, BuildContext[Any]]) -> None:
    network = agrees(*files, contexts[POINT], 7)
    assert network.counts[:, :3].tolist() == [[250, 130, 4]] * 32
    assert network.counts.sum().item() == 32 * 384


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_units(name: str, contexts: dict[str, BuildContext[Any]], tmp_path: Path) -> None:
    """Symbols, features, and the bytes of an image that follow from the table, which are known for S1's last unit."""
    unit, method = PUBLISHED[name], get_method(METHOD)
    context = contexts[unit.point]
    weights, table = published_files(name, tmp_path)
    network = agrees(weights, table, context, unit.side)
    exported = method.export(context, network.state_dict())
    device = method.load_device(exported.device.plain())
    assert isinstance(device, UnitDevice)
    counts = np.array(sorted(pickle.loads(table.read_bytes()).items()), dtype=np.float64)
    symbols = np.rint(counts[:, 0] / network.step).astype(np.int32)
    share = counts[:, 1] / counts[:, 1].sum()
    code = np.array(code_lengths([int(number) for number in counts[:, 1]]))
    huffman, entropy = (share @ bits * unit.symbols / 8 for bits in (code, -np.log2(share)))
    if name == "s1_7":  # docs/papers.md#unit-numbers
        assert (huffman, entropy) == pytest.approx((41.7, 40.4), abs=0.05)
    ours = [8 * device._huffman.num_bytes(np.repeat(symbol, 800)) / 800 for symbol in symbols]
    assert share @ np.array(ours) * unit.symbols / 8 == pytest.approx(huffman, rel=1e-3)
    bits = [device.coder.bits(np.array([symbol], np.int32), np.zeros(1, np.int32)) for symbol in symbols]
    assert share @ np.array(bits) * unit.symbols / 8 == pytest.approx(entropy, rel=1e-3)


def test_from_the_command_to_the_plan(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files are in the data folder and in the job's spec by hash; nothing is trained."""
    monkeypatch.setenv("SC2_DATA", str(tmp_path / "data"))
    project, run = Project(tmp_path / "project"), Run(BENCHMARK, METHOD, POINT, "0")
    told = import_released(project.folder / "paper.yaml", run, *files)
    assert "model7.pth.tar" in told
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"model7.pth.tar", "freq7.pickle"}
    config = load_config(project.folder / "paper.yaml")
    assert job(config, "train", {**vars(run), "phase": "unit"}) is None
    planned = job(config, "convert_released", vars(run))
    assert planned is not None
    assert planned.spec["released"].keys() == {"source", "sha256", "frequencies"}
    assert planned.spec["released"]["frequencies"].keys() == {"sha256"}
    assert "sc2/released/unit.py" in planned.fingerprint.files
    with pytest.raises(ConfigError, match="another layout: take them with sc2 import-units"):
        import_released(project.folder / "paper.yaml", run, files[0])
    student = Run(BENCHMARK, "entropic_student", "0.16", "0")
    with pytest.raises(ConfigError, match="another layout: take them with sc2 import-sc2bench"):
        import_released(project.folder / "paper.yaml", student, *files)


class Runs:
    """Would run code if it were read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("harm").write_text, ("done",))


def test_a_table_that_would_run_code_is_refused_and_runs_none(
    contexts: dict[str, BuildContext[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pickle").write_bytes(pickle.dumps({0.0: Runs()}))
    with pytest.raises(CheckpointError, match="could run code"):
        read_counts(Path("a.pickle"), contexts[POINT])
    assert not Path("harm").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", json.dumps({"0": 100, "1": 28}), None),
        ("a.json", json.dumps({"0": 100, "1": 27}), "not those of whole images of 128 symbols"),
        ("a.json", json.dumps({"0": -1}), "no table"),
        ("a.json", json.dumps({"a": 1}), "no table"),
        ("a.json", json.dumps([1]), "no table"),
        ("a.json", "{", "damaged"),
        ("a.pickle", pickle.dumps({0.0: 100, 4.0: 28}), "no multiple of the step 7.0179"),
        ("a.pickle", pickle.dumps({-7.0179: 128}), "no multiple"),
        ("a.pickle", pickle.dumps({0.0: 128})[:-3], "damaged"),
    ],
)
def test_tables_of_something_else_are_refused(
    name: str, content: str | bytes, message: str | None, contexts: dict[str, BuildContext[Any]], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if message is None:
        assert read_counts(path, contexts[POINT])["counts"][5, :3].tolist() == [100, 28, 0]
        return
    with pytest.raises(CheckpointError, match=message):
        read_counts(path, contexts[POINT])


def test_a_unit_of_another_point_is_refused(files: tuple[Path, Path], contexts: dict[str, BuildContext[Any]]) -> None:
    weights, table = files
    torch.save({"state_dict": made_unit(latent=16)}, weights)
    with pytest.raises(CheckpointError, match="do not fit"):
        converted(get_method(METHOD), contexts[POINT], read_files(contexts[POINT], weights, table), None)
    torch.save({"state_dict": {**made_unit(), "conv9.weight": torch.ones(1)}}, weights)
    with pytest.raises(CheckpointError, match=r"conv9\.weight, which this method's has not"):
        converted(get_method(METHOD), contexts[POINT], read_files(contexts[POINT], weights, table), None)
    with pytest.raises(CheckpointError, match="import-units"):
        converted(get_method(METHOD), contexts[POINT], read_files(contexts[POINT], weights), None)
