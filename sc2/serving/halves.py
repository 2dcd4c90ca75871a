"""Several server halves in one process, and what they make of containers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sc2.errors import ConfigError, WireError
from sc2.runs.halves import load_server
from sc2.split.method import ServerHalf
from sc2.split.wire import Payload, read_header, unpack
from sc2.tasks import get_task
from sc2.tasks.base import Task


class UnknownHalf(WireError):
    """No server half belongs to the device half that a container names."""


@dataclass(frozen=True)
class Loaded:
    """A server half, ready to answer.

    Attributes:
        half: Decodes and answers.
        task: What it predicts.
        classes: Names of the classes.
        method: Name of the method.
        point: The operating point.
        fingerprint: What containers of its device half name, 8 bytes.
    """

    half: ServerHalf
    task: Task
    classes: Sequence[str]
    method: str
    point: str
    fingerprint: bytes

    def answer(self, payload: Payload) -> Any:
        """Return the prediction for one image.

        Raises:
            WireError: No device half of this server half makes such a payload.
        """
        [answer] = self.task.answers(self.half.answer(self.half.decode(payload)))
        return answer


def open_half(path: Path) -> Loaded:
    """Return the server half in a file, or in the folder that holds it.

    Raises:
        CheckpointError: It is no usable server half.
    """
    half, content = load_server(path)
    names = content["classes"], content["method"], content["point"]
    return Loaded(half, get_task(content["task"]), *names, bytes.fromhex(content["fingerprint"]))


@dataclass(frozen=True)
class Request:
    """One container and what is asked of it.

    Attributes:
        container: The bytes of the container.
        task: Only this task; None for all.
        top: How many classes or boxes are described.
    """

    container: bytes
    task: str | None = None
    top: int = 5


class ServerHalves:
    """Server halves by the device half that they belong to, and by task.

    Args:
        checkpoints: Files of server halves, or the folders that hold them.

    Raises:
        CheckpointError: A file is no usable server half.
        ConfigError: Two are for the same device half and task.
    """

    def __init__(self, checkpoints: Sequence[Path]) -> None:
        self.by_fingerprint: dict[bytes, dict[str, Loaded]] = {}
        for path in checkpoints:
            loaded = open_half(path)
            tasks = self.by_fingerprint.setdefault(loaded.fingerprint, {})
            if loaded.task.name in tasks:
                raise ConfigError(f"{path}: two server halves for the task {loaded.task.name} of the same device half")
            tasks[loaded.task.name] = loaded

    def listed(self) -> list[dict[str, Any]]:
        """Return what there is: the model that containers name, method, point, task."""
        return [
            {"model": fingerprint.hex(), "method": loaded.method, "point": loaded.point, "task": task}
            for fingerprint, tasks in self.by_fingerprint.items()
            for task, loaded in tasks.items()
        ]

    def answers(self, requests: Sequence[Request]) -> list[dict[str, Any] | WireError]:
        """Return the answer to each request, or why it is refused.

        Networks run once for all received tensors of the same half and size.

        Returns:
            `model`, and by task `answers` (JSON values) and `described` (text).
        """
        found: list[dict[str, Any] | WireError] = []
        waiting: dict[tuple[int, tuple[int, ...]], list[tuple[int, Tensor]]] = {}
        halves: dict[int, Loaded] = {}
        for index, request in enumerate(requests):
            try:
                received = [(loaded, loaded.half.decode(payload)) for loaded, payload in self._asked(request)]
            except WireError as error:
                found.append(error)
                continue
            found.append({"model": read_header(request.container).fingerprint.hex(), "answers": {}, "described": {}})
            for loaded, tensor in received:
                halves[id(loaded)] = loaded
                waiting.setdefault((id(loaded), tuple(tensor.shape)), []).append((index, tensor))
        for (half, _), batch in waiting.items():
            loaded = halves[half]
            outputs = loaded.task.answers(loaded.half.answer(torch.cat([tensor for _, tensor in batch])))
            for (index, _), answer in zip(batch, outputs, strict=True):
                entry = found[index]
                assert isinstance(entry, dict)
                entry["answers"][loaded.task.name] = loaded.task.as_json(answer, loaded.classes)
                described = loaded.task.describe(answer, loaded.classes, top=requests[index].top)
                entry["described"][loaded.task.name] = described
        return found

    def _asked(self, request: Request) -> list[tuple[Loaded, Payload]]:
        payload = unpack(request.container, None)
        fingerprint = read_header(request.container).fingerprint
        tasks = self.by_fingerprint.get(fingerprint)
        if tasks is None:
            raise UnknownHalf(
                f"no server half here belongs to the device half {fingerprint.hex()}; GET /health lists those that do"
            )
        if request.task is not None and request.task not in tasks:
            raise UnknownHalf(f"no server half for the task {request.task}; there are halves for: {', '.join(tasks)}")
        asked = tasks.values() if request.task is None else [tasks[request.task]]
        return [(loaded, payload) for loaded in asked]
