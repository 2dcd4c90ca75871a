"""Server halves, and what they make of payloads: the counterpart of `sc2.commands.sending`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc2.errors import ConfigError
from sc2.runs.halves import load_server
from sc2.split.method import ServerHalf
from sc2.split.wire import Payload
from sc2.tasks import get_task


@dataclass(frozen=True)
class Server:
    """A server half, ready to answer.

    Attributes:
        half: Turns payloads into predictions.
        task: The name of its task.
        classes: Their names.
        fingerprint: What containers of its device half name.
    """

    half: ServerHalf
    task: str
    classes: list[str]
    fingerprint: bytes

    def answer(self, payload: Payload) -> Any:
        """Return the prediction for one image.

        Raises:
            WireError: No device half of this server half makes such a payload.
        """
        [answer] = get_task(self.task).answers(self.half.answer(self.half.decode(payload)))
        return answer


def open_servers(checkpoints: Sequence[Path], task: str | None) -> dict[str, Server]:
    """Return server halves by task.

    Args:
        checkpoints: At most one per task.
        task: Only the one for this task; None for all.

    Raises:
        CheckpointError: There is no usable server half.
        ConfigError: No server half is for the task, or two are for the same one.
    """
    servers: dict[str, Server] = {}
    for path in checkpoints:
        half, content = load_server(path)
        if content["task"] in servers:
            raise ConfigError(f"{path}: two server halves for the task {content['task']}; use one for each task")
        fingerprint = bytes.fromhex(content["fingerprint"])
        servers[content["task"]] = Server(half, content["task"], content["classes"], fingerprint)
    if task is not None and task not in servers:
        raise ConfigError(f"no server half for the task {task}; there are halves for: {', '.join(servers)}")
    return servers if task is None else {task: servers[task]}


def as_plain(servers: Mapping[str, Server], answers: Mapping[str, Any]) -> Any:
    """Return the predictions for one image as JSON values; by task if there are several."""
    by_task = {name: get_task(name).as_json(answer, servers[name].classes) for name, answer in answers.items()}
    return by_task if len(by_task) > 1 else next(iter(by_task.values()))


def in_words(servers: Mapping[str, Server], answers: Mapping[str, Any], *, top: int) -> str:
    """Return the predictions for one image in words; under their task's name if there are several.

    Args:
        servers: The server halves by task.
        answers: Their predictions.
        top: Number of classes or boxes to list.
    """
    texts = {name: get_task(name).describe(answer, servers[name].classes, top=top) for name, answer in answers.items()}
    return "\n".join(f"{name}:\n{text}" for name, text in texts.items()) if len(texts) > 1 else texts.popitem()[1]
