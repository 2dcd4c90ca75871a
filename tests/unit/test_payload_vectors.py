"""Payloads of all learned methods: committed vectors, read by a decoder made from docs/wire-format.md and by ours."""

import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sc2.entropy.coder import TableCoder
from sc2.errors import WireError
from sc2.layers.prior_content import PriorContent
from sc2.layers.priors import FACTORIZED, Hyperprior
from sc2.methods import get_method
from sc2.methods.learned_codec.images import latent_side
from sc2.methods.learned_codec.priors import PRIORS
from sc2.methods.reduction.affine import dequantize, from_bytes
from sc2.split.wire import pack, unpack
from tests import independent_decoder
from tests.contract.conftest import OPTIONS
from tests.payload_vectors import FILE_1, golden, learned_methods, vector

PAGE = Path(__file__).parents[2] / "docs" / "wire-format.md"
BY_VERSION: dict[int, list[dict[str, Any]]] = {
    1: json.loads(FILE_1.read_text(encoding="utf-8")),
    2: [golden(name) for name in learned_methods()],
}
VECTORS = [(version, each) for version, vectors in BY_VERSION.items() for each in vectors]
each_vector = pytest.mark.parametrize(
    ("version", "vector"), VECTORS, ids=[f"{each['method']} {version}" for version, each in VECTORS]
)


def as_float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def values_of(numbers: list[Any], model: dict[str, Any]) -> list[float]:
    """Return what whole numbers stand for, as the page says, in float32."""
    if model["coder"] == "affine":
        scale, zero, *symbols = numbers
        return [as_float32(scale * (symbol - zero)) for symbol in symbols]
    if model["coder"] == "hyperprior":
        return [as_float32(number / 4096) for number in numbers]
    if "step" in model:
        return [as_float32(number * model["step"]) for number in numbers]
    if "gains" in model:
        per = len(numbers) // model["channels"]
        return [as_float32(number / model["gains"][at // per]) for at, number in enumerate(numbers)]
    per = len(numbers) // len(model["medians"])
    return [as_float32(number + model["medians"][at // per]) for at, number in enumerate(numbers)]


@pytest.mark.parametrize("version", [1, 2])
def test_there_is_a_vector_of_every_learned_method(version: int) -> None:
    # What came after version 1 has no containers of it.
    later = {name for name in learned_methods() if name in OPTIONS or get_method(name).family == "gained"}
    known = [name for name in learned_methods() if version == 2 or name not in later]
    assert [each["method"] for each in BY_VERSION[version]] == known
    assert {bytes.fromhex(each["container"])[4] for each in BY_VERSION[version]} == {version}


def test_the_independent_decoder_is_short_and_independent() -> None:
    source = Path(independent_decoder.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 227
    imported = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE))
    assert imported == {"struct", "zlib", "bisect", "itertools"}


@each_vector
def test_the_independent_decoder_reads_it(version: int, vector: dict[str, Any]) -> None:
    assert independent_decoder.unpack(bytes.fromhex(vector["container"]))[0] == version
    numbers = independent_decoder.decode(bytes.fromhex(vector["container"]), vector["model"])
    assert values_of(numbers, vector["model"]) == vector["values"]


def received(container: bytes, model: dict[str, Any]) -> Tensor:
    """Return what the project's coders make of a container."""
    payload = unpack(container, None)
    if model["coder"] == "affine":
        return dequantize(from_bytes(payload.streams[0], payload.shape))
    height, width = map(latent_side, payload.shape) if model["shape"] == "image" else payload.shape[-2:]
    if "gains" in model:
        channels = model["channels"]
        tables = np.arange(channels, dtype=np.int32) + payload.shape[0] * channels
        indexes = np.repeat(tables, height * width)
        symbols = TableCoder.of(tensors(model["tables"])).decode(payload.streams[0], indexes, payload.version)
        return torch.from_numpy(symbols).reshape(channels, -1) / torch.tensor(model["gains"]).unsqueeze(1)
    if "step" not in model:
        return prior_of(model).decode(payload.streams, height, width, payload.version)
    indexes = np.repeat(np.arange(len(model["tables"]), dtype=np.int32), height * width)
    coder = TableCoder.of(tensors(model["tables"]))
    return torch.from_numpy(coder.decode(payload.streams[0], indexes, payload.version)) * model["step"]


@each_vector
def test_the_project_reads_it(version: int, vector: dict[str, Any]) -> None:
    """What old device halves have sent must decode to the same as long as the version is read."""
    assert unpack(bytes.fromhex(vector["container"]), None).version == version
    assert received(bytes.fromhex(vector["container"]), vector["model"]).flatten().tolist() == vector["values"]


@each_vector
def test_bytes_at_the_end_are_refused(version: int, vector: dict[str, Any]) -> None:
    payload, model = unpack(bytes.fromhex(vector["container"]), None), vector["model"]
    assert payload.version == version
    longer = pack(replace(payload, streams=(payload.streams[0] + b"\1" * 8, *payload.streams[1:])), bytes(8))
    if model["coder"] != "affine":
        with pytest.raises(AssertionError, match=r"longer than its symbols need|not the first of its length"):
            independent_decoder.decode(longer, model)
    with pytest.raises(WireError, match=r"longer than its \d+ symbols need|but a quantised tensor"):
        received(longer, model)


class Noting(independent_decoder.RangeDecoder):
    """Notes the intervals that it reads."""

    def __init__(self, stream: bytes, notes: list[list[tuple[int, int]]]) -> None:
        super().__init__(stream)
        self.notes: list[tuple[int, int]] = []
        notes.append(self.notes)

    def entry(self, bounds: list[int]) -> int:
        found = super().entry(bounds)
        self.notes.append((bounds[found], bounds[found + 1] - bounds[found]))
        return found


def encoded(intervals: list[tuple[int, int]], version: int = 2) -> bytes:
    """Return the stream that the page's encoder makes of intervals, in Python's integers of any length."""
    low, size, words = 0, 2**64 - 1, 1
    for start, width in intervals:
        scale = size >> 24
        low, size = low + scale * start, scale * width
        if size < 2**32:
            low, size, words = low << 32, size << 32, words + 1
    if version == 2:
        length = next(n for n in range(4 * words + 5) if _rounded_up(low, 4 * words + 4 - n) < low + size)
        number = _rounded_up(low, 4 * words + 4 - length) >> 8 * (4 * words + 4 - length)
        return number.to_bytes(length, "big") or b"\0"
    return (-(-low >> 32)).to_bytes(4 * words, "big").rstrip(b"\0") or b"\0"


def _rounded_up(number: int, zeros: int) -> int:
    """Return the next number, from this one on, that ends in so many zero bytes."""
    return -(-number // 256**zeros) * 256**zeros


@each_vector
def test_the_encoder_of_the_page_writes_it(
    version: int, vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[list[tuple[int, int]]] = []
    monkeypatch.setattr(independent_decoder, "RangeDecoder", lambda stream: Noting(stream, notes))
    container = bytes.fromhex(vector["container"])
    independent_decoder.decode(container, vector["model"])
    streams = unpack(container, None).streams if vector["model"]["coder"] != "affine" else ()
    assert sorted(encoded(intervals, version) for intervals in notes) == sorted(streams)


@pytest.mark.parametrize("name", ["entropic_student_mshp", "bottleneck_unit"])
def test_vectors_of_today_are_read_as_well(name: str) -> None:
    """What is made of tiny halves now, where weights may differ in the last bit."""
    made = vector(name)
    numbers = independent_decoder.decode(bytes.fromhex(made["container"]), made["model"])
    assert values_of(numbers, made["model"]) == made["values"]


def test_the_example_of_the_page() -> None:
    """The page works one stream out by hand."""
    [found] = re.findall(r"The stream is `([0-9a-f ]+)`, in version 1 `([0-9a-f ]+)`", PAGE.read_text(encoding="utf-8"))
    tables = [{"offset": -1, "cdf": [0, 16384, 49152, 65535, 65536]}]
    for version, stream in zip((2, 1), found, strict=True):
        ranges = independent_decoder.RangeDecoder(bytes.fromhex(stream))
        assert ranges.take(tables, [0, 0, 0, 0], version) == [0, -1, 5, 1]
        ranges.finish(version)


def prior_of(model: dict[str, Any]) -> Any:
    """Return our decoder of an entropy model."""
    if model["coder"] == "factorized":
        tables: dict[str, Any] = tensors(model["tables"]) | {"medians": torch.tensor(model["medians"])}
        tables |= {"low": torch.tensor([model["low"]])} if "low" in model else {}
        return FACTORIZED.decoder(PriorContent(tables=tables))
    # The medians are in `shift`; what stands for tables that do not occur is not looked at.
    y = tensors([row or {"offset": 0, "cdf": [0, 65535, 65536]} for row in model["y"]], flat=True)
    tables = {
        "z": tensors(model["z"]) | {"medians": torch.zeros(len(model["z"]))},
        "y": y | {"thresholds": torch.tensor(model["thresholds"])},
        "synthesis": network(model["synthesis"]),
        "shift": torch.tensor(model["shift"]),
        "channels": model["channels"],
    }
    if "context" not in model:
        return Hyperprior(lambda *_: torch.nn.Sequential()).decoder(PriorContent(tables=tables))
    tables["context"] = {part: network(model[part]) for part in ("context", "parameters")}
    return PRIORS["JointAutoregressiveHierarchicalPriors"].decoder(PriorContent(tables=tables))


def tensors(rows: list[dict[str, Any]], *, flat: bool = False) -> dict[str, Tensor]:
    cdfs = [torch.tensor(row["cdf"], dtype=torch.int32) for row in rows]
    return {
        "cdf": torch.cat(cdfs) if flat else torch.nn.utils.rnn.pad_sequence(cdfs, batch_first=True),
        "cdf_length": torch.tensor([len(cdf) for cdf in cdfs], dtype=torch.int32),
        "offset": torch.tensor([row["offset"] for row in rows], dtype=torch.int32),
    }


def network(layers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        str(position): layer
        | {key: torch.tensor(layer[key], dtype=dtype) for key, dtype in TYPES.items() if key in layer}
        for position, layer in enumerate(layers)
    }


TYPES = {"weight": torch.int16, "bias": torch.int64}
