"""Tables that coded neighbours choose, beside the tables of each learned method: bytes, time and size.

On the latents of the exported halves that are here, whatever coder they were trained for: the symbols of training
images are counted, those of test images are coded. A latent's side information is coded as the method does; what it
says of the tables of the latent is not used. A method without an entropy coder (CR+BQ) gets one. Codecs and what is
classified on the device are left out: they have no symbols of a latent.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc2.config.resolved import Benchmark, Config
from sc2.data.store import SampleStore
from sc2.entropy.coder import StreamDecoder, StreamEncoder
from sc2.entropy.factorized import FactorizedCoder
from sc2.entropy.hyperprior import HyperSymbols
from sc2.entropy.neighbour_counts import count_neighbours, neighbour_tables
from sc2.entropy.neighbourhood import LEVELS
from sc2.entropy.neighbours import NeighbourCoder
from sc2.jobs.plan import runs
from sc2.layers.priors import LatentEncoder
from sc2.measure.size import table_bytes
from sc2.methods.learned_codec.context import steps
from sc2.methods.learned_codec.halves import Analysed as AnalysedImage
from sc2.methods.learned_codec.halves import LearnedCodecDevice
from sc2.methods.learned_codec.images import latent_side
from sc2.methods.learned_codec.joint import JointSymbols
from sc2.methods.reduction.affine import SIDE_BYTES, Quantized
from sc2.methods.student.halves import StudentDevice
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
class Symbols:
    """What is coded of an image.

    Attributes:
        latent: int32 [1, C, h, w].
        side: Side information, int32 [1, L, zh, zw]; None without.
        extra_bytes: Bytes besides, which no table changes.
    """

    latent: Tensor
    side: Tensor | None = None
    extra_bytes: int = 0


@dataclass(frozen=True)
class Beside:
    """A method at one of its points: its own tables, and those that neighbours choose.

    Attributes:
        title: Name of the method for readers.
        point: The operating point.
        now: How its own coder finds the table of a symbol, in words.
        own: Its own coder.
        neighbours: The other one.
        above_bytes: Mean size of an image's streams where the symbol above alone chooses the table.
    """

    title: str
    point: str
    now: str
    own: Coding
    neighbours: Coding
    above_bytes: float


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
        every = known(test)
        train = known(_latents(device, benchmark, results, "train", counted))
        side = None if every[0].side is None else side_coder(device)
        other = by_neighbours(counted_tables(train), side, every)
        above = streams(NeighbourCoder(counted_tables(train, above_alone=True)), side, every)
        # Side information needs its tables either way.
        of_side = table_bytes({name: table for name, table in device.tables.items() if name.startswith("z.")})
        yield Beside(
            title=benchmark.methods[method].title,
            point=run.point,
            now=coded_now(every[0], device.tables),
            own=own_tables(device, server, test, every),
            neighbours=replace(other, table_bytes=other.table_bytes + of_side),
            above_bytes=mean_bytes(above, every),
        )


def known(latents: Iterable[Any]) -> list[Symbols]:
    """Return what a device half has analysed as integers."""
    return [symbols for symbols in map(symbols_of, latents) if symbols is not None]


def side_coder(device: DeviceHalf) -> FactorizedCoder:
    """Return the coder of side information of a device half that has one."""
    assert isinstance(device, StudentDevice | LearnedCodecDevice)
    coder = device.coder
    assert isinstance(coder, LatentEncoder)
    found = coder.coder.z_coder  # type: ignore[attr-defined]  # of the kinds with side information
    assert isinstance(found, FactorizedCoder)
    return found


def lines(found: Sequence[Beside]) -> Iterator[str]:
    """Yield the table of the page."""
    if not found:
        yield "No exported halves are here."
        return
    yield f"Bytes are means of {CODED} test images; tables are counted on {COUNTED:,} training images."
    yield ""
    yield (
        "| method | point | own tables | bytes | by neighbours | change | by the one above | change, above "
        "| encoding, ns per symbol | decoding | table bytes |"
    )
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for one in found:
        own, other = one.own, one.neighbours
        change, above = (
            f"{100 * (size / own.payload_bytes - 1):+.0f} %" for size in (other.payload_bytes, one.above_bytes)
        )
        yield (
            f"| {one.title} | {one.point} | {one.now} | {own.payload_bytes:.1f} | {other.payload_bytes:.1f} | {change} "
            f"| {one.above_bytes:.1f} | {above} "
            f"| {own.encode_ns:.0f} → {other.encode_ns:.0f} | {own.decode_ns:.0f} → {other.decode_ns:.0f} "
            f"| {own.table_bytes:,} → {other.table_bytes:,} |"
        )


def _latents(device: DeviceHalf, benchmark: Benchmark, results: Path, split: str, count: int) -> Iterator[Any]:
    folder = results / "data" / benchmark.config.dataset
    store = SampleStore(folder / "index.jsonl", folder / f"{split}.tar", split)
    for index in range(min(count, len(store))):
        yield device.analyse(np.asarray(store.prepared(index, benchmark.config.input)[0]))


def symbols_of(latent: Any) -> Symbols | None:
    """Return what a device half has analysed as integers, None where it has no symbols of a latent."""
    if isinstance(latent, Quantized):
        return Symbols(latent.symbols.int() - latent.zero_point, None, SIDE_BYTES)
    if isinstance(latent, AnalysedImage):
        size = latent_side(latent.height), latent_side(latent.width)
        return _of_prior(latent.symbols, size)
    if isinstance(latent, tuple):
        symbols, size = latent
        return _of_prior(symbols, size) if isinstance(size, tuple) else _of_tensor(symbols)
    return _of_tensor(latent)


def _of_tensor(found: Any) -> Symbols | None:
    return Symbols(found) if isinstance(found, Tensor) and found.dtype == torch.int32 and found.ndim == 4 else None


def _of_prior(symbols: Any, size: tuple[int, int]) -> Symbols | None:
    if isinstance(symbols, HyperSymbols):
        return Symbols(symbols.y, symbols.z)
    if not isinstance(symbols, JointSymbols):
        return _of_tensor(symbols)
    visited = steps(*size)
    y = torch.zeros(1, len(symbols.steps[0][0]) // len(visited[0].here), size[0] * size[1], dtype=torch.int32)
    for (values, _), step in zip(symbols.steps, visited, strict=True):
        y[0, :, step.here] = torch.from_numpy(values).reshape(y.shape[1], -1)
    return Symbols(y.unflatten(2, size), symbols.z)


def coded_now(symbols: Symbols, tables: Mapping[str, Tensor]) -> str:
    """Return in words how a method's own coder finds the table of a symbol."""
    if symbols.side is not None:
        return "by side information"
    return "per channel" if tables else "none, 8 bits each"


def counted_tables(train: Iterable[Symbols], *, above_alone: bool = False) -> dict[str, Tensor]:
    """Return the tables for `by_neighbours`, counted on training images.

    Args:
        train: The latents of the images.
        above_alone: Whether the symbol to the left makes no difference: what is counted for its levels is added up.
    """
    every = torch.cat([symbols.latent for symbols in train])
    first, last = min(0, int(every.min())), int(every.max())
    counts = count_neighbours(every, last - first + 2, first=first)
    if above_alone:
        by_level = counts.view(-1, LEVELS, LEVELS, counts.shape[1])
        counts = by_level.sum(2, keepdim=True).expand_as(by_level).reshape(counts.shape)
    return neighbour_tables(counts, first=first)


def own_tables(device: DeviceHalf, server: ServerHalf, latents: Sequence[Any], every: Sequence[Symbols]) -> Coding:
    """Measure a method's own coder on what its device half has analysed, and on the same as integers."""
    payloads = [device.code(latent) for latent in latents]
    encoding = _per_symbol(lambda: [device.code(latent) for latent in latents], every)
    decoding = _per_symbol(lambda: [server.decode(payload) for payload in payloads], every)
    size = statistics.fmean(payload.num_bytes for payload in payloads)
    return Coding(size, encoding, decoding, table_bytes(device.tables))


def by_neighbours(tables: dict[str, Tensor], side: FactorizedCoder | None, every: Sequence[Symbols]) -> Coding:
    """Measure the coder of tables that neighbours choose on the same.

    Args:
        tables: Tables of the latent, from `counted_tables`.
        side: The method's coder of side information, if it has any.
        every: What is coded.

    Raises:
        AssertionError: Symbols do not arrive as they were sent.
    """
    coder = NeighbourCoder(tables)

    def decoded(stream: bytes, symbols: Symbols) -> Tensor:
        decoder = StreamDecoder(stream)
        if side is not None and symbols.side is not None:
            assert torch.equal(side.take(decoder, *symbols.side.shape[2:]), symbols.side)
        received = coder.take(decoder, *symbols.latent.shape[2:])
        decoder.finish()
        return received

    sent = streams(coder, side, every)
    pairs = list(zip(sent, every, strict=True))
    assert all(torch.equal(decoded(stream, symbols), symbols.latent) for stream, symbols in pairs)
    encoding = _per_symbol(lambda: streams(coder, side, every), every)
    decoding = _per_symbol(lambda: [decoded(*pair) for pair in pairs], every)
    return Coding(mean_bytes(sent, every), encoding, decoding, table_bytes(tables))


def streams(coder: NeighbourCoder, side: FactorizedCoder | None, every: Sequence[Symbols]) -> list[bytes]:
    """Return the stream of each latent, with its side information before it, if it has any."""
    made = []
    for symbols in every:
        encoder = StreamEncoder()
        if side is not None and symbols.side is not None:
            side.put(encoder, symbols.side)
        coder.put(encoder, symbols.latent)
        made.append(encoder.finish())
    return made


def mean_bytes(sent: Sequence[bytes], every: Sequence[Symbols]) -> float:
    """Return the mean size of what is sent of an image."""
    return statistics.fmean(len(stream) + symbols.extra_bytes for stream, symbols in zip(sent, every, strict=True))


def _per_symbol(call: Callable[[], object], every: Sequence[Symbols]) -> float:
    """Return the processor time of a call per symbol of the latents (ns), the shortest of three."""
    count = sum(symbols.latent.numel() for symbols in every)
    times = []
    for _ in range(3):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e9 * min(times) / count
