"""Chroma planes of 4:2:0 and 4:2:2 pictures upsampled to the size of luma.

Two filters with taps in 64ths, windowed sincs of eight samples, as in libbpg: one where every second output
sample lies on an input sample (MPEG-2 siting), one where the output samples lie a quarter to each side (JPEG siting).
Rows are always sited in the middle. Edges are replicated; 4:2:0 goes vertically first, without clipping in between.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from sc2.bpg.container import PixelFormat

_BETWEEN = (-1, 4, -11, 40, 40, -11, 4, -1)  # halfway between samples 0 and 1; first tap at sample -3
_QUARTER = (-1, 4, -10, 57, 18, -6, 2)  # a quarter after sample 0; first tap at sample -3
_REACH = 4
_SAMPLES_AT_ONCE = 2**18  # intermediate values are four times as wide as samples, so planes are filtered in parts


def upsample(plane: np.ndarray, pixel_format: PixelFormat, width: int, height: int, bit_depth: int) -> np.ndarray:
    """Return a chroma plane at the size of luma.

    Args:
        plane: Samples [ceil(H / 2) or H, ceil(W / 2) or W] of `bit_depth` bits.
        pixel_format: Sampling and siting.
        width: W, width of luma.
        height: H, height of luma.
        bit_depth: 8 … 14.

    Returns:
        [H, W] in 0 … 2^bit_depth − 1, with the plane's dtype.
    """
    if pixel_format.chroma_format_idc == 3:
        return plane
    samples, bits = plane, 0  # fractional bits that the samples carry
    if pixel_format.chroma_format_idc == 1:
        # Kept at 14 bits: 16-bit intermediates in libbpg.
        down = bit_depth - 8
        samples = _doubled(plane.T, height, True, lambda sums: (sums + ((1 << down) >> 1)) >> down, np.int16).T
        bits = 6 - down
    centred = pixel_format in (PixelFormat.YUV420_JPEG, PixelFormat.YUV422_JPEG)
    shift, most = bits + 6, (1 << bit_depth) - 1
    half = 1 << (shift - 1)
    return _doubled(samples, width, centred, lambda sums: np.clip((sums + half) >> shift, 0, most), plane.dtype)


def _doubled(
    rows: np.ndarray, width: int, centred: bool, finish: Callable[[np.ndarray], np.ndarray], dtype: DTypeLike
) -> np.ndarray:
    """Return rows of `width` samples from rows of ceil(width / 2): `finish` of the filter's int32 sums, in 64ths."""
    out = np.empty((len(rows), width), dtype)
    at_once = max(1, _SAMPLES_AT_ONCE // width)
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        out[part] = finish(_sums(rows[part], width, centred))
    return out


def _sums(rows: np.ndarray, width: int, centred: bool) -> np.ndarray:
    padded = np.pad(rows.astype(np.int32), ((0, 0), (_REACH, _REACH)), mode="edge")
    out = np.empty((rows.shape[0], 2 * rows.shape[1]), dtype=np.int32)
    if centred:
        out[:, 0::2] = _filtered(padded, _QUARTER[::-1], -3, rows.shape[1])
        out[:, 1::2] = _filtered(padded, _QUARTER, -3, rows.shape[1])
    else:
        out[:, 0::2] = 64 * padded[:, _REACH:-_REACH]
        out[:, 1::2] = _filtered(padded, _BETWEEN, -3, rows.shape[1])
    return out[:, :width]


def _filtered(padded: np.ndarray, taps: tuple[int, ...], first: int, count: int) -> np.ndarray:
    total = np.zeros((padded.shape[0], count), dtype=np.int32)
    for index, tap in enumerate(taps):
        start = _REACH + first + index
        total += tap * padded[:, start : start + count]
    return total
