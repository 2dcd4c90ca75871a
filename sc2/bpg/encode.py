"""Writes BPG files: 8 bits, 4:4:4, full-range BT.601 YCbCr, one picture encoded by libx265 (docs/papers.md#bpg).

x265 gets the same settings as from `bpgenc -e x265` of libbpg 0.9.8: constant QP with x265's own offset for intra
pictures (the slices have QP `qp − 3`, not below 0), tuned for SSIM, no adaptive quantisation, AMP on, the preset of
`-m 8` (veryslow). The x265 library is the newer one in PyAV, and runs in one thread, so without wavefronts.
"""

from fractions import Fraction

import numpy as np

from sc2.bpg import nal
from sc2.bpg.coding import PictureFormat
from sc2.bpg.colour import rgb_to_ycbcr
from sc2.bpg.container import BpgFile, ColorSpace, Header, PixelFormat, pack
from sc2.bpg.sps import read_sps
from sc2.errors import SC2Error, WireError

MAX_QP = 51
_SMALLEST_X265_SIDE = 16  # x265 accepts nothing smaller
_PRESET = "veryslow"
_X265_PARAMS = (
    "keyint=1:bframes=0:repeat-headers=1:info=0:hrd=0:aud=0"  # one intra picture, no SEI
    ":rect=1:amp=1:temporal-mvp=1:scaling-list=off:log2-max-poc-lsb=8"  # what a BPG decoder rebuilds
    ":pools=none:frame-threads=1:wpp=0:log-level=none"
)


def encode(rgb: np.ndarray, qp: int) -> bytes:
    """Return the BPG file of an image.

    Args:
        rgb: The image, uint8 [H, W, 3], RGB, of any size from 1 × 1.
        qp: Quantisation parameter as `bpgenc -q` takes it, 0 … 51; smaller is better.

    Raises:
        WireError: The image or the QP is invalid, or x265 made a stream that BPG cannot carry.
        SC2Error: PyAV has no libx265, or it failed.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise WireError(f"BPG takes uint8 images [H, W, 3], not {rgb.dtype} {list(rgb.shape)}")
    if not 0 <= qp <= MAX_QP:
        raise WireError(f"BPG's QP must be from 0 to {MAX_QP}, not {qp}")
    height, width = rgb.shape[:2]
    header = Header(PixelFormat.YUV444, 8, ColorSpace.YCBCR_BT601, False, width, height)
    return wrap(_x265(rgb_to_ycbcr(rgb), qp), header)


def wrap(stream: bytes, header: Header) -> bytes:
    """Return the BPG file that holds the one picture of an HEVC byte stream.

    Args:
        stream: VPS, SPS, PPS and slices with start codes, and nothing else.
        header: Header of the BPG file; the coded size must be its size rounded up to coding blocks.

    Raises:
        WireError: BPG cannot carry the stream; the message names the field of the SPS or the NAL unit.
    """
    units = nal.split_units(stream)
    sets = [unit for unit in units if nal.nal_type(unit) in (nal.VPS, nal.SPS)]
    picture_units = tuple(unit for unit in units if nal.nal_type(unit) not in (nal.VPS, nal.SPS))
    if [nal.nal_type(unit) for unit in sets] != [nal.VPS, nal.SPS]:
        raise WireError("a BPG file needs a stream with one VPS followed by one SPS")
    nal.check_picture_units(list(picture_units))
    idc = header.pixel_format.chroma_format_idc
    coding = read_sps(nal.payload(sets[1]), PictureFormat(header.width, header.height, idc, header.bit_depth))
    return pack(BpgFile(header, coding, picture_units))


def _coding_block(planes: np.ndarray) -> int:
    """Return the side of the smallest coding block: x265's default of 8, or 16 if the picture would be too small."""
    return 8 if min(planes.shape[1:]) > _SMALLEST_X265_SIDE - 8 else _SMALLEST_X265_SIDE


def _padded(planes: np.ndarray, block: int) -> np.ndarray:
    """Return planes [3, H, W] with the last row and column repeated up to whole coding blocks."""
    down, right = (-size % block for size in planes.shape[1:])
    return np.pad(planes, ((0, 0), (0, down), (0, right)), mode="edge")


def _x265(planes: np.ndarray, qp: int) -> bytes:
    import av

    block = _coding_block(planes)
    planes = _padded(planes, block)
    params = f"qp={qp}:min-cu-size={block}:{_X265_PARAMS}"
    try:
        codec = av.CodecContext.create("libx265", "w")
        codec.height, codec.width = planes.shape[1:]
        codec.pix_fmt, codec.time_base, codec.framerate = "yuv444p", Fraction(1, 25), Fraction(25)
        codec.thread_count = 1
        codec.options = {"preset": _PRESET, "tune": "ssim", "x265-params": params}
        frame = av.VideoFrame(codec.width, codec.height, "yuv444p")
        for plane, samples in zip(frame.planes, planes, strict=True):
            lines = np.zeros((plane.height, plane.line_size), dtype=np.uint8)
            lines[:, : plane.width] = samples
            plane.update(lines.tobytes())
        frame.pts = 0
        return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    except (av.error.FFmpegError, ValueError, MemoryError) as error:
        raise SC2Error(
            f"libx265 of PyAV cannot encode {planes.shape[2]} × {planes.shape[1]} pixels: {error}"
        ) from error
