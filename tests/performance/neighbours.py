"""Tables that coded neighbours choose, beside the tables of each learned method: bytes, time and size.

On the latents of the exported halves that are here, whatever coder they were trained for: the symbols of training
images are counted, those of test images are coded. A method whose tables its own side information chooses, or that
codes nothing, is left out.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc2.config.resolved import Benchmark, Config
from sc2.data.store import SampleStore
from sc2.entropy.coder import StreamDecoder, StreamEncoder
from sc2.entropy.neighbours import NeighbourCoder, count_neighbours, neighbour_tables
from sc2.jobs.plan import runs
from sc2.runs.halves import load_device, load_server
from sc2.split.method import DeviceHalf, ServerHalf

COUNTED, CODED = 2000, 200
"""Images of the training split that are counted, and of the test split that are coded."""


@dataclass(frozen=True)
class Coding:
    """What one kind of tables costs.

    Attributes:
        payload_bytes: Mean size of an image's streams.
        encode_ns: Processor time of encoding, per symbol (ns).
        decode_ns: The same of decoding.
        table_bytes: Size of the tables on the device.
    """

    payload_bytes: float
    encode_ns: float
    decode_ns: float
    table_bytes: int


@dataclass(frozen=True)
class Beside:
    """A method at one of its points: its own tables, and those that neighbours choose."""

    title: str
    point: str
    own: Coding
    neighbours: Coding


def measure(config: Config, results: Path, counted: int = COUNTED, coded: int = CODED) -> Iterator[Beside]:
    """Yield what both kinds of tables cost each learned method of the first benchmark, at its middle point.

    Args:
        config: The configuration of the run.
        results: The folder of its results; a method without exported halves there is left out.
        counted: Images of the training split.
        coded: Images of the test split.

    Raises:
        AssertionError: Symbols do not arrive as they were sent.
    """
    benchmark = next(iter(config.benchmarks.values()))
    for method in benchmark.methods:
        points = list(runs(config, benchmark.name, method))
        run = points[len(points) // 2]
        folder = results / "export" / run.benchmark / run.method / run.point / f"seed{run.seed}"
        if not (folder / "server.pt").is_file():
            continue
        device, server = load_device(folder)[0], load_server(folder)[0]
        test = list(_latents(device, benchmark, results, "test", coded))
        if symbols_of(test[0]) is None:
            continue
        train = joined(_latents(device, benchmark, results, "train", counted))
        tables = counted_tables(train)
        title = benchmark.methods[method].title
        yield Beside(title, run.point, own_tables(device, server, test), by_neighbours(tables, test))


def lines(found: Sequence[Beside]) -> Iterator[str]:
    """Yield the table of the page."""
    if not found:
        yield "No exported halves are here."
        return
    yield f"Bytes are means of {CODED} test images; tables are counted on {COUNTED:,} training images."
    yield ""
    yield (
        "| method | point | bytes, own tables | by neighbours | change | encoding, ns per symbol | decoding "
        "| table bytes |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for one in found:
        own, other = one.own, one.neighbours
        change = f"{100 * (other.payload_bytes / own.payload_bytes - 1):+.0f} %"
        yield (
            f"| {one.title} | {one.point} | {own.payload_bytes:.1f} | {other.payload_bytes:.1f} | {change} "
            f"| {own.encode_ns:.0f} → {other.encode_ns:.0f} | {own.decode_ns:.0f} → {other.decode_ns:.0f} "
            f"| {own.table_bytes:,} → {other.table_bytes:,} |"
        )


def _latents(device: DeviceHalf, benchmark: Benchmark, results: Path, split: str, count: int) -> Iterator[Any]:
    folder = results / "data" / benchmark.config.dataset
    store = SampleStore(folder / "index.jsonl", folder / f"{split}.tar", split)
    for index in range(min(count, len(store))):
        yield device.analyse(np.asarray(store.prepared(index, benchmark.config.input)[0]))


def symbols_of(latent: Any) -> Tensor | None:
    """Return the symbols [1, C, h, w] of what a device half has analysed, if all of them are coded under its tables."""
    found = latent
    if isinstance(latent, tuple):
        found = latent[0]
    elif hasattr(latent, "symbols"):
        found = latent.symbols
    return found if isinstance(found, Tensor) and found.dtype == torch.int32 and found.ndim == 4 else None


def joined(latents: Iterable[Any]) -> Tensor:
    """Return the symbols of what a device half has analysed, int32 [B, C, h, w]."""
    every = [symbols for symbols in map(symbols_of, latents) if symbols is not None]
    return torch.cat(every)


def counted_tables(train: Tensor) -> dict[str, Tensor]:
    """Return the tables for `by_neighbours`, counted on symbols [B, C, h, w]."""
    first, last = min(0, int(train.min())), int(train.max())
    return neighbour_tables(count_neighbours(train, last - first + 2, first=first), first=first)


def own_tables(device: DeviceHalf, server: ServerHalf, latents: Sequence[Any]) -> Coding:
    """Measure a method's own coder on what its device half has analysed."""
    payloads = [device.code(latent) for latent in latents]
    encoding = _per_symbol(lambda: [device.code(latent) for latent in latents], latents)
    decoding = _per_symbol(lambda: [server.decode(payload) for payload in payloads], latents)
    return Coding(
        statistics.fmean(payload.num_bytes for payload in payloads), encoding, decoding, _bytes(device.tables)
    )


def by_neighbours(tables: dict[str, Tensor], latents: Sequence[Any]) -> Coding:
    """Measure the coder of tables that neighbours choose on the same.

    Raises:
        AssertionError: Symbols do not arrive as they were sent.
    """
    coder = NeighbourCoder(tables)
    every = [symbols for symbols in map(symbols_of, latents) if symbols is not None]

    def encoded(symbols: Tensor) -> bytes:
        encoder = StreamEncoder()
        coder.put(encoder, symbols)
        return encoder.finish()

    def decoded(stream: bytes, symbols: Tensor) -> Tensor:
        decoder = StreamDecoder(stream)
        received = coder.take(decoder, *symbols.shape[2:])
        decoder.finish()
        return received

    streams = [encoded(symbols) for symbols in every]
    pairs = list(zip(streams, every, strict=True))
    assert all(torch.equal(decoded(stream, symbols), symbols) for stream, symbols in pairs)
    encoding = _per_symbol(lambda: [encoded(symbols) for symbols in every], latents)
    decoding = _per_symbol(lambda: [decoded(*pair) for pair in pairs], latents)
    return Coding(statistics.fmean(map(len, streams)), encoding, decoding, _bytes(tables))


def _per_symbol(call: Callable[[], object], latents: Sequence[Any]) -> float:
    """Return the processor time of a call per symbol of some latents (ns), the shortest of three."""
    count = sum(symbols.numel() for symbols in map(symbols_of, latents) if symbols is not None)
    times = []
    for _ in range(3):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e9 * min(times) / count


def _bytes(tables: Any) -> int:
    return sum(table.numel() * table.element_size() for table in tables.values())
