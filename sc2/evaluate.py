"""Stage `evaluate`: every test image through the device half, the container and the server half.

Sizes are those of real bytes: an image is encoded alone, packed, unpacked, checked and decoded; only the network behind
the decoder runs in batches.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.halves import load_device, load_server
from sc2.job import RunningJob
from sc2.measure.quality import accuracy_pct, topk_correct
from sc2.measure.rate import distribution, sc2bench_kb
from sc2.methods import get_method
from sc2.methods.base import DeviceHalf, Method, ServerHalf
from sc2.wire import pack, unpack

BATCH = 100
_COLUMNS = (
    *("id", "label", "payload_bytes", "container_bytes", "codec_header_bytes", "estimated_bits", "sc2bench_kb"),
    *("top1_correct", "top5_correct", "predicted"),
)
"""Columns that every method has; what a method measures besides comes after them."""


def run(job: RunningJob) -> None:
    """Write one row per test image and the summary over them."""
    torch.set_num_threads(job.threads)
    method = get_method(job.keys["method"])
    device, content = load_device(job.input("device"))
    server, _ = load_server(job.input("server"))
    store = SampleStore(job.input("index"), job.input("test"), "test")
    fingerprint = bytes.fromhex(content["fingerprint"])
    rows, logits = _send_all(job, method, device, server, fingerprint, store)
    samples = pd.DataFrame(rows)
    answers, labels = torch.cat(logits), torch.tensor(store.labels)
    samples["top1_correct"] = topk_correct(answers, labels, 1).numpy()
    samples["top5_correct"] = topk_correct(answers, labels, 5).numpy()
    samples["predicted"] = answers.argmax(1).numpy()
    samples.to_parquet(job.outputs["samples"], index=False)
    costs = json.loads(job.input("costs").read_text(encoding="utf-8"))
    summary = _identity(job, method) | summarise(samples) | costs
    job.outputs["summary"].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _send_all(
    job: RunningJob, method: Method, device: DeviceHalf, server: ServerHalf, fingerprint: bytes, store: SampleStore
) -> tuple[list[dict[str, Any]], list[Tensor]]:
    rows: list[dict[str, Any]] = []
    logits: list[Tensor] = []
    waiting: list[Tensor] = []
    bar = tqdm(range(len(store)), desc=job.label, leave=False, disable=not sys.stderr.isatty())
    for index in bar:
        pixels = np.asarray(prepare_image(store.image(index), job.spec["input"]))
        row, received = _send(method, device, server, fingerprint, pixels)
        rows.append({"id": store.samples[index].id, "label": store.labels[index], **row})
        waiting.append(received)
        if len(waiting) == BATCH or index == len(store) - 1:
            logits.append(server.answer(torch.cat(waiting)))
            waiting.clear()
    return rows, logits


def _send(
    method: Method, device: DeviceHalf, server: ServerHalf, fingerprint: bytes, pixels: np.ndarray
) -> tuple[dict[str, Any], Tensor]:
    latent = device.analyse(pixels)
    payload = device.code(latent)
    container = pack(payload, fingerprint)
    received = server.decode(unpack(container, fingerprint))
    row = {
        "payload_bytes": payload.num_bytes,
        "container_bytes": len(container),
        "codec_header_bytes": method.codec_header_bytes(payload),
        "estimated_bits": method.estimate_bits(device, latent),
        "sc2bench_kb": sc2bench_kb(payload, method.upstream_size_rule),
        **method.side_measures(device, latent, payload),
    }
    return row, received


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


def summarise(samples: pd.DataFrame) -> dict[str, Any]:
    """Return accuracy (percent), the distribution of payload bytes, and means of the other columns (None if absent)."""
    summary: dict[str, Any] = {
        "images": len(samples),
        "top1_pct": accuracy_pct(torch.tensor(samples["top1_correct"].to_numpy())),
        "top5_pct": accuracy_pct(torch.tensor(samples["top5_correct"].to_numpy())),
    }
    payload = distribution(samples["payload_bytes"].tolist())
    summary |= {f"payload_bytes_{name}": value for name, value in payload.items()}
    summary |= dict(_means(samples, ("container_bytes", "codec_header_bytes", "estimated_bits")))
    upstream = distribution(samples["sc2bench_kb"].tolist())
    summary |= {"sc2bench_kb_mean": upstream["mean"], "sc2bench_kb_std": upstream["std"]}
    further = sorted(set(samples.columns) - set(_COLUMNS))
    return summary | {"side_measures": {name: distribution(samples[name].tolist())["mean"] for name in further}}


def _means(samples: pd.DataFrame, columns: tuple[str, ...]) -> Iterator[tuple[str, float | None]]:
    for column in columns:
        absent = bool(samples[column].isna().all())
        yield f"{column}_mean", None if absent else distribution(samples[column].tolist())["mean"]
