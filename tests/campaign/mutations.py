"""Damaged containers, BPG files, configurations and annotations: taken, or refused with an error of the project's."""

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sc2.bpg import decode as bpg
from sc2.config.load import load_config
from sc2.data import coco, voc
from sc2.errors import SC2Error
from sc2.methods import get_method
from sc2.split.method import ServerHalf
from sc2.split.wire import Payload, unpack
from sc2.tasks import get_task
from tests.campaign import generators
from tests.campaign.log import Entry, Log
from tests.campaign.pool import Batch, in_children
from tests.configuration import CONFIG
from tests.contract import conftest as contract
from tests.unit import test_data_coco, test_data_voc
from tests.unit.bpg_files import BPGENC_BLACK, FIXTURES

PART = "mutations"
LONGEST_S = 20
MIB = 512
"""What a batch may take on top of what its parent has."""
SIZE = 500
BPG_PIXELS = 2**20
FINGERPRINT = b"campaign"
INPUT = {"resize": 32, "crop": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
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


@dataclass(frozen=True)
class Wire:
    """A method's server half, and payloads of its device half."""

    server: ServerHalf
    payloads: Sequence[Payload]

    def read(self, number: int) -> None:
        """Decode and answer one damaged container."""
        data = generators.container(number, self.payloads, FINGERPRINT)
        get_task("classification").answers(self.server.answer(self.server.decode(unpack(data, FINGERPRINT))))


@cache
def wire_of(name: str) -> Wire:
    """Train a method for a few steps on the contract's tiny benchmark."""
    teacher, method = contract.teacher_of("classification"), get_method(name)
    case = contract.make_case(name, contract.points(method, "classification")[0], INPUT, teacher)
    chance = np.random.default_rng(0)
    images = (chance.integers(0, 256, (8, 8, 8, 3)).repeat(4, 1).repeat(4, 2) // 2).astype(np.uint8)
    for phase in method.phases():
        case.state = contract.train_phase(case, phase, images, torch.arange(8) % 3, seed=0)
    device = case.device()
    return Wire(case.server(), [device.encode(pixels) for pixels in images[:4]])


def wire_methods() -> list[str]:
    """Every method that supports the contract's first task."""
    return [name for task, name in contract.PAIRS if task == "classification"]


def read_bpg(number: int) -> None:
    """Decode one damaged BPG file."""
    chance = random.Random(f"bpg {number}")
    bpg.decode(generators.mutated(chance.choice(_bpg_files()), chance), BPG_PIXELS)


@cache
def _bpg_files() -> list[bytes]:
    corpus = Path(__file__).parents[1] / "corpus" / "bpg"
    own = [bytes.fromhex(data) for _, _, data, _ in FIXTURES.values()]
    return [BPGENC_BLACK, *own, *(path.read_bytes() for path in sorted(corpus.glob("*.bpg")))]


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


def containers(name: str, count: int) -> Kind:
    """Return the containers of a method."""
    return Kind(count, lambda number: wire_of(name).read(number), prepare=lambda: wire_of(name))


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
    methods = wire_methods()
    each = math.ceil(100_000 / len(methods))
    return {
        **{f"containers of {name}": containers(name, each) for name in methods},
        "BPG files": Kind(20_000, read_bpg),
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
