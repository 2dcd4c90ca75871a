"""The BPG file: header, `hevc_header` and HEVC data (BPG specification 0.9.5, clause 3)."""

from dataclasses import dataclass
from enum import IntEnum

from sc2.bpg import nal
from sc2.bpg.bits import read_ue7, ue7
from sc2.bpg.coding import Coding, PictureFormat, read_coding, write_coding
from sc2.errors import WireError

MAGIC = b"BPG\xfb"
MAX_BIT_DEPTH = 14
MAX_PIXELS = 2**26
"""Pixels of the largest picture that is read, in whole coding blocks: a damaged header may claim any size."""


class PixelFormat(IntEnum):
    """Chroma sampling; `JPEG`: chroma samples in the middle of their luma samples, `MPEG2`: on the left ones."""

    GREY = 0
    YUV420_JPEG = 1
    YUV422_JPEG = 2
    YUV444 = 3
    YUV420_MPEG2 = 4
    YUV422_MPEG2 = 5

    @property
    def chroma_format_idc(self) -> int:
        """HEVC's number for the sampling, which does not include the position of the samples."""
        return self - 3 if self > PixelFormat.YUV444 else int(self)


class ColorSpace(IntEnum):
    """What the three planes are."""

    YCBCR_BT601 = 0
    RGB = 1
    YCGCO = 2
    YCBCR_BT709 = 3
    YCBCR_BT2020 = 4


@dataclass(frozen=True)
class Header:
    """The header of a BPG file.

    Attributes:
        pixel_format: Chroma sampling.
        bit_depth: Bits per sample, 8 … 14.
        color_space: What the planes are.
        limited_range: Samples use video range (16 … 235 at 8 bits) instead of all values.
        width: Width of the picture in pixels, before it is rounded up to coding blocks.
        height: Height in pixels.
    """

    pixel_format: PixelFormat
    bit_depth: int
    color_space: ColorSpace
    limited_range: bool
    width: int
    height: int


@dataclass(frozen=True)
class BpgFile:
    """A BPG file taken apart.

    Attributes:
        header: The file's header.
        coding: Its `hevc_header`.
        units: The NAL units of the picture without start codes: parameter set of the picture, slices.
        length_known: Whether the header has the length of the picture data; else truncation shows only in decoding.
    """

    header: Header
    coding: Coding
    units: tuple[bytes, ...]
    length_known: bool = True

    @property
    def picture(self) -> PictureFormat:
        """What the HEVC decoder needs to know about the picture."""
        width, height = self.coding.coded_size(self.header.width, self.header.height)
        return PictureFormat(width, height, self.header.pixel_format.chroma_format_idc, self.header.bit_depth)


def pack(file: BpgFile) -> bytes:
    """Return the bytes of a BPG file.

    The length of the picture data is written, where `bpgenc` writes 0 for "to the end of the file": for one more byte
    (below 16 KiB), a truncated file is noticed.

    Raises:
        WireError: A value does not fit the format.
    """
    header = file.header
    coding = write_coding(file.coding)
    data = ue7(len(coding)) + coding + nal.START_CODE.join(file.units)
    flags = header.pixel_format << 5 | header.bit_depth - 8, header.color_space << 4 | header.limited_range << 1
    return MAGIC + bytes(flags) + ue7(header.width) + ue7(header.height) + ue7(len(data)) + data


def unpack(data: bytes, max_pixels: int = MAX_PIXELS) -> BpgFile:
    """Return the parts of a BPG file after all checks that are possible without decoding the picture.

    Args:
        data: One whole file. Extension data (EXIF, ICC profile, …) are skipped.
        max_pixels: Largest product of width and height that is accepted; of the coded size, in whole coding blocks.

    Raises:
        WireError: The file is damaged, truncated, followed by other bytes, or of an unsupported kind (alpha plane,
            animation).
    """
    header, position, length_known = read_header(data, max_pixels)
    length, position = read_ue7(data, position, "hevc_header length")
    end = position + length
    if end >= len(data):
        raise WireError(f"the BPG file is truncated: {len(data)} bytes, its hevc_header alone ends at byte {end}")
    coding = read_coding(data[position:end])
    _check_pixels(*coding.coded_size(header.width, header.height), max_pixels)
    units = nal.split_units(data[end:])
    nal.check_picture_units(units)
    return BpgFile(header, coding, tuple(units), length_known)


def read_header(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[Header, int, bool]:
    """Return a BPG file's header, the start of its data (`hevc_header` first), and whether it has the picture's length.

    Raises:
        WireError: See `unpack`.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise WireError(f"not a BPG file: it starts with {data[:4].hex()}, not with {MAGIC.hex()}")
    if len(data) < len(MAGIC) + 2:
        raise WireError("the BPG file is truncated in its flags")
    first, second = data[len(MAGIC)], data[len(MAGIC) + 1]
    if first & 0x10 or second & 0x04:
        raise WireError("the BPG file holds an alpha (or W) plane, which is not supported")
    if second & 0x01:
        raise WireError("the BPG file is an animation, which is not supported")
    width, position = read_ue7(data, len(MAGIC) + 2, "width")
    height, position = read_ue7(data, position, "height")
    header = _checked(first >> 5, (first & 0x0F) + 8, second >> 4, bool(second & 0x02), width, height)
    _check_pixels(width, height, max_pixels)
    length, position = read_ue7(data, position, "picture data length")
    if second & 0x08:
        extension, position = read_ue7(data, position, "extension length")
        position += extension
    if position >= len(data):
        raise WireError(f"the BPG file is truncated: {len(data)} bytes, the picture starts at byte {position}")
    if length and length != len(data) - position:
        raise WireError(
            f"the BPG file is truncated or followed by other bytes: {length} bytes of picture data are announced, "
            f"but there are {len(data) - position}"
        )
    return header, position, length > 0


def header_bytes(data: bytes) -> int:
    """Return how many bytes of a BPG file are not slices: file header, `hevc_header`, parameter set, start codes.

    The slice segment headers, about three bytes at the start of each slice, count as picture data.

    Raises:
        WireError: See `unpack`.
    """
    file = unpack(data)
    slices = (unit for unit in file.units if nal.nal_type(unit) in nal.SLICE_TYPES)
    return len(data) - sum(len(unit) - nal.NAL_HEADER_BYTES for unit in slices)


def _check_pixels(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise WireError(f"the BPG picture has {width} × {height} pixels, but at most {most} are read")


def _checked(pixel_format: int, bit_depth: int, color_space: int, limited: bool, width: int, height: int) -> Header:
    if pixel_format not in PixelFormat._value2member_map_ or color_space not in ColorSpace._value2member_map_:
        raise WireError(f"the BPG file is damaged: pixel format {pixel_format}, colour space {color_space}")
    if bit_depth > MAX_BIT_DEPTH:
        raise WireError(f"the BPG file is damaged: {bit_depth} bits per sample")
    if pixel_format == PixelFormat.GREY and color_space != ColorSpace.YCBCR_BT601:
        raise WireError(f"the BPG file is damaged: a grey picture with colour space {color_space}")
    if width == 0 or height == 0:
        raise WireError(f"the BPG file is damaged: a picture of {width} × {height} pixels")
    return Header(PixelFormat(pixel_format), bit_depth, ColorSpace(color_space), limited, width, height)
