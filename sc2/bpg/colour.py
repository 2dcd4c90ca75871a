"""RGB to the planes of a BPG picture and back, in integers.

Rounding is libbpg's: factors are rounded to 23 fractional bits (to YCbCr) or 22 (back), products are summed exactly,
half is added and the sum shifted down (halves go up), then the result is clipped. The same input gives the same output
on every machine, and decoded pictures equal libbpg's 8-bit output exactly. One exception: in pictures of
limited range libbpg's sums can exceed its 32-bit integers, and colours outside RGB then come out as 0 instead of 255.
"""

from collections.abc import Iterator

import numpy as np

from sc2.bpg.container import ColorSpace, Header, PixelFormat

_SHIFT_TO_YCBCR = 23
_SHIFT = 22
_HALF = 1 << (_SHIFT - 1)
_CENTRE = 128
_PIXELS_AT_ONCE = 2**16  # sums of products take eight bytes per sample, so images are converted in parts

# Weights of red and blue in luma: ITU-R BT.601, BT.709, BT.2020 (non-constant luminance).
_LUMA_WEIGHTS = {
    ColorSpace.YCBCR_BT601: (0.299, 0.114),
    ColorSpace.YCBCR_BT709: (0.2126, 0.0722),
    ColorSpace.YCBCR_BT2020: (0.2627, 0.0593),
}


def rgb_to_ycbcr(rgb: np.ndarray) -> np.ndarray:
    """Return full-range BT.601 YCbCr, uint8 [3, H, W], of an RGB image, uint8 [H, W, 3]."""
    red, blue = _LUMA_WEIGHTS[ColorSpace.YCBCR_BT601]
    green = 1 - red - blue
    matrix = np.array(
        [
            [red, green, blue],
            [-0.5 * red / (1 - blue), -0.5 * green / (1 - blue), 0.5],
            [0.5, -0.5 * green / (1 - red), -0.5 * blue / (1 - red)],
        ]
    )
    factors = np.rint(matrix * (1 << _SHIFT_TO_YCBCR)).astype(np.int64)
    half = 1 << (_SHIFT_TO_YCBCR - 1)
    pixels = rgb.reshape(-1, 3)
    planes = np.empty((3, len(pixels)), dtype=np.uint8)
    for part in _parts(len(pixels)):
        samples = (factors @ pixels[part].T.astype(np.int64) + half) >> _SHIFT_TO_YCBCR
        samples[1:] += _CENTRE
        planes[:, part] = np.clip(samples, 0, 255)
    return planes.reshape(3, *rgb.shape[:2])


def planes_to_rgb(planes: list[np.ndarray], header: Header) -> np.ndarray:
    """Return the RGB image, uint8 [H, W, 3], of decoded planes.

    Args:
        planes: One plane (grey) or three, each [H, W], chroma already at full resolution.
        header: Colour space, range and bit depth of the samples.
    """
    flat = [plane.reshape(-1) for plane in planes]
    rgb = np.empty((flat[0].size, 3), dtype=np.uint8)
    for part in _parts(len(rgb)):
        rgb[part] = _rgb([plane[part].astype(np.int64) for plane in flat], header)
    return rgb.reshape(*planes[0].shape, 3)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + _PIXELS_AT_ONCE) for start in range(0, count, _PIXELS_AT_ONCE))


def _rgb(samples: list[np.ndarray], header: Header) -> np.ndarray:
    """Return RGB values [n, 3] in 0 … 255 from samples int64 [n] of each plane."""
    luma, chroma, offset = _scales(header)
    centre = 1 << (header.bit_depth - 1)
    if header.pixel_format == PixelFormat.GREY:
        scaled = [samples[0] * luma] * 3
    elif header.color_space == ColorSpace.RGB:
        green, blue, red = samples
        scaled = [red * luma, green * luma, blue * luma]
    elif header.color_space == ColorSpace.YCGCO:
        y, cg, co = samples[0], samples[1] - centre, samples[2] - centre
        scaled = [(y - cg + co) * luma, (y + cg) * luma, (y - cg - co) * luma]
    else:
        scaled = _from_ycbcr(samples[0] * luma, samples[1] - centre, samples[2] - centre, header.color_space, chroma)
    return np.clip((np.stack(scaled, axis=-1) + offset) >> _SHIFT, 0, 255)


def _scales(header: Header) -> tuple[int, float, int]:
    """Return the factor of luma, that of chroma (not yet rounded) and the offset, in 22 fractional bits."""
    unit = 255.0 * (1 << _SHIFT)
    if not header.limited_range:
        scale = unit / ((1 << header.bit_depth) - 1)
        return _rounded(scale), scale, _HALF
    step = 1 << (header.bit_depth - 8)
    luma = _rounded(unit / (219 * step))
    return luma, unit / (224 * step), _HALF - 16 * step * luma


def _from_ycbcr(
    y: np.ndarray, cb: np.ndarray, cr: np.ndarray, color_space: ColorSpace, scale: float
) -> list[np.ndarray]:
    red, blue = _LUMA_WEIGHTS[color_space]
    green = 1 - blue - red
    red_cr, blue_cb = _rounded(2 * (1 - red) * scale), _rounded(2 * (1 - blue) * scale)
    green_cb = _rounded(2 * blue * (1 - blue) / green * scale)
    green_cr = _rounded(2 * red * (1 - red) / green * scale)
    return [y + red_cr * cr, y - green_cb * cb - green_cr * cr, y + blue_cb * cb]


def _rounded(value: float) -> int:
    return int(np.rint(value))
