"""How each method looks in every figure: data, no drawing.

Colour, marker and line style are fixed by the method's name, so that a method looks the same whatever else is drawn.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_hex, to_rgb


@dataclass(frozen=True)
class Look:
    """How one method is drawn.

    Attributes:
        colour: Hex colour, distinct for every method of `LOOKS`.
        marker: Matplotlib marker.
        line: Matplotlib line style; with the marker it tells methods apart without colour.
    """

    colour: str
    marker: Any
    line: Any


_DASH, _DOT, _DASH_DOT = (0, (5, 2)), (0, (1.2, 1.4)), (0, (5, 1.6, 1.2, 1.6))
_LONG, _DOTS = (0, (7, 1.6)), (0, (5, 1.6, 1.2, 1.6, 1.2, 1.6))

# The colours of Okabe and Ito first, without black (the teacher) and yellow (too faint on white), then Tol's muted set.
LOOKS: dict[str, Look] = {
    "entropic_student": Look("#0072B2", "o", "-"),
    "jpeg": Look("#E69F00", "s", _DASH),
    "webp": Look("#009E73", "^", _DOT),
    "bpg": Look("#CC79A7", "D", _DASH_DOT),
    "channel_reduction_quantization": Look("#D55E00", "v", _LONG),
    "end_to_end": Look("#56B4E9", "P", _DOTS),
    "entropic_student_mshp": Look("#332288", "h", _DASH),
    "entropic_student_shp": Look("#88CCEE", "8", _DASH_DOT),
    "bottleneck_unit": Look("#882255", "X", "-"),
    "factorized_prior": Look("#117733", "<", _DASH),
    "scale_hyperprior": Look("#44AA99", ">", _DASH_DOT),
    "mean_scale_hyperprior": Look("#999933", "p", _LONG),
    "joint_autoregressive": Look("#CC6677", "d", _DOTS),
    "codec_feature_jpeg": Look("#A65628", "s", _DOT),
    "codec_feature_webp": Look("#66A61E", "^", _DASH),
    "fine_tuned_split": Look("#AA4499", "*", _DOT),
}

_OTHER_COLOURS = ("#4477AA", "#EE6677", "#228833", "#AA3377", "#7A5195", "#1B6F6A", "#B35900", "#5B5B8C")
_OTHER_MARKERS = ("H", (4, 1, 0), (6, 1, 0), (5, 0, 180), (3, 1, 0))
_OTHER_LINES = ("-", _DASH, _DOT, _DASH_DOT, _LONG, _DOTS)

RATE_SYMBOLS = {"beta": "β=", "quality": "q=", "qp": "QP ", "channels": "C="}
"""What is written in front of a point's value, by rate axis."""


def look(method: str) -> Look:
    """Return the look of `method`; one that `LOOKS` does not list gets a look that depends on its name alone."""
    if method in LOOKS:
        return LOOKS[method]
    digest = hashlib.sha256(method.encode()).digest()
    colour = _OTHER_COLOURS[digest[0] % len(_OTHER_COLOURS)]
    marker = _OTHER_MARKERS[digest[1] % len(_OTHER_MARKERS)]
    return Look(colour, marker, _OTHER_LINES[digest[2] % len(_OTHER_LINES)])


def text_colour(colour: str) -> str:
    """Return `colour` darkened until text in it has a contrast of at least 5 on white."""
    red, green, blue = to_rgb(colour)
    while 1.05 / (_luminance(red, green, blue) + 0.05) < 5:
        red, green, blue = 0.95 * red, 0.95 * green, 0.95 * blue
    return to_hex((red, green, blue))


def _luminance(*channels: float) -> float:
    """Return the relative luminance of an sRGB colour, as the WCAG defines it."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def point_text(rate_axis: str, point: str) -> str:
    """Return an operating point for readers, e.g. `β=1`."""
    return RATE_SYMBOLS.get(rate_axis, f"{rate_axis} ") + point
