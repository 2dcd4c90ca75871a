"""What comes over the link is read or ends in a `WireError`: damaged files of every method, and arbitrary bytes."""

import io
import random
import struct
import warnings
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2.bpg.decode import decode
from sc2.errors import WireError
from sc2.split.wire import Payload, pack, read_container, read_header, unpack
from tests import mutations
from tests.contract.conftest import names_with_options
from tests.mutations import FINGERPRINT, Foreign, bpg_ends, bpg_file, container, container_ends, ends, packet_ends
from tests.tiny_halves import tiny_halves, tiny_payload

few = settings(derandomize=True, deadline=None, database=None, max_examples=40)
many = settings(few, max_examples=200)
numbers = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 40), max_size=4)


@pytest.mark.parametrize("name", names_with_options())
def test_damaged_containers_of_a_method_are_read_or_refused(name: str) -> None:
    counts = container_ends(name, range(40))
    assert counts.refused > 10
    assert counts.read + counts.refused == 40
    assert counts.slowest_s < 5


@pytest.mark.parametrize("name", ["entropic_student_mshp", "codec_feature_jpeg", "jpeg", "bottleneck_unit"])
def test_damaged_packets_of_a_method_are_read_or_refused(name: str) -> None:
    counts = packet_ends(name, range(80))
    assert counts.refused > 30
    assert counts.read + counts.refused == 80
    assert counts.slowest_s < 5


def test_damaged_bpg_files_are_read_or_refused() -> None:
    counts = bpg_ends(range(200))
    assert counts.read > 10
    assert counts.refused > 100


@pytest.mark.parametrize("name", ["entropic_student_mshp", "codec_feature_jpeg", "jpeg", "bottleneck_unit"])
@few
@given(streams=st.lists(st.binary(max_size=60), max_size=8), shape=numbers)
def test_arbitrary_payloads_are_read_or_refused(name: str, streams: Sequence[bytes], shape: Sequence[int]) -> None:
    _, server = tiny_halves(name)
    try:
        mutations.read_container(server, pack(Payload(tuple(streams), tuple(shape)), FINGERPRINT))
    except WireError:
        return


@many
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: b"\x89SC2\x02" + FINGERPRINT + rest))
def test_arbitrary_containers_are_unpacked_or_refused(data: bytes) -> None:
    for read in (read_header, lambda data: unpack(data, FINGERPRINT), lambda data: read_container(io.BytesIO(data))):
        try:
            read(data)
        except WireError:
            continue


@many
@given(streams=st.lists(st.binary(max_size=300), max_size=6), shape=numbers)
def test_every_payload_survives_its_container(streams: Sequence[bytes], shape: Sequence[int]) -> None:
    payload = Payload(tuple(streams), tuple(shape))
    assert unpack(pack(payload, FINGERPRINT), FINGERPRINT) == payload


@many
@given(st.binary(max_size=80).map(lambda rest: b"BPG\xfb" + rest))
def test_arbitrary_bpg_files_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data, max_pixels=2**16)


def test_numbers_whose_difference_or_multiple_is_not_finite_are_refused() -> None:
    device, server = tiny_halves("codec_feature_jpeg")
    bounds, *files = tiny_payload("codec_feature_jpeg", device).streams
    largest = struct.pack("<f", 3.4e38)
    lowest = struct.pack("<f", -3.4e38)
    wide = lowest + bounds[4 : len(bounds) // 2] + largest + bounds[len(bounds) // 2 + 4 :]
    with pytest.raises(WireError, match="not finite"):
        server.decode(Payload((wide, *files), ()))
    device, server = tiny_halves("channel_reduction_quantization")
    payload = tiny_payload("channel_reduction_quantization", device)
    with pytest.raises(WireError, match="positive and finite"):
        server.decode(Payload((largest + payload.streams[0][4:],), payload.shape))


def test_the_same_seed_is_the_same_file() -> None:
    payload = Payload((b"some bytes of a stream", b"and others"), (15, 15))
    files = [container(payload, seed) for seed in range(200)]
    assert files == [container(payload, seed) for seed in range(200)]
    assert len(set(files)) > 150
    assert [bpg_file(seed) for seed in range(9)] == [bpg_file(seed) for seed in range(9)]
    assert len({mutations.damaged(bytes(100), random.Random(seed)) for seed in range(50)}) > 20


def test_a_foreign_error_and_a_warning_end_the_run_with_the_seed() -> None:
    def fails(data: bytes) -> None:
        raise KeyError("x")

    for read in (fails, lambda data: warnings.warn("overflow", RuntimeWarning, stacklevel=1)):
        with pytest.raises(Foreign, match=r"seed 7: .*the file: 6162"):
            ends([(7, b"ab")], read)
