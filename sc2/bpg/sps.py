"""The SPS of an HEVC stream that becomes a BPG file, and the VPS and SPS that a decoder rebuilds from the file.

Field names are those of ITU-T H.265, clause 7.3.2. A BPG file carries the fields of `Coding`; all others have fixed
values in the decoder, so an SPS with different values cannot be carried: its slices would be misread.
"""

from sc2.bpg.bits import BitReader, BitWriter
from sc2.bpg.coding import (
    Coding,
    PictureFormat,
    check_coding,
    expect,
    read_blocks,
    read_extension,
    read_pcm,
    write_blocks,
    write_extension,
    write_pcm,
)
from sc2.bpg.nal import SPS, VPS, make_unit

_LOG2_MAX_POC_LSB = 8
_FORMAT_RANGE_EXTENSIONS = 4  # general_profile_idc of the profile with 4:4:4 and still pictures
_LEVEL_8_5 = 255  # no limit on size or rate


def read_sps(content: bytes, picture: PictureFormat) -> Coding:
    """Return the fields of an SPS that a BPG file carries, after checking all others against a decoder's fixed values.

    Args:
        content: The SPS without NAL header and emulation prevention.
        picture: What the SPS must say about the picture, but with the size before rounding up to coding blocks.

    Raises:
        WireError: The SPS cannot be carried by a BPG file; the message names the field.
    """
    reader = BitReader(content, "SPS")
    expect("sps_video_parameter_set_id", reader.u(4), 0)
    expect("sps_max_sub_layers_minus1", reader.u(3), 0)
    reader.u(1 + 88 + 8)  # temporal nesting; profile and level: the slices do not depend on them
    expect("sps_seq_parameter_set_id", reader.ue(), 0)
    expect("chroma_format_idc", reader.ue(), picture.chroma_format_idc)
    if picture.chroma_format_idc == 3:
        expect("separate_colour_plane_flag", reader.u(1), 0)
    width, height = reader.ue(), reader.ue()
    expect("conformance_window_flag", reader.u(1), 0)
    expect("bit_depth_luma_minus8", reader.ue(), picture.bit_depth - 8)
    expect("bit_depth_chroma_minus8", reader.ue(), picture.bit_depth - 8)
    expect("log2_max_pic_order_cnt_lsb_minus4", reader.ue(), _LOG2_MAX_POC_LSB - 4)
    reader.u(1)  # sub_layer_ordering_info_present_flag: there is one sub-layer
    for _ in range(3):  # buffer size, reordering, latency: one picture needs none
        reader.ue()
    coding = _read_tools(reader)
    check_coding(coding)
    wanted_width, wanted_height = coding.coded_size(picture.width, picture.height)
    expect("pic_width_in_luma_samples", width, wanted_width)
    expect("pic_height_in_luma_samples", height, wanted_height)
    return coding


def make_parameter_sets(coding: Coding, picture: PictureFormat) -> list[bytes]:
    """Return the VPS and the SPS that a BPG decoder rebuilds, as NAL units."""
    return [make_unit(VPS, _vps()), make_unit(SPS, _sps(coding, picture))]


def _read_tools(reader: BitReader) -> Coding:
    blocks = read_blocks(reader)
    inter, intra = reader.ue(), reader.ue()
    expect("max_transform_hierarchy_depth_inter", inter, intra)
    expect("scaling_list_enabled_flag", reader.u(1), 0)
    expect("amp_enabled_flag", reader.u(1), 1)
    sao, pcm = reader.flag(), read_pcm(reader)
    expect("num_short_term_ref_pic_sets", reader.ue(), 0)
    expect("long_term_ref_pics_present_flag", reader.u(1), 0)
    expect("sps_temporal_mvp_enabled_flag", reader.u(1), 1)
    smoothing = reader.flag()
    if reader.flag():
        _skip_vui(reader)
    return Coding(*blocks, intra, sao, pcm, smoothing, read_extension(reader))


def _skip_vui(reader: BitReader) -> None:
    """Skip the VUI: colour description and timing, which BPG stores elsewhere or not at all (annex E)."""
    if reader.flag() and reader.u(8) == 255:  # aspect_ratio_idc: sample aspect ratio written out
        reader.u(32)
    if reader.flag():
        reader.u(1)  # overscan_appropriate_flag
    if reader.flag():
        reader.u(3 + 1)  # video_format, full range
        if reader.flag():
            reader.u(24)  # primaries, transfer, matrix
    if reader.flag():
        reader.ue(), reader.ue()  # chroma sample location
    reader.u(3)  # neutral chroma, field sequence, frame-field info
    expect("default_display_window_flag", reader.u(1), 0)
    if reader.flag():
        reader.u(64)  # tick and time scale
        if reader.flag():
            reader.ue()
        expect("vui_hrd_parameters_present_flag", reader.u(1), 0)
    if reader.flag():
        reader.u(3)
        for _ in range(5):
            reader.ue()


def _profile_and_level(writer: BitWriter) -> None:
    writer.u(2 + 1 + 5, _FORMAT_RANGE_EXTENSIONS)
    writer.u(32, 1 << (31 - _FORMAT_RANGE_EXTENSIONS))
    writer.u(4, 0b1001)  # progressive, frames only
    writer.u(44, 0)
    writer.u(8, _LEVEL_8_5)


def _one_picture_buffer(writer: BitWriter) -> None:
    writer.u(1, 1)
    for _ in range(3):
        writer.ue(0)


def _vps() -> bytes:
    writer = BitWriter()
    writer.u(4 + 2, 0b0000_11)  # id 0; base layer internal and available
    writer.u(6 + 3 + 1, 1)  # one layer, one sub-layer, nesting
    writer.u(16, 0xFFFF)
    _profile_and_level(writer)
    _one_picture_buffer(writer)
    writer.u(6, 0)
    writer.ue(0)
    writer.u(2, 0)  # no timing, no extension
    writer.u(1, 1)  # rbsp_stop_one_bit
    return writer.to_bytes()


def _sps(coding: Coding, picture: PictureFormat) -> bytes:
    writer = BitWriter()
    writer.u(4 + 3 + 1, 1)  # ids 0, one sub-layer, nesting
    _profile_and_level(writer)
    writer.ue(0)
    writer.ue(picture.chroma_format_idc)
    if picture.chroma_format_idc == 3:
        writer.u(1, 0)
    writer.ue(picture.width)
    writer.ue(picture.height)
    writer.u(1, 0)  # no conformance window: the reader crops
    writer.ue(picture.bit_depth - 8)
    writer.ue(picture.bit_depth - 8)
    writer.ue(_LOG2_MAX_POC_LSB - 4)
    _one_picture_buffer(writer)
    write_blocks(writer, coding)
    writer.ue(coding.max_transform_hierarchy_depth_intra)  # inter, as intra
    writer.ue(coding.max_transform_hierarchy_depth_intra)
    writer.u(2, 0b01)  # no scaling list, AMP
    writer.flag(coding.sao)
    write_pcm(writer, coding.pcm)
    writer.ue(0)
    writer.u(2, 0b01)  # no long-term references, temporal MVP
    writer.flag(coding.strong_intra_smoothing)
    writer.u(1, 0)  # no VUI
    write_extension(writer, coding.range_extension)
    writer.u(1, 1)  # rbsp_stop_one_bit
    return writer.to_bytes()
