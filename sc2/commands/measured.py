"""Measurements that `sc2 plan` computes with: from a file that it wrote, or from what has been trained already."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sc2.config.resolved import Config
from sc2.errors import DataError, ProvenanceError
from sc2.jobs.plan import Run
from sc2.jobs.workload import Work
from sc2.provenance.record import Record, read_record
from sc2.system.atomic import replacing

FORMAT = 1


@dataclass
class Measured:
    """Step times and sizes of a file, and the machine that they are of.

    Attributes:
        hardware: Processor, cores, memory in GiB and GPUs, as in records.
        steps: By `Work.key`: `seconds`, `gpu_bytes`, `checkpoint_bytes` and `image_flops`, the operations of a step per
            image; or `problem`, why there are none.
        export_bytes: Bytes of both halves by `benchmark/method/curve`.
    """

    hardware: dict[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    export_bytes: dict[str, int] = field(default_factory=dict)

    def of_machine(self, hardware: Mapping[str, Any]) -> bool:
        """Whether they are of such a machine: one with the same GPUs or, without any, the same in everything.

        Steps on a GPU hardly depend on what is around it, which differs between the nodes of a cluster.
        """
        gpus = hardware.get("gpus")
        return bool(self.hardware.get("gpus") == gpus if gpus else self.hardware == dict(hardware))

    def save(self, path: Path) -> None:
        """Write them to a file, which is complete at any time."""
        content = {"format": FORMAT, **vars(self)}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_measured(path: Path) -> Measured:
    """Read a file of measurements.

    Raises:
        DataError: It is missing, or not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        return Measured(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no measurements ({error!r}); write them with: sc2 plan --measure {path}") from error


def machine(hardware: Mapping[str, Any]) -> str:
    """Return what a machine is called: its first GPU or, without one, its processor."""
    gpus = hardware.get("gpus") or []
    return str(gpus[0]) if gpus else f"one core of {hardware.get('cpu', 'an unknown processor')}"


def recorded_seconds(config: Config, work: Work, results: Path) -> list[tuple[float, str]]:
    """Return seconds and machine of trainings that have been done as they are planned, validation included."""
    method, found = config.benchmarks[work.benchmark].methods[work.method], []
    for run in work.runs:
        record = _record(results / "train" / folder_of(run) / f"{work.phase}.prov.json")
        planned = method.phase(work.phase, run.point).model_dump(mode="json")
        as_planned = {"phase": planned, "arithmetic": config.run.compute.changed}
        if record is not None and as_planned.items() <= {"arithmetic": {}, **record.spec}.items():
            found.append((record.seconds, machine(record.hardware)))
    return found


def typical(found: list[tuple[float, str]]) -> tuple[float, str] | None:
    """Return the mean seconds on the machine that most of the trainings ran on, None without any."""
    if not found:
        return None
    where = statistics.mode(name for _, name in found)
    return statistics.mean(seconds for seconds, name in found if name == where), where


def folder_of(run: Run) -> str:
    """Return the folder of a run below that of a stage."""
    return f"{run.benchmark}/{run.method}/{run.point}/seed{run.seed}"


def _record(path: Path) -> Record | None:
    try:
        return read_record(path) if path.is_file() else None
    except ProvenanceError:  # `sc2 verify` says so; it counts as not there
        return None
