"""Runs batches of trials in forked children, so that a crash, a hang or a lack of memory costs one trial."""

import json
import os
import resource
import selectors
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Try = Callable[[str, int], str]
"""Runs trial number n of a kind and returns how it ended, e.g. `refused`; raises where it failed."""

FAILED = "failed"


@dataclass
class Batch:
    """Trials of one kind with successive numbers; `at` moves on as they are done.

    Attributes:
        kind: What is tried.
        first: Number of the first trial.
        count: How many there are.
    """

    kind: str
    first: int
    count: int
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Names the batch in the log."""
        return f"{self.kind} {self.first}"

    @property
    def at(self) -> int:
        """Number of the trial that comes next."""
        return self.first + sum(self.outcomes.values())

    @property
    def done(self) -> bool:
        """Whether all were tried."""
        return self.at == self.first + self.count

    def fail(self, why: str) -> None:
        """Note that the next trial failed."""
        self.failures.append(f"{self.kind} {self.at}: {why}")
        self.outcomes[FAILED] += 1


@dataclass
class _Child:
    batch: Batch
    pid: int
    output: int
    heard: float
    rest: bytes = b""


def in_children(
    batches: Iterable[Batch], attempt: Try, *, workers: int, seconds: float, mib: int | None = None
) -> Iterator[Batch]:
    """Run batches in children and yield each when it is done.

    Args:
        batches: What to run.
        attempt: One trial.
        workers: Children at a time.
        seconds: A trial that takes longer is ended and has failed.
        mib: Address space that the trials of a batch may take on top of what the parent has, MiB.
    """
    waiting = iter(batches)
    with selectors.DefaultSelector() as selector:
        while True:
            for batch in waiting if len(selector.get_map()) < workers else ():
                _start(batch, attempt, selector, mib)
                if len(selector.get_map()) == workers:
                    break
            if not selector.get_map():
                return
            for key, _ in selector.select(0.2):
                _hear(key.data)
            for child in [key.data for key in list(selector.get_map().values())]:
                if (ended := _ended(child, seconds)) is not None:
                    selector.unregister(child.output)
                    os.close(child.output)
                    if child.batch.done and not ended:
                        yield child.batch
                    else:
                        _restart(child.batch, ended, attempt, selector, mib)
                        if child.batch.done:
                            yield child.batch


def _start(batch: Batch, attempt: Try, selector: selectors.BaseSelector, mib: int | None) -> None:
    output, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(output)
        _be_child(batch, attempt, writer, mib)
    os.close(writer)
    os.set_blocking(output, False)
    selector.register(output, selectors.EVENT_READ, _Child(batch, pid, output, time.monotonic()))


def _restart(batch: Batch, ended: str, attempt: Try, selector: selectors.BaseSelector, mib: int | None) -> None:
    """Note what ended the child as a failure of the trial it was at, and go on behind that one."""
    if not batch.done:
        batch.fail(ended or "the process ended by itself")
    else:
        batch.failures.append(f"{batch.kind} {batch.first}…: at its end {ended}")
    if not batch.done:
        _start(batch, attempt, selector, mib)


def _be_child(batch: Batch, attempt: Try, output: int, mib: int | None) -> None:
    status = 1
    try:
        if mib is not None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + mib * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for number in range(batch.at, batch.first + batch.count):
            start = time.monotonic()
            try:
                said = {"outcome": attempt(batch.kind, number)}
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{Path(where.filename).name}:{where.lineno}"
                said = {"outcome": FAILED, "why": f"{type(error).__name__}: {_message(error)} ({place})"}
            os.write(output, (json.dumps({**said, "seconds": time.monotonic() - start}) + "\n").encode())
        status = 0
    finally:
        os._exit(status)


def _message(error: Exception) -> str:
    """Return the start of an error's message, and its notes, e.g. of the job that it came from."""
    return " ".join([str(error)[:300], *getattr(error, "__notes__", ())])


def _hear(child: _Child) -> None:
    """Read what a child says."""
    try:
        data = os.read(child.output, 2**16)
    except BlockingIOError:
        return
    if not data:
        return
    child.heard = time.monotonic()
    *lines, child.rest = (child.rest + data).split(b"\n")
    for line in lines:
        said = json.loads(line)
        child.batch.seconds += said["seconds"]
        if said["outcome"] == FAILED:
            child.batch.fail(said["why"])
        else:
            child.batch.outcomes[said["outcome"]] += 1


def _ended(child: _Child, seconds: float) -> str | None:
    """Return how a child ended, empty where it ended well, or None where it is at work."""
    if time.monotonic() - child.heard > seconds:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        return f"took more than {seconds:g} s"
    done, status = os.waitpid(child.pid, os.WNOHANG)
    if not done:
        return None
    while True:
        before = child.batch.at
        _hear(child)
        if child.batch.at == before:
            break
    code = os.waitstatus_to_exitcode(status)
    return "" if code == 0 else f"ended with {signal.Signals(-code).name if code < 0 else f'status {code}'}"
