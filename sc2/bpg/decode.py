"""Reads BPG files: every pixel format and colour space, 8, 9, 10 and 12 bits, no alpha planes or animations.

The HEVC decoder is FFmpeg's, in PyAV; it gets the VPS and SPS that a BPG decoder rebuilds. Output is 8-bit RGB.
"""

import numpy as np

from sc2.bpg import nal
from sc2.bpg.chroma import upsample
from sc2.bpg.colour import planes_to_rgb
from sc2.bpg.container import MAX_PIXELS, BpgFile, PixelFormat, unpack
from sc2.bpg.sps import make_parameter_sets
from sc2.errors import WireError

_BIT_DEPTHS = (8, 9, 10, 12)  # those of FFmpeg's decoder
_TAILS = (b"\x55" * 16, b"\xaa" * 16)
_FORMAT_NAMES = {0: "gray", 1: "yuv420p", 2: "yuv422p", 3: "yuv444p"}


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the picture of a BPG file, uint8 [H, W, 3], RGB.

    Args:
        data: One whole file.
        max_pixels: Largest product of the coded width and height that is accepted.

    Raises:
        WireError: The file is damaged, truncated, or of an unsupported kind (see `container.unpack`; also 11, 13 and 14
            bits, and implicit RDPCM).
    """
    return decode_file(unpack(data, max_pixels))


def decode_file(file: BpgFile) -> np.ndarray:
    """Return the picture of an unpacked BPG file, uint8 [H, W, 3], RGB.

    Raises:
        WireError: The HEVC data cannot be decoded.
    """
    planes = decode_planes(file)
    header = file.header
    chroma = [
        upsample(plane, header.pixel_format, header.width, header.height, header.bit_depth) for plane in planes[1:]
    ]
    return planes_to_rgb([planes[0], *chroma], header)


def decode_planes(file: BpgFile) -> list[np.ndarray]:
    """Return the decoded planes: luma [H, W] and, except for grey, two of chroma [h, w], not upsampled.

    Raises:
        WireError: The HEVC data cannot be decoded.
    """
    if file.header.bit_depth not in _BIT_DEPTHS:
        raise WireError(f"BPG pictures of {file.header.bit_depth} bits are not supported, only of 8, 9, 10 and 12")
    if file.coding.implicit_rdpcm:
        # FFmpeg's decoder silently returns wrong pixels if this is combined with lossless blocks.
        raise WireError(
            "BPG pictures with implicit RDPCM, which bpgenc -e jctvc -lossless makes, are not supported; decode the "
            "file with libbpg's bpgdec"
        )
    if file.length_known:
        return _planes(file, b"")
    # The decoder silently reads past the end of truncated data. Bytes after complete data change nothing.
    planes, again = (_planes(file, tail) for tail in _TAILS)
    if not all(map(np.array_equal, planes, again)):
        raise WireError("the BPG file is truncated: its HEVC data end before the picture does")
    return planes


def _planes(file: BpgFile, tail: bytes) -> list[np.ndarray]:
    header = file.header
    frame = _hevc_frame(file, tail)
    width, height = header.width, header.height
    sizes = [(height, width)]
    if header.pixel_format != PixelFormat.GREY:
        idc = header.pixel_format.chroma_format_idc
        sizes += [(-(-height // (2 if idc == 1 else 1)), -(-width // (1 if idc == 3 else 2)))] * 2
    dtype = np.dtype("uint8" if header.bit_depth == 8 else "<u2")
    planes = []
    for plane, (rows, columns) in zip(frame.planes, sizes, strict=True):
        lines = np.frombuffer(plane, dtype=dtype).reshape(plane.height, -1)
        planes.append(lines[:rows, :columns].copy())
    return planes


def _hevc_frame(file: BpgFile, tail: bytes):  # type: ignore[no-untyped-def] # PyAV is imported only here
    import av

    units = [*make_parameter_sets(file.coding, file.picture), *file.units]
    # After the slices, which may not be last: a hash of the picture (SEI) can follow.
    last = max(index for index, unit in enumerate(units) if nal.nal_type(unit) in nal.SLICE_TYPES)
    units[last] += tail
    stream = b"".join(nal.START_CODE + unit for unit in units)
    try:
        codec = av.CodecContext.create("hevc", "r")
        codec.thread_count = 1
        codec.options = {"err_detect": "crccheck+explode", "strict": "experimental"}
        frames = [*codec.decode(av.Packet(stream)), *codec.decode(None)]
    except (av.error.FFmpegError, ValueError, MemoryError) as error:
        raise WireError(f"the HEVC data of the BPG file cannot be decoded: {error}") from error
    if len(frames) != 1 or frames[0].is_corrupt:
        raise WireError(f"the HEVC data of the BPG file are damaged: {len(frames)} pictures, not a single complete one")
    frame = frames[0]
    name = _FORMAT_NAMES[file.picture.chroma_format_idc]
    wanted = name if file.header.bit_depth == 8 else f"{name}{file.header.bit_depth}le"
    pixel_format = frame.format.name.replace("yuvj", "yuv")
    if (frame.width, frame.height, pixel_format) != (file.picture.width, file.picture.height, wanted):
        raise WireError(f"the HEVC data of the BPG file are damaged: {frame.width} × {frame.height}, {pixel_format}")
    return frame
