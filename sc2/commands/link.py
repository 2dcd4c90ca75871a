"""The two ends of the link as commands: an image to a container file, and a container file to an answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sc2.data.archive import LARGEST_IMAGE
from sc2.data.spec import InputSpec
from sc2.data.transform import decode_image, prepare_image
from sc2.errors import ConfigError, DataError, WireError
from sc2.runs.halves import load_device, load_server
from sc2.split.method import ServerHalf
from sc2.split.wire import pack, read_container, unpack
from sc2.tasks import get_task


def encode_file(checkpoint: Path, image: Path, output: Path) -> str:
    """Compress an image with a device half into a container file; returns one line for the user.

    Raises:
        CheckpointError: There is no usable device half.
        DataError: The image cannot be read or is larger than any image, or the container cannot be written.
    """
    device, content = load_device(checkpoint)
    spec = InputSpec.model_validate(content["input"])
    pixels = np.asarray(prepare_image(decode_image(_read_image(image), str(image)), spec))
    payload = device.encode(pixels)
    container = pack(payload, bytes.fromhex(content["fingerprint"]))
    try:
        output.write_bytes(container)
    except OSError as error:
        raise DataError(f"cannot write {output}: {error.strerror}") from error
    return f"{output}: {len(container)} bytes ({payload.num_bytes} payload), model {content['fingerprint']}"


def decode_file(
    checkpoints: Sequence[Path], container: Path, *, task: str | None = None, top: int, as_json: bool
) -> str:
    """Answer a container file with one or more server halves; returns the answers in words, or as JSON.

    Boxes and masks are in pixels of the network's input: how the image lies in it does not go over the link.

    Args:
        checkpoints: Server halves; several answer the same payload, each for its own task.
        container: What the device half wrote; no more of it is read than its header announces.
        task: Only the server halves of this task answer; all of them by default.
        top: Classes to name, or boxes to list, in words.
        as_json: JSON instead of words; by task where several answer.

    Raises:
        CheckpointError: There is no usable server half.
        ConfigError: No server half is of the task, or two are of the same.
        DataError: The container cannot be read.
        WireError: The container is damaged, or was written by another model's device half.
    """
    servers: dict[str, tuple[ServerHalf, dict[str, Any]]] = {}
    for path in checkpoints:
        half, content = load_server(path)
        if content["task"] in servers:
            raise ConfigError(f"{path}: two server halves are of the task {content['task']}; give one of each task")
        servers[content["task"]] = (half, content)
    if task is not None and task not in servers:
        raise ConfigError(f"no server half is of the task {task}; they are of: {', '.join(servers)}")
    asked = servers if task is None else {task: servers[task]}
    try:
        data = _read_container(container)
        answers = {name: _answer(*server, data) for name, server in asked.items()}
    except WireError as error:
        raise WireError(f"{container}: {error}") from error
    classes = {name: content["classes"] for name, (_, content) in asked.items()}
    if as_json:
        found = {name: get_task(name).as_json(answer, classes[name]) for name, answer in answers.items()}
        return json.dumps(found if len(found) > 1 else next(iter(found.values())))
    texts = {name: get_task(name).describe(answer, classes[name], top=top) for name, answer in answers.items()}
    return "\n".join(f"{name}:\n{text}" for name, text in texts.items()) if len(texts) > 1 else texts.popitem()[1]


def _answer(server: ServerHalf, content: dict[str, Any], container: bytes) -> Any:
    payload = unpack(container, bytes.fromhex(content["fingerprint"]))
    [answer] = get_task(content["task"]).answers(server.answer(server.decode(payload)))
    return answer


def _read_image(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_IMAGE + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > LARGEST_IMAGE:
        raise DataError(f"{path}: more than the {LARGEST_IMAGE} bytes that are read of an image")
    return data


def _read_container(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return read_container(file)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
