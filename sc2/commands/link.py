"""`sc2 encode` and `sc2 decode`: from an image to a container file, and from there to predictions."""

import json
from collections.abc import Sequence
from pathlib import Path

from sc2.commands.sending import open_device, read_image, write_file
from sc2.errors import DataError, WireError
from sc2.split.wire import read_container, unpack


def encode_file(
    checkpoint: Path, image: Path, output: Path, *, rate: str | None = None, budget: int | None = None
) -> str:
    """Compress an image with a device half into a container file, and return one line for the user.

    Args:
        checkpoint: The device half, or its artifact.
        image: The image's file.
        output: The file to write.
        rate: Another operating point of a half with several.
        budget: Most bytes of the file: the highest rate that fits is sent.

    Raises:
        CheckpointError: There is no usable device half.
        ConfigError: The half does not have this rate, or none that fits into the budget.
        DataError: The image cannot be read or is too large, or the container cannot be written.
    """
    device = open_device(checkpoint, rate)
    container, payload = device.container(read_image(image), str(image), budget=budget)
    write_file(output, container)
    return f"{output}: {len(container)} bytes ({payload.num_bytes} payload), model {device.fingerprint.hex()}"


def decode_file(
    checkpoints: Sequence[Path], container: Path, *, task: str | None = None, top: int, as_json: bool
) -> str:
    """Return the predictions of one or more server halves for a container file, in words or as JSON.

    Boxes and masks are in pixels of the network's input: the image's placement in it is not transmitted.

    Args:
        checkpoints: Server halves, at most one per task, that all decode the same payload.
        container: File written by the device half; no more of it is read than its header announces.
        task: Use only the server half for this task; by default all are used.
        top: Number of classes or boxes to list in words.
        as_json: Whether to return JSON instead of words; by task if there are several.

    Raises:
        CheckpointError: There is no usable server half.
        ConfigError: No server half is for the task, or two are for the same one.
        DataError: The container cannot be read.
        WireError: The container is damaged, or was written by another model's device half.
    """
    from sc2.commands.answering import all_answers, as_plain, in_words, open_servers

    servers = open_servers(checkpoints, task)
    try:
        data = _read_container(container)
        payloads = {name: unpack(data, server.fingerprint) for name, server in servers.items()}
        answers = all_answers(servers, payloads)
    except WireError as error:
        raise WireError(f"{container}: {error}") from error
    return json.dumps(as_plain(servers, answers)) if as_json else in_words(servers, answers, top=top)


def _read_container(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return read_container(file)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
