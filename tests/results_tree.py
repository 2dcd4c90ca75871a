"""A results folder as the workflow leaves it, of a small benchmark with numbers that are easy to follow.

Tables are written by the stage that makes them, records by the function that writes them.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from PIL import Image

from sc2.drawing import DrawingJob
from sc2.job import RunningJob
from sc2.jobs.stages import STAGES
from sc2.provenance.fingerprint import Fingerprint
from sc2.provenance.inputs import describe_inputs
from sc2.provenance.record import hashes_of, record_id, write_record
from sc2.report import end_to_end, tables
from tests.measured import write_samples

TITLES = {"webp": "WebP", "entropic_student": "Entropic <Student>", "local_model": "Local model"}
FACTS = [
    {"name": "webp", "family": "codec", "symbol": "q="},
    {"name": "entropic_student", "family": "student", "symbol": "β="},
    {"name": "local_model", "family": "corner", "symbol": "width "},
]
IMAGES = 200
TEACHER_TOP1 = 90.0
TEACHER_MACS = 10_000_000

# method, point: bytes, top-1 (%), encoder (KB), MACs, device and server (ms)
POINTS: dict[tuple[str, str], tuple[float, float, float, int, float, float]] = {
    ("webp", "10"): (300.0, 70.0, 0.0, 0, 0.5, 2.0),
    ("webp", "50"): (600.0, 85.0, 0.0, 0, 0.5, 2.0),
    ("webp", "90"): (1200.0, 89.0, 0.0, 0, 0.5, 2.0),
    ("entropic_student", "1"): (200.0, 88.0, 50.0, 5_000_000, 4.0, 1.5),
    ("entropic_student", "4"): (100.0, 80.0, 50.0, 5_000_000, 4.0, 1.5),
    ("local_model", "8"): (1.0, 86.0, 300.0, 9_000_000, 12.0, 0.0),
}
PER_BYTE = {("entropic_student", "4"): (50.0, 20.0)}
"""How much longer device and server take per byte (µs), where they do."""
TIMED = range(5, IMAGES, 12)
"""The images that were timed."""
SPREAD = 0.1
"""Bytes of an image differ by up to this part of their mean."""
FRAME = 3
"""Bytes of a packet besides its payload."""


def sizes(mean: float) -> list[int]:
    """Bytes of each image, spread evenly around a mean."""
    return [round(mean * (1 + SPREAD * (2 * i / (IMAGES - 1) - 1))) for i in range(IMAGES)]


def summary(benchmark: str, method: str, point: str) -> dict[str, Any]:
    size, top1, kb, macs, _, server = POINTS[method, point]
    payload = sizes(size)
    mean = sum(payload) / IMAGES
    keys = {"benchmark": benchmark, "task": "classification", "method": method, "point": point, "seed": "0"}
    own = {"method_title": TITLES[method], "trained": kb > 0, "rate_axis": "rate", "curve": "", "record_id": "a" * 16}
    shares = {f"payload_bytes_{name}": mean for name in ("mean", "std", "p50", "p95", "p99")}
    other = {"container_bytes_mean": mean + 20, "session_bytes_mean": mean + FRAME, "codec_header_bytes_mean": None}
    other |= {"estimated_bits_mean": None, "sc2bench_kb_mean": mean / 1024, "sc2bench_kb_std": 0.0}
    costs: dict[str, Any] = {
        "encoder_params": int(256 * kb),
        "encoder_param_bytes": int(1024 * kb),
        "encoder_table_bytes": 0,
    }
    costs |= {"encoder_table_bytes": 0, "sc2bench_encoder_kb": kb, "encoder_macs": macs, "device_model": "c0de"}
    costs |= {"server_params": 9 if server else 0, "server_macs": 9 if server else 0}
    return {**keys, **own, **shares, **other, **costs, "images": IMAGES, "top1_pct": top1, "top5_pct": 99.0}


def timed_images(method: str, point: str) -> list[dict[str, float]]:
    """The times of some images: those of one side rise with the bytes in its coder alone."""
    size, *_, device, server = POINTS[method, point]
    packets = [sizes(size)[index] + FRAME for index in TIMED]
    typical, rise = median(packets), PER_BYTE.get((method, point), (0.0, 0.0))
    rows = []
    for packet in packets:
        more = [slope / 1000 * (packet - typical) for slope in rise]
        device_ms = {"encoder_ms": 0.75 * device, "coder_encode_ms": 0.25 * device + more[0]}
        server_ms = {"coder_decode_ms": 0.5 * server + more[1], "server_ms": 0.5 * server}
        rows.append({"session_bytes": packet, **device_ms, **server_ms})
    return rows


def times(benchmark: str, method: str) -> dict[str, Any]:
    """A method's latency file."""
    rows = []
    for point in (point for other, point in POINTS if other == method):
        *_, device, server = POINTS[method, point]
        parts = {"encoder": 0.75 * device, "coder_encode": 0.25 * device, "coder_decode": 0.5 * server}
        parts |= {"server": 0.5 * server, "server_batch": 0.1}
        row: dict[str, Any] = {"point": point, "seed": "0", "server_batch": 10, "repeats": 30}
        row |= {"encoder_network": "", "server_network": "", "encoder_ms_p95": device, "coder_encode_ms_p95": device}
        for part, value in parts.items():
            row |= {f"{part}_ms_p50": value, f"{part}_ms_low": 0.9 * value, f"{part}_ms_high": 1.1 * value}
        row["images"] = timed_images(method, point)
        rows.append(row)
    machine = {"threads": 1, "cpu": "Some CPU", "record_id": "b" * 16, "cpu_share": 1.0, "load_per_core": 0.1}
    return {"benchmark": benchmark, "method": method, **machine, "loaded": method == "webp", "runs": rows}


COMMIT = {"commit": "c0ffee" + "0" * 34, "dirty": False, "dirty_sha256": None}
CODE = Fingerprint("d" * 64, {"sc2/x.py": "e" * 64})
PUBLISHED = [
    {"method": "webp", "curve": "", "place": place, "quantity": name, "value": value}
    for place, rate, top1 in ((0, 0.4, 75.0), (1, 0.9, 86.0))
    for name, value in (("sc2bench_kb", rate), ("top1_pct", top1))
]


def write(results: Path, benchmark: str = "b", git: Mapping[str, Any] = COMMIT) -> None:
    """Write the tree of a benchmark into a folder below the current one, to which paths in records are relative."""
    run_ids = [(method, point, "0") for method, point in POINTS]
    raw = results / "raw.txt"
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text("pixels")
    summaries, samples = [], []
    for method, point, seed in run_ids:
        folder = results / "evaluate" / benchmark / method / point / f"seed{seed}"
        summaries.append(_json(folder / "summary.json", summary(benchmark, method, point)))
        size, top1, *_ = POINTS[method, point]
        packets = {"session_bytes": [one + FRAME for one in sizes(size)]}
        samples.append(write_samples(folder / "samples.parquet", top1, sizes(size), IMAGES, **packets))
        keys = {"benchmark": benchmark, "method": method, "point": point, "seed": seed}
        made = {"samples": samples[-1], "summary": summaries[-1]}
        _job("evaluate", keys, {}, {"raw": [raw]}, made, folder / "evaluate.prov.json", git)
    inputs = {"summaries": summaries, "samples": samples, "switches": [], **_teacher(results, benchmark)}
    inputs["latencies"] = [
        _json(results / "latency" / benchmark / method / "latency.json", times(benchmark, method)) for method in TITLES
    ]
    folder = results / "tables" / benchmark
    folder.mkdir(parents=True)
    spec = {"methods": list(TITLES), "anchors": ["webp"], "orderings": {}, "published": []}
    spec |= {"runs": ["/".join(run) for run in run_ids]}
    outputs = {name: folder / f"{name}.csv" for name in STAGES["make_tables"].outputs}
    made_tables = _job("make_tables", {"benchmark": benchmark}, spec, inputs, {}, folder / "tables.prov.json", git)
    tables.run(RunningJob("make_tables", {"benchmark": benchmark}, spec, inputs, outputs, made_tables))
    _drawn(results, benchmark, git)


def _teacher(results: Path, benchmark: str) -> dict[str, list[Path]]:
    folder = results / "teachers" / benchmark / "seed0"
    its = {"benchmark": benchmark, "task": "classification", "teacher": "net", "seed": "0", "images": IMAGES}
    its |= {"top1_pct": TEACHER_TOP1, "top5_pct": 99.0, "params": 7, "macs": TEACHER_MACS, "record_id": "d" * 16}
    evaluation = _json(folder / "evaluation.json", its)
    samples = write_samples(folder / "samples.parquet", TEACHER_TOP1, 0, IMAGES)
    return {"teachers": [evaluation], "teacher_samples": [samples]}


def snapshot(reference: Path, benchmark: str = "s", without: tuple[str, ...] = ()) -> None:
    """Write a snapshot of another benchmark, as of a version whose tables lacked some columns, and the newer tables.

    Its folder is below the current one; results of a benchmark are there for a while.
    """
    results = reference / "results"
    write(results, benchmark)
    folder = reference / benchmark
    folder.mkdir()
    for name in ("rate_quality", "comparison", "latency", "teacher"):
        table = pd.read_csv(results / "tables" / benchmark / f"{name}.csv", dtype=str, keep_default_na=False)
        table.drop(columns=list(without), errors="ignore").to_csv(folder / f"{name}.csv", index=False)
    shutil.copy(results / "examples" / benchmark / "webp.webp", folder / "webp.webp")
    shutil.rmtree(results)
    spec = {"title": f"Digits {benchmark}", "config": "other.yaml"}
    _job("snapshot", {"benchmark": benchmark}, spec, {}, {}, folder / "snapshot.prov.json", COMMIT)


def _drawn(results: Path, benchmark: str, git: Mapping[str, Any]) -> None:
    """Write a figure's record and an example picture."""
    figure = results / "figures" / benchmark / "rate_accuracy.svg"
    picture = results / "examples" / benchmark / "webp.webp"
    for path in (figure, picture):
        path.parent.mkdir(parents=True)
    figure.write_text("<svg/>")
    Image.new("RGB", (8, 8), "teal").save(picture)
    spec: dict[str, Any] = {"figure": "rate_accuracy", "title": f"Digits {benchmark}", "methods": FACTS}
    spec |= {"published": PUBLISHED, "input_px": [32, 32]}
    keys = {"benchmark": benchmark, "figure": "rate_accuracy"}
    _job("plot_figure", keys, spec, {}, {"svg": figure}, figure.with_name("rate_accuracy.prov.json"), git)


def model(results: Path, benchmark: str = "b", uncommitted: bool = False) -> dict[str, Path]:
    """Run the stage `model_latency` on the tree."""
    folder = results / "channels" / benchmark
    folder.mkdir(parents=True)
    outputs = {name: folder / f"{name}.csv" for name in ("end_to_end", "break_even")}
    outputs |= {name: folder / f"latency.{name}" for name in ("svg", "png")}
    tables_of = {
        name: results / "tables" / benchmark / f"{name}.csv" for name in ("rate_quality", "latency", "teacher")
    }
    own = [[method, point, "0"] for method, point in POINTS]
    samples = [results / "evaluate" / benchmark / m / p / f"seed{s}" / "samples.parquet" for m, p, s in own]
    spec = {"title": f"Digits {benchmark}", "methods": FACTS, "runs": own}
    inputs: dict[str, Path | list[Path]] = {**tables_of, "samples": samples}
    job = DrawingJob("model_latency", {"benchmark": benchmark}, spec, inputs, outputs, "0" * 16)
    end_to_end.run(replace(job, uncommitted=uncommitted))
    return outputs


def _job(
    stage: str,
    keys: dict[str, str],
    spec: dict[str, Any],
    inputs: Mapping[str, list[Path]],
    outputs: dict[str, Path],
    record: Path,
    git: Mapping[str, Any],
) -> str:
    """Write the record of a job, and return its id."""
    described = describe_inputs(dict(inputs))
    identity = record_id(stage, keys, spec, CODE.digest, hashes_of(described))
    job = RunningJob(stage, keys, spec, dict(inputs), outputs, identity)
    command = ["python", "-m", "sc2", stage, "--config", "config/mine.yaml"]
    when = datetime(2026, 1, 1, tzinfo=UTC)
    write_record(
        record,
        job=job,
        code=CODE,
        job_id="planned",
        inputs=described,
        started=when,
        seconds=1.0,
        command=command,
        git=git,
    )
    return identity


def _json(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
