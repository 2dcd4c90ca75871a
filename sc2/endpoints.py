"""The two ends of the link as commands: an image to a container file, and a container file to an answer."""

import json
from pathlib import Path

import numpy as np

from sc2.data.transform import decode_image, prepare_image
from sc2.errors import DataError, WireError
from sc2.halves import load_device, load_server
from sc2.tasks import get_task
from sc2.wire import pack, unpack


def encode_file(checkpoint: Path, image: Path, output: Path) -> str:
    """Compress an image with a device half into a container file; returns one line for the user.

    Raises:
        CheckpointError: There is no usable device half.
        DataError: The image cannot be read, or the container not be written.
    """
    device, content = load_device(checkpoint)
    pixels = np.asarray(prepare_image(decode_image(_read(image), str(image)), content["input"]))
    payload = device.encode(pixels)
    container = pack(payload, bytes.fromhex(content["fingerprint"]))
    try:
        output.write_bytes(container)
    except OSError as error:
        raise DataError(f"cannot write {output}: {error.strerror}") from error
    return f"{output}: {len(container)} bytes ({payload.num_bytes} payload), model {content['fingerprint']}"


def decode_file(checkpoint: Path, container: Path, *, top: int, as_json: bool) -> str:
    """Answer a container file with a server half; returns the answer in words, or as JSON.

    Boxes and masks are in pixels of the network's input: how the image lies in it does not go over the link.

    Raises:
        CheckpointError: There is no usable server half.
        WireError: The container is damaged, or was written by another model's device half.
    """
    server, content = load_server(checkpoint)
    task = get_task(content["task"])
    try:
        payload = unpack(_read(container), bytes.fromhex(content["fingerprint"]))
        [answer] = task.answers(server.answer(server.decode(payload)))
    except WireError as error:
        raise WireError(f"{container}: {error}") from error
    if as_json:
        return json.dumps(task.as_json(answer, content["classes"]))
    return task.describe(answer, content["classes"], top=top)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
