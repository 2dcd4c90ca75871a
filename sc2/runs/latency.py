"""Stage `measure_latency`: a method's encoder, coder, server and switches on this machine's CPU, one thread.

Times are medians of repeats. They are kept out of the quality and rate tables, because they vary between machines and
days.
"""

import json
from collections.abc import Callable, Iterable
from itertools import cycle
from typing import Any

import numpy as np
import torch

from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.job import RunningJob
from sc2.measure.hardware import cpu_model
from sc2.measure.latency import Timing, single_thread, time_call
from sc2.measure.spec import LatencySpec
from sc2.measure.switch import HalfContents
from sc2.runs.halves import load_device, load_server
from sc2.runs.switch import switches
from sc2.split.method import DeviceHalf, ServerHalf
from sc2.tasks import get_task

BUDGET_S = 20.0  # Per quantity: a slow network gets fewer repeats instead of taking minutes.


def run(job: RunningJob) -> None:
    """Time every run of a method, then the switches between its points, and write the times with the hardware.

    `devices` and `servers` are in the order of the spec's `runs`, pairs of point and seed.
    """
    spec, runs = LatencySpec.model_validate(job.spec["latency"]), job.spec["runs"]
    files = zip(runs, job.input_list("devices"), job.input_list("servers"), strict=True)
    machine = {"threads": 1, "cpu": cpu_model(), "record_id": job.record_id}
    images = _images(job, spec.images)
    times, first_seed, points = [], runs[0][1], {}
    with single_thread():
        for (point, seed), device_file, server_file in files:
            (device, on_device), (server, on_server) = load_device(device_file), load_server(server_file)
            assert on_device["point"] == on_server["point"] == point, f"{device_file} is not of the point {point}"
            batch = get_task(on_server["task"]).evaluation_batch
            times.append({"point": point, "seed": seed, **_times(device, server, images, spec, batch)})
            if seed == first_seed:
                points[point] = {
                    "device": HalfContents.of(on_device["half"], device.network),
                    "server": HalfContents.of(on_server["half"], server.network),
                }
        pairs = switches(points, spec)
    latency = {**job.keys, **machine, "runs": times}
    job.outputs["latency"].write_text(json.dumps(latency, indent=2) + "\n", encoding="utf-8")
    switch = {**job.keys, **machine, "seed": first_seed, "switches": pairs}
    job.outputs["switch"].write_text(json.dumps(switch, indent=2) + "\n", encoding="utf-8")


def _images(job: RunningJob, count: int) -> list[np.ndarray]:
    store = SampleStore(job.input("index"), job.input("test"), "test")
    spec = InputSpec.model_validate(job.spec["input"])
    return [np.asarray(prepare_image(store.image(i), spec)) for i in range(min(count, len(store)))]


def _times(
    device: DeviceHalf, server: ServerHalf, images: list[np.ndarray], spec: LatencySpec, batch: int
) -> dict[str, Any]:
    timings = time_parts(device, server, images, repeats=spec.repeats, warmup=spec.warmup, batch=batch)
    return {
        "encoder_ms_p50": timings["encoder"].p50_ms,
        "encoder_ms_p95": timings["encoder"].p95_ms,
        "coder_encode_ms_p50": timings["coder_encode"].p50_ms,
        "coder_encode_ms_p95": timings["coder_encode"].p95_ms,
        "coder_decode_ms_p50": timings["coder_decode"].p50_ms,
        "server_ms_p50": timings["server"].p50_ms,
        "server_batch_ms_p50": timings["server_batch"].p50_ms / batch,
        "server_batch": batch,
        "repeats": min(timing.repeats for name, timing in timings.items() if name != "server_batch"),
    }


def time_parts(
    device: DeviceHalf, server: ServerHalf, images: list[np.ndarray], *, repeats: int, warmup: int, batch: int
) -> dict[str, Timing]:
    """Time the parts of a split, each on its own; a codec's encoder does nothing, all of its work is in the coder.

    Args:
        device: The device half.
        server: The server half.
        images: uint8 [H, W, 3].
        repeats: Number of images to time each part on, in turn; as many batches as hold that number.
        warmup: Images run before that, not timed.
        batch: Batch size of the server's network, as in the evaluation (`sc2.runs.answers`).

    Returns:
        By part: `encoder`, `coder_encode`, `coder_decode`, `server`, and `server_batch` for a whole batch of images of
        the size of the first.
    """
    latents = [device.analyse(pixels) for pixels in images]
    payloads = [device.code(latent) for latent in latents]
    received = [server.decode(payload) for payload in payloads]
    same = [tensor for tensor in received if tensor.shape == received[0].shape]
    together = torch.cat([same[i % len(same)] for i in range(batch)])

    def timed(function: Callable[[Any], object], arguments: Iterable[Any], images_each: int = 1) -> Timing:
        endless, calls, before = cycle(arguments), -(-repeats // images_each), -(-warmup // images_each)
        return time_call(lambda: function(next(endless)), repeats=calls, warmup=before, budget_s=BUDGET_S)

    return {
        "encoder": timed(device.analyse, images),
        "coder_encode": timed(device.code, latents),
        "coder_decode": timed(server.decode, payloads),
        "server": timed(server.answer, received),
        "server_batch": timed(server.answer, [together], batch),
    }
