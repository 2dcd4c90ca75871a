"""NAL units of an HEVC byte stream: splitting, headers, emulation prevention (ITU-T H.265, 7.3.1 and annex B)."""

from sc2.errors import WireError

START_CODE = b"\x00\x00\x01"
NAL_HEADER_BYTES = 2
VPS, SPS, PPS = 32, 33, 34
IRAP_TYPES = range(16, 22)
"""Slices of a picture that can be decoded on its own: BLA, IDR, CRA."""
SLICE_TYPES = frozenset(range(10)) | frozenset(IRAP_TYPES)
_BESIDE_SLICES = frozenset({PPS, 35, 36, 37, 38, 39, 40})  # delimiter, ends, filler and SEI may accompany slices


def nal_type(unit: bytes) -> int:
    """Return the type of a NAL unit (0 … 63)."""
    return unit[0] >> 1 & 0x3F


def layer_id(unit: bytes) -> int:
    """Return the layer that a NAL unit belongs to; BPG puts its alpha plane into layer 1."""
    return (unit[0] & 1) << 5 | unit[1] >> 3


def split_units(data: bytes) -> list[bytes]:
    """Return the NAL units of a byte stream without their start codes.

    Args:
        data: A byte stream; the first start code may be missing.

    Raises:
        WireError: A unit is too short to have a header.
    """
    parts = data.split(START_CODE)
    # Zeros before a start code belong to it; a unit itself never ends in a zero byte.
    units = [part.rstrip(b"\x00") for part in parts]
    if not units[0]:
        units = units[1:]
    if not units or any(len(unit) <= NAL_HEADER_BYTES for unit in units):
        raise WireError("the HEVC data is damaged: a NAL unit has no content")
    return units


def check_picture_units(units: list[bytes]) -> None:
    """Check that NAL units are those of one picture as a BPG file carries it.

    Raises:
        WireError: There is a unit that is not allowed, no picture, or more than one.
    """
    pictures = 0
    for unit in units:
        kind = nal_type(unit)
        if layer_id(unit) != 0:
            raise WireError(f"the HEVC data holds layer {layer_id(unit)}, which is not supported (an alpha plane?)")
        if kind not in SLICE_TYPES | _BESIDE_SLICES:
            raise WireError(f"the HEVC data holds a NAL unit of type {kind}, which BPG does not carry")
        if kind in SLICE_TYPES:
            if kind not in IRAP_TYPES:
                raise WireError(f"the HEVC data holds a slice of type {kind}, which needs another picture")
            pictures += unit[NAL_HEADER_BYTES] >> 7  # first_slice_segment_in_pic_flag
    if pictures != 1:
        raise WireError(f"the HEVC data holds the start of {pictures} pictures instead of one")
    if not any(nal_type(unit) == PPS for unit in units):
        raise WireError("the HEVC data holds no picture parameter set")


def payload(unit: bytes) -> bytes:
    """Return the content of a NAL unit without its header and emulation prevention bytes."""
    parts = unit[NAL_HEADER_BYTES:].split(b"\x00\x00\x03")
    return b"\x00\x00".join(parts)


def make_unit(kind: int, content: bytes) -> bytes:
    """Return a NAL unit of layer 0 with the given content (whole bytes) and emulation prevention."""
    out, zeros = bytearray((kind << 1, 1)), 0
    for byte in content:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
