"""What it takes to go from one operating point of a method to another.

For every ordered pair of points: the bytes that device and server must receive (`sc2.measure.switch`), and the time to
load them, on one thread, median of repeats. The same code for every method.
"""

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

from sc2.halves import load_device, load_server
from sc2.measure.latency import time_call
from sc2.measure.switch import HalfContents

BUDGET_S = 2.0  # Per pair and half: a big network is loaded fewer times rather than for minutes.


def switches(points: Sequence[tuple[str, Path, Path]], spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per ordered pair of points; none for a method with one point.

    Args:
        points: Each operating point with its device half and its server half.
        spec: `repeats` and `warmup` of the timing.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {pair: {} for pair in permutations([p for p, _, _ in points], 2)}
    sides: tuple[Literal["device", "server"], ...] = ("device", "server")
    for side in sides:
        halves = {p: _half(p, device if side == "device" else server, side) for p, device, server in points if rows}
        for (one, other), row in rows.items():
            row |= measured(side, halves[one], halves[other], spec)
    return [{"from_point": one, "to_point": other, **row} for (one, other), row in rows.items()]


def _half(point: str, path: Path, side: Literal["device", "server"]) -> HalfContents:
    half, content = load_device(path) if side == "device" else load_server(path)
    assert content["point"] == point, f"{path} holds the point {content['point']}, not {point}"
    return HalfContents.of(content["half"], half.network)


def measured(side: str, running: HalfContents, wanted: HalfContents, spec: dict[str, Any]) -> dict[str, Any]:
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
        ms = time_call(load, repeats=spec["repeats"], warmup=spec["warmup"], budget_s=BUDGET_S).p50_ms
    return {
        f"{side}_switch_bytes": running.missing_bytes(wanted),
        f"{side}_half_bytes": wanted.num_bytes,
        f"{side}_switch_ms_p50": ms,
    }
