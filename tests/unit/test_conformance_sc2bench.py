"""The published SC2 code beside ours, with the same weights: outputs, symbols, bytes (docs/papers.md#conformance)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sc2.data.normalise import normalise, to_batch
from sc2.methods import get_method
from sc2.released.convert import converted
from sc2.released.file import read_released
from sc2.split.method import BuildContext

# The package builds its entropy models in a way that CompressAI now advises against.
pytestmark = pytest.mark.filterwarnings("ignore:The entropy_bottleneck_channels:DeprecationWarning")

SIDE = 128
INPUT = {"resize": SIDE, "crop": SIDE, "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406], "std": [0.229] * 3}
Reference = Callable[[str], Any]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def pixels() -> np.ndarray:
    """A smooth picture with some noise, uint8 [128, 128, 3]."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = np.stack([np.sin(9 * rows + k) * np.cos(7 * columns - k) for k in range(3)], axis=-1)
    noise = np.random.default_rng(0).normal(0, 8, waves.shape)
    return np.clip(127 + 90 * waves + noise, 0, 255).astype(np.uint8)


def teacher(name: str = "resnet", **args: Any) -> dict[str, Any]:
    from sc2.backbones.build import build_network
    from sc2.backbones.spec import NetworkSpec

    state = build_network(NetworkSpec(name=name, args=args), 1000).state_dict()
    classes = [str(number) for number in range(1000)]
    spec = {"name": name, "args": args}
    return {"task": "classification", "backbone": spec, "classes": classes, "state": state}


def livened(bottleneck: nn.Module, gain: float) -> None:
    """Give every channel of an entropy model a density of its own, and the latents a spread of some symbols."""
    prior: Any = bottleneck.get_submodule("entropy_bottleneck")
    with torch.no_grad():
        for name, value in prior.named_parameters():
            if name != "quantiles":
                value += 0.2 * torch.randn_like(value)
        encoder: Any = bottleneck.get_submodule("encoder" if hasattr(bottleneck, "encoder") else "g_a")
        encoder[-1].weight.mul_(gain)
    prior.update(force=True, update_quantiles=True)


def saved(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


def pair(network: nn.Module, method: Any, context: BuildContext[Any], folder: Path) -> tuple[nn.Module, Any, Any]:
    """Return our network with the published one's weights, and its exported halves."""
    ours = converted(method, context, read_released(saved(network.state_dict(), folder / "published.pt")), None)
    exported = method.export(context, ours.state_dict())
    return (
        ours.eval(),
        method.load_device(exported.device.plain()),
        method.load_server(exported.server.plain()),
    )


def test_entropic_student(sc2bench: Reference, pixels: np.ndarray, tmp_path: Path) -> None:
    """FP-24 in ResNet-50, as published: the same symbols, features and logits; bytes within 0.1 %."""
    published = sc2bench("models.backbone").splittable_resnet(
        {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 24, "num_target_channels": 256}},
        skips_avgpool=False,
        skips_fc=False,
    )
    bottleneck = published.bottleneck_layer
    livened(bottleneck, 40)
    published.eval().update()
    method = get_method("entropic_student")
    context = method.context({}, "0.16", INPUT, teacher())
    network, device, server = pair(published, method, context, tmp_path)
    x = normalise(to_batch(pixels), context.input.pixels)
    with torch.no_grad():
        coded, y = bottleneck.encode(x), bottleneck.encoder(x)
        logits = published(x)
        torch.testing.assert_close(network(x), logits, rtol=0, atol=0)
    medians = bottleneck._get_means(y)
    symbols = bottleneck.entropy_bottleneck.quantize(y, "symbols", medians)
    latent = device.analyse(pixels)
    assert torch.equal(latent[0], symbols.int())
    assert len(symbols.unique()) > 10
    payload = device.code(latent)
    [[reference]] = coded["strings"]
    assert len(reference) > 3000
    assert payload.num_bytes == pytest.approx(len(reference), rel=1e-3)
    torch.testing.assert_close(server.answer(server.decode(payload)), logits, rtol=1e-5, atol=1e-5)


def test_hyperprior_students(sc2bench: Reference, tmp_path: Path) -> None:
    """The two hyperpriors, as trained (h_s in floating point): features of the bottleneck and logits."""
    for name, key in (("entropic_student_mshp", "MSHP"), ("entropic_student_shp", "SHP")):
        published = sc2bench("models.backbone").splittable_resnet(
            {"key": f"{key}BasedResNetBottleneck", "kwargs": {}}, skips_avgpool=False, skips_fc=False
        )
        livened(published.bottleneck_layer, 40)
        method = get_method(name)
        context = method.context({}, "0.16", INPUT, teacher())
        path = saved(published.state_dict(), tmp_path / f"{key}.pt")
        ours: Any = converted(method, context, read_released(path), None)
        y = torch.randn(1, 24, 31, 31) * 5
        z = published.bottleneck_layer.h_a(y if key == "MSHP" else y.abs())
        torch.testing.assert_close(ours.prior.hyper_analysis(y), z, rtol=0, atol=0)
        expected = published.bottleneck_layer.h_s(z)
        torch.testing.assert_close(ours.prior.hyper_synthesis(z), expected, rtol=0, atol=0)
        torch.testing.assert_close(ours.decoder(y), published.bottleneck_layer.g_s(y), rtol=0, atol=0)
        assert torch.equal(
            ours.prior.entropy_bottleneck.quantiles, published.bottleneck_layer.entropy_bottleneck.quantiles
        )
        assert torch.equal(ours.tail.stages["layer3"][0].conv1.weight, published.layer3[0].conv1.weight)


def test_fine_tuned_split(sc2bench: Reference, pixels: np.ndarray, tmp_path: Path) -> None:
    """A ResNet-50 cut after layer2, with weights in eval mode that are the same on both sides: logits."""
    from torchvision import models

    classifier = models.resnet50()
    published = (
        sc2bench("models.wrapper")
        .EntropicClassifier(
            classifier,
            {"sequential": ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2"]},
            {"entropy_bottleneck_channels": 512},
            {"sequential": ["layer3", "layer4", "avgpool"]},
            {"sequential": ["fc"]},
        )
        .eval()
    )
    method = get_method("fine_tuned_split")
    context = method.context({}, "layer2_1e-8", INPUT, teacher())
    path = saved(published.state_dict(), tmp_path / "published.pt")
    ours = converted(method, context, read_released(path), None).eval()
    x = normalise(to_batch(pixels), context.input.pixels)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), published(x), rtol=0, atol=0)
