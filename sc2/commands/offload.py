"""`sc2 offload`: a device half encodes images, a server answers. torch is not imported for an artifact."""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sc2.commands.sending import open_device, read_image
from sc2.commands.tokens import read_token
from sc2.device.adaptive import Channel, Option, choose
from sc2.device.client import Client, Settings
from sc2.errors import ConfigError


@dataclass(frozen=True)
class Sent:
    """An image's container.

    Attributes:
        device: The half that made it.
        container: Its bytes.
        encode_ms: How long that took.
        labels: The best classes, where the device has them itself; None otherwise.
    """

    device: Path
    container: bytes
    encode_ms: float
    labels: list[int] | None


class Choice:
    """The device halves that an image may be encoded with, the best first; which one, its latencies decide.

    Args:
        arguments: Those of the command.

    Raises:
        CheckpointError: A device half cannot be used.
        ConfigError: Several halves without a deadline.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        if len(arguments.device) > 1 and arguments.adaptive is None:
            raise ConfigError("several device halves need --adaptive MS, a deadline by which one is chosen per image")
        self._devices = {path: open_device(path, arguments.rate) for path in arguments.device}
        self._budget, self._deadline_ms = arguments.budget, arguments.adaptive
        self._options: dict[Path, Option] = {}
        self._channel = Channel()

    def send(self, data: bytes, name: str) -> Sent:
        """Return the container of an image file."""
        paths = list(self._devices)
        if len(paths) == 1:
            return self._encoded(paths[0], data, name)
        # Of a half that has not encoded yet nothing is known.
        sent = {path: self._encoded(path, data, name) for path in paths if path not in self._options}
        chosen = paths[choose(list(self._options.values()), self._channel, self._deadline_ms)]
        return sent.get(chosen) or self._encoded(chosen, data, name)

    def answered(self, sent: Sent, ms: float) -> None:
        """Note how long the answer took."""
        self._channel.add(len(sent.container), ms)

    def _encoded(self, path: Path, data: bytes, name: str) -> Sent:
        start = time.perf_counter()
        container, payload = self._devices[path].container(data, name, budget=self._budget)
        ms = 1000 * (time.perf_counter() - start)
        labels = self._devices[path].labels(payload) if len(self._devices) > 1 else None
        self._options[path] = Option(len(container), ms, local=labels is not None)
        return Sent(path, container, ms, labels)


def offload(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield what the server answers for each image, in words or as JSON.

    Args:
        arguments: Those of the command.

    Raises:
        CheckpointError: There is no usable device half.
        ConfigError: The half does not have the rate, or an image fits into the budget at no rate.
        DataError: An image cannot be read.
        ServerError: The server cannot be reached, or refuses.
    """
    token = None if arguments.token_file is None else read_token(arguments.token_file)
    client = Client(arguments.server, Settings(arguments.timeout, arguments.retries, token, arguments.ca))
    choice = Choice(arguments)
    try:
        for path in arguments.images:
            sent = choice.send(read_image(path), str(path))
            start = time.perf_counter()
            if sent.labels is None:
                answer = client.ask(sent.container, task=arguments.task, top=arguments.top)
                choice.answered(sent, 1000 * (time.perf_counter() - start))
            else:
                # Nothing is sent: the device knows.
                answer = {"labels": sent.labels, "described": {"device": f"class {sent.labels[0]}"}}
            yield from _lines(arguments, path, sent, 1000 * (time.perf_counter() - start), answer)
    finally:
        client.close()


def _lines(arguments: argparse.Namespace, path: Path, sent: Sent, ms: float, answer: dict[str, Any]) -> Iterator[str]:
    if arguments.json:
        took = {"device": str(sent.device), "encode_ms": sent.encode_ms, "answer_ms": ms}
        yield json.dumps({"image": str(path), "bytes": len(sent.container), **took, **answer})
        return
    yield f"{path}: {len(sent.container)} bytes, encoded in {sent.encode_ms:.1f} ms, answered in {ms:.1f} ms"
    for task, text in answer["described"].items():
        yield f"{task}:\n{text}" if len(answer["described"]) > 1 else text
