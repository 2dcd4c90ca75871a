"""How each method looks in every figure: data, no drawing.

Colour, marker and line style are fixed by the method's name, so that a method looks the same whatever else is drawn.
Methods of one family share a hue and differ in lightness; the marker tells them apart without colour. The image codecs
and the codecs on features share the hue of the codec instead, because that is what codes their bytes. Which family a
method is of, the method says (`Method.family`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.colors import to_hex, to_rgb


@dataclass(frozen=True)
class Look:
    """How one curve is drawn.

    Attributes:
        colour: Hex colour, distinct for every method of `LOOKS`.
        marker: Matplotlib marker.
        line: Matplotlib line style; with the marker it tells methods apart without colour.
        size: Size of the marker, relative to the others: pointed ones look smaller than they are.
    """

    colour: str
    marker: Any
    line: Any
    size: float = 1.0


_DASH, _DOT, _DASH_DOT = (0, (5, 2)), (0, (1.2, 1.4)), (0, (5, 1.6, 1.2, 1.6))
_LONG, _DOTS = (0, (9, 1.6)), (0, (5, 1.6, 1.2, 1.6, 1.2, 1.6))
_LINES = ("-", _DASH, _DOT, _DASH_DOT, _LONG, _DOTS)
_NO_LINE = "none"

CORNER = "corner"
"""The family of the corners: all on the device, or nothing but the image on the link."""


@dataclass(frozen=True)
class Family:
    """How a family of methods stands in legends.

    Attributes:
        title: Its heading.
        hue: Hex colour whose shades its methods get that `LOOKS` does not list.
    """

    title: str
    hue: str


FAMILIES: dict[str, Family] = {
    "codec": Family("Image codecs", "#E69F00"),
    "codec_feature": Family("Codecs on features", "#A65628"),
    "learned_codec": Family("Learned image codecs", "#A23EEA"),
    "student": Family("Entropy-coded bottlenecks", "#0072B2"),
    "reduction": Family("Quantised bottlenecks", "#D55E00"),
    "unit": Family("Bottleneck units", "#882255"),
    "gained": Family("One training, every rate (ours)", "#E3120B"),
    CORNER: Family("Corners: no split", "#666666"),
}
"""The families that methods name (`Method.family`), in the order of the legends; others come before the corners."""

# Colours of Okabe and Ito and of Tol as far as they go, without black (the corners) and yellow (too faint on white).
LOOKS: dict[str, Look] = {
    "jpeg": Look("#E69F00", "s", _DASH),
    "webp": Look("#009E73", "^", _DOT),
    "bpg": Look("#CC79A7", "D", _DASH_DOT),
    "codec_feature_jpeg": Look("#A65628", "s", _DOT),
    "codec_feature_webp": Look("#66A61E", "^", _DASH_DOT),
    "factorized_prior": Look("#D5A6DB", "<", _DASH),
    "scale_hyperprior": Look("#A23EEA", ">", _DASH_DOT),
    "mean_scale_hyperprior": Look("#772877", "p", _LONG),
    "joint_autoregressive": Look("#3D0A4A", "d", _DOTS, 1.15),
    "end_to_end": Look("#56B4E9", "P", _DOTS, 1.2),
    "entropic_student": Look("#0072B2", "o", "-"),
    "entropic_student_shp": Look("#838CF1", "8", _DASH_DOT),
    "entropic_student_mshp": Look("#332288", "h", _DASH),
    "fine_tuned_split": Look("#0027EB", "*", _DOT, 1.5),
    "channel_reduction_quantization": Look("#D55E00", "v", _LONG),
    "bottleneck_unit": Look("#882255", "X", "-", 1.2),
    "bottleneck_unit_distilled": Look("#B8143D", (4, 1, 45), _DASH, 1.4),
    "gained_student": Look("#E3120B", "D", "-"),
    "entropic_student_joint": Look("#FF7F7A", "o", _LONG),
    "teacher_on_device": Look("#000000", "*", _NO_LINE, 2.0),
    "local_model": Look("#666666", "H", _NO_LINE, 1.4),
    "lossless_image": Look("#999999", "s", _NO_LINE, 1.2),
}
"""The looks that were chosen by hand, by method; any other method gets one from its name."""

_OTHER_COLOURS = (
    *("#4477AA", "#EE6677", "#228833", "#AA3377", "#7A5195", "#1B6F6A", "#B35900", "#5B5B8C"),
    *("#2E8B9A", "#B5446E", "#6B7A1F", "#8C6D31", "#3D5A80", "#9B2226", "#5F7F4F", "#7D4E57"),
)
_OTHER_MARKERS = ((6, 1, 0), (5, 0, 180), (3, 1, 0), (5, 1, 180), (8, 1, 0), (4, 1, 0), (7, 0, 0))

_SHADES = (-0.45, -0.3, -0.15, 0.15, 0.3, 0.45)
"""Parts of black (below zero) or white in the shades of a family's hue."""


def look(method: str, family: str, curve: int = 0) -> Look:
    """Return the look of a curve.

    Args:
        method: Its method; one that `LOOKS` does not list gets a look that depends on its name and family alone.
        family: The method's family.
        curve: Number of the curve inside the method: its curves share hue and marker; line style and lightness
            tell them apart.
    """
    its = LOOKS.get(method) or _other(method, family)
    if curve == 0:
        return its
    first = _LINES.index(its.line) if its.line in _LINES else 0
    faded = _fade(its.colour, 0.6 * curve / (curve + 2))
    return replace(its, line=_LINES[(first + curve) % len(_LINES)], colour=faded)


def _other(method: str, family: str) -> Look:
    digest = hashlib.sha256(method.encode()).digest()
    if family in FAMILIES:
        colour = _fade(FAMILIES[family].hue, _SHADES[digest[0] % len(_SHADES)])
    else:
        colour = _OTHER_COLOURS[digest[0] % len(_OTHER_COLOURS)]
    line = _NO_LINE if is_corner(family) else _LINES[digest[2] % len(_LINES)]
    return Look(colour, _OTHER_MARKERS[digest[1] % len(_OTHER_MARKERS)], line)


def family_title(family: str) -> str:
    """Return the heading of a family; its own name, in words, where `FAMILIES` does not have it."""
    return FAMILIES[family].title if family in FAMILIES else family.replace("_", " ").capitalize()


def in_order(families: Iterable[str]) -> list[str]:
    """Return each family once, in the order of legends: as in `FAMILIES`, then others by name, the corners last."""
    known = list(FAMILIES)

    def key(family: str) -> tuple[bool, int, str]:
        return is_corner(family), known.index(family) if family in FAMILIES else len(known), family

    return sorted(set(families), key=key)


def is_corner(family: str) -> bool:
    """Tell whether a family is that of the corners."""
    return family == CORNER


def _fade(colour: str, part: float) -> str:
    """Return `colour` with a part of white in it, or of black where the part is negative."""
    red, green, blue = ((1 - abs(part)) * channel + max(part, 0.0) for channel in to_rgb(colour))
    return to_hex((red, green, blue))


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
