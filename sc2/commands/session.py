"""`sc2 encode --session` and `sc2 decode` of a session file: many images, one fingerprint and shape."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from sc2.commands.sending import open_device, read_image, write_file
from sc2.errors import ConfigError, DataError, WireError
from sc2.split.session_file import SessionReader, SessionWriter, framed


def encode_session(
    checkpoint: Path, images: Sequence[Path], output: Path, *, rate: str | None = None, budget: int | None = None
) -> Iterator[str]:
    """Compress images with a device half into a session file, and yield a line for each and one for all of them.

    The file is written when all images are encoded: after an error there is none.

    Args:
        checkpoint: The device half, or its artifact.
        images: The images' files, at least one.
        output: The file to write.
        rate: Another operating point of a half with several.
        budget: Most bytes of each packet, without the length before it: the highest rate that fits is sent.

    Raises:
        CheckpointError: There is no usable device half.
        ConfigError: The half does not have this rate, or for an image none that fits into the budget.
        DataError: An image cannot be read or is too large, or the file cannot be written.
        WireError: An image's payload does not fit into the session that the first one began.
    """
    device = open_device(checkpoint, rate)
    if not output.parent.is_dir():
        raise DataError(f"cannot write {output}: there is no folder {output.parent}; create it")
    file = io.BytesIO()
    writer = SessionWriter(file, device.fingerprint)
    for number, image in enumerate(images):
        data = read_image(image)
        try:
            payload = device.payload(data, str(image), budget=budget, sent_bytes=writer.packet_bytes)
            packet = writer.add(payload)
        except (ConfigError, WireError) as error:
            raise type(error)(f"{image}: {error}") from error
        sizes = f"packet {len(packet)}, payload {payload.num_bytes}"
        yield f"image {number}, {image}: {len(framed(packet))} bytes ({sizes})"
    end_bytes, content = writer.end(), file.getvalue()
    write_file(output, content)
    yield (
        f"{output}: {len(content)} bytes for {writer.packets} image{'s' * (writer.packets > 1)} "
        f"(hello {writer.hello_bytes}, end {end_bytes}), model {device.fingerprint.hex()}"
    )


def decode_session(
    checkpoints: Sequence[Path], path: Path, *, task: str | None = None, top: int, as_json: bool
) -> Iterator[str]:
    """Yield the predictions of one or more server halves for each image of a session file, in words or as JSON.

    Each is yielded before the next packet is read: where a file is damaged, those before the damage have been.

    Args:
        checkpoints: Server halves, at most one per task, that all decode the same payloads.
        path: The session file.
        task: Use only the server half for this task; by default all are used.
        top: Number of classes or boxes to list in words.
        as_json: Whether to yield a line of JSON for each image: its number (`image`, from 0), and under `answer` what
            `decode_file` returns for a container.

    Raises:
        CheckpointError: There is no usable server half.
        ConfigError: No server half is for the task, or two are for the same one.
        DataError: The file cannot be read.
        WireError: The file is damaged, truncated, or of another model. The message names the file and the packet.
    """
    from sc2.commands.answering import all_answers, as_plain, in_words, open_servers

    servers = open_servers(checkpoints, task)
    try:
        with path.open("rb") as file:
            for received in SessionReader(file, [server.fingerprint for server in servers.values()]):
                try:
                    answers = all_answers(servers, dict.fromkeys(servers, received.payload))
                except WireError as error:
                    raise WireError(f"packet {received.number}: {error}") from error
                if as_json:
                    yield json.dumps({"image": received.number, "answer": as_plain(servers, answers)})
                else:
                    yield f"image {received.number}:\n{in_words(servers, answers, top=top)}"
    except WireError as error:
        raise WireError(f"{path}: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
