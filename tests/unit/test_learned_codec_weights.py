"""What is published: widths, prices, URLs and sizes of CompressAI's zoo, and its weights read from a file."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.errors import CheckpointError, DataError
from sc2.measure.macs import count_macs
from sc2.measure.size import state_bits
from sc2.methods import get_method
from sc2.methods.learned_codec.export import upstream_state
from sc2.methods.learned_codec.network import build_codec
from sc2.methods.learned_codec.params import Published
from sc2.methods.learned_codec.published import load_published
from sc2.methods.learned_codec.transforms import analysis
from sc2.training.loop import fit

ZOO = {
    "factorized_prior": "bmshj2018-factorized",
    "scale_hyperprior": "bmshj2018-hyperprior",
    "mean_scale_hyperprior": "mbt2018-mean",
    "joint_autoregressive": "mbt2018",
}
INPUT = {"resize": 64, "crop": 64, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.25] * 3}
KB = 8 * 1024


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SC2_DATA", str(tmp_path / "data"))
    torch.manual_seed(0)
    return tmp_path / "data"


# The zoo's numbers


@pytest.mark.parametrize("name", ZOO)
def test_defaults_are_the_zoos(root: Path, name: str) -> None:
    from compressai.zoo.image import cfgs, model_architectures, model_urls

    method: Any = get_method(name)
    content = yaml.safe_load((root / f"config/methods/{name}.yaml").read_text())
    params = method.Params.model_validate(content["params"])
    assert method.Params().channels == method.Arch().channels == params.channels
    assert method.Params().phases.train.lambdas == params.phases.train.lambdas
    assert method.codec == model_architectures[ZOO[name]].__name__
    weights = params.phases.train.weights
    for quality in range(1, 9):
        assert params.widths(quality) == cfgs[ZOO[name]][quality]
        assert weights[str(quality)].url == model_urls[ZOO[name]]["mse"][quality]


SIZES_KB = {
    "factorized_prior": {"1": 5_898, "8": 13_801},
    "scale_hyperprior": {"1": 14_792, "8": 33_268},
    "mean_scale_hyperprior": {"1": 22_417, "8": 55_710},
    "joint_autoregressive": {"1": 47_933, "8": 95_713},
}


@pytest.mark.parametrize(("name", "quality"), [(name, q) for name in ZOO for q in ("1", "8")])
def test_encoder_size_by_upstreams_rule(name: str, quality: str) -> None:
    """From fresh weights, without the joint model's entropy_parameters (docs/papers.md#encoder-size)."""
    method: Any = get_method(name)
    n, m = method.Arch().widths(int(quality))
    model = build_codec(method.codec, n, m)
    assert state_bits(upstream_state(model)) / KB == pytest.approx(SIZES_KB[name][quality], abs=1)
    assert "entropy_parameters" not in {entry.partition(".")[0] for entry in upstream_state(model)}
    # Nothing was built into the model itself.
    assert model.get_buffer("entropy_bottleneck._quantized_cdf").numel() == 0


@pytest.mark.parametrize(("n", "m", "macs"), [(128, 192, 2_764e6), (192, 320, 6_140e6), (192, 192, 5_983e6)])
def test_macs_of_g_a_at_256_px(n: int, m: int, macs: float) -> None:
    with torch.device("meta"):
        network, images = analysis(n, m), torch.zeros(1, 3, 256, 256)
    assert count_macs(network, images) == pytest.approx(macs, rel=0.01)


# Parameters


def params_of(**train: Any) -> Any:
    return get_method("mean_scale_hyperprior").Params.model_validate({"phases": {"train": train}})


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"epochs": 0}, "epochs: 0 trains nothing"),
        ({"lambdas": [0.1]}, "at least 8"),
        ({"weights": {"9": {"url": "https://host/a-01234567.pt"}}}, "match pattern"),
        ({"weights": {"1": {"url": "https://host/a.pt"}}}, "holds no hash: add sha256"),
        ({"weights": {"1": {"url": "ftp://host/a-01234567.pt"}}}, "match pattern"),
        ({"weights": {"1": {"url": "https://host/a.pt", "sha256": "abc"}}}, "match pattern"),
    ],
)
def test_params_that_cannot_be_are_refused(train: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        params_of(**train)


@pytest.mark.parametrize("channels", [[], [[8, 8]] * 2, [[0, 8]], [[8]], [[8, 8, 8]]])
def test_channels_are_one_pair_or_one_for_each_quality(channels: Any) -> None:
    with pytest.raises(ValidationError):
        get_method("factorized_prior").Params.model_validate({"channels": channels})


def test_one_pair_serves_all_qualities() -> None:
    arch: Any = get_method("factorized_prior").Arch.model_validate({"channels": [[4, 6]]})
    assert {arch.widths(quality) for quality in range(1, 9)} == {(4, 6)}


# Weights from a file


def published(model: nn.Module, *, old: bool) -> dict[str, Tensor]:
    """State dict as it is published: after `update()`, and in the names of the library's first versions if `old`."""
    updated: Any = build_codec(type(model).__name__, model.N, model.M)  # type: ignore[arg-type]
    updated.load_state_dict(model.state_dict())
    updated.update(force=True)
    state = dict(updated.state_dict())
    if not old:
        return state
    for new in ("matrices", "biases", "factors"):
        here, before = f"entropy_bottleneck.{new}.", f"entropy_bottleneck._{new}."
        state = {name.replace(here, before): value for name, value in state.items()}
    return {f"module.{name}": value for name, value in state.items()}


def save(state: dict[str, Tensor], folder: Path) -> dict[str, Published]:
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "weights.pth.tar")
    sha256 = hashlib.sha256((folder / "weights.pth.tar").read_bytes()).hexdigest()
    path = folder / f"codec-3-{sha256[:8]}.pth.tar"
    (folder / "weights.pth.tar").rename(path)
    return {"3": Published(url=path.as_uri())}


@pytest.mark.parametrize("old", [False, True], ids=["new names", "old names"])
@pytest.mark.parametrize("name", ZOO)
def test_published_weights_load_without_their_tables(tmp_path: Path, name: str, old: bool) -> None:
    method: Any = get_method(name)
    source, model = build_codec(method.codec, 4, 6), build_codec(method.codec, 4, 6)
    weights = save(published(source, old=old), tmp_path / "host")
    load_published(model, weights, "3")
    state = model.state_dict()
    assert state.keys() == source.state_dict().keys()
    assert all(torch.equal(value, state[entry]) for entry, value in source.state_dict().items())
    with pytest.raises(CheckpointError, match=r"no published weights for quality 4 \(known: 3\)"):
        load_published(model, weights, "4")


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    weights = save(published(build_codec("FactorizedPrior", 4, 6), old=False), tmp_path / "host")
    with pytest.raises(CheckpointError, match=r"does not fit FactorizedPrior with this \(N, M\); see params.channels"):
        load_published(build_codec("FactorizedPrior", 5, 6), weights, "3")


def test_a_wrong_hash_is_refused(tmp_path: Path) -> None:
    weights = save(published(build_codec("FactorizedPrior", 4, 6), old=False), tmp_path / "host")
    weights["3"] = Published(url=weights["3"].url, sha256="0" * 64)
    with pytest.raises(DataError, match="expected sha256 000"):
        load_published(build_codec("FactorizedPrior", 4, 6), weights, "3")


def test_published_weights_go_through_the_phase_without_a_training(tmp_path: Path) -> None:
    """`start: published, epochs: 0`: the phase ends with the published weights and what they reach."""
    source = build_codec("MeanScaleHyperprior", 4, 6)
    method = get_method("mean_scale_hyperprior")
    weights = {"3": {"url": save(published(source, old=True), tmp_path / "host")["3"].url}}
    params = method.phase_params("train", {"epochs": 0, "start": "published", "weights": weights})
    backbone = NetworkSpec(name="small_resnet", args={"width": 4})
    state = build_network(backbone, 2).state_dict()
    teacher = {"task": "classification", "backbone": backbone.model_dump(), "classes": ["a", "b"], "state": state}
    context = method.context({"channels": [[4, 6]]}, "3", INPUT, teacher)
    recipe = method.training(params, context)
    batch = [(torch.round(torch.rand(3, 3, 64, 64) * 255) / 255 * 4 - 2, torch.tensor([0, 1, 0]))]
    history = fit(
        *(recipe, lambda epoch, start=0: iter(batch), lambda epoch, start=0: iter(batch)),
        seed=0,
        state_path=tmp_path / "state.pt",
        label="published",
        steps_per_epoch=1,
    )
    assert [row["epoch"] for row in history] == [0]
    assert history[0].keys() == {"epoch", "val_loss", "val_mse", "val_bpp", "val_top1_pct"}
    for entry, value in source.g_a.state_dict().items():
        assert torch.equal(recipe.model.state_dict()[f"codec.g_a.{entry}"], value)
    device = method.export(context, recipe.model.state_dict()).device
    assert method.load_device(device.plain()).network is not None
