"""Every family that the published SC2 code has too, beside it with the same weights: symbols, bytes, outputs.

Entropic Students and fine-tuned splits are in `test_conformance_sc2bench`. BPG is left out: the published code starts a
program that no package has.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchdistill.common.file_util import get_binary_object_size
from torchvision.models import resnet50

from sc2.data.normalise import normalise, to_batch
from sc2.methods import get_method
from sc2.released.convert import converted
from sc2.released.file import read_released
from tests.unit.test_conformance_sc2bench import INPUT, Reference, livened, pair, pixels, saved, seeded, teacher

__all__ = ["pixels", "seeded"]

pytestmark = pytest.mark.filterwarnings("ignore:The entropy_bottleneck_channels:DeprecationWarning")


@pytest.mark.parametrize("channels", [1, 3, 12])
def test_channel_reduction(channels: int, sc2bench: Reference, pixels: np.ndarray, tmp_path: Path) -> None:
    """The published 24 modules, of which the package has the last 20: symbols, scale, zero point, logits."""
    layers, misc = sc2bench("models.layer"), sc2bench("transforms.misc")
    rest = layers.larger_resnet_layer1_bottleneck(bottleneck_channel=channels, bottleneck_idx=8)
    stem = resnet50()
    encoder = nn.Sequential(stem.conv1, stem.bn1, stem.relu, stem.maxpool, *rest.encoder)
    bottleneck = layers.SimpleBottleneck(encoder, rest.decoder, misc.SimpleQuantizer(8), misc.SimpleDequantizer(8))
    published = sc2bench("models.backbone").SplittableResNet(
        bottleneck, resnet50(), skips_avgpool=False, skips_fc=False
    )
    with torch.no_grad():
        for module in published.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(torch.randn_like(module.running_mean) / 10)
                module.running_var.copy_(torch.rand_like(module.running_var) + 0.5)
    published.eval()
    method = get_method("channel_reduction_quantization")
    context = method.context({}, str(channels), INPUT, teacher())
    _, device, server = pair(published, method, context, tmp_path)
    x = normalise(to_batch(pixels), context.input.pixels)
    with torch.no_grad():
        coded, logits = bottleneck.encode(x)["z"], published(x)
    latent = device.analyse(pixels)
    assert torch.equal(latent.symbols, coded.tensor)
    assert len(latent.symbols.unique()) > 50
    assert latent.scale == pytest.approx(float(coded.scale), rel=1e-6)
    assert latent.zero_point == int(coded.zero_point)
    payload = device.code(latent)
    assert payload.num_bytes == coded.tensor.numel() + 5
    torch.testing.assert_close(server.answer(server.decode(payload)), logits, rtol=1e-4, atol=1e-4)


def test_end_to_end(sc2bench: Reference, pixels: np.ndarray, tmp_path: Path) -> None:
    """The network of the Entropic Student, under its own method."""
    published = sc2bench("models.backbone").splittable_resnet(
        {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 24, "num_target_channels": 256}},
        skips_avgpool=False,
        skips_fc=False,
    )
    livened(published.bottleneck_layer, 40)
    published.eval().update()
    method = get_method("end_to_end")
    context = method.context({}, "1.28e-8", INPUT, teacher())
    _, device, server = pair(published, method, context, tmp_path)
    x = normalise(to_batch(pixels), context.input.pixels)
    with torch.no_grad():
        [[reference]], logits = published.bottleneck_layer.encode(x)["strings"], published(x)
    payload = device.code(device.analyse(pixels))
    assert payload.num_bytes == pytest.approx(len(reference), rel=1e-3)
    torch.testing.assert_close(server.answer(server.decode(payload)), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "key"), [("entropic_student_shp", "SHP"), ("entropic_student_mshp", "MSHP")])
def test_hyperprior_students_on_the_wire(
    name: str, key: str, sc2bench: Reference, pixels: np.ndarray, tmp_path: Path
) -> None:
    """z as published; y but for what h_s in integers moves (docs/deviations.md)."""
    published = sc2bench("models.backbone").splittable_resnet(
        {"key": f"{key}BasedResNetBottleneck", "kwargs": {}}, skips_avgpool=False, skips_fc=False
    )
    bottleneck = published.bottleneck_layer
    livened(bottleneck, 2)
    published.eval().update()
    method = get_method(name)
    context = method.context({}, "0.16", INPUT, teacher())
    _, device, server = pair(published, method, context, tmp_path)
    x = normalise(to_batch(pixels), context.input.pixels)
    with torch.no_grad():
        (y,), (z,) = bottleneck.encode(x)["strings"]
        logits = published(x)
    payload = device.code(device.analyse(pixels))
    # Both are in one stream here. Each of theirs also holds four bytes that set up the coder, and ends in a whole word.
    assert len(payload.streams) == 1
    theirs = len(y) + len(z)
    assert -1e-3 * theirs <= theirs - 2 * 4 - payload.num_bytes <= 1e-3 * theirs + 2 * 4
    answer = server.answer(server.decode(payload))
    assert torch.equal(answer.argmax(1), logits.argmax(1))
    torch.testing.assert_close(answer, logits, rtol=0, atol=0.02 * float(logits.std()))


CODECS = {
    "factorized_prior": ("bmshj2018_factorized", "1"),
    "scale_hyperprior": ("bmshj2018_hyperprior", "1"),
    "mean_scale_hyperprior": ("mbt2018_mean", "1"),
    "joint_autoregressive": ("mbt2018", "1"),
}


@pytest.mark.parametrize("name", CODECS)
def test_learned_codecs_in_front_of_a_classifier(
    name: str, sc2bench: Reference, pixels: np.ndarray, tmp_path: Path
) -> None:
    """The published wrapper's checkpoint: its codec becomes ours, with the same latents and pictures."""
    key, quality = CODECS[name]
    codec = sc2bench("models.registry").get_compressai_model(key, quality=int(quality), metric="mse", pretrained=False)
    published = sc2bench("models.wrapper").NeuralInputCompressionClassifier(
        resnet50(), compression_model=codec, post_transform=None
    )
    published.eval()
    method = get_method(name)
    context = method.context({}, quality, INPUT, teacher())
    path = saved(published.state_dict(), tmp_path / "published.pt")
    ours: Any = converted(method, context, read_released(path), None).eval()
    x = to_batch(pixels).float() / 255
    with torch.no_grad():
        torch.testing.assert_close(ours.codec.g_a(x), codec.g_a(x), rtol=0, atol=0)
        torch.testing.assert_close(ours.codec(x)["x_hat"], codec(x)["x_hat"], rtol=0, atol=0)


@pytest.mark.parametrize(("name", "image_format"), [("jpeg", "JPEG"), ("webp", "WEBP")])
@pytest.mark.parametrize("quality", [10, 50, 90])
def test_codecs_on_the_input(
    name: str, image_format: str, quality: int, sc2bench: Reference, pixels: np.ndarray
) -> None:
    """The same file, and the same logits for what it decodes to."""
    codec = sc2bench("transforms.codec").PILImageModule(returns_file_size=True, format=image_format, quality=quality)
    picture, size = codec(Image.fromarray(pixels))
    method = get_method(name)
    context = method.context({}, str(quality), INPUT, teacher())
    exported = method.export(context, None)
    device, server = method.load_device(exported.device.plain()), method.load_server(exported.server.plain())
    payload = device.encode(pixels)
    assert payload.num_bytes == size
    expected = normalise(to_batch(np.asarray(picture.convert("RGB"))), context.input.pixels)
    torch.testing.assert_close(server.decode(payload), expected, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "image_format"), [("codec_feature_jpeg", "JPEG"), ("codec_feature_webp", "WEBP")])
def test_codecs_on_features(name: str, image_format: str, sc2bench: Reference) -> None:
    """Where the least feature of each group is 0, the published division by the maximum is right.

    What is left is that the published code cuts off fractions of a level, where ours rounds: half a level in the mean.
    """
    codec = sc2bench("transforms.codec").PILTensorModule(returns_file_size=True, format=image_format, quality=90)
    method = get_method(name)
    context = method.context({}, "90", INPUT, teacher())
    exported = method.export(context, None)
    device, server = method.load_device(exported.device.plain()), method.load_server(exported.server.plain())
    features = np.random.default_rng(0).random((512, 16, 16), dtype=np.float32)
    features[:, 0, 0] = 0
    theirs, size = codec(torch.from_numpy(features))
    payload = device.code(features)
    groups = torch.from_numpy(features).split([3] * 170 + [1] * 2)
    bounds = sum(get_binary_object_size(list(map(bound, groups)), unit_size=1) for bound in (torch.min, torch.max))
    assert payload.num_bytes - len(payload.streams[0]) == pytest.approx(size - bounds, rel=1e-3)
    difference = 255 * (server.decode(payload)[0] - theirs)
    assert float(difference.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(difference.abs().mean()) < 4
