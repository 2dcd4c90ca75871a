"""Latency that is measured over a link with a limited rate, beside what the formula of the channel says.

    python -m tests.shaped [--images 20] RUN [RUN …]

Needs root, `ip` and `tc`. Two network namespaces are joined by a veth pair; `tc tbf` limits the device's end, and a
relay on the server's end holds every piece back by half of the round trip in each direction. A device process with
nothing but the artifact sends images one by one over a connection that is kept. RUN is the folder of an exported run.

A token bucket lets as many bytes as it holds pass at once after a pause, so the prediction counts only those beyond it,
of all that the link carried (headers of HTTP, TCP, IP and Ethernet among them; the kernel counts them).
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sc2.data.store import SampleStore
from sc2.measure.channel import PRESETS, Channel, Preset, transmit_ms

SERVER_IP, DEVICE_IP, PORT, RELAY_PORT = "10.117.0.1", "10.117.0.2", 8017, 8018
MTU = 576
BUCKET = MTU + 14
"""Bytes that pass at once: a whole packet with its Ethernet header, the least that tc takes."""


def usable() -> str | None:
    """Say why this machine cannot do it, or return None when it can."""
    if os.geteuid() != 0:
        return "not root"
    if not shutil.which("ip") or not shutil.which("tc"):
        return "no ip or tc (Debian: iproute2)"
    made = subprocess.run(["ip", "netns", "add", "sc2-probe"], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", "sc2-probe"], capture_output=True, check=False)
    return made.stderr.strip() or None


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Yield the names of two network namespaces, of the device and of the server, joined by a veth pair."""
    device, server = f"sc2-d{os.getpid()}", f"sc2-s{os.getpid()}"
    ends = f"d{os.getpid()}", f"s{os.getpid()}"
    try:
        for name in (device, server):
            _run("ip", "netns", "add", name)
        _run("ip", "link", "add", ends[0], "netns", device, "type", "veth", "peer", "name", ends[1], "netns", server)
        for name, end, address in ((device, ends[0], DEVICE_IP), (server, ends[1], SERVER_IP)):
            _run("ip", "-n", name, "link", "set", end, "name", "eth0", "mtu", str(MTU))
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            for each in ("lo", "eth0"):
                _run("ip", "-n", name, "link", "set", each, "up")
        yield device, server
    finally:
        for name in (device, server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def shape(device: str, link: Channel) -> None:
    """Limit the device's end of the link."""
    rate = f"{round(link.kbit_s * 1000)}bit"
    options = ("rate", rate, "burst", str(BUCKET), "limit", "1000000")
    _run("tc", "-n", device, "qdisc", "replace", "dev", "eth0", "root", "tbf", *options)


def sent_bytes(device: str) -> int:
    """Return how many bytes the device's end has sent, Ethernet headers included."""
    told = json.loads(_run("tc", "-n", device, "-s", "-j", "qdisc", "show", "dev", "eth0"))
    return int(next(each["bytes"] for each in told if each["kind"] == "tbf"))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


async def relay(delay_s: float) -> None:
    """Pass connections on to the server, every piece later by `delay_s`, in order."""

    async def delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def deliver() -> None:
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not data:
                    writer.close()
                    return
                writer.write(data)

        task = asyncio.create_task(deliver())
        while data := await reader.read(65_536):
            pieces.put_nowait((loop.time() + delay_s, data))
        pieces.put_nowait((loop.time() + delay_s, b""))
        await task

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", PORT)
        await asyncio.gather(delayed(reader, forth), delayed(back, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, SERVER_IP, RELAY_PORT)
    print("ready", flush=True)
    await server.serve_forever()


@dataclass(frozen=True)
class Measured:
    """Latency of one image over a link, medians.

    Attributes:
        container_bytes: What the device half made.
        link_bytes: What the device sent for it, with all headers.
        encode_ms: Encoding.
        answer_ms: From the container to its answer on a link without limit and delay: the server's part.
        total_ms: From the image to its answer.
        p95_ms: The same, 95th percentile.
    """

    container_bytes: float
    link_bytes: float
    encode_ms: float
    answer_ms: float
    total_ms: float
    p95_ms: float

    def formula_ms(self, link: Channel) -> float:
        """Device + 8 · container / rate + round trip + server."""
        return self._of(self.container_bytes, link)

    def predicted_ms(self, link: Channel) -> float:
        """The same with all bytes of the link beyond those that the bucket lets pass at once."""
        return self._of(max(0.0, self.link_bytes - BUCKET), link)

    def _of(self, num_bytes: float, link: Channel) -> float:
        return self.encode_ms + float(transmit_ms(num_bytes, link.kbit_s)) + link.rtt_ms + self.answer_ms


def measure(
    run: Path, artifact: Path, images: Sequence[Path], links: Sequence[Preset]
) -> Iterator[tuple[Preset, Measured]]:
    """Yield what is measured of a run over each link.

    Args:
        run: The folder of `server.pt`.
        artifact: Its device half.
        images: Files, sent one by one.
        links: The channels.
    """
    python = [sys.executable, "-m"]
    with namespaces() as (device, server):
        inside = ["ip", "netns", "exec"]
        serve = [*inside, server, *python, "sc2", "serve", str(run), "--batch-ms", "0", "--timeout", "60"]
        with _process(serve, "Uvicorn running"):

            def over(channel: Channel, base: float | None) -> Measured:
                shape(device, channel)
                relay = [*inside, server, *python, "tests.shaped", "--relay", str(channel.rtt_ms / 2000)]
                with _process(relay, "ready"):
                    return _offload(inside, device, artifact, images, base)

            base = over(Channel(1e6, 0.0), None).answer_ms
            for link in links:
                yield link, over(link.channel, base)


def _offload(
    inside: Sequence[str], device: str, artifact: Path, images: Sequence[Path], base: float | None
) -> Measured:
    url = f"http://{SERVER_IP}:{RELAY_PORT}"
    command = [*inside, device, sys.executable, "-m", "sc2", "offload", *map(str, images)]
    command += ["--server", url, "--device", str(artifact), "--json", "--timeout", "120", "--retries", "0"]
    before = sent_bytes(device)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    link_bytes = (sent_bytes(device) - before) / len(images)
    # The first one opens the connection.
    told: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()][1:]
    encode, answer = (np.array([each[key] for each in told]) for key in ("encode_ms", "answer_ms"))
    total = encode + answer
    return Measured(
        float(np.median([each["bytes"] for each in told])),
        link_bytes,
        float(np.median(encode)),
        float(np.median(answer)) if base is None else base,
        float(np.median(total)),
        float(np.percentile(total, 95)),
    )


@contextlib.contextmanager
def _process(command: Sequence[str], until: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if until in line:
                break
        else:
            raise RuntimeError("".join(seen))
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)


def photographs(folder: Path, dataset: Path, count: int) -> list[Path]:
    """Write test images of a prepared data set as files."""
    store = SampleStore(dataset / "index.jsonl", dataset / "test.tar", "test")
    paths = []
    for index in range(count):
        buffer = io.BytesIO()
        store.image(index).save(buffer, format="PNG")
        path = folder / f"{index}.png"
        path.write_bytes(buffer.getvalue())
        paths.append(path)
    return paths


def report(runs: Sequence[Path], dataset: Path, count: int, links: Sequence[Preset] = PRESETS) -> Iterator[str]:
    """Yield the table of some runs, as Markdown.

    Args:
        runs: Folders of exported runs.
        dataset: A prepared data set, of whose test images `count` are sent.
        count: Images.
        links: The channels.
    """
    yield (
        "| link | method | container, bytes | on the link, bytes | formula, ms | predicted, ms | measured p50, ms "
        "| p95, ms |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    # Not above: the relay, a process of this module, would import torch with it.
    from sc2.runs.artifact import export_artifact

    with tempfile.TemporaryDirectory() as folder:
        images = photographs(Path(folder), dataset, count)
        for number, run in enumerate(runs):
            path = Path(folder) / f"artifact{number}"
            artifact = export_artifact(run, path)
            for link, found in measure(run, path, images, links):
                channel = link.channel
                numbers = (found.formula_ms(channel), found.predicted_ms(channel), found.total_ms, found.p95_ms)
                cells = [f"{link.title} ({channel.kbit_s:g} kbit/s, {channel.rtt_ms:g} ms)"]
                cells += [f"`{artifact.method}` {artifact.point}", f"{found.container_bytes:.0f}"]
                cells += [f"{found.link_bytes:.0f}", *(f"{each:.1f}" for each in numbers)]
                yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--dataset", type=Path, default=Path("results/data/photodigits"))
    parser.add_argument("--relay", type=float, metavar="SECONDS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.relay is not None:
        asyncio.run(relay(options.relay))
        return
    problem = usable()
    if problem:
        parser.error(f"this machine cannot limit a link: {problem}")
    for line in report(options.runs, options.dataset, options.images):
        print(line, flush=True)


if __name__ == "__main__":
    main()
