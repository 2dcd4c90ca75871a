"""The part of the sequence parameter set (SPS) that a BPG file keeps: the fields of `Coding`, its `hevc_header`.

Field names are those of ITU-T H.265, clause 7.3.2.
"""

from dataclasses import dataclass

from sc2.bpg.bits import BitReader, BitWriter
from sc2.errors import WireError

RANGE_EXTENSION_FLAGS = 9
_IMPLICIT_RDPCM = 2
# explicit RDPCM, extended precision, high precision offsets, CABAC bypass alignment: excluded by BPG's profile
_EXCLUDED_RANGE_FLAGS = {3, 4, 6, 8}


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
        log2_diff_max_min_cb: Coding tree block relative to it.
        log2_min_tb: Smallest transform block, log2 of luma samples.
        log2_diff_max_min_tb: Largest transform block relative to it.
        max_transform_hierarchy_depth_intra: Splits of a coding block's transform tree.
        sao: Sample adaptive offset.
        pcm: Uncompressed blocks; None if off.
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

    @property
    def implicit_rdpcm(self) -> bool:
        """Whether residuals may be coded as differences along the direction of prediction, as in lossless coding."""
        return self.range_extension is not None and self.range_extension[_IMPLICIT_RDPCM]

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
    blocks = read_blocks(reader)
    depth, sao, pcm = reader.ue(), reader.flag(), read_pcm(reader)
    coding = Coding(*blocks, depth, sao, pcm, reader.flag(), read_extension(reader))
    left = reader.bits_left
    if left > 7 or reader.u(left):
        raise WireError(f"the hevc_header is damaged: {left} bits after its last field")
    check_coding(coding)
    return coding


def write_coding(coding: Coding) -> bytes:
    """Return the `hevc_header` for `coding`, without its length field."""
    writer = BitWriter()
    write_blocks(writer, coding)
    writer.ue(coding.max_transform_hierarchy_depth_intra)
    writer.flag(coding.sao)
    write_pcm(writer, coding.pcm)
    writer.flag(coding.strong_intra_smoothing)
    write_extension(writer, coding.range_extension)
    return writer.to_bytes()


def check_coding(coding: Coding) -> None:
    """Check the ranges of clause 7.4.3.2 and those of BPG's profile.

    Raises:
        WireError: A value is not allowed.
    """
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


def read_blocks(reader: BitReader) -> tuple[int, int, int, int]:
    """Return the first four fields of `Coding`."""
    return reader.ue() + 3, reader.ue(), reader.ue() + 2, reader.ue()


def write_blocks(writer: BitWriter, coding: Coding) -> None:
    """Write what `read_blocks` reads."""
    writer.ue(coding.log2_min_cb - 3)
    writer.ue(coding.log2_diff_max_min_cb)
    writer.ue(coding.log2_min_tb - 2)
    writer.ue(coding.log2_diff_max_min_tb)


def read_pcm(reader: BitReader) -> Pcm | None:
    """Return the parameters of uncompressed blocks; None if they are off."""
    if not reader.flag():
        return None
    return Pcm(reader.u(4) + 1, reader.u(4) + 1, reader.ue() + 3, reader.ue(), reader.flag())


def write_pcm(writer: BitWriter, pcm: Pcm | None) -> None:
    """Write what `read_pcm` reads."""
    writer.flag(pcm is not None)
    if pcm is not None:
        writer.u(4, pcm.bit_depth_luma - 1)
        writer.u(4, pcm.bit_depth_chroma - 1)
        writer.ue(pcm.log2_min_size - 3)
        writer.ue(pcm.log2_diff_max_min_size)
        writer.flag(pcm.loop_filter_disabled)


def read_extension(reader: BitReader) -> tuple[bool, ...] | None:
    """Return the nine flags of the range extension; None without extension."""
    if not reader.flag():
        return None
    has_range = reader.flag()
    expect("sps_extension_7bits", reader.u(7), 0)
    return tuple(reader.flag() for _ in range(RANGE_EXTENSION_FLAGS)) if has_range else None


def write_extension(writer: BitWriter, flags: tuple[bool, ...] | None) -> None:
    """Write what `read_extension` reads."""
    writer.flag(flags is not None)
    if flags is not None:
        writer.u(8, 0b1000_0000)
        for flag in flags:
            writer.flag(flag)


def expect(field: str, value: int, wanted: int) -> None:
    """Refuse a field whose value a BPG file cannot carry.

    Raises:
        WireError: The message names the field.
    """
    if value != wanted:
        raise WireError(f"this HEVC stream cannot be carried by a BPG file: {field} is {value}, it must be {wanted}")
