"""Percentiles of a list of numbers, the one definition that all tables use."""

import math
from collections.abc import Sequence

from sc2.errors import DataError


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile, linearly interpolated between the two nearest values (numpy's default).

    Args:
        values: At least one finite number, in any order and unit.
        percent: 0 … 100.

    Raises:
        DataError: There is no value, a value is not finite, or `percent` is out of range.
    """
    check_values(values)
    if not 0 <= percent <= 100:
        raise DataError(f"a percentile lies between 0 and 100, not at {percent}")
    ordered = sorted(values)
    position = percent / 100 * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


def check_values(values: Sequence[float]) -> None:
    """Refuse what has no distribution.

    Raises:
        DataError: There is no value, or a value is not finite.
    """
    if len(values) == 0:
        raise DataError("there is no value to summarise")
    bad = [value for value in values if not math.isfinite(value)]
    if bad:
        raise DataError(f"{len(bad)} of {len(values)} values are not finite, the first is {bad[0]}")
