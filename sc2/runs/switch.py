"""What it takes to go from one operating point of a method to another.

For every ordered pair of points: the bytes that device and server must receive (`sc2.measure.switch`), and the time to
load them, on one thread, median of repeats. The same code for every method.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from sc2.measure.latency import time_call
from sc2.measure.spec import LatencySpec
from sc2.measure.switch import HalfContents

BUDGET_S = 2.0  # Per pair and half: a big network is loaded fewer times rather than for minutes.

Sides = Mapping[str, HalfContents]
"""What stands at each end of the link: `device` and `server`."""


def switches(points: Mapping[str, Sides], spec: LatencySpec) -> list[dict[str, Any]]:
    """Return one row per ordered pair of points; none for a method with one point.

    Args:
        points: The two halves of each operating point.
        spec: `repeats` and `warmup` of the timing.
    """
    rows = []
    for one, other in permutations(points, 2):
        row: dict[str, Any] = {"from_point": one, "to_point": other}
        for side, running in points[one].items():
            row |= measured(side, running, points[other][side], spec)
        rows.append(row)
    return rows


def measured(side: str, running: HalfContents, wanted: HalfContents, spec: LatencySpec) -> dict[str, Any]:
    """Return bytes and time of one side's switch.

    Args:
        side: `device` or `server`.
        running: The half that runs now.
        wanted: The half that shall run.
        spec: `repeats` and `warmup` of the timing.
    """
    load = running.loading(wanted)
    # Nothing to receive takes no time; to time an empty call would show the clock.
    ms = 0.0
    if load is not None:
        ms = time_call(load, repeats=spec.repeats, warmup=spec.warmup, budget_s=BUDGET_S).p50_ms
    return {
        f"{side}_switch_bytes": running.missing_bytes(wanted),
        f"{side}_half_bytes": wanted.num_bytes,
        f"{side}_switch_ms_p50": ms,
    }
