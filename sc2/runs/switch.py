"""The cost of switching from one operating point of a method to another.

For every ordered pair of points: the bytes that device and server must receive (`sc2.measure.switch`), and the time to
load them, on one thread, median of repeats. The same code for every method.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from sc2.measure.latency import time_call
from sc2.measure.spec import LatencySpec
from sc2.measure.switch import HalfContents

BUDGET_S = 2.0  # Per pair and half: a big network gets fewer repeats instead of taking minutes.

Sides = Mapping[str, HalfContents]
"""The half at each end of the link: `device` and `server`."""


def switches(points: Mapping[str, Sides], spec: LatencySpec) -> list[dict[str, Any]]:
    """Return one row per ordered pair of points; none for a method with one point.

    Args:
        points: The two halves of each operating point.
        spec: `repeats` and `warmup` of the timing.
    """
    rows = []
    for start, end in permutations(points, 2):
        row: dict[str, Any] = {"from_point": start, "to_point": end}
        for side, running in points[start].items():
            row |= measured(side, running, points[end][side], spec)
        rows.append(row)
    return rows


def measured(side: str, running: HalfContents, wanted: HalfContents, spec: LatencySpec) -> dict[str, Any]:
    """Return bytes and time of the switch at one end.

    Args:
        side: `device` or `server`.
        running: The half that runs now.
        wanted: The half to switch to.
        spec: `repeats` and `warmup` of the timing.
    """
    load = running.loading(wanted)
    # Nothing to receive takes no time; timing an empty call would measure the clock.
    ms = 0.0
    if load is not None:
        ms = time_call(load, repeats=spec.repeats, warmup=spec.warmup, budget_s=BUDGET_S).p50_ms
    return {
        f"{side}_switch_bytes": running.missing_bytes(wanted),
        f"{side}_half_bytes": wanted.num_bytes,
        f"{side}_switch_ms_p50": ms,
    }
