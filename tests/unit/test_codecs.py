"""Input codecs: odd sizes, damage, and how rate and quality move on photographs."""

import io
import math
import os
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.image_codec import compress, decompress
from sc2.data.normalise import normalise, to_batch
from sc2.data.spec import InputSpec
from sc2.errors import WireError
from sc2.methods import get_method
from sc2.split.method import DeviceHalf, ServerHalf
from sc2.split.wire import Payload, pack, unpack

BACKBONE = NetworkSpec(name="small_resnet", args={"width": 4})
CLASSES = ["circle", "square"]
# (method, point) → Pillow's format and options.
CODECS: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("jpeg", "100"): ("JPEG", {"quality": 100}),
    ("webp", "100"): ("WEBP", {"quality": 100}),
    ("lossless_image", "png"): ("PNG", {}),
    ("lossless_image", "webp"): ("WEBP", {"lossless": True}),
}
SIZES = [(1, 1), (1, 17), (17, 1), (2, 3), (63, 65), (225, 223)]
ARCHIVE = "kodak24.tar"


def gradient(height: int, width: int) -> np.ndarray:
    """A picture that any codec keeps well."""
    y, x = np.mgrid[:height, :width]
    red, green = 255 * x // max(1, width - 1), 255 * y // max(1, height - 1)
    return np.stack([red, green, (red + green) // 2], axis=-1).astype(np.uint8)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


@pytest.fixture(scope="module")
def teacher() -> dict[str, Any]:
    torch.manual_seed(1)
    state = build_network(BACKBONE, len(CLASSES)).state_dict()
    return {"task": "classification", "backbone": BACKBONE.model_dump(), "classes": CLASSES, "state": state}


def halves(name: str, point: str, spec: Mapping[str, Any], teacher: dict[str, Any]) -> tuple[DeviceHalf, ServerHalf]:
    method = get_method(name)
    exported = method.export(method.context({}, point, spec, teacher), None)
    return method.load_device(exported.device.plain()), method.load_server(exported.server.plain())


@pytest.mark.parametrize("codec", CODECS.values(), ids=["jpeg", "webp", "png", "webp lossless"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_odd_sizes_keep_their_size(codec: tuple[str, dict[str, Any]], height: int, width: int) -> None:
    image_format, options = codec
    pixels = gradient(height, width)
    data = compress(Image.fromarray(pixels), image_format, options)
    decoded = decompress(data, image_format, (width, height))
    assert decoded.shape == (height, width, 3)
    # Colours at half the resolution are what a picture of a few pixels loses.
    assert psnr(decoded, pixels) > (30 if min(height, width) > 16 else 10)
    with pytest.raises(WireError, match="the network takes"):
        decompress(data, image_format, (width + 1, height))


@pytest.mark.parametrize("case", CODECS, ids=" ".join)
@pytest.mark.parametrize("size", [1, 3, 63, 65])
def test_odd_inputs_go_through_the_whole_wire(
    case: tuple[str, str], size: int, input_spec: dict[str, Any], teacher: dict[str, Any]
) -> None:
    spec = input_spec | {"resize": size, "crop": size}
    device, server = halves(*case, spec, teacher)
    pixels = gradient(size, size)
    received = server.decode(unpack(pack(device.encode(pixels), b"12345678"), b"12345678"))
    assert received.shape == (1, 3, size, size)
    assert server.answer(received).shape == (1, len(CLASSES))
    if case[0] == "lossless_image":
        assert torch.equal(received, normalise(to_batch(pixels), InputSpec.model_validate(spec)))


@pytest.mark.parametrize("point", ["png", "webp"])
def test_lossless_is_lossless(point: str, input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    device, server = halves("lossless_image", point, input_spec, teacher)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    payload = device.encode(noise)
    assert torch.equal(server.decode(payload), normalise(to_batch(noise), InputSpec.model_validate(input_spec)))
    # Noise has nothing to compress: three bytes a pixel, and the file around them.
    header = get_method("lossless_image").codec_header_bytes(payload)
    assert header is not None
    assert 3 * 32 * 32 < payload.num_bytes < 3 * 32 * 32 + 200
    assert 0 < header < 120


@pytest.mark.parametrize("case", CODECS, ids=" ".join)
def test_damaged_files_are_refused(case: tuple[str, str], input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    device, server = halves(*case, input_spec, teacher)
    data = device.encode(gradient(32, 32)).streams[0]
    for damaged in (b"", data[:20], b"x" + data, data[: len(data) // 2]):
        with pytest.raises(WireError, match=r"stream cannot be decoded"):
            server.decode(Payload((damaged,), ()))
    with pytest.raises(WireError, match="one stream without a shape"):
        server.decode(Payload((data,), (32, 32)))


def test_a_file_of_another_format_is_refused(input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    """A server decodes its own format only, whatever else Pillow could read."""
    device, _ = halves("jpeg", "50", input_spec, teacher)
    _, server = halves("webp", "50", input_spec, teacher)
    with pytest.raises(WireError, match="the WEBP stream cannot be decoded"):
        server.decode(device.encode(gradient(32, 32)))


def test_weights_that_are_no_tensors_are_refused(input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    method = get_method("jpeg")
    blob = method.export(method.context({}, "50", input_spec, teacher), None).server.plain()
    with pytest.raises(ValueError, match="must be a tensor"):
        method.load_server(blob | {"state": {"weight": [1.0]}})


# Photographs


@cache
def kodak(count: int) -> list[np.ndarray]:
    """The first photographs of the Kodak set, uint8 [H, W, 3]; skips where the archive is not."""
    folder = os.environ.get("SC2_DATA")
    if not folder or not (Path(folder) / ARCHIVE).is_file():
        pytest.skip(f"SC2_DATA names no folder that holds {ARCHIVE}")
    with tarfile.open(Path(folder) / ARCHIVE) as tar:
        names = sorted(name for name in tar.getnames() if name.endswith(".png"))
        assert len(names) == 24
        files = [tar.extractfile(name) for name in names[:count]]
        return [np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB")) for file in files if file is not None]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["JPEG", "WEBP"])
def test_more_quality_is_more_bytes_and_less_error_on_photographs(name: str) -> None:
    """Rate and PSNR rise at every step of the grid on every photograph; the ends lie where codecs lie."""
    for pixels in kodak(4):
        height, width = pixels.shape[:2]
        bits_per_pixel, quality_db = [], []
        for quality in range(10, 101, 10):
            data = compress(Image.fromarray(pixels), name, {"quality": quality})
            bits_per_pixel.append(8 * len(data) / (height * width))
            quality_db.append(psnr(decompress(data, name, (width, height)), pixels))
        assert bits_per_pixel == sorted(set(bits_per_pixel))
        assert quality_db == sorted(set(quality_db))
        assert 0.1 < bits_per_pixel[0] < 0.8
        assert bits_per_pixel[-1] > 2
        assert 22 < quality_db[0] < 33
        assert quality_db[-1] > 38


@pytest.mark.shared_data
def test_webp_needs_fewer_bytes_than_jpeg_for_the_same_error() -> None:
    """At the PSNR of JPEG 50, interpolated on WebP's curve."""
    for pixels in kodak(3):
        size, image = (pixels.shape[1], pixels.shape[0]), Image.fromarray(pixels)
        jpeg = compress(image, "JPEG", {"quality": 50})
        target = psnr(decompress(jpeg, "JPEG", size), pixels)
        files = [compress(image, "WEBP", {"quality": quality}) for quality in range(10, 101, 10)]
        errors = [psnr(decompress(data, "WEBP", size), pixels) for data in files]
        assert np.interp(target, errors, [len(data) for data in files]) < len(jpeg)
