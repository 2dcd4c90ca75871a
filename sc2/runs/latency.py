"""Stage `measure_latency`: a method's encoder, coder, server and switches on this machine's CPU, one thread.

Times are medians of repeats, over all images and for each image. They are kept out of the quality and rate tables,
because they vary between machines and days. All parts of all runs take turns, networks of the same layers are timed
once, whatever their weights, and the load of the machine is recorded beside the times.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.job import RunningJob
from sc2.measure.hardware import cpu_model
from sc2.measure.latency import Call, Timing, single_thread, time_in_turn, watched_load
from sc2.measure.spec import LatencySpec
from sc2.measure.switch import HalfContents
from sc2.runs.halves import load_device, load_server
from sc2.runs.switch import switches
from sc2.split.method import DeviceHalf, ServerHalf
from sc2.split.session import DeviceSession
from sc2.split.wire import Payload
from sc2.tasks import get_task

MOST_REPEATS = 4
"""How many times as many calls as asked for are timed at most, while a median is not known well enough."""

LEAST_BATCHES = 5
"""Whole batches that are timed where as many repeats are asked for."""

ONE_BY_ONE = ("encoder", "coder_encode", "coder_decode", "server")
"""Parts that are timed on one image after the other."""


@dataclass(frozen=True)
class _Run:
    """One run, ready to be timed.

    Attributes:
        keys: Its point and seed.
        calls: What is timed, by part.
        networks: Fingerprint of the network that a part runs; parts without one, or with one of their own, have none.
        batch: Images in a batch.
        sizes: Bytes of each image on the link.
    """

    keys: dict[str, str]
    calls: dict[str, Call]
    networks: dict[str, str]
    batch: int
    sizes: list[int]

    def name(self, part: str) -> str:
        """Return what a part is called among those of all runs: the same where the same network does the same."""
        network = self.networks.get(part)
        return f"{part} {network}" if network else "/".join([part, *self.keys.values()])


def run(job: RunningJob) -> None:
    """Time every run of a method, then the switches between its points, and write the times with the hardware.

    `devices` and `servers` are in the order of the spec's `runs`, pairs of point and seed.
    """
    spec, images = LatencySpec.model_validate(job.spec["latency"]), _images(job)
    first_seed, runs, points = job.spec["runs"][0][1], [], {}
    files = zip(job.spec["runs"], job.input_list("devices"), job.input_list("servers"), strict=True)
    with single_thread():
        for (point, seed), device_file, server_file in files:
            (device, on_device), (server, on_server) = load_device(device_file), load_server(server_file)
            assert on_device["point"] == on_server["point"] == point, f"{device_file} is not of the point {point}"
            batch = get_task(on_server["task"]).evaluation_batch
            sides = {
                "device": HalfContents.of(on_device["half"], device.network),
                "server": HalfContents.of(on_server["half"], server.network),
            }
            calls = _calls(device, server, images, spec, batch)
            sizes = _sizes(calls["coder_decode"].on, on_device["fingerprint"])
            runs.append(_Run({"point": point, "seed": seed}, calls, _networks(sides, images), batch, sizes))
            if seed == first_seed:
                points[point] = sides
        with watched_load() as load:
            timings = _timings(runs, spec)
        pairs = switches(points, spec)
    machine = {"threads": 1, "cpu": cpu_model(), "record_id": job.record_id}
    machine |= {"cpu_share": load.cpu_share, "load_per_core": load.load_per_core}
    machine["loaded"] = _noisy(runs, timings, spec) or load.is_high
    times = [{**run.keys, **_row(run, {part: timings[run.name(part)] for part in run.calls})} for run in runs]
    latency = {**job.keys, **machine, "runs": times}
    job.outputs["latency"].write_text(json.dumps(latency, indent=2) + "\n", encoding="utf-8")
    switch = {**job.keys, **machine, "seed": first_seed, "switches": pairs}
    job.outputs["switch"].write_text(json.dumps(switch, indent=2) + "\n", encoding="utf-8")


def _images(job: RunningJob) -> list[np.ndarray]:
    store = SampleStore(job.input("index"), job.input("test"), "test")
    spec, count = InputSpec.model_validate(job.spec["input"]), LatencySpec.model_validate(job.spec["latency"]).images
    return [np.asarray(prepare_image(store.image(i), spec)) for i in range(min(count, len(store)))]


def _sizes(payloads: Sequence[Payload], fingerprint: str) -> list[int]:
    """Return the bytes of each payload as a packet of one session, as the evaluation sends them."""
    session = DeviceSession(bytes.fromhex(fingerprint), payloads[0])
    return [len(session.packet(payload)) for payload in payloads]


def _networks(sides: Mapping[str, HalfContents], images: Sequence[np.ndarray]) -> dict[str, str]:
    """Return fingerprints of the layers of both networks and of what they run on, by part; none without weights."""
    fingerprints: dict[str, str] = {}
    for parts, side in ((("encoder",), "device"), (("server", "server_batch"), "server")):
        network = sides[side].network
        layers = {} if network is None else {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
        if layers:
            text = json.dumps([repr(network), layers, [list(image.shape) for image in images]])
            fingerprints |= dict.fromkeys(parts, hashlib.sha256(text.encode()).hexdigest()[:16])
    return fingerprints


def _timings(runs: Sequence[_Run], spec: LatencySpec) -> dict[str, Timing]:
    """Time the parts of all runs in turn, each network once; by the parts' names."""
    calls = {run.name(part): call for run in runs for part, call in run.calls.items()}
    return time_in_turn(calls, budget_s=spec.budget_s, spread=spec.spread_pct / 100)


def _noisy(runs: Sequence[_Run], timings: Mapping[str, Timing], spec: LatencySpec) -> bool:
    """Return whether a part's median is not known after all calls, and say which.

    Where the budget ended the calls, their interval says how much is known. Batches are too few to ask.
    """
    names = dict.fromkeys(run.name(part) for run in runs for part in ONE_BY_ONE)
    tried = {name: timings[name] for name in names if timings[name].repeats >= MOST_REPEATS * spec.repeats}
    unknown = {name: timing for name, timing in tried.items() if 100 * timing.spread > spec.spread_pct}
    for name, timing in unknown.items():
        found = f"known to ±{100 * timing.spread:.0f} % after {timing.repeats} calls"
        print(
            f"sc2: the median of {name} is {found}, not to ±{spec.spread_pct:g} %: is this machine busy?",
            file=sys.stderr,
        )
    return bool(unknown)


def _row(run: _Run, timings: Mapping[str, Timing]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for part, timing in timings.items():
        images = run.batch if part == "server_batch" else 1
        low, high = (None if end != end else end / images for end in timing.interval)
        row |= {f"{part}_ms_p50": timing.p50_ms / images, f"{part}_ms_low": low, f"{part}_ms_high": high}
    return {
        **row,
        "encoder_ms_p95": timings["encoder"].p95_ms,
        "coder_encode_ms_p95": timings["coder_encode"].p95_ms,
        "server_batch": run.batch,
        "repeats": min(timing.repeats for name, timing in timings.items() if name != "server_batch"),
        "encoder_network": run.networks.get("encoder", ""),
        "server_network": run.networks.get("server", ""),
        "images": _by_image(run, timings),
    }


def _by_image(run: _Run, timings: Mapping[str, Timing]) -> list[dict[str, float]]:
    """Return a row per image that there was time for in every part: its bytes on the link, and each part's time."""
    parts = {f"{part}_ms": timings[part].by_argument for part in ONE_BY_ONE}
    return [
        {"session_bytes": size, **dict(zip(parts, times, strict=True))}
        for size, *times in zip(run.sizes, *parts.values(), strict=False)
    ]


def _calls(
    device: DeviceHalf, server: ServerHalf, images: Sequence[np.ndarray], spec: LatencySpec, batch: int
) -> dict[str, Call]:
    """Return the parts of a split, each on its own; a codec's encoder does nothing, all of its work is in the coder.

    Args:
        device: The device half.
        server: The server half.
        images: uint8 [H, W, 3].
        spec: `repeats`, of each part on the images in turn, or as many batches as hold that number, and `warmup`.
        batch: Batch size of the server's network, as in the evaluation (`sc2.runs.answers`).

    Returns:
        By part: `encoder`, `coder_encode`, `coder_decode`, `server`, and `server_batch` for a whole batch of images of
        the size of the first.
    """
    latents = [device.analyse(pixels) for pixels in images]
    payloads = [device.code(latent) for latent in latents]
    received = [server.decode(payload) for payload in payloads]
    each: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
        "encoder": (device.analyse, images),
        "coder_encode": (device.code, latents),
        "coder_decode": (server.decode, payloads),
        "server": (server.answer, received),
    }
    batches = max(-(-spec.repeats // batch), min(spec.repeats, LEAST_BATCHES))
    together = _batch_of(received, batch)
    return {
        **{
            part: Call(function, spec.repeats, spec.warmup, on, MOST_REPEATS * spec.repeats)
            for part, (function, on) in each.items()
        },
        "server_batch": Call(server.answer, batches, -(-spec.warmup // batch), [together]),
    }


def _batch_of(received: Sequence[Tensor], batch: int) -> Tensor:
    same = [tensor for tensor in received if tensor.shape == received[0].shape]
    return torch.cat([same[i % len(same)] for i in range(batch)])


def time_parts(
    device: DeviceHalf, server: ServerHalf, images: Sequence[np.ndarray], spec: LatencySpec, batch: int
) -> dict[str, Timing]:
    """Time the parts of one split; arguments and parts as of `_calls`."""
    calls = _calls(device, server, images, spec, batch)
    return time_in_turn(calls, budget_s=spec.budget_s, spread=spec.spread_pct / 100)
