"""Damaged containers, packets and BPG files by seed, and a run that counts how they end.

    python -m tests.mutations --kind containers --start 0 --count 100000
    python -m tests.mutations --kind packets --count 100000
    python -m tests.mutations --kind bpg --count 20000

The same seed is the same file. A file must be read or end in a `WireError`; anything else, a warning too, is a failure
and ends the run with the seed.
"""

import argparse
import binascii
import json
import random
import resource
import struct
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from sc2.bpg.decode import decode
from sc2.bpg.encode import encode
from sc2.errors import WireError
from sc2.methods import method_names
from sc2.split.method import ServerHalf
from sc2.split.session import PACKET_CRC_BYTES, SESSION_BYTES, DeviceSession, ServerSession
from sc2.split.wire import VERSION, Payload, pack, unpack
from sc2.tasks import get_task
from tests.tiny_halves import tiny_halves, tiny_payload
from tests.unit.bpg_files import BPGENC_BLACK, FIXTURES, photograph

FINGERPRINT = bytes(range(8))
CORPUS = Path(__file__).parent / "corpus" / "bpg"
_NUMBERS = (0, 1, 2, 3, 5, 16, 127, 128, 255, 1024, 65_535, 2**31 - 1, 2**31, 2**32 - 1)
_FLOATS = (0.0, -0.0, 1e-45, 1.0, -3.4e38, 3.4e38, float("inf"), float("nan"))


T = TypeVar("T")


@dataclass
class Ends:
    """How files ended.

    Attributes:
        read: Files that were read.
        refused: Files that ended in a `WireError`.
        slowest_s: Time of the slowest one, seconds.
        memory_mib: By how much the largest memory of the process grew, MiB.
    """

    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    memory_mib: float = 0.0


class Foreign(AssertionError):
    """A file that was neither read nor refused with an error of the project."""


def damaged(data: bytes, generator: random.Random) -> bytes:
    """Return bytes with one to four changes: bits, numbers, pieces taken out, doubled or put in, the end lost."""
    out = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        at = generator.randrange(len(out) + 1)
        length = generator.choice((1, 1, 2, 4, 16, 64))
        match generator.randrange(7):
            case 0 if out:
                out[at % len(out)] ^= 1 << generator.randrange(8)
            case 1 if out:
                out[at % len(out)] = generator.choice((0, 1, 127, 128, 254, 255, generator.randrange(256)))
            case 2 if generator.random() < 0.5:
                at -= at % 4
                out[at : at + 4] = struct.pack("<f", generator.choice(_FLOATS))
            case 2:
                out[at : at + 4] = struct.pack(generator.choice("<>") + "I", generator.choice(_NUMBERS))
            case 3:
                del out[at : at + length]
            case 4:
                out[at:at] = out[at : at + length]
            case 5:
                out[at:at] = generator.randbytes(length)
            case _:
                del out[at:]
    return bytes(out)


def container(payload: Payload, seed: int) -> bytes:
    """Return a damaged container: in most cases with a right checksum, around a damaged payload."""
    generator = random.Random(seed)
    if generator.random() < 0.2:
        return damaged(pack(payload, FINGERPRINT), generator)
    streams, shape = list(payload.streams), list(payload.shape)
    match generator.randrange(6):
        case 0 if shape:
            shape[generator.randrange(len(shape))] = generator.choice(_NUMBERS)
        case 1:
            shape = [generator.choice(_NUMBERS) for _ in range(generator.randrange(4))]
        case 2:
            at = generator.randrange(len(streams) + 1)
            streams[at : at + generator.randrange(2)] = [
                generator.randbytes(generator.randrange(40))
            ] * generator.randrange(3)
        case 3:
            generator.shuffle(streams)
            generator.shuffle(shape)
        case _:
            pass
    for _ in range(generator.choice((0, 1, 1, 2))):
        index = generator.randrange(len(streams) + 1)
        streams[index : index + 1] = [damaged(stream, generator) for stream in streams[index : index + 1]]
    return pack(Payload(tuple(streams), tuple(shape), generator.choice((1, *[VERSION] * 3))), FINGERPRINT)


def packet(payload: Payload, seed: int) -> tuple[bytes, bytes]:
    """Return the hello of a session and a damaged packet: in most cases with a right checksum, or a damaged hello."""
    generator = random.Random(seed)
    hello = DeviceSession(FINGERPRINT, payload, generator.randbytes(SESSION_BYTES)).hello
    usual = Payload(payload.streams, (*payload.shape[:-1], generator.choice(_NUMBERS)) if payload.shape else ())
    whole = DeviceSession(FINGERPRINT, payload, hello[14 : 14 + SESSION_BYTES])
    sent = whole.packet(generator.choice((payload, usual)))
    match generator.randrange(6):
        case 0:
            return damaged(hello, generator), sent
        case 1:
            return hello, damaged(sent, generator)
        case _:
            body = damaged(sent[:-PACKET_CRC_BYTES], generator)
            crc = binascii.crc_hqx(hello + bytes(8) + body, 0xFFFF)
            return hello, body + crc.to_bytes(PACKET_CRC_BYTES, "little")


def read_packet(server: ServerHalf, messages: tuple[bytes, bytes]) -> None:
    """Do with a hello and a packet what a server does.

    Raises:
        WireError: One is refused.
    """
    hello, sent = messages
    latent = server.decode(ServerSession(hello, FINGERPRINT).receive(sent, after_loss=True).payload)
    assert len(get_task("classification").answers(server.answer(latent))) == 1


@cache
def bpg_files() -> list[bytes]:
    """Whole files of all kinds, small ones."""
    made = [encode(photograph(width, height), qp) for width, height, qp in ((40, 24, 35), (9, 1, 10), (65, 63, 51))]
    fixtures = [bytes.fromhex(file) for _, _, file, _ in FIXTURES.values()]
    return [
        BPGENC_BLACK,
        *made,
        *fixtures,
        *((CORPUS / f"{name}.bpg").read_bytes() for name in ("hash", "lossless_jctvc_a")),
    ]


def bpg_file(seed: int) -> bytes:
    """Return a damaged BPG file."""
    generator = random.Random(seed)
    return damaged(generator.choice(bpg_files()), generator)


def read_container(server: ServerHalf, data: bytes) -> None:
    """Do with a container what `sc2 decode` does.

    Raises:
        WireError: It is refused.
    """
    latent = server.decode(unpack(data, FINGERPRINT))
    assert len(get_task("classification").answers(server.answer(latent))) == 1


def ends(files: Iterable[tuple[int, T]], read: Callable[[T], object]) -> Ends:
    """Read files, each with its seed, and count how that ends.

    Raises:
        Foreign: A file ended in anything but a `WireError`.
    """
    counts, before = Ends(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed, data in files:
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(data)
            counts.read += 1
        except WireError:
            counts.refused += 1
        except Exception as error:
            raise Foreign(f"seed {seed}: {type(error).__name__}: {error}; the file: {_hex(data)[:4000]}") from error
        counts.slowest_s = max(counts.slowest_s, time.perf_counter() - start)
    counts.memory_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return counts


def _hex(data: object) -> str:
    return data.hex() if isinstance(data, bytes) else str(data)


def container_ends(name: str, seeds: Iterable[int]) -> Ends:
    """Read damaged containers of a method."""
    device, server = tiny_halves(name)
    whole = [tiny_payload(name, device, seed) for seed in range(4)]
    read_container(server, pack(whole[0], FINGERPRINT))
    return ends(((seed, container(whole[seed % 4], seed)) for seed in seeds), lambda data: read_container(server, data))


def packet_ends(name: str, seeds: Iterable[int]) -> Ends:
    """Read damaged sessions of a method, of one packet each."""
    device, server = tiny_halves(name)
    whole = [tiny_payload(name, device, seed) for seed in range(4)]
    files = ((seed, packet(whole[seed % 4], seed)) for seed in seeds)
    return ends(files, lambda messages: read_packet(server, messages))


def bpg_ends(seeds: Iterable[int]) -> Ends:
    """Read damaged BPG files, of at most 2^20 pixels."""
    return ends(((seed, bpg_file(seed)) for seed in seeds), lambda data: decode(data, max_pixels=2**20))


def main() -> None:
    """Run a number of seeds; prints a line of JSON for each method, or for BPG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("containers", "packets", "bpg"), required=True)
    parser.add_argument("--method", action="append", choices=method_names(), help="only these methods")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, required=True, help="files in all, spread over the methods")
    arguments = parser.parse_args()
    if arguments.kind == "bpg":
        counts = bpg_ends(range(arguments.start, arguments.start + arguments.count))
        print(json.dumps({"kind": "bpg", **asdict(counts)}), flush=True)
        return
    names = arguments.method or method_names()
    for index, name in enumerate(names):
        share = arguments.count // len(names) + (index < arguments.count % len(names))
        seeds = range(arguments.start, arguments.start + share)
        counts = (container_ends if arguments.kind == "containers" else packet_ends)(name, seeds)
        print(json.dumps({"kind": arguments.kind, "method": name, **asdict(counts)}), flush=True)


if __name__ == "__main__":
    main()
