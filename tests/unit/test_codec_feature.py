"""Features as pictures: the rule of the groups, the scaling, the streams on the wire and what they cost."""

from typing import Any

import numpy as np
import pytest
import torch

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.normalise import normalise, to_batch
from sc2.data.spec import InputSpec
from sc2.entropy.pictures import from_pictures, group_sizes, to_pictures
from sc2.errors import WireError
from sc2.measure.macs import count_macs
from sc2.measure.rate import sc2bench_kb
from sc2.measure.size import parameter_count
from sc2.methods import get_method
from sc2.methods.codec_feature.halves import CodecFeatureDevice, CodecFeatureServer
from sc2.runs.export import count_costs
from sc2.split.method import Export
from sc2.split.wire import FINGERPRINT_BYTES, Payload, pack

BACKBONE = NetworkSpec(name="small_resnet", args={"width": 4})
CLASSES = ["circle", "square", "star"]
METHODS = ["codec_feature_jpeg", "codec_feature_webp"]


@pytest.fixture(scope="module")
def teacher() -> dict[str, Any]:
    torch.manual_seed(1)
    model = build_network(BACKBONE, len(CLASSES)).train()
    for _ in range(3):
        model(torch.randn(8, 3, 32, 32))
    state = model.state_dict()
    return {"task": "classification", "backbone": BACKBONE.model_dump(), "classes": CLASSES, "state": state}


def export(name: str, spec: dict[str, Any], teacher: dict[str, Any], cut: str = "stem", point: str = "90") -> Export:
    method = get_method(name)
    return method.export(method.context({"cut": cut}, point, spec, teacher), None)


def halves(name: str, exported: Export) -> tuple[CodecFeatureDevice, CodecFeatureServer]:
    device = get_method(name).load_device(exported.device.plain())
    server = get_method(name).load_server(exported.server.plain())
    assert isinstance(device, CodecFeatureDevice)
    assert isinstance(server, CodecFeatureServer)
    return device, server


def photograph(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([3 * x % 256, 2 * y % 256, (x + y) % 256], axis=-1).astype(np.uint8)


def test_groups_of_three_and_the_rest_alone() -> None:
    assert [group_sizes(channels) for channels in (1, 2, 3, 4, 5)] == [[1], [1, 1], [3], [3, 1], [3, 1, 1]]
    # The papers' cut of ResNet-50: 512 channels in 172 pictures, the last two of one channel.
    assert len(group_sizes(512)) == 172
    assert group_sizes(512)[-3:] == [3, 1, 1]
    assert all(sum(group_sizes(channels)) == channels for channels in range(1, 50))


def test_the_range_of_a_group_becomes_eight_bits() -> None:
    features = np.zeros((4, 2, 2), dtype=np.float32)
    features[0] = [[-1, 0], [1, 4]]
    features[3] = 7
    pictures, bounds = to_pictures(features)
    assert [picture.shape for picture in pictures] == [(2, 2, 3), (2, 2)]
    np.testing.assert_array_equal(bounds, [[-1, 7], [4, 7]])
    np.testing.assert_array_equal(pictures[0][..., 0], [[0, 51], [102, 255]])
    assert (pictures[0][..., 1] == 51).all()
    # A constant has no range: it comes back exactly.
    assert not pictures[1].any()
    np.testing.assert_allclose(from_pictures(pictures, bounds), features, atol=1e-6)


def test_non_negative_features_are_scaled_by_the_papers_rule() -> None:
    """Subtract the minimum and divide by the maximum: the same where a group holds a zero, as behind a ReLU."""
    features = np.maximum(np.random.default_rng(0).normal(size=(7, 8, 8)), 0).astype(np.float32)
    pictures, bounds = to_pictures(features)
    assert not bounds[0].any()
    for start, picture in zip((0, 3, 6), pictures, strict=True):
        group = features[start : start + 3]
        wanted = np.rint(255 * (group - group.min()) / group.max())
        np.testing.assert_array_equal(np.atleast_3d(picture).transpose(2, 0, 1), wanted)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_rounding_costs_half_a_level(scale: float) -> None:
    features = (scale * np.random.default_rng(1).normal(size=(8, 5, 9))).astype(np.float32)
    pictures, bounds = to_pictures(features)
    error = np.abs(from_pictures(pictures, bounds) - features)
    assert error.max() <= (bounds[1] - bounds[0]).max() / 510 * 1.001


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [1, 7, 33, 65])
def test_odd_sizes(name: str, size: int, input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    """At quality 100 the server sees nearly what the device sent, whatever the size of the maps."""
    spec = input_spec | {"resize": size, "crop": size}
    device, server = halves(name, export(name, spec, teacher, point="100"))
    features = device.analyse(photograph(size, size))
    received = server.decode(device.code(features))
    assert received.shape == (1, *features.shape) == (1, 4, (size + 1) // 2, (size + 1) // 2)
    assert np.abs(received[0].numpy() - features).mean() < 0.2 * (features.max() - features.min() + 1e-6)
    assert server.answer(received).shape == (1, len(CLASSES))


@pytest.mark.parametrize("name", METHODS)
def test_streams_on_the_wire(name: str, input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    """Minima and maxima as float32 in front, then a file per group; quality moves the files only."""
    sizes = []
    for point in ("10", "90"):
        device, _ = halves(name, export(name, input_spec, teacher, "layer2", point))
        features = device.analyse(photograph(32, 32))
        payload = device.code(features)
        groups = np.split(features, [3, 6, 7])
        assert len(payload.streams) == 1 + len(groups) == 5
        bounds = np.frombuffer(payload.streams[0], dtype="<f4").reshape(2, 4)
        np.testing.assert_array_equal(bounds, [[g.min() for g in groups], [g.max() for g in groups]])
        header = get_method(name).codec_header_bytes(payload)
        assert header is not None
        assert 0 < header < payload.num_bytes - len(payload.streams[0])
        sizes.append(payload.num_bytes)
        assert len(pack(payload, bytes(FINGERPRINT_BYTES))) - payload.num_bytes < 60
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("cut", ["stem", "layer1", "layer3"])
def test_costs_are_those_of_the_stages(cut: str, input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    method = get_method("codec_feature_jpeg")
    costs = count_costs(method, export("codec_feature_jpeg", input_spec, teacher, cut), (32, 32))
    model = build_network(BACKBONE, len(CLASSES)).eval()
    front, rest = model.up_to(cut), model.after(cut)
    image = torch.zeros(1, 3, 32, 32)
    assert costs["encoder_params"] == parameter_count(front)
    assert costs["server_params"] == parameter_count(rest)
    assert costs["encoder_macs"] == count_macs(front, image)
    assert costs["encoder_macs"] + costs["server_macs"] == count_macs(model, image)
    assert costs["encoder_table_bytes"] == 0


def test_without_a_codec_in_between_the_halves_are_the_teacher(
    input_spec: dict[str, Any], teacher: dict[str, Any]
) -> None:
    device, server = halves("codec_feature_webp", export("codec_feature_webp", input_spec, teacher, "layer1"))
    pixels = photograph(32, 32)
    model = build_network(BACKBONE, len(CLASSES))
    model.load_state_dict(teacher["state"])
    with torch.no_grad():
        wanted = model.eval()(normalise(to_batch(pixels), InputSpec.model_validate(input_spec)))
    torch.testing.assert_close(server.answer(torch.from_numpy(device.analyse(pixels))[None]), wanted)


def test_upstreams_size_counts_pickled_lists(input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    """172 pictures: 96,960 bytes of pickled minima and maxima (measured on upstream's program), 1,376 here."""
    files = tuple(bytes(10) for _ in group_sizes(512))
    payload = Payload((bytes(8 * 172), *files), ())
    assert 1024 * sc2bench_kb(payload, "codec_feature") == 96_960 + 1_720
    assert len(payload.streams[0]) == 1_376


@pytest.mark.parametrize("name", METHODS)
def test_damage_is_refused(name: str, input_spec: dict[str, Any], teacher: dict[str, Any]) -> None:
    device, server = halves(name, export(name, input_spec, teacher))
    good = device.encode(photograph(32, 32))
    side, *files = good.streams
    swapped = np.frombuffer(side, dtype="<f4").reshape(2, -1)[::-1].tobytes()
    not_finite = np.full(4, np.nan, dtype="<f4").tobytes()
    wrong = {
        "as minima and maxima and 2 pictures": Payload((side, *files, b"x"), ()),
        "without a shape": Payload(good.streams, (1,)),
        "do not fit into 3 bytes": Payload((side[:3], *files), ()),
        "a minimum above its maximum": Payload((swapped, *files), ()),
        "not finite": Payload((not_finite, *files), ()),
        "cannot be decoded": Payload((side, files[0][:20], files[1]), ()),
    }
    for message, payload in wrong.items():
        with pytest.raises(WireError, match=message):
            server.decode(payload)
    _, other = halves(name, export(name, input_spec | {"crop": 30}, teacher))
    with pytest.raises(WireError, match=r"\(16, 16\), but the network takes \(15, 15\)"):
        other.decode(good)
