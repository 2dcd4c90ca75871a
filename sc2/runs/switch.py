"""The cost of switching from one operating point of a method to another.

For every ordered pair of points: the bytes that device and server must receive (`sc2.measure.switch`), and the time to
load them, on one thread, median of repeats. Switches that load weights of the same shapes and as many tables are timed
once, with the largest tables, and all of them in turn. The same code for every method.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from sc2.measure.latency import Call, time_in_turn
from sc2.measure.spec import LatencySpec
from sc2.measure.switch import HalfContents, Loading

Sides = Mapping[str, HalfContents]
"""The half at each end of the link: `device` and `server`."""

REPEATS_SHARE = 4
"""A network is timed as many times as often as a switch, which takes long (hundreds of tensors) and has no interval."""


def switches(points: Mapping[str, Sides], spec: LatencySpec) -> list[dict[str, Any]]:
    """Return one row per ordered pair of points; none for a method with one point.

    Args:
        points: The two halves of each operating point.
        spec: Of the timing; a big network gets fewer repeats than asked for instead of taking minutes (`budget_s`).
    """
    rows: list[dict[str, Any]] = []
    loads: dict[str, Loading] = {}
    timed: list[tuple[dict[str, Any], str, str]] = []
    for start, end in permutations(points, 2):
        row: dict[str, Any] = {"from_point": start, "to_point": end}
        for side, running in points[start].items():
            wanted = points[end][side]
            row |= {f"{side}_switch_bytes": running.missing_bytes(wanted), f"{side}_half_bytes": wanted.num_bytes}
            # Nothing to receive takes no time; timing an empty call would measure the clock.
            row[f"{side}_switch_ms_p50"] = 0.0
            load = running.loading(wanted)
            if load is not None:
                name = f"{side} {load.kind}"
                loads[name] = max(loads.get(name, load), load, key=lambda other: len(other.received))
                timed.append((row, f"{side}_switch_ms_p50", name))
        rows.append(row)
    repeats = -(-spec.repeats // REPEATS_SHARE)
    calls = {name: Call(load, repeats, spec.warmup) for name, load in loads.items()}
    timings = time_in_turn(calls, budget_s=spec.budget_s)
    for row, column, name in timed:
        row[column] = timings[name].p50_ms
    return rows
