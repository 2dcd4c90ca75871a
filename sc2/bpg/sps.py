"""What a BPG file keeps of the sequence parameter set (SPS), and the VPS and SPS that a decoder rebuilds from it.

Field names are those of ITU-T H.265, clause 7.3.2. A BPG file carries the fields of `Coding`; all others have one value
that the decoder puts in, so an SPS that differs there cannot be carried: its slices would be read wrongly.
"""

from dataclasses import dataclass

from sc2.bpg.bits import BitReader, BitWriter
from sc2.bpg.nal import SPS, VPS, make_unit
from sc2.errors import WireError

RANGE_EXTENSION_FLAGS = 9
# explicit RDPCM, extended precision, high precision offsets, CABAC bypass alignment: excluded by BPG's profile
_EXCLUDED_RANGE_FLAGS = {3, 4, 6, 8}
_LOG2_MAX_POC_LSB = 8
_FORMAT_RANGE_EXTENSIONS = 4  # general_profile_idc of the profile with 4:4:4 and still pictures
_LEVEL_8_5 = 255  # no limit on size or rate


@dataclass(frozen=True)
class Pcm:
    """Uncompressed blocks: bit depths and block sizes (log2 of luma samples)."""

    bit_depth_luma: int
    bit_depth_chroma: int
    log2_min_size: int
    log2_diff_max_min_size: int
    loop_filter_disabled: bool


@dataclass(frozen=True)
class Coding:
    """The `hevc_header` of a BPG file.

    Attributes:
        log2_min_cb: Smallest coding block, log2 of luma samples.
        log2_diff_max_min_cb: Coding tree block against that.
        log2_min_tb: Smallest transform block, log2 of luma samples.
        log2_diff_max_min_tb: Largest transform block against that.
        max_transform_hierarchy_depth_intra: Splits of a coding block's transform tree.
        sao: Sample adaptive offset.
        pcm: Uncompressed blocks; None when off.
        strong_intra_smoothing: Smoother prediction of large flat blocks.
        range_extension: The nine flags of the range extension in the SPS's order; None without extension.
    """

    log2_min_cb: int
    log2_diff_max_min_cb: int
    log2_min_tb: int
    log2_diff_max_min_tb: int
    max_transform_hierarchy_depth_intra: int
    sao: bool
    pcm: Pcm | None
    strong_intra_smoothing: bool
    range_extension: tuple[bool, ...] | None

    def coded_size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height rounded up to whole smallest coding blocks."""
        block = 1 << self.log2_min_cb
        return -(-width // block) * block, -(-height // block) * block


@dataclass(frozen=True)
class PictureFormat:
    """Coded size in luma samples, chroma format (0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4) and bit depth of a picture."""

    width: int
    height: int
    chroma_format_idc: int
    bit_depth: int


def read_coding(data: bytes) -> Coding:
    """Return the fields of a `hevc_header`.

    Raises:
        WireError: The header is truncated, has bits left over, or a value that HEVC or BPG does not allow.
    """
    reader = BitReader(data, "hevc_header")
    blocks = _read_blocks(reader)
    depth, sao, pcm = reader.ue(), reader.flag(), _read_pcm(reader)
    coding = Coding(*blocks, depth, sao, pcm, reader.flag(), _read_extension(reader))
    left = reader.bits_left
    if left > 7 or reader.u(left):
        raise WireError(f"the hevc_header is damaged: {left} bits after its last field")
    _check_coding(coding)
    return coding


def write_coding(coding: Coding) -> bytes:
    """Return the `hevc_header` that holds `coding`, without the length in front of it."""
    writer = BitWriter()
    _write_blocks(writer, coding)
    writer.ue(coding.max_transform_hierarchy_depth_intra)
    writer.flag(coding.sao)
    _write_pcm(writer, coding.pcm)
    writer.flag(coding.strong_intra_smoothing)
    _write_extension(writer, coding.range_extension)
    return writer.to_bytes()


def read_sps(content: bytes, picture: PictureFormat) -> Coding:
    """Return what a BPG file must carry of an SPS, after checking every other field against what a decoder rebuilds.

    Args:
        content: The SPS without NAL header and emulation prevention.
        picture: What the SPS has to say of the picture, but with the size before it is rounded up to coding blocks.

    Raises:
        WireError: The SPS cannot be carried by a BPG file; the message names the field.
    """
    reader = BitReader(content, "SPS")
    _expect("sps_video_parameter_set_id", reader.u(4), 0)
    _expect("sps_max_sub_layers_minus1", reader.u(3), 0)
    reader.u(1 + 88 + 8)  # temporal nesting; profile and level: the slices do not depend on them
    _expect("sps_seq_parameter_set_id", reader.ue(), 0)
    _expect("chroma_format_idc", reader.ue(), picture.chroma_format_idc)
    if picture.chroma_format_idc == 3:
        _expect("separate_colour_plane_flag", reader.u(1), 0)
    width, height = reader.ue(), reader.ue()
    _expect("conformance_window_flag", reader.u(1), 0)
    _expect("bit_depth_luma_minus8", reader.ue(), picture.bit_depth - 8)
    _expect("bit_depth_chroma_minus8", reader.ue(), picture.bit_depth - 8)
    _expect("log2_max_pic_order_cnt_lsb_minus4", reader.ue(), _LOG2_MAX_POC_LSB - 4)
    reader.u(1)  # sub_layer_ordering_info_present_flag: there is one sub-layer
    for _ in range(3):  # buffer size, reordering, latency: one picture needs none
        reader.ue()
    coding = _read_tools(reader)
    _check_coding(coding)
    wanted_width, wanted_height = coding.coded_size(picture.width, picture.height)
    _expect("pic_width_in_luma_samples", width, wanted_width)
    _expect("pic_height_in_luma_samples", height, wanted_height)
    return coding


def make_parameter_sets(coding: Coding, picture: PictureFormat) -> list[bytes]:
    """Return the VPS and the SPS that a BPG decoder rebuilds, as NAL units."""
    return [make_unit(VPS, _vps()), make_unit(SPS, _sps(coding, picture))]


def _expect(field: str, value: int, wanted: int) -> None:
    if value != wanted:
        raise WireError(f"this HEVC stream cannot be carried by a BPG file: {field} is {value}, it must be {wanted}")


def _read_tools(reader: BitReader) -> Coding:
    blocks = _read_blocks(reader)
    inter, intra = reader.ue(), reader.ue()
    _expect("max_transform_hierarchy_depth_inter", inter, intra)
    _expect("scaling_list_enabled_flag", reader.u(1), 0)
    _expect("amp_enabled_flag", reader.u(1), 1)
    sao, pcm = reader.flag(), _read_pcm(reader)
    _expect("num_short_term_ref_pic_sets", reader.ue(), 0)
    _expect("long_term_ref_pics_present_flag", reader.u(1), 0)
    _expect("sps_temporal_mvp_enabled_flag", reader.u(1), 1)
    smoothing = reader.flag()
    if reader.flag():
        _skip_vui(reader)
    return Coding(*blocks, intra, sao, pcm, smoothing, _read_extension(reader))


def _skip_vui(reader: BitReader) -> None:
    """Pass over the VUI: colour description and timing, which BPG says elsewhere or not at all (annex E)."""
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
    _expect("default_display_window_flag", reader.u(1), 0)
    if reader.flag():
        reader.u(64)  # tick and time scale
        if reader.flag():
            reader.ue()
        _expect("vui_hrd_parameters_present_flag", reader.u(1), 0)
    if reader.flag():
        reader.u(3)
        for _ in range(5):
            reader.ue()


def _read_blocks(reader: BitReader) -> tuple[int, int, int, int]:
    return reader.ue() + 3, reader.ue(), reader.ue() + 2, reader.ue()


def _write_blocks(writer: BitWriter, coding: Coding) -> None:
    writer.ue(coding.log2_min_cb - 3)
    writer.ue(coding.log2_diff_max_min_cb)
    writer.ue(coding.log2_min_tb - 2)
    writer.ue(coding.log2_diff_max_min_tb)


def _read_pcm(reader: BitReader) -> Pcm | None:
    if not reader.flag():
        return None
    return Pcm(reader.u(4) + 1, reader.u(4) + 1, reader.ue() + 3, reader.ue(), reader.flag())


def _write_pcm(writer: BitWriter, pcm: Pcm | None) -> None:
    writer.flag(pcm is not None)
    if pcm is not None:
        writer.u(4, pcm.bit_depth_luma - 1)
        writer.u(4, pcm.bit_depth_chroma - 1)
        writer.ue(pcm.log2_min_size - 3)
        writer.ue(pcm.log2_diff_max_min_size)
        writer.flag(pcm.loop_filter_disabled)


def _read_extension(reader: BitReader) -> tuple[bool, ...] | None:
    if not reader.flag():
        return None
    has_range = reader.flag()
    _expect("sps_extension_7bits", reader.u(7), 0)
    return tuple(reader.flag() for _ in range(RANGE_EXTENSION_FLAGS)) if has_range else None


def _write_extension(writer: BitWriter, flags: tuple[bool, ...] | None) -> None:
    writer.flag(flags is not None)
    if flags is not None:
        writer.u(8, 0b1000_0000)
        for flag in flags:
            writer.flag(flag)


def _check_coding(coding: Coding) -> None:
    """Check the ranges of clause 7.4.3.2 and those of BPG's profile."""
    log2_ctb = coding.log2_min_cb + coding.log2_diff_max_min_cb
    log2_max_tb = coding.log2_min_tb + coding.log2_diff_max_min_tb
    problem = None
    if not 4 <= log2_ctb <= 6:
        problem = f"a coding tree block of 2^{log2_ctb} samples"
    elif coding.log2_min_tb >= coding.log2_min_cb or log2_max_tb > min(log2_ctb, 5):
        problem = f"transform blocks of 2^{coding.log2_min_tb} to 2^{log2_max_tb} samples"
    elif coding.max_transform_hierarchy_depth_intra > log2_ctb - coding.log2_min_tb:
        problem = f"a transform tree of depth {coding.max_transform_hierarchy_depth_intra}"
    elif coding.range_extension is not None and any(coding.range_extension[i] for i in _EXCLUDED_RANGE_FLAGS):
        problem = "a flag of the range extension that BPG excludes"
    if coding.pcm is not None and problem is None:
        log2_max_pcm = coding.pcm.log2_min_size + coding.pcm.log2_diff_max_min_size
        if coding.pcm.log2_min_size < coding.log2_min_cb or log2_max_pcm > min(log2_ctb, 5):
            problem = f"uncompressed blocks of 2^{coding.pcm.log2_min_size} to 2^{log2_max_pcm} samples"
    if problem is not None:
        raise WireError(f"the HEVC parameters are damaged: {problem}")


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
    _write_blocks(writer, coding)
    writer.ue(coding.max_transform_hierarchy_depth_intra)  # inter, as intra
    writer.ue(coding.max_transform_hierarchy_depth_intra)
    writer.u(2, 0b01)  # no scaling list, AMP
    writer.flag(coding.sao)
    _write_pcm(writer, coding.pcm)
    writer.ue(0)
    writer.u(2, 0b01)  # no long-term references, temporal MVP
    writer.flag(coding.strong_intra_smoothing)
    writer.u(1, 0)  # no VUI
    _write_extension(writer, coding.range_extension)
    writer.u(1, 1)  # rbsp_stop_one_bit
    return writer.to_bytes()
