"""Stage `measure_switch`: what it takes to go from one operating point of a method to another.

For every ordered pair of points: the bytes that device and server must receive (`sc2.measure.switch`), and the time to
load them, on one thread, median of repeats. The same code for every method.
"""

import json
from itertools import permutations
from typing import Any

from sc2.halves import load_device, load_server
from sc2.job import RunningJob
from sc2.measure.latency import single_thread, time_call
from sc2.measure.switch import HalfContents
from sc2.provenance.record import environment

BUDGET_S = 2.0  # Per pair and half: a big network is loaded fewer times rather than for minutes.


def run(job: RunningJob) -> None:
    """Write one row per ordered pair of points; `devices` and `servers` are in the order of the spec's `points`."""
    rows: dict[tuple[str, str], dict[str, Any]] = {pair: {} for pair in permutations(job.spec["points"], 2)}
    with single_thread():
        for side in ("device", "server"):
            halves = _halves(job, side)
            for (one, other), row in rows.items():
                row |= measured(side, halves[one], halves[other], job.spec["latency"])
    result: dict[str, Any] = {**job.keys, "seed": job.spec["seed"], "record_id": job.record_id}
    result |= {"threads": 1, "cpu": environment()["hardware"]["cpu"]}
    result["switches"] = [{"from_point": one, "to_point": other, **row} for (one, other), row in rows.items()]
    job.outputs["switch"].write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _halves(job: RunningJob, side: str) -> dict[str, HalfContents]:
    """Return the contents of all points' halves of one side, by point."""
    halves = {}
    for point, path in zip(job.spec["points"], job.input_list(f"{side}s"), strict=True):
        half, content = load_device(path) if side == "device" else load_server(path)
        assert content["point"] == point, f"{path} holds the point {content['point']}, not {point}"
        halves[point] = HalfContents.of(content["half"], half.network)
    return halves


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
