"""Published numbers of a benchmark beside ours: hollow markers in figures, and the table `reproduction`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sc2.measure.published import RATES
from sc2.report import style
from sc2.report.axes import Scale
from sc2.report.columns import KB
from sc2.report.markdown import number, table
from sc2.report.series import Series, Tables

WITHIN, OUTSIDE, NOT_RUN, NOT_COMPARED = "within tolerance", "outside tolerance", "not run", "not compared"

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


def rows(tables: Tables, numbers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per published number of a benchmark: ours, the difference, and whether it is tolerable.

    Args:
        tables: The benchmark's tables.
        numbers: Its published numbers, as a job's spec has them.
    """
    names = tables.rate_quality.iloc[0]
    return [{"benchmark": names["benchmark"], "task": names["task"], **_row(tables, one)} for one in numbers]


def _row(tables: Tables, one: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("method", "work", "curve", "point", "quantity", "unit", "tolerance", "reading", "source")
    ours, verdict = _ours(tables, one)
    difference = None if ours is None else ours - one["value"]
    if difference is not None:
        verdict = WITHIN if abs(difference) <= one["tolerance"] * (1 + 1e-9) else OUTSIDE
    values = {"published": one["value"], "ours": ours, "difference": difference, "verdict": verdict}
    return {**{name: one[name] for name in kept}, **values}


_COLUMNS = {"sc2bench_kb": "sc2bench_kb_mean", "payload_bytes": "payload_bytes_mean"}
"""Columns of ours, where they are not called like the published quantity."""


def _ours(tables: Tables, one: Mapping[str, Any]) -> tuple[float | None, str]:
    """Return our value, mean over seeds, or why there is none."""
    quantity = one["quantity"]
    if quantity.startswith("teacher_"):
        return _mean(tables.teacher, quantity.removeprefix("teacher_"))
    table = tables.rate_quality
    if not one["method"]:
        return None, NOT_COMPARED
    own = table[table["method"] == one["method"]]
    if own.empty:
        return None, NOT_RUN
    if one["curve"] and not one["point"]:
        return None, NOT_COMPARED
    own = own[own["point"] == one["point"]] if one["point"] else own
    if own.empty:
        return None, NOT_RUN
    if quantity == "exrd_kb2":
        return float((own["sc2bench_encoder_kb"] * own["sc2bench_kb_mean"]).mean()), ""
    if not one["point"] and quantity != "sc2bench_encoder_kb":
        return None, NOT_COMPARED
    return _mean(own, _COLUMNS.get(quantity, quantity))


def _mean(table: pd.DataFrame, column: str) -> tuple[float | None, str]:
    if column not in table.columns:
        return None, NOT_COMPARED
    return float(table[column].mean()), ""


def section(reproduction: pd.DataFrame) -> list[str]:
    """Return the section of a page on published numbers; none where nothing is published of a benchmark."""
    if reproduction.empty:
        return []
    counts = Counter(str(verdict) for verdict in reproduction["verdict"])
    rows = [
        (
            " ".join(filter(None, [str(row["work"]), str(row["curve"]), str(row["point"])])),
            f"{row['quantity']} ({row['unit']})",
            f"{number(row['published'], 2)} ± {number(row['tolerance'], 2)}",
            number(row["ours"], 2),
            number(row["difference"], 2),
            str(row["verdict"]),
        )
        for _, row in reproduction.iterrows()
    ]
    return [
        "## Published numbers",
        f"{', '.join(f'{count} {verdict}' for verdict, count in counts.items())}; columns in "
        "[metrics.md](../../metrics.md#reproductioncsv).",
        table(("of", "what", "published", "here", "difference", "verdict"), rows, numbers_from=2),
    ]
