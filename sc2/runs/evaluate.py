"""Stage `evaluate`: every test image through the device half, the container and the server half.

Sizes are measured on real bytes: each image is coded, packed, unpacked, checked and decoded on its own, and sent as a
packet of a session beside it; only networks run in batches. What they make of an image does not depend on the batch:
that of the device by `sc2.split.batches`, those of entropy models because they compute in whole numbers.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.job import RunningJob
from sc2.measure.rate import distribution, sc2bench_kb
from sc2.methods import get_method
from sc2.runs.answers import Answers
from sc2.runs.halves import load_device, load_server
from sc2.split.method import DeviceHalf, Method, ServerHalf
from sc2.split.session import DeviceSession, ServerSession
from sc2.split.wire import Payload, pack, unpack
from sc2.tasks import get_task

_MEANS = ("container_bytes", "session_bytes", "codec_header_bytes", "estimated_bits")
_COLUMNS = ("id", "payload_bytes", *_MEANS, "sc2bench_kb")
"""Columns of every method on every task, before the task's own."""
_IMAGES_AT_ONCE = 32
_PIXELS_AT_ONCE = 2**18
"""What a network on the device gets at once at most: large images gain nothing, and take memory."""


def run(job: RunningJob) -> None:
    """Write one row per test image and the summary over all of them."""
    torch.set_num_threads(job.threads)
    method, task = get_method(job.keys["method"]), get_task(job.spec["task"])
    device, content = load_device(job.input("device"))
    server, server_content = load_server(job.input("server"))
    store = SampleStore(job.input("index"), job.input("test"), "test")
    spec = InputSpec.model_validate(job.spec["input"])
    answers = Answers(task, store, spec, len(server_content["classes"]), server.answer)
    link = _Link(bytes.fromhex(content["fingerprint"]))
    rows = _send_all(job, method, device, server, link, answers)
    pd.DataFrame(rows).assign(**answers.columns()).to_parquet(job.outputs["samples"], index=False)
    costs = json.loads(job.input("costs").read_text(encoding="utf-8"))
    summary = _identity(job, method) | summarise(pd.DataFrame(rows), answers.scorer.summary()) | costs
    job.outputs["summary"].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


class _Link:
    """Carries payloads both ways that there are: each in a container, and as packets of one session."""

    def __init__(self, fingerprint: bytes) -> None:
        self.fingerprint = fingerprint
        self._ends: tuple[DeviceSession, ServerSession] | None = None

    def carry(self, payload: Payload) -> tuple[Payload, dict[str, int]]:
        """Return what arrives, and the bytes of both ways."""
        container, packet = pack(payload, self.fingerprint), self._packet(payload)
        return unpack(container, self.fingerprint), {"container_bytes": len(container), "session_bytes": len(packet)}

    def _packet(self, payload: Payload) -> bytes:
        if self._ends is None:
            device = DeviceSession(self.fingerprint, payload)
            self._ends = device, ServerSession(device.hello, self.fingerprint)
        device, server = self._ends
        packet = device.packet(payload)
        assert server.receive(packet).payload == payload, "a packet changed what it carries"
        return packet


def _send_all(
    job: RunningJob, method: Method, device: DeviceHalf, server: ServerHalf, link: _Link, answers: Answers
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    bar = tqdm(range(len(answers.store)), desc=job.label, leave=False, disable=not sys.stderr.isatty())
    for part in _parts(map(answers.image, bar)):
        arrived = []
        for latent in device.analyse_all(part):
            payload = device.code(latent)
            received, sizes = link.carry(payload)
            arrived.append(received)
            row = _row(method, device, latent, payload, sizes)
            rows.append({"id": answers.store.samples[len(rows)].id, **row})
        for index, tensor in enumerate(server.decode_all(arrived), start=len(rows) - len(part)):
            answers.receive(index, tensor)
    answers.finish()
    return rows


def _parts(images: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield images, uint8 [H, W, 3], in order: neighbours of one size, few enough to be analysed at once."""
    for shape, alike in groupby(images, key=lambda pixels: pixels.shape):
        count = max(1, min(_IMAGES_AT_ONCE, _PIXELS_AT_ONCE // (shape[0] * shape[1])))
        while part := list(islice(alike, count)):
            yield part


def _row(method: Method, device: DeviceHalf, latent: Any, payload: Payload, sizes: Mapping[str, int]) -> dict[str, Any]:
    return {
        "payload_bytes": payload.num_bytes,
        **sizes,
        "codec_header_bytes": method.codec_header_bytes(payload),
        "estimated_bits": method.estimate_bits(device, latent),
        "sc2bench_kb": sc2bench_kb(payload, method.upstream_size_rule),
        **method.side_measures(device, latent, payload),
    }


def _identity(job: RunningJob, method: Method) -> dict[str, Any]:
    return {
        "benchmark": job.keys["benchmark"],
        "task": job.spec["task"],
        "method": job.keys["method"],
        "method_title": job.spec["title"],
        "trained": bool(method.phases()),
        "rate_axis": method.rate_axis.name,
        "point": job.keys["point"],
        "curve": method.curve(job.keys["point"]),
        "seed": job.keys["seed"],
        "record_id": job.record_id,
    }


def summarise(samples: pd.DataFrame, quality: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the quality, the distribution of payload bytes, and means of the other columns (None if absent).

    Args:
        samples: One row per image, without the task's columns.
        quality: Summary of the split by the task's scorer.
    """
    summary: dict[str, Any] = {"images": len(samples), **quality}
    payload = distribution(samples["payload_bytes"].tolist())
    summary |= {f"payload_bytes_{name}": value for name, value in payload.items()}
    summary |= dict(_means(samples, _MEANS))
    upstream = distribution(samples["sc2bench_kb"].tolist())
    summary |= {"sc2bench_kb_mean": upstream["mean"], "sc2bench_kb_std": upstream["std"]}
    further = sorted(set(samples.columns) - set(_COLUMNS))
    return summary | {"side_measures": {name: distribution(samples[name].tolist())["mean"] for name in further}}


def _means(samples: pd.DataFrame, columns: tuple[str, ...]) -> Iterator[tuple[str, float | None]]:
    for column in columns:
        absent = bool(samples[column].isna().all())
        yield f"{column}_mean", None if absent else distribution(samples[column].tolist())["mean"]
