"""Table `rate_quality_seeds`: every operating point once, with mean and spread over the seeds of its trainings."""

from typing import Any

import pandas as pd

from sc2.report.columns import AVERAGED, SEED_MEAN, SEED_STD
from sc2.report.series import Tables

_KEYS = ("benchmark", "task", "method", "method_title", "trained", "rate_axis", "curve", "point")


def rows(tables: Tables) -> list[dict[str, Any]]:
    """Return one row per method and point, in the order of `rate_quality`.

    The spread is the sample standard deviation (ddof 1); with one seed there is none, and the field stays empty.
    """
    groups = tables.rate_quality.groupby(["method", "point"], sort=False)
    return [_row(group, [column.name for column in (*tables.quality.columns, *AVERAGED)]) for _, group in groups]


def _row(group: pd.DataFrame, averaged: list[str]) -> dict[str, Any]:
    first = group.iloc[0]
    row: dict[str, Any] = {key: first[key] for key in _KEYS}
    row |= {"trained": bool(first["trained"]), "seeds": len(group)}
    for name in averaged:
        row[name + SEED_MEAN] = number_or_none(group[name].mean())
        row[name + SEED_STD] = number_or_none(group[name].std(ddof=1))
    return row


def number_or_none(value: Any) -> float | None:
    """Return a number for a table, and None for NaN."""
    number = float(value)
    return None if number != number else number
