"""Plain sentences about two methods, from the tables that compare them image by image."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from sc2.report.markdown import in_a_sentence, number
from sc2.report.series import Tables


def at_equal_quality(tables: Tables, ratios: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield a sentence per loss and pair of methods that both reach the quality.

    Args:
        tables: The benchmark's tables.
        ratios: The table `byte_ratios`.
    """
    for row in ratios.to_dict("records"):
        yield {
            "loss": row["max_loss_points"],
            "pair": sorted((row["method"], row["other_method"])),
            "text": _fewer(tables, _flipped(row) if row["byte_ratio"] > 1 else row),
        }


def _flipped(row: dict[Any, Any]) -> dict[Any, Any]:
    """Return a ratio the other way round, so that the method with fewer bytes comes first."""
    return {
        **row,
        **{"method_title": row["other_method_title"], "other_method_title": row["method_title"]},
        "byte_ratio": _inverse(row["byte_ratio"]),
        "byte_ratio_low": _inverse(row["byte_ratio_high"]),
        "byte_ratio_high": _inverse(row["byte_ratio_low"]),
    }


def _inverse(ratio: float) -> float:
    return 1 / ratio if ratio else math.inf


def _fewer(tables: Tables, row: dict[Any, Any]) -> str:
    one, other = row["method_title"], row["other_method_title"]
    at = f"at {number(row['min_quality'], 1)}{tables.quality.unit} {in_a_sentence(tables.quality.label)}"
    saved, least, most = (100 * (1 - row[name]) for name in ("byte_ratio", "byte_ratio_high", "byte_ratio_low"))
    if not (math.isfinite(least) and math.isfinite(most)):
        return (
            f"{one} needs {number(saved)} % fewer bytes than {other} {at} on these test images; the interval has no "
            "end, because in too many resamples of the images one of the two does not reach that quality."
        )
    if not row["told_apart"]:
        return (
            f"{one} and {other} cannot be told apart {at}: {one} needs {_change(saved)} bytes, and the 95 % interval "
            f"reaches from {_change(most)} to {_change(least)}."
        )
    half, middle = (most - least) / 2, (most + least) / 2
    # An interval that is nearly symmetrical is told as one number and its half width.
    if abs(middle - saved) < 0.1 * half:
        return f"{one} needs {number(saved)} ± {number(max(half, 0.5))} % fewer bytes than {other} {at}."
    interval = f"95 % interval {number(least)} … {number(most)} %"
    return f"{one} needs {number(saved)} % fewer bytes than {other} {at} ({interval})."


def _change(saved: float) -> str:
    return f"{number(abs(saved))} % {'fewer' if saved >= 0 else 'more'}"


def at_equal_bytes(tables: Tables, paired: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield a sentence per pair of points of two methods with about the same bytes.

    Args:
        tables: The benchmark's tables.
        paired: The table `paired`.
    """
    for row in paired[paired["method"] != paired["other_method"]].to_dict("records"):
        yield {
            "pair": sorted((row["method"], row["other_method"])),
            "bytes": row["payload_bytes_mean"],
            "text": _better(tables, row),
        }


def _better(tables: Tables, row: dict[Any, Any]) -> str:
    one, two = (_point(tables, row, prefix) for prefix in ("", "other_"))
    gain, low, high = (row[f"difference_points{end}"] for end in ("", "_low", "_high"))
    right = row["only_right"], row["only_other_right"]
    if gain < 0:
        one, two, gain, low, high, right = two, one, -gain, -high, -low, right[::-1]
    interval = f"95 % interval {number(low, 1)} … {number(high, 1)}"
    quality = in_a_sentence(tables.quality.label)
    told = f"has {number(gain, 1)} points more {quality} than" if row["told_apart"] else "cannot be told from"
    test = ""
    if row["mcnemar_p"] == row["mcnemar_p"]:
        test = f"; {number(right[0])} images are right with the first only, {number(right[1])} with the second only"
    return f"{one} {told} {two} ({interval}{test})."


def _point(tables: Tables, row: dict[Any, Any], prefix: str) -> str:
    label = tables.facts_of(row[f"{prefix}method"]).point(row[f"{prefix}point"])
    return f"{row[f'{prefix}method_title']} {label} ({number(row[f'{prefix}payload_bytes_mean'])} B)"
