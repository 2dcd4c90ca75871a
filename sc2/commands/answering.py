"""Server halves by task, and what they make of payloads: the counterpart of `sc2.commands.sending`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sc2.errors import ConfigError, WireError
from sc2.serving.halves import Loaded, open_half
from sc2.split.wire import Payload


def open_servers(checkpoints: Sequence[Path], task: str | None) -> dict[str, Loaded]:
    """Return server halves by task.

    Args:
        checkpoints: At most one per task.
        task: Only the one for this task; None for all.

    Raises:
        CheckpointError: There is no usable server half.
        ConfigError: No server half is for the task, or two are for the same one.
    """
    servers: dict[str, Loaded] = {}
    for path in checkpoints:
        server = open_half(path)
        if server.task.name in servers:
            raise ConfigError(f"{path}: two server halves for the task {server.task.name}; use one for each task")
        servers[server.task.name] = server
    if task is not None and task not in servers:
        raise ConfigError(f"no server half for the task {task}; there are halves for: {', '.join(servers)}")
    return servers if task is None else {task: servers[task]}


def all_answers(servers: Mapping[str, Loaded], payloads: Mapping[str, Payload]) -> dict[str, Any]:
    """Return the prediction of each server half for one image.

    Raises:
        WireError: One of them cannot decode its payload; where there are several, the message says which.
    """
    answers = {}
    for name, server in servers.items():
        try:
            answers[name] = server.answer(payloads[name])
        except WireError as error:
            if len(servers) == 1:
                raise
            raise WireError(f"the server half for {name}: {error}; decode without it") from error
    return answers


def as_plain(servers: Mapping[str, Loaded], answers: Mapping[str, Any]) -> Any:
    """Return the predictions for one image as JSON values; by task if there are several."""
    by_task = {name: servers[name].task.as_json(answer, servers[name].classes) for name, answer in answers.items()}
    return by_task if len(by_task) > 1 else next(iter(by_task.values()))


def in_words(servers: Mapping[str, Loaded], answers: Mapping[str, Any], *, top: int) -> str:
    """Return the predictions for one image in words; under their task's name if there are several.

    Args:
        servers: The server halves by task.
        answers: Their predictions.
        top: Number of classes or boxes to list.
    """
    texts = {
        name: servers[name].task.describe(answer, servers[name].classes, top=top) for name, answer in answers.items()
    }
    return "\n".join(f"{name}:\n{text}" for name, text in texts.items()) if len(texts) > 1 else texts.popitem()[1]
