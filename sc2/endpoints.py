"""The two ends of the link as commands: an image to a container file, and a container file to an answer."""

import json
import math
from pathlib import Path

import numpy as np

from sc2.data.transform import decode_image, prepare_image
from sc2.errors import DataError, WireError
from sc2.halves import load_device, load_server
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
    """Answer a container file with a server half; returns the classes with the largest probabilities, or JSON.

    Raises:
        CheckpointError: There is no usable server half.
        WireError: The container is damaged, or was written by another model's device half.
    """
    server, content = load_server(checkpoint)
    try:
        payload = unpack(_read(container), bytes.fromhex(content["fingerprint"]))
        logits = server.answer(server.decode(payload))[0]
    except WireError as error:
        raise WireError(f"{container}: {error}") from error
    classes = content["classes"]
    if as_json:
        # JSON has no infinity: null for the classes that the device did not send, where it sends labels.
        shown = [value if math.isfinite(value) else None for value in logits.tolist()]
        return json.dumps({"class": classes[int(logits.argmax())], "index": int(logits.argmax()), "logits": shown})
    probabilities = logits.softmax(0)
    offered = int((~logits.isneginf()).sum())
    best = probabilities.argsort(descending=True)[: min(top, offered)].tolist()
    return "\n".join(f"{classes[index]:<24} {100 * float(probabilities[index]):6.2f} %" for index in best)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
