"""Stage `draw_examples`: a few test images and what a method answers about them at falling rates, bytes below each.

The images are the first ones of the test split: chosen before anything was known about them.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sc2.data.geometry import Placement
from sc2.data.spec import InputSpec, SizeSpec
from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.drawing import DrawingJob
from sc2.report import style
from sc2.report.lettering import wrapped
from sc2.runs.halves import load_device, load_server
from sc2.split.wire import pack, unpack
from sc2.tasks import get_task
from sc2.tasks.base import Task

_CELL = 1.45
"""Width and height of a picture (inches)."""

_TITLE_CHARACTERS_PER_INCH = 13


@dataclass(frozen=True)
class Column:
    """A method at one point.

    Attributes:
        title: The point, for readers.
        payload_bytes: Of each image.
        answers: To each image, in pixels of the stored one.
    """

    title: str
    payload_bytes: list[int]
    answers: list[Any]


def run(job: DrawingJob) -> None:
    """Draw the examples of one method into `webp`; the halves are in the order of the spec's points."""
    torch.set_num_threads(job.threads)
    spec, task = job.spec, get_task(job.spec["task"])
    store = SampleStore(job.input("index"), job.input("test"), "test")
    indexes = range(min(spec["images"], len(store)))
    size = InputSpec.model_validate(spec["input"])
    columns, classes = [], []
    for point, device, server in zip(spec["points"], job.input_list("devices"), job.input_list("servers"), strict=True):
        (device_half, content), (server_half, of_server) = load_device(device), load_server(server)
        classes = of_server["classes"]
        sent = [_sent(task, store, index, size, device_half, server_half, content) for index in indexes]
        title = f"{spec['symbol']}{point}"
        columns.append(Column(title, [size for size, _ in sent], [answer for _, answer in sent]))
    columns.sort(key=lambda column: -sum(column.payload_bytes))
    title = f"{spec['method_title']} on {spec['title']}"
    with style.applied():
        figure = _figure(title, task, store, indexes, columns, classes)
    style.save_picture(figure, job.outputs["webp"], job.uncommitted)
    print(f"[{job.label}] drew {job.outputs['webp']}", file=sys.stderr, flush=True)


def _sent(
    task: Task, store: SampleStore, index: int, spec: SizeSpec, device: Any, server: Any, content: dict[str, Any]
) -> tuple[int, Any]:
    """Return the payload's bytes and the answer for one image, through the container."""
    image, fingerprint = store.image(index), bytes.fromhex(content["fingerprint"])
    payload = device.encode(np.asarray(prepare_image(image, spec)))
    [answer] = task.answers(server.answer(server.decode(unpack(pack(payload, fingerprint), fingerprint))))
    return payload.num_bytes, task.restored(answer, Placement.of(image.size, spec))


def _figure(
    title: str, task: Task, store: SampleStore, indexes: Sequence[int], columns: Sequence[Column], classes: list[str]
) -> Figure:
    width = _CELL * (1 + len(columns))
    figure = Figure(figsize=(width, _CELL * 1.13 * len(indexes) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    lines = wrapped(title, round(_TITLE_CHARACTERS_PER_INCH * width))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=9, color=style.INK)
    grid: list[list[Axes]] = figure.subplots(len(indexes), 1 + len(columns), squeeze=False).tolist()
    draw = importlib.import_module(f"sc2.report.pictures.{task.name}").draw
    for row, (index, cells) in enumerate(zip(indexes, grid, strict=True)):
        shown = [task.target(store, index), *(column.answers[row] for column in columns)]
        below = ["", *(f"{column.payload_bytes[row]:,} B" for column in columns)]
        for axes, content, text in zip(cells, shown, below, strict=True):
            axes.imshow(np.asarray(store.image(index)), interpolation="nearest")
            draw(axes, content, classes)
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(text, fontsize=8, labelpad=2)
            axes.grid(visible=False)
    for axes, text in zip(grid[0], ["truth", *(column.title for column in columns)], strict=True):
        axes.set_title(text, fontsize=8)
    return figure
