"""Table `equal_quality` and its section of a page: bytes, and costs of the encoder, at equal quality.

The bytes are those at which a method's curve passes the quality, between two measured points, so that they do not
depend on where a grid happens to have its points; `fewest_bytes.csv` keeps to measured points. The encoder is that of
the measured point with the fewest bytes above the quality.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sc2.measure.resampling import percentile_interval
from sc2.report.fewest_bytes import MAX_LOSS_POINTS, Measured, fewest, measured
from sc2.report.looks import is_corner
from sc2.report.markdown import Markup, in_a_sentence, number, table
from sc2.report.paired import method_bytes
from sc2.report.resampled import Resamples, interval_columns
from sc2.report.series import Tables, teacher_value

_LEAST_LOSS = 1.0
"""Losses above this one are shown on the page; few points of a short schedule come within one point."""


def rows(tables: Tables, resamples: Resamples) -> list[dict[str, Any]]:
    """Return one row per loss and method, in the order of `rate_quality`.

    Raises:
        DataError: The teacher's multiply-accumulates are zero.
    """
    curves, points, teacher = resamples.curves(tables), measured(tables), teacher_value(tables)
    names, table_rows = tables.rate_quality.iloc[0], []
    for loss in MAX_LOSS_POINTS:
        reached = method_bytes(curves, teacher - loss, resamples.teacher_quality - loss)
        for method, (title, own) in points.items():
            point, reason = fewest(own, teacher - loss, "encoder_kb", math.inf)
            size, drawn = reached[method]
            table_rows.append(
                {
                    **{"benchmark": names["benchmark"], "task": names["task"]},
                    **{"max_loss_points": loss, "min_quality": teacher - loss},
                    **{"method": method, "method_title": title},
                    "bytes_at_quality": size if point else None,
                    **interval_columns(["bytes_at_quality"], [percentile_interval(drawn)]),
                    **_costs(point),
                    "at_most": point is not None and _is_cheapest(point, own),
                    "reason": reason,
                }
            )
    return table_rows


def _is_cheapest(point: Measured, points: list[Measured]) -> bool:
    """Say whether a point is the cheapest of its curve: what lies below it is not known."""
    return point.data_bytes <= min(other.data_bytes for other in points if other.curve == point.curve)


def _costs(point: Measured | None) -> dict[str, Any]:
    return {
        "curve": point.curve if point else "",
        "point": point.point if point else "",
        "sc2bench_encoder_kb": point.encoder_kb if point else None,
        "encoder_macs_pct": point.encoder_macs_pct if point else None,
    }


def section(tables: Tables, equal_quality: pd.DataFrame, ratios: pd.DataFrame) -> list[str]:
    """Return heading, explanation and table: a row per method, a column per level of quality above zero.

    Nothing where there is no such level, because the teacher itself is worth no more than what may be lost.

    Args:
        tables: The benchmark's tables.
        equal_quality: The table `equal_quality`.
        ratios: The table `byte_ratios`.
    """
    losses = [
        loss
        for loss in sorted(set(equal_quality["max_loss_points"]))
        if loss > _LEAST_LOSS and loss < teacher_value(tables)
    ]
    if not losses:
        return []
    levels = {loss: _Level(tables, equal_quality[equal_quality["max_loss_points"] == loss], ratios) for loss in losses}
    unit = tables.quality.unit
    header = [f"≥ {number(teacher_value(tables) - loss, 1)}{unit}" for loss in losses]
    together = ", ".join(number(loss) for loss in losses)
    lines = []
    for method in equal_quality["method"].unique():
        own = equal_quality[(equal_quality["method"] == method) & equal_quality["max_loss_points"].isin(losses)]
        costs = list(dict.fromkeys(_cost(row) for _, row in own.iterrows() if row["point"]))
        cells = [level.cell(method) for level in levels.values()]
        lines.append((str(own["method_title"].iloc[0]), *cells, "; ".join(costs) or "–"))
    return [
        "## At equal quality",
        f"Bytes per image at which a method's curve passes a loss of {together} points of the teacher's "
        f"{in_a_sentence(tables.quality.label)}, with their 95 % interval, and what the encoder of the next measured "
        "point costs. Bold: the fewest of all methods that leave the answer to the server; ≈: cannot be told from "
        "them. ≤: the cheapest measured point is better still. A dash: no point reaches it.",
        table(("method", *header, "encoder: KB, MACs in % of the teacher's"), lines, numbers_from=1),
    ]


class _Level:
    """The cells of one level of quality."""

    def __init__(self, tables: Tables, equal_quality: pd.DataFrame, ratios: pd.DataFrame) -> None:
        self.rows: Mapping[str, pd.Series] = {str(row["method"]): row for _, row in equal_quality.iterrows()}
        # Corners are no splits: they send nothing of the image.
        sizes = {
            method: float(row["bytes_at_quality"])
            for method, row in self.rows.items()
            if not np.isnan(row["bytes_at_quality"]) and not is_corner(tables.facts_of(method).family)
        }
        self.smallest = min(sizes, key=lambda method: sizes[method]) if sizes else None
        pairs = ratios[ratios["max_loss_points"] == equal_quality["max_loss_points"].iloc[0]]
        self.alike = {
            str(one)
            for _, row in pairs[~pairs["told_apart"]].iterrows()
            for one, other in ((row["method"], row["other_method"]), (row["other_method"], row["method"]))
            if other == self.smallest and one in sizes
        }

    def cell(self, method: str) -> str:
        """Return e.g. `**105 B** (98 … 113)`."""
        row = self.rows[method]
        if np.isnan(row["bytes_at_quality"]):
            return "–"
        size = _size(row["bytes_at_quality"])
        mark = "≤ " if row["at_most"] else ""
        mark = f"≈ {mark}" if method in self.alike else mark
        bold = "**" if method == self.smallest else ""
        ends = [_size(row[f"bytes_at_quality_{end}"]) for end in ("low", "high")]
        return Markup(f"{bold}{mark}{size} B{bold} ({ends[0]} … {ends[1]})")


def _size(data_bytes: float) -> str:
    return number(data_bytes) if not data_bytes < 100 else number(data_bytes, 1)


def _cost(row: pd.Series) -> str:
    return f"{number(row['sc2bench_encoder_kb'], 1)}, {number(row['encoder_macs_pct'], 1)} %"
