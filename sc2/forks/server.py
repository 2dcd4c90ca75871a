"""The process that jobs are forked from: `python -m sc2.forks.server LISTENER WORKFLOW`, two file descriptors.

It imports the libraries and nothing of this package that a job may see; no thread and no operation of torch may come
before a fork. Further arguments name libraries that are left to the jobs. It ends when the other end of the pipe
WORKFLOW is closed, and sends SIGTERM to the jobs that still run.
"""

import contextlib
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sc2.forks.child import become, leave
from sc2.forks.client import peer
from sc2.forks.inherited import inherited
from sc2.system.importing import uncollected

LIBRARIES = (
    *("numpy", "torch", "torch._dynamo", "torchvision", "pandas", "pyarrow.parquet", "yaml", "tqdm"),
    *("pydantic.main", "pydantic.fields", "pydantic.types", "pydantic.json_schema", "pydantic.type_adapter"),
    *("pydantic.functional_serializers", "pydantic.functional_validators"),
    *("PIL.Image", "PIL.BmpImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.WebPImagePlugin"),
    *("compressai.entropy_models", "constriction", "timm", "av", "safetensors.torch"),
    *("torchdistill.core.forward_hook", "torchdistill.losses.mid_level", "torchdistill.common.tensor_util"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *("pycocotools.cocoeval", "sc2.forks.compiler"),
)
"""What the stages import from elsewhere, as far as it takes long."""

PATIENCE = 5.0
"""Seconds that jobs have to end after SIGTERM, when the workflow has gone."""


@dataclass(frozen=True)
class Fork:
    """A job that runs.

    Attributes:
        process: Its number.
        handle: A file descriptor of it, readable when it has ended.
        client: The socket of the process that waits for it.
    """

    process: int
    handle: int
    client: socket.socket

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.handle)
        self.client.close()


class Server:
    """Accepts clients and forks.

    Args:
        listener: Socket of the address that jobs are told.
        workflow: File descriptor that reads as ended when the workflow has.
    """

    def __init__(self, listener: socket.socket, workflow: int) -> None:
        self.listener = listener
        self.workflow = workflow
        self.forks: list[Fork] = []

    def run(self) -> socket.socket | None:
        """Serve until the workflow has ended: None then. In a fork, return the client at once."""
        while True:
            ready = self._wait(None)
            if self.workflow in ready:
                self._end()
                return None
            if self.listener.fileno() in ready:
                client, _ = self.listener.accept()
                if self._fork(client):
                    return client

    def _wait(self, seconds: float | None) -> set[int]:
        """Wait until something happens or some seconds have passed; deal with jobs and clients that have ended."""
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(self.workflow, select.POLLIN)
        for fork in self.forks:
            poll.register(fork.handle, select.POLLIN)
            # The job reads from it; here only its end counts.
            poll.register(fork.client, 0)
        ready = {number for number, _ in poll.poll(None if seconds is None else seconds * 1000)}
        for fork in [*self.forks]:
            if fork.handle in ready:
                self._report(fork)
            elif fork.client.fileno() in ready:
                # Its client was killed: so is the job, which nobody waits for any more.
                signal.pidfd_send_signal(fork.handle, signal.SIGKILL)
                self._report(fork)
        return ready

    def _fork(self, client: socket.socket) -> bool:
        """Fork for a client and say whether this is the fork."""
        if peer(client)[1] != os.getuid():
            client.close()
            return False
        try:
            process = os.fork()
        except OSError:
            # No memory or no more processes: the client notices that nobody answers, and starts alone.
            client.close()
            return False
        if process == 0:
            self._close()
            return True
        self.forks.append(Fork(process, os.pidfd_open(process), client))
        return False

    def _report(self, fork: Fork) -> None:
        """Tell the client how its job has ended."""
        _, status = os.waitpid(fork.process, 0)
        # The client may have been killed, with or without having read what it was sent, or have started alone.
        with contextlib.suppress(ConnectionError):
            fork.client.send(str(status).encode())
        fork.close()
        self.forks.remove(fork)

    def _close(self) -> None:
        """Close all that is the server's alone."""
        self.listener.close()
        os.close(self.workflow)
        for fork in self.forks:
            fork.close()

    def _end(self) -> None:
        """Remove the socket and end the jobs that still run; those that do not are killed with this process."""
        address = Path(self.listener.getsockname())
        address.unlink(missing_ok=True)
        address.parent.rmdir()
        for fork in self.forks:
            signal.pidfd_send_signal(fork.handle, signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while self.forks and (left := end - time.monotonic()) > 0:
            handles = [fork.handle for fork in self.forks]
            for handle in select.select(handles, [], [], left)[0]:
                self._report(next(fork for fork in self.forks if fork.handle == handle))


def import_libraries(left: Sequence[str]) -> str | None:
    """Import the libraries; what they warn of is for nobody to read.

    Args:
        left: Libraries that are not imported.

    Returns:
        The one that has started a thread, which a fork would lack; nothing is imported after it. None if all is well.
    """
    show, warnings.showwarning = warnings.showwarning, lambda *_args, **_options: None
    for name in LIBRARIES:
        if name not in left:
            importlib.import_module(name)
            if len(list(Path("/proc/self/task").iterdir())) > 1:
                return name
    warnings.showwarning = show
    return None


def main() -> None:
    """Serve; in a fork, run the command line of the client."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    workflow = int(sys.argv[2])
    ours = inherited()
    with uncollected():
        threaded = import_libraries(sys.argv[3:])
    if threaded:
        # As CUDA does where there is a GPU. The thread cannot be undone, but this process can begin again.
        print(f"sc2: {threaded} starts a thread: each job imports it by itself", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, "-m", "sc2.forks.server", *sys.argv[1:], threaded])
    for name in [name for name in sys.modules if name.partition(".")[0] == "sc2"]:
        del sys.modules[name]
    # What is here stays: a fork neither looks through it nor copies its pages.
    gc.collect()
    gc.freeze()
    client = Server(listener, workflow).run()
    if client is None:
        os._exit(0)
    become(client, ours)
    try:
        runpy.run_module("sc2", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        leave(end)
        raise


if __name__ == "__main__":
    main()
