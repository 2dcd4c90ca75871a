"""Published numbers of a benchmark beside ours: the table `reproduction`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sc2.report.markdown import number, table
from sc2.report.series import Tables

WITHIN, OUTSIDE, NOT_RUN, NOT_COMPARED = "within tolerance", "outside tolerance", "not run", "not compared"


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
