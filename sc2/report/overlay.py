"""Published curves of a benchmark beside ours in a figure, as hollow markers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from sc2.measure.published import RATES
from sc2.report import style
from sc2.report.axes import Scale
from sc2.report.columns import KB
from sc2.report.series import Series

NOTE = "Hollow markers: published"


@dataclass(frozen=True)
class PublishedCurve:
    """A published curve of a method, by rising rate.

    Attributes:
        method: The method here.
        curve: Its curve; empty where it has one.
        data_bytes: Bytes per image by the rule of the publication.
        quality: The task's primary quality there.
    """

    method: str
    curve: str
    data_bytes: tuple[float, ...]
    quality: tuple[float, ...]


def published_curves(numbers: Sequence[Mapping[str, Any]], quality: str, pixels: int) -> tuple[PublishedCurve, ...]:
    """Return the curves of a benchmark's published numbers, of methods that are here.

    Args:
        numbers: Those with a place on a curve, as a job's spec has them.
        quality: Name of the task's primary quality.
        pixels: Pixels of the network's input, for rates in bits per pixel.
    """
    factors = dict(zip(RATES, (KB, pixels / 8), strict=True))
    found: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for one in numbers:
        if one["method"]:
            places = found.setdefault((one["method"], one["curve"]), {})
            value, name = one["value"], one["quantity"]
            known = {"rate": value * factors[name]} if name in factors else {name: value}
            places.setdefault(one["place"], {}).update(known)
    curves = []
    for (method, curve), places in found.items():
        whole = [point for _, point in sorted(places.items()) if {"rate", quality} <= set(point)]
        if whole:
            rates, qualities = zip(*((point["rate"], point[quality]) for point in whole), strict=True)
            curves.append(PublishedCurve(method, curve, rates, qualities))
    return tuple(curves)


def beside(all_series: Sequence[Series], published: Sequence[PublishedCurve]) -> list[Series]:
    """Return the published curves of the methods that are drawn, with the looks of ours and without intervals."""
    ours = {(series.method, series.curve): series for series in all_series}
    return [
        replace(
            ours[curve.method, curve.curve],
            points=("",) * len(curve.quality),
            data_bytes=np.array(curve.data_bytes),
            quality=np.array(curve.quality),
            data_bytes_interval=np.full((2, len(curve.quality)), np.nan),
            quality_interval=np.full((2, len(curve.quality)), np.nan),
        )
        for curve in published
        if (curve.method, curve.curve) in ours
    ]


def hollow(axes: Axes, published: Sequence[Series], scale: Scale) -> None:
    """Draw published points as hollow markers, and say below the axis what they are."""
    for series in published:
        its = style.look_of(series)
        axes.plot(
            scale(series.data_bytes), series.quality, linestyle="none", markerfacecolor="none",
            markeredgecolor=its.colour, markeredgewidth=1.1, zorder=3.5, **style.marker(its, style.MARKER_SIZE + 1),
        )  # fmt: skip
    if published:
        axes.set_xlabel(f"{axes.get_xlabel()}\n{NOTE}")
