"""Damaged containers, packets, BPG files, configurations and annotations: taken, or refused with an own error."""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from sc2.bpg import decode as bpg
from sc2.config.load import load_config
from sc2.data import coco, voc
from sc2.errors import SC2Error
from sc2.methods import method_names
from sc2.split.method import ServerHalf
from sc2.split.wire import Payload
from tests.campaign import generators
from tests.campaign.log import Entry, Log
from tests.campaign.pool import Batch, in_children
from tests.configuration import CONFIG
from tests.mutations import bpg_file, container, packet, read_container, read_packet
from tests.tiny_halves import tiny_halves, tiny_payload
from tests.unit import test_data_coco, test_data_voc

PART = "mutations"
LONGEST_S = 20
MIB = 512
"""What a batch may take on top of what its parent has."""
SIZE = 500
BPG_PIXELS = 2**20
RUN_FILES = ("quick.yaml", "voc.yaml", "imagenette.yaml")

Read = Callable[[int], Any]
"""Reads the damaged input of a number, or raises."""


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        count: How many are tried.
        read: Makes and reads one.
        named: What the message of a refusal has to hold.
        prepare: Called once, before any child is started.
    """

    count: int
    read: Read
    named: str = ""
    prepare: Callable[[], Any] | None = None


def attempt(kinds: Mapping[str, Kind], kind: str, number: int) -> str:
    """Read one damaged input; an error that is not the project's goes on to the caller.

    Raises:
        AssertionError: The message does not name the file.
    """
    try:
        kinds[kind].read(number)
    except SC2Error as error:
        if kinds[kind].named not in str(error):
            raise AssertionError(f"the message names no file: {error}") from error
        return "refused"
    return "taken"


@cache
def wire_of(name: str) -> tuple[ServerHalf, list[Payload]]:
    """Return a method's server half, and payloads of its device half."""
    device, server = tiny_halves(name)
    return server, [tiny_payload(name, device, seed) for seed in range(4)]


def containers(name: str, count: int) -> Kind:
    """Return the containers of a method."""

    def read(number: int) -> None:
        server, payloads = wire_of(name)
        read_container(server, container(payloads[number % len(payloads)], number))

    return Kind(count, read, prepare=lambda: wire_of(name))


def packets(name: str, count: int) -> Kind:
    """Return the sessions of a method, of one packet each."""

    def read(number: int) -> None:
        server, payloads = wire_of(name)
        read_packet(server, packet(payloads[number % len(payloads)], number))

    return Kind(count, read, prepare=lambda: wire_of(name))


def bpg_files(count: int) -> Kind:
    """Return BPG files."""
    return Kind(count, lambda number: bpg.decode(bpg_file(number), BPG_PIXELS), prepare=lambda: bpg_file(0))


@dataclass(frozen=True)
class Configurations:
    """A copy of the configuration, of which one file at a time is damaged."""

    folder: Path

    def read(self, number: int) -> None:
        """Load a run file that a damaged file is a part of."""
        names = self.names()
        run_file, name = names[number % len(names)]
        path = self.folder / str(os.getpid()) / "config"
        if not path.exists():
            shutil.copytree(CONFIG, path)
        content = (CONFIG / name).read_bytes()
        (path / name).write_bytes(generators.yaml_file(number, content))
        try:
            load_config(path / run_file)
        finally:
            (path / name).write_bytes(content)

    @staticmethod
    @cache
    def names() -> list[tuple[str, str]]:
        """Run files, each with a file that it reads."""
        found = []
        for run_file in RUN_FILES:
            config = load_config(CONFIG / run_file)
            files = {run_file, *(f"datasets/{name}.yaml" for name in config.datasets)}
            for name, benchmark in config.benchmarks.items():
                files |= {f"benchmarks/{name}.yaml", *(f"methods/{method}.yaml" for method in benchmark.methods)}
            found += [(run_file, name) for name in sorted(files)]
        return found


COCO = json.dumps(test_data_coco.instances("val2017")).encode()
VOC = test_data_voc.xml(test_data_voc.entry(), test_data_voc.entry("cat"))


def annotations(count: int) -> dict[str, Kind]:
    """Return annotation files of both formats, so many of each."""

    def read_voc(number: int) -> None:
        voc.read_boxes("a.xml", generators.xml_file(number, VOC), (12, 8))

    def read_coco(number: int) -> None:
        coco.read_instances("a.json", generators.json_file(number, COCO))

    return {
        "annotations of VOC": Kind(count, read_voc, "a.xml"),
        "annotations of COCO": Kind(count, read_coco, "a.json"),
    }


def all_kinds(folder: Path) -> dict[str, Kind]:
    """Return what the whole campaign tries.

    Args:
        folder: For copies of the configuration.
    """
    methods = method_names()
    each = math.ceil(100_000 / len(methods))
    return {
        **{f"containers of {name}": containers(name, each) for name in methods},
        **{f"packets of {name}": packets(name, math.ceil(each / 5)) for name in methods},
        "BPG files": bpg_files(20_000),
        "configurations": Kind(10_000, Configurations(folder).read, str(folder)),
        **annotations(5_000),
    }


def run(log: Log, kinds: Mapping[str, Kind], *, workers: int) -> None:
    """Read damaged inputs of some kinds; results go to the log."""
    torch.set_num_threads(1)
    done = log.done(PART)

    def batches() -> Iterator[Batch]:
        for name, kind in kinds.items():
            found = [Batch(name, at, min(SIZE, kind.count - at)) for at in range(0, kind.count, SIZE)]
            asked = [batch for batch in found if batch.name not in done]
            if asked and kind.prepare is not None:
                kind.prepare()
            yield from asked

    tried = in_children(batches(), lambda *trial: attempt(kinds, *trial), workers=workers, seconds=LONGEST_S, mib=MIB)
    for batch in tried:
        log.add(Entry.of(PART, batch))
