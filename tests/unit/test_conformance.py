"""The published numbers at 224×224×3 (docs/papers.md#conformance), and CompressAI's own coder as a reference."""

from pathlib import Path

import pytest
import torch
from compressai.entropy_models import EntropyBottleneck
from torch import Tensor

from sc2.backbones import resnet
from sc2.backbones.base import stage_channels, stage_shape
from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.config.load import load_benchmark, load_config
from sc2.entropy.densities import settle, tables_of
from sc2.entropy.factorized import FactorizedCoder
from sc2.layers.bottleneck import analysis, synthesis
from sc2.measure.macs import count_macs
from sc2.measure.rate import sc2bench_kb
from sc2.measure.size import parameter_count, state_bits
from sc2.methods import get_method
from sc2.methods.reduction.affine import SIDE_BYTES, quantize, to_bytes
from sc2.methods.reduction.network import expansion, reduction
from sc2.methods.student.network import StudentNetwork
from sc2.split.wire import Payload

INPUT_224 = {"resize": 224, "crop": 224, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.25] * 3}
PAPER = get_method("entropic_student").Params().model_dump()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


# Parameters and shapes


def test_fp24_as_in_the_papers() -> None:
    encoder, prior = analysis(PAPER["encoder_channels"]), EntropyBottleneck(24)
    decoder = synthesis(24, PAPER["decoder_channels"], 256)
    assert [parameter_count(part) for part in (encoder, prior, decoder)] == [138_672, 1_464, 1_164_032]
    with torch.no_grad():
        latent = encoder(torch.zeros(1, 3, 224, 224))
        features = decoder(latent)
    assert tuple(latent.shape) == (1, 24, 55, 55)
    assert tuple(features.shape) == (1, 256, 56, 56)


def test_fp64_for_regnet_and_vit() -> None:
    assert parameter_count(analysis([64, 64, 64])) == 131_904
    assert parameter_count(EntropyBottleneck(64)) == 3_904
    assert parameter_count(synthesis(64, [288, 144], 144)) == 426_672
    assert parameter_count(synthesis(64, [512, 256], 256)) == 1_245_952
    with torch.no_grad():
        assert synthesis(64, [288, 144], 144)(torch.zeros(1, 64, 55, 55)).shape == (1, 144, 56, 56)


def test_encoder_size_by_upstreams_rule() -> None:
    encoder, prior = analysis(PAPER["encoder_channels"]), EntropyBottleneck(24)
    assert state_bits(encoder.state_dict()) == 4_437_760
    tables_of(prior)
    assert state_bits({**encoder.state_dict(), **{f"prior.{k}": v for k, v in prior.state_dict().items()}}) == 4_503_936


def test_encoder_macs() -> None:
    macs = count_macs(analysis(PAPER["encoder_channels"]), torch.zeros(1, 3, 224, 224))
    assert macs == pytest.approx(588e6, rel=0.01)


def test_splittable_resnet50_through_the_methods_own_network() -> None:
    teacher = {
        "task": "classification",
        "backbone": {"name": "resnet", "args": {"depth": 50}},
        "classes": [str(number) for number in range(1000)],
        "state": resnet.build(1000, 50).state_dict(),
    }
    context = get_method("entropic_student").context({}, "0.08", INPUT_224, teacher)
    network = StudentNetwork(context, "factorized")
    assert parameter_count(network) == 26_635_856


@pytest.mark.parametrize(("depth", "expected"), [(50, 26_635_856), (101, 45_627_984), (152, 61_271_632)])
def test_splittable_resnets(depth: int, expected: int) -> None:
    bottleneck = [analysis([96, 48, 24]), EntropyBottleneck(24), synthesis(24, [512, 256], 256)]
    with torch.device("meta"):
        tail = resnet.build(1000, depth).after("layer1")
    assert sum(map(parameter_count, [*bottleneck, tail])) == expected


@pytest.mark.parametrize(("channels", "kb"), [(1, 620.8), (2, None), (3, None), (6, None), (9, None), (12, 631.8)])
def test_channel_reduction_as_in_the_papers(channels: int, kb: float | None) -> None:
    params = get_method("channel_reduction_quantization").Params().model_dump()
    encoder = reduction(channels, params["encoder_channels"]).eval()
    decoder = expansion(channels, params["decoder_channels"], 256).eval()
    assert parameter_count(encoder) == 157_760 + 256 * channels
    with torch.no_grad():
        z = encoder(torch.randn(1, 3, 224, 224))
        assert tuple(z.shape) == (1, channels, 60, 60)
        assert tuple(decoder(z).shape) == (1, 256, 56, 56)
    data = to_bytes(quantize(z))
    assert len(data) == 3_600 * channels + SIDE_BYTES
    assert 1024 * sc2bench_kb(Payload((data,), (channels, 60, 60)), "quantized") == 3_600 * channels + 794
    if kb is not None:
        assert state_bits(encoder.state_dict()) / 8 / 1024 == pytest.approx(kb, abs=0.05)


def test_channel_reduction_macs() -> None:
    assert count_macs(reduction(12, [64, 64, 256, 64]), torch.zeros(1, 3, 224, 224)) == pytest.approx(631e6, rel=0.01)


def test_the_split_of_efficientnet_lite0_leaves_most_of_the_work_to_the_server(root: Path) -> None:
    """In MACs the device half is less than a third of EfficientNet-Lite0's, at the benchmark's own resolution."""
    benchmark = load_config(root / "config/imagenette.yaml").benchmarks["imagenette_efficientnet_lite0"]
    params = benchmark.methods["entropic_student"].params.model_dump()
    side = benchmark.config.input.square
    assert side is not None
    images = torch.zeros(1, 3, side, side)
    whole = build_network(NetworkSpec(**dict(benchmark.config.teacher.backbone)), 10)
    device = count_macs(analysis(params["encoder_channels"]), images)
    assert device < count_macs(whole, images) / 3
    assert parameter_count(analysis(params["encoder_channels"])) < parameter_count(whole) / 20


# Parameters of the whole split: for RegNetY-6.4GF as in docs/papers.md#conformance; for the hybrid ViT the sum of its
# parts, whose sizes are there, and of what timm's own model holds after stage 0 of its ResNetV2.
IMAGENET = {
    "ilsvrc2012_resnet50": ((24, 55, 55), 138_672, 1_464, 1_164_032, 26_635_856),
    "ilsvrc2012_resnet101": ((24, 55, 55), 138_672, 1_464, 1_164_032, 45_627_984),
    "ilsvrc2012_resnet152": ((24, 55, 55), 138_672, 1_464, 1_164_032, 61_271_632),
    "ilsvrc2012_regnety064": ((64, 55, 55), 131_904, 3_904, 426_672, 30_871_736),
    "ilsvrc2012_hybrid_vit": ((64, 55, 55), 131_904, 3_904, 1_245_952, 37_658_728),
}


@pytest.mark.parametrize("name", IMAGENET)
def test_the_splits_of_the_imagenet_benchmarks(root: Path, name: str) -> None:
    latent, *expected, whole = IMAGENET[name]
    benchmark = load_benchmark(root / "config/config.yaml", name)
    params = benchmark.methods["entropic_student"].params.model_dump()
    with torch.device("meta"):
        teacher = build_network(NetworkSpec(**dict(benchmark.config.teacher.backbone)), 1000)
    target = stage_channels(teacher, params["cut"], 224)
    encoder, prior = analysis(params["encoder_channels"]).to("meta"), EntropyBottleneck(latent[0])
    decoder = synthesis(latent[0], params["decoder_channels"], target).to("meta")
    with torch.no_grad():
        y = encoder(torch.zeros(1, 3, 224, 224, device="meta"))
        assert tuple(y.shape[1:]) == latent
        assert tuple(decoder(y).shape[1:]) == stage_shape(teacher, params["cut"], 224) == (target, 56, 56)
    parts = [encoder, prior, decoder]
    assert [parameter_count(part) for part in parts] == expected
    assert sum(map(parameter_count, [*parts, teacher.after(params["cut"])])) == whole


def test_sc2bench_size_is_the_payload_and_the_pickle_around_it() -> None:
    for length in (10, 300, 5000, 70_000):
        size = sc2bench_kb(Payload((bytes(length),), (55, 55)), "learned") * 1024
        assert 103 <= size - length <= 124


# CompressAI's coder


def trained_prior(channels: int = 6) -> EntropyBottleneck:
    """A factorised prior fitted for a few steps, so that no two channels have the same table and medians move."""
    prior = EntropyBottleneck(channels)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.05)
    prior.train()
    for _ in range(60):
        optimizer.zero_grad()
        _, likelihoods = prior(latents(channels))
        (-torch.log2(likelihoods).mean() + prior.loss()).backward()
        optimizer.step()
    settle(prior)
    return prior.eval()


def latents(channels: int, height: int = 7, width: int = 9, scale: float = 1.0) -> Tensor:
    """Latents whose spread and mean differ from channel to channel."""
    spread = torch.linspace(0.3, 4, channels).view(1, -1, 1, 1) * scale
    mean = torch.linspace(-3, 3, channels).view(1, -1, 1, 1)
    return torch.randn(1, channels, height, width) * spread + mean


@pytest.fixture(scope="module")
def prior() -> EntropyBottleneck:
    torch.manual_seed(0)
    return trained_prior()


@pytest.mark.parametrize("scale", [1.0, 10.0, 1000.0], ids=["inside the tables", "some outside", "most outside"])
def test_the_wire_carries_what_compressais_does_in_as_many_bytes(prior: EntropyBottleneck, scale: float) -> None:
    coder = FactorizedCoder(tables_of(prior))
    for height, width in ((7, 9), (1, 1), (4, 3)):
        latent = latents(coder.channels, height, width, scale)
        symbols = coder.symbols(latent)
        data = coder.encode(symbols)
        [reference] = prior.compress(latent)
        # Beyond the tables the two write a value in different ways: ours costs five bits and the number's own length.
        assert len(data) <= len(reference) * (1.001 if scale == 1 else 1.2) + 2
        assert torch.equal(coder.decode(data, height, width), symbols)
        received = prior.decompress([reference], (height, width))
        torch.testing.assert_close(coder.latent(coder.decode(data, height, width)), received, rtol=0, atol=0)
    outside = _outside(coder, coder.symbols(latents(coder.channels, scale=scale)))
    assert (outside > 0) == (scale > 1)


def _outside(coder: FactorizedCoder, symbols: Tensor) -> int:
    value = symbols - torch.from_numpy(coder.coder.offset).view(1, -1, 1, 1)
    largest = torch.from_numpy(coder.coder.escape).view(1, -1, 1, 1)
    return int(((value < 0) | (value >= largest)).sum())


def test_the_evaluation_forward_pass_is_what_the_wire_carries(prior: EntropyBottleneck) -> None:
    coder, latent = FactorizedCoder(tables_of(prior)), latents(6)
    y_hat, _ = prior(latent)
    assert torch.equal(coder.latent(coder.decode(coder.encode(coder.symbols(latent)), 7, 9)), y_hat)


def test_estimated_bits_agree_with_the_likelihoods(prior: EntropyBottleneck) -> None:
    coder = FactorizedCoder(tables_of(prior))
    for _ in range(5):
        latent = latents(6, 20, 20)
        _, likelihoods = prior(latent)
        assert coder.bits(coder.symbols(latent)) == pytest.approx(-torch.log2(likelihoods).sum().item(), rel=0.01)


@pytest.mark.parametrize("scale", [1.0, 10.0, 1000.0])
def test_estimated_bits_agree_with_the_bytes(prior: EntropyBottleneck, scale: float) -> None:
    coder = FactorizedCoder(tables_of(prior))
    symbols = coder.symbols(latents(6, 20, 20, scale))
    assert 8 * len(coder.encode(symbols)) == pytest.approx(coder.bits(symbols), rel=0.01, abs=64)


def test_settled_quantiles_are_those_of_the_density(prior: EntropyBottleneck) -> None:
    """Half of the density lies below the median, and the tables are dropped with what they were made from."""
    with torch.no_grad():
        logits = prior._logits_cumulative(prior.quantiles, stop_gradient=False)
    tail = torch.logit(torch.tensor(prior.tail_mass / 2, dtype=torch.float64)).item()
    torch.testing.assert_close(logits[:, 0, 1], torch.zeros(prior.channels), rtol=0, atol=1e-2)
    assert (logits[:, 0, 0] <= tail + 0.1).all()
    assert (logits[:, 0, 2] >= -tail - 0.1).all()
    fresh = trained_prior(2)
    assert all(fresh.state_dict()[name].numel() == 0 for name in ("_offset", "_quantized_cdf", "_cdf_length"))
