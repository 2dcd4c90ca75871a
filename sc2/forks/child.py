"""A fork turns into the process that a client would have been: streams, environment, chance."""

import atexit
import contextlib
import ctypes
import importlib
import io
import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
from typing import Any

from sc2.forks.inherited import ADDRESS, LONGEST, differences

_PARENT = os.getpid()
"""The process that is forked."""

_SET_DEATH_SIGNAL, _SET_NAME = 1, 15
"""Numbers of prctl(2)."""


def become(client: socket.socket, ours: dict[str, Any]) -> None:
    """Take on what a client hands over, or tell it what differs and exit.

    Args:
        client: The socket; closed when this returns.
        ours: What this process inherited, as it was when it started.
    """
    message, streams, _, _ = socket.recv_fds(client, LONGEST, 3)
    if not message:
        os._exit(0)
    request = json.loads(message)
    if different := differences(ours, request["inherited"]):
        with contextlib.suppress(ConnectionError):
            client.send(f"other {', '.join(different)}".encode())
        os._exit(0)
    _end_with_parent(request["argv"][0])
    _take_streams(streams)
    _take_environment(request["environment"])
    sys.argv[:], sys.orig_argv[:] = request["argv"]
    importlib.invalidate_caches()
    handle = os.pidfd_open(os.getpid())
    socket.send_fds(client, [b"started"], [handle])
    os.close(handle)
    client.close()


def leave(end: SystemExit) -> None:
    """Exit as Python does after `sys.exit`, without taking down the libraries one by one, which takes half a second.

    Returns where Python has more to do: the code is no number, or a stream cannot be written.
    """
    if not isinstance(end.code, int):
        return
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return
    os._exit(end.code)


def _end_with_parent(argv: list[str]) -> None:
    """Be killed when the server is, and be called after the stage in lists of processes."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != _PARENT:
        os._exit(1)
    library.prctl(_SET_NAME, f"sc2 {' '.join(argv[1:2])}".encode())


def _take_streams(streams: list[int]) -> None:
    """Put three file descriptors in place of standard input, output and error, with new buffers."""
    for number, handle in enumerate(streams):
        os.dup2(handle, number)
        os.close(handle)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _text(getattr(sys, name), number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _text(old: Any, number: int) -> io.TextIOWrapper:
    """Return a text stream like an old one, over a file descriptor and with an empty buffer."""
    raw = io.FileIO(number, "w" if number else "r", closefd=False)
    raw.name = old.name
    by_line = number == 2 or raw.isatty()
    buffer: Any = io.BufferedReader(raw) if number == 0 else raw
    # PYTHONUNBUFFERED leaves the buffer out.
    if number and not old.write_through:
        buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, old.encoding, old.errors, line_buffering=by_line, write_through=old.write_through)


def _take_environment(variables: dict[str, str]) -> None:
    """Set the variables, and draw other random numbers than other forks.

    A process that starts alone draws new first seeds as well; Python's own does so in every fork.
    """
    os.environ.clear()
    os.environ.update({name: value for name, value in variables.items() if name != ADDRESS})
    tempfile.tempdir = None
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
