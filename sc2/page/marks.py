"""How methods look in the browser: the looks of the figures, as colours for light and dark pages and as SVG paths."""

from typing import Any

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

from sc2.report.looks import Look

LIGHT_PAGE, DARK_PAGE = "#ffffff", "#14181d"
"""Backgrounds that curves are drawn on; style.css has the same."""

LEAST_CONTRAST = {LIGHT_PAGE: 3.0, DARK_PAGE: 4.5}
"""Of a curve with a page: the WCAG (1.4.11) asks for 3; thin lines need more on a dark page."""

_LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
_DASHES: dict[str, list[float]] = {"-": [], "none": []}


def looks_of(its: Look) -> dict[str, Any]:
    """Return colours, shape, size and dashes of a look, as JSON types."""
    return {
        "light": legible(its.colour, LIGHT_PAGE),
        "dark": legible(its.colour, DARK_PAGE),
        "shape": shape(its.marker),
        "size": round(its.size, 3),
        "dash": _DASHES[its.line] if isinstance(its.line, str) else [round(2.0 * part, 1) for part in its.line[1]],
        "line": its.line != "none",
    }


def shape(marker: Any) -> str:
    """Return a matplotlib marker as an SVG path inside the square from -1 to 1, y downwards."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    # Markers of one size differ in extent, as they do in the figures; their unit square reaches 0.5 to either side.
    parts = []
    for vertices, code in path.iter_segments(simplify=False):
        points = np.round(2.0 * vertices, 3)
        points[1::2] *= -1
        text = "" if code == Path.CLOSEPOLY else ",".join(f"{value + 0.0:g}" for value in points)
        parts.append(_LETTERS[Path.code_type(code)] + text)
    return "".join(parts)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21, as the WCAG defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def legible(colour: str, page: str) -> str:
    """Return a colour mixed with as much black or white as it needs to stand out from a page."""
    towards = 0.0 if _luminance(page) > 0.5 else 1.0
    own, part = to_rgb(colour), 0.0
    mixed = to_hex(own)
    while contrast(mixed, page) < LEAST_CONTRAST[page]:
        part += 0.02
        red, green, blue = ((1 - part) * channel + part * towards for channel in own)
        mixed = to_hex((red, green, blue))
    return mixed


def _luminance(colour: str) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
