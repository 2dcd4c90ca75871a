"""Bit fields, NAL units, SPS and header of BPG: closed forms, round trips, and everything that must be refused."""

from dataclasses import replace
from typing import Any

import pytest

from sc2.bpg import nal
from sc2.bpg.bits import BitReader, BitWriter, read_ue7, ue7
from sc2.bpg.coding import Coding, Pcm, PictureFormat, read_coding, write_coding
from sc2.bpg.container import BpgFile, ColorSpace, Header, PixelFormat, header_bytes, pack, read_header, unpack
from sc2.bpg.encode import wrap
from sc2.bpg.sps import make_parameter_sets, read_sps
from sc2.errors import WireError
from tests.unit.bpg_files import BPGENC_BLACK, hevc_stream

CODING = Coding(3, 3, 2, 3, 2, True, None, True, None)
FULL = Coding(
    3, 2, 2, 3, 0, False, Pcm(8, 7, 3, 2, True), False, (True, False, True, False, False, True, False, True, False)
)
HEADER = Header(PixelFormat.YUV420_MPEG2, 10, ColorSpace.YCBCR_BT709, True, 300, 5)
UNITS = (bytes((nal.PPS << 1, 1, 0xC1)), bytes((20 << 1, 1, 0xAF, 0x12)))
FILE = pack(BpgFile(HEADER, CODING, UNITS))


# Worked out by hand: Exp-Golomb codes of clause 9.2, base-128 groups of the BPG specification's own examples.
@pytest.mark.parametrize(("value", "bits"), [(0, "1"), (1, "010"), (2, "011"), (3, "00100"), (7, "0001000")])
def test_exp_golomb_by_hand(value: int, bits: str) -> None:
    writer = BitWriter()
    writer.ue(value)
    data = writer.to_bytes()
    assert f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" == bits.ljust(8 * len(data), "0")
    assert BitReader(data, "test").ue() == value


@pytest.mark.parametrize("value", [0, 254, 255, 65_534, 2**31 - 1, 2**32 - 2])
def test_exp_golomb_returns_what_was_written(value: int) -> None:
    writer = BitWriter()
    writer.u(3, 5)
    writer.ue(value)
    writer.flag(True)
    reader = BitReader(writer.to_bytes(), "test")
    assert (reader.u(3), reader.ue(), reader.flag()) == (5, value, True)


@pytest.mark.parametrize(
    ("value", "data"),
    [(8, "08"), (127, "7f"), (128, "8100"), (542, "841e"), (728_855, "acbe17"), (2**32 - 1, "8fffffff7f")],
)
def test_base_128_by_hand(value: int, data: str) -> None:
    assert ue7(value) == bytes.fromhex(data)
    assert read_ue7(b"x" + bytes.fromhex(data) + b"y", 1, "test") == (value, 1 + len(data) // 2)


@pytest.mark.parametrize("data", ["", "81", "8001", "9080808000", "ffffffffff00"])
def test_base_128_that_is_refused(data: str) -> None:
    with pytest.raises(WireError):
        read_ue7(bytes.fromhex(data), 0, "width")


def test_bits_that_are_refused() -> None:
    with pytest.raises(WireError, match="truncated"):
        BitReader(b"\x00", "test").ue()
    with pytest.raises(WireError, match="31 leading zeros"):
        BitReader(bytes(5), "test").ue()
    for value in (-1, 4):
        with pytest.raises(WireError):
            BitWriter().u(2, value)
    with pytest.raises(WireError):
        BitWriter().ue(2**32 - 1)
    with pytest.raises(WireError):
        ue7(2**32)


def test_emulation_prevention_by_hand() -> None:
    content = bytes.fromhex("000000 000001 000002 000003 000004 0000")
    unit = nal.make_unit(nal.SPS, content + b"\x80")
    assert nal.START_CODE not in unit
    assert b"\x00\x00\x00" not in unit
    assert nal.payload(unit) == content + b"\x80"
    assert nal.make_unit(nal.SPS, b"\x00\x00\x01\x00\x00\x04") == bytes.fromhex("4201 00000301 000004")


def test_units_are_split_at_both_start_codes() -> None:
    one, two = UNITS
    for stream in (one + b"\x00\x00\x01" + two, b"\x00\x00\x00\x01" + one + b"\x00\x00\x00\x01" + two):
        assert nal.split_units(stream) == [one, two]


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ((UNITS[0],), "0 pictures"),
        ((UNITS[0], UNITS[1], UNITS[1]), "2 pictures"),
        ((UNITS[1],), "no picture parameter set"),
        ((bytes((nal.SPS << 1, 1, 7)), *UNITS), "type 33"),
        ((UNITS[0], bytes((1 << 1, 1, 0xAF))), "needs another picture"),
        ((*UNITS, bytes((20 << 1, 1 << 3 | 1, 0x2F))), "layer 1"),
        ((UNITS[0], b"\x28\x01"), "no content"),
    ],
)
def test_pictures_that_are_refused(units: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(WireError, match=message):
        unpack(pack(BpgFile(HEADER, CODING, units)))


def test_header_of_bpgenc_by_hand() -> None:
    file = unpack(BPGENC_BLACK)
    assert file.header == Header(PixelFormat.YUV420_JPEG, 8, ColorSpace.YCBCR_BT601, False, 32, 32)
    # 92 47 40: 1 00100 1 00100 011 1 0 1 0 and zeros
    assert file.coding == Coding(3, 3, 2, 3, 2, True, None, True, None) == CODING
    assert write_coding(file.coding) == bytes.fromhex("924740")
    assert [nal.nal_type(unit) for unit in file.units] == [nal.PPS, 19]
    assert not file.length_known
    # The file but for the slice, and of the slice its NAL header: 4 + 2 + 1 + 1 + 1, 1 + 3, 6, 3, 2 bytes.
    assert header_bytes(BPGENC_BLACK) == 24


def test_a_header_returns_what_was_written() -> None:
    for pixel_format in PixelFormat:
        for bit_depth in (8, 14):
            grey = pixel_format == PixelFormat.GREY
            header = Header(pixel_format, bit_depth, ColorSpace(0 if grey else 4), bit_depth == 8, 1, 70_000)
            for coding in (CODING, FULL):
                file = BpgFile(header, coding, UNITS)
                assert unpack(pack(file)) == file
    assert read_header(FILE) == (HEADER, FILE.index(write_coding(CODING)) - 1, True)


def test_extension_data_are_skipped() -> None:
    header, start, _ = read_header(FILE)
    extension = b"\x01\x03abc"
    data = bytearray(FILE[: start - 1] + b"\x00" + ue7(len(extension)) + extension + FILE[start:])
    data[5] |= 0x08
    assert unpack(bytes(data)) == replace(unpack(FILE), length_known=False)
    assert header == HEADER


def test_every_truncation_is_refused() -> None:
    for end in range(len(FILE)):
        with pytest.raises(WireError):
            unpack(FILE[:end])
    with pytest.raises(WireError, match="followed by other bytes"):
        unpack(FILE + b"\x00")


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 0x43, "not a BPG file"),
        (4, 6 << 5, "pixel format 6"),
        (4, 3 << 5 | 7, "15 bits"),
        (4, 3 << 5 | 0x10, "alpha"),
        (4, 0, "grey picture"),
        (5, 5 << 4, "colour space 5"),
        (5, 0x04, "alpha"),
        (5, 0x01, "animation"),
        (8, 0, "300 × 0"),
        (10, 0x7F, "truncated"),
        (10, 0x02, "hevc_header"),
    ],
)
def test_damaged_headers(position: int, value: int, message: str) -> None:
    data = bytearray(FILE)
    data[position] = value
    with pytest.raises(WireError, match=message):
        unpack(bytes(data))


def test_huge_pictures_are_refused_before_anything_is_decoded() -> None:
    huge = pack(BpgFile(replace(HEADER, width=2**20, height=2**20), CODING, UNITS))
    with pytest.raises(WireError, match="but at most"):
        unpack(huge)


@pytest.mark.parametrize(
    "coding", [CODING, FULL, replace(FULL, pcm=None), replace(CODING, log2_diff_max_min_cb=1, log2_diff_max_min_tb=2)]
)
def test_a_rebuilt_sps_says_what_it_was_built_from(coding: Coding) -> None:
    for idc in range(4):
        _, sps = make_parameter_sets(coding, PictureFormat(64, 24, idc, 8))
        assert read_sps(nal.payload(sps), PictureFormat(61, 17, idc, 8)) == coding
        assert read_coding(write_coding(coding)) == coding


@pytest.mark.parametrize(
    "change",
    [
        {"log2_diff_max_min_cb": 0},
        {"log2_diff_max_min_cb": 4},
        {"log2_min_tb": 3},
        {"log2_diff_max_min_tb": 4},
        {"max_transform_hierarchy_depth_intra": 5},
        {"range_extension": (False,) * 8 + (True,)},
        {"pcm": Pcm(8, 8, 3, 3, False)},
    ],
)
def test_parameters_that_hevc_does_not_allow(change: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="damaged"):
        read_coding(write_coding(replace(CODING, **change)))


def test_bits_after_the_hevc_header_are_refused() -> None:
    for data in (write_coding(CODING) + b"\x00", write_coding(CODING)[:-1] + b"\x41"):
        with pytest.raises(WireError, match="after its last field"):
            read_coding(data)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ("amp=0:rect=0", "amp_enabled_flag"),
        ("temporal-mvp=0", "sps_temporal_mvp_enabled_flag"),
        ("scaling-list=default", "scaling_list_enabled_flag"),
        ("log2-max-poc-lsb=6", "log2_max_pic_order_cnt_lsb_minus4"),
        ("tu-inter-depth=2:tu-intra-depth=1", "max_transform_hierarchy_depth_inter"),
        ("display-window=2,2,2,2", "default_display_window_flag"),
    ],
)
def test_streams_that_bpg_cannot_carry(params: str, field: str) -> None:
    header = Header(PixelFormat.YUV444, 8, ColorSpace.YCBCR_BT601, False, 64, 64)
    with pytest.raises(WireError, match=f"cannot be carried by a BPG file: {field}"):
        wrap(hevc_stream(64, 64, "yuv444p", 8, params=params), header)


def test_a_stream_must_be_the_picture_of_the_header() -> None:
    stream = hevc_stream(64, 64, "yuv444p", 8)
    header = Header(PixelFormat.YUV444, 8, ColorSpace.YCBCR_BT601, False, 64, 64)
    for change, field in (
        ({"width": 65}, "pic_width"),
        ({"pixel_format": PixelFormat.YUV420_JPEG}, "chroma_format_idc"),
        ({"bit_depth": 10}, "bit_depth_luma"),
    ):
        with pytest.raises(WireError, match=field):
            wrap(stream, replace(header, **change))
    units = nal.split_units(stream)
    with pytest.raises(WireError, match="one VPS followed by one SPS"):
        wrap(nal.START_CODE.join(units[1:]), header)
