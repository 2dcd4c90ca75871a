"""Stage `measure_latency`: encoder, coder and server on this machine's CPU, one thread, median of repeats.

Times are no part of the quality and rate tables: they differ from machine to machine and from day to day.
"""

import json
from collections.abc import Callable, Iterable
from itertools import cycle
from typing import Any

import numpy as np

from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.halves import load_device, load_server
from sc2.job import RunningJob
from sc2.measure.latency import Timing, single_thread, time_call
from sc2.methods.base import DeviceHalf, ServerHalf
from sc2.provenance.record import environment

BUDGET_S = 20.0  # Per quantity: a slow network is timed fewer times rather than for minutes.


def run(job: RunningJob) -> None:
    """Time the parts of one run and write them with the hardware they ran on."""
    device, _ = load_device(job.input("device"))
    server, _ = load_server(job.input("server"))
    store = SampleStore(job.input("index"), job.input("test"), "test")
    spec = job.spec["latency"]
    count = min(spec["images"], len(store))
    images = [np.asarray(prepare_image(store.image(i), job.spec["input"])) for i in range(count)]
    with single_thread():
        timings = time_parts(device, server, images, repeats=spec["repeats"], warmup=spec["warmup"])
    result: dict[str, Any] = {**job.keys, "record_id": job.record_id}
    result |= {
        "encoder_ms_p50": timings["encoder"].p50_ms,
        "encoder_ms_p95": timings["encoder"].p95_ms,
        "coder_encode_ms_p50": timings["coder_encode"].p50_ms,
        "coder_encode_ms_p95": timings["coder_encode"].p95_ms,
        "coder_decode_ms_p50": timings["coder_decode"].p50_ms,
        "server_ms_p50": timings["server"].p50_ms,
        "repeats": min(timing.repeats for timing in timings.values()),
        "threads": 1,
        "cpu": environment()["hardware"]["cpu"],
    }
    job.outputs["latency"].write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def time_parts(
    device: DeviceHalf, server: ServerHalf, images: list[np.ndarray], *, repeats: int, warmup: int
) -> dict[str, Timing]:
    """Time the four parts of a split on some images (uint8 [H, W, 3]), each part alone.

    For a codec the encoder does nothing: all of its work is the coder's.
    """
    latents = [device.analyse(pixels) for pixels in images]
    payloads = [device.code(latent) for latent in latents]
    received = [server.decode(payload) for payload in payloads]

    def timed(function: Callable[[Any], object], arguments: Iterable[Any]) -> Timing:
        endless = cycle(arguments)
        return time_call(lambda: function(next(endless)), repeats=repeats, warmup=warmup, budget_s=BUDGET_S)

    return {
        "encoder": timed(device.analyse, images),
        "coder_encode": timed(device.code, latents),
        "coder_decode": timed(server.decode, payloads),
        "server": timed(server.answer, received),
    }
