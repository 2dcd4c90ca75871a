"""Tiny exported runs on disk, as `sc2 serve` and `sc2 offload` take them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sc2.checkpoint import save_atomically
from sc2.commands.sending import open_device
from sc2.methods import get_method
from sc2.runs.halves import device_fingerprint
from tests.contract.conftest import Case, eight_images, make_case, points, teacher_of
from tests.tiny_halves import tiny_case


def tiny_run(name: str, folder: Path, spec: dict[str, Any] | None = None) -> Path:
    """Write both halves of a method at its smallest."""
    return write_run(tiny_case(name, spec=spec), folder)


def write_run(case: Case, folder: Path) -> Path:
    """Write both halves of a case."""
    exported = case.export()
    device, server, spec = exported.device.plain(), exported.server.plain(), case.context.input
    common = {
        "method": case.name,
        "point": case.context.point,
        "input": spec.model_dump(mode="json"),
        "fingerprint": device_fingerprint(case.name, device, spec),
        "task": case.task,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_atomically({"kind": "device", **common, "half": device}, folder / "device.pt")
    content = {"kind": "server", **common, "classes": case.context.teacher.classes, "half": server}
    save_atomically(content, folder / "server.pt")
    return folder


def codec_run(task: str, folder: Path, spec: dict[str, Any], point: str | None = None) -> Path:
    """Write both halves of JPEG on a task: one payload serves all of them."""
    return write_run(make_case("jpeg", point or points(get_method("jpeg"), task)[0], spec, teacher_of(task)), folder)


def images_of(run: Path, count: int) -> list[bytes]:
    """Return containers of a run's device half, of `count` different images."""
    import io

    device, containers = open_device(run), []
    for index in range(count):
        buffer = io.BytesIO()
        Image.fromarray(np.roll(eight_images()[index % 8], index, axis=0)).save(buffer, format="PNG")
        containers.append(device.container(buffer.getvalue(), f"image {index}")[0])
    return containers
