"""Load on `sc2 serve`: clients that send containers, and others that send what is malformed, too large, stalled or cut.

    python -m tests.load [--requests 1000] [--clients 8] [--bad 100] [RUN]

RUN is the folder of an exported run; without it, a tiny untrained split is served. Every request must come to the end
that it deserves; then the server is killed under load and started again, and clients must get over it.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from sc2.device.client import Client, ServerError, Settings
from tests.served import images_of, tiny_run

STALL_S = 1.0
"""How long the server waits for a request to arrive."""
_MOST_BYTES = 65_536


@dataclass
class Outcome:
    """What became of the requests.

    Attributes:
        ends: How often each kind of request came to each end, `kind: end`.
        seconds: How long each good request took.
        wrong: Good requests with another answer than they should have.
    """

    ends: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0

    def percentile_ms(self, percent: float) -> float:
        """A percentile of the times of good requests, in ms."""
        return float(np.percentile(self.seconds, percent)) * 1000


def raw(port: int, data: bytes, *, then: Callable[[socket.socket], None] = lambda link: None) -> str:
    """Send bytes, do something, and return the status of the answer, or `closed` without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=STALL_S + 15) as link:
        try:
            link.sendall(data)
            then(link)
            answer = link.recv(65_536)
        except OSError:
            return "closed"
    return answer.split(b" ", 2)[1].decode() if answer else "closed"


def head(length: int) -> bytes:
    return f"POST /v1/answers HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def bad_request(kind: str, port: int, container: bytes) -> str:
    """Send a request of a kind, and return how it ended."""
    damaged = bytearray(container)
    damaged[len(container) // 2] ^= 0x40
    foreign = container[:5] + bytes(8) + container[13:-4]
    foreign += zlib.crc32(foreign).to_bytes(4, "little")
    half = container[: len(container) // 2]
    match kind:
        case "malformed":
            return raw(port, head(40) + bytes(range(40)))
        case "no HTTP":
            return raw(port, b"\x00\x01\x02\x03 nothing\r\n\r\n")
        case "damaged":
            return raw(port, head(len(damaged)) + damaged)
        case "another model":
            return raw(port, head(len(foreign)) + foreign)
        case "oversized":
            return raw(port, head(_MOST_BYTES + 1) + bytes(1000))
        case "stalled head":
            return raw(port, b"POST /v1/")
        case "stalled body":
            return raw(port, head(len(container)) + half)
        case "cut":
            return raw(port, head(len(container)) + half, then=lambda link: link.shutdown(socket.SHUT_RDWR))
    raise LookupError(kind)


BAD = {
    "malformed": "400",
    "no HTTP": "400",
    "damaged": "400",
    "another model": "404",
    "oversized": "413",
    "stalled head": "closed",
    "stalled body": "408",
    "cut": "closed",
}
"""The end that each kind deserves."""


def run_load(
    port: int, containers: Sequence[bytes], answers: Sequence[Any], *, requests: int, clients: int, bad: int
) -> Outcome:
    """Send requests from several clients at once.

    Args:
        port: Where the server listens on this machine.
        containers: Good containers, sent in turn.
        answers: The answers that they should get.
        requests: Requests in all.
        clients: Clients, each with a connection of its own.
        bad: How many of the requests are of the kinds in `BAD`.
    """
    kinds: list[str | None] = [list(BAD)[index % len(BAD)] for index in range(bad)] + [None] * (requests - bad)
    random.Random(0).shuffle(kinds)
    outcome, lock, numbers = Outcome(), threading.Lock(), iter(enumerate(kinds))

    def work() -> None:
        client = Client(f"http://127.0.0.1:{port}", Settings(timeout_s=30, retries=8))
        while True:
            with lock:
                number, kind = next(numbers, (None, None))
            if number is None:
                client.close()
                return
            if kind is not None:
                end = bad_request(kind, port, containers[number % len(containers)])
                with lock:
                    outcome.ends[f"{kind}: {end}"] += 1
                continue
            start = time.perf_counter()
            try:
                answer, end = client.ask(containers[number % len(containers)])["answers"], "200"
            except ServerError as error:
                answer, end = None, str(error)
            with lock:
                outcome.ends[f"good: {end}"] += 1
                outcome.seconds.append(time.perf_counter() - start)
                outcome.wrong += end == "200" and not alike(answer, answers[number % len(containers)])

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome


def alike(one: Any, other: Any) -> bool:
    """Whether two answers are the same up to rounding: in a batch, sums have another order."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-4 * max(1.0, abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Return status and body of a GET."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return int(link.getsockname()[1])


@contextmanager
def served(checkpoints: Sequence[Path], port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `sc2 serve` until the block ends; it listens when the block begins."""
    command = [sys.executable, "-m", "sc2", "serve", *map(str, checkpoints), "--port", str(port)]
    command += ["--timeout", str(STALL_S), "--most-bytes", str(_MOST_BYTES), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for(port, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: It has ended; the message is what it printed.
    """
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(process.communicate()[1].decode())
        try:
            if get(port, "/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server does not answer")


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def report(run: Path, *, requests: int, clients: int, bad: int) -> Iterator[str]:
    """Yield what became of the requests, as Markdown."""
    containers, port = images_of(run, 8), free_port()
    with served([run], port) as server:
        client = Client(f"http://127.0.0.1:{port}", Settings())
        answers = [client.ask(container)["answers"] for container in containers]
        client.close()
        before, start = memory_mib(server.pid), time.perf_counter()
        outcome = run_load(port, containers, answers, requests=requests, clients=clients, bad=bad)
        took, after = time.perf_counter() - start, memory_mib(server.pid)
    restarted = run_restarted(run, containers, answers)
    yield "| request | end | number |"
    yield "|---|---|---:|"
    for name, number in sorted(outcome.ends.items()):
        kind, _, end = name.partition(": ")
        yield f"| {kind} | {end} | {number} |"
    yield ""
    yield (
        f"{requests} requests of {clients} clients took {took:.1f} s. Good ones were answered within "
        f"{outcome.percentile_ms(50):.0f} ms (median), {outcome.percentile_ms(95):.0f} ms (p95), "
        f"{outcome.percentile_ms(99):.0f} ms (p99); {outcome.wrong} answers were wrong. The server held "
        f"{before:.0f} MiB before and {after:.0f} MiB after. Killed and started again while 4 clients sent 400 "
        f"requests: {restarted.ends['good: 200']} were answered, {restarted.wrong} of them wrongly."
    )


def main() -> None:
    """Print what became of the requests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--bad", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or tiny_run("entropic_student_mshp", Path(folder) / "run")
        for line in report(run, requests=options.requests, clients=options.clients, bad=options.bad):
            print(line)


def run_restarted(run: Path, containers: Sequence[bytes], answers: Sequence[Any]) -> Outcome:
    """Kill the server while clients ask, and start it again on the same port."""
    port, outcomes = free_port(), list[Outcome]()
    with served([run], port) as first:

        def ask() -> None:
            outcomes.append(run_load(port, containers, answers, requests=400, clients=4, bad=0))

        clients = threading.Thread(target=ask)
        clients.start()
        time.sleep(0.3)
        first.kill()
        first.wait()
    with served([run], port):
        clients.join()
    return outcomes[0]


if __name__ == "__main__":
    main()
