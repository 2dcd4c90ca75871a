"""Fails the n-th system call of a process that writes, renames or flushes a file below a folder.

The kernel asks the supervisor about each such call (seccomp's user notification, Linux 5.5 and later, no privileges
needed), so that calls made from C code, of torch, Pillow or Arrow, count as those of Python do.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Numbers of the calls by machine; where a machine lacks one of them the library uses the others.
_CALLS = {
    "x86_64": {
        **{1: "write", 18: "write", 20: "write", 296: "write"},  # write, pwrite64, writev, pwritev
        **{82: "rename", 264: "rename", 316: "rename", 86: "rename", 265: "rename"},  # renames, link, linkat
        **{74: "fsync", 75: "fsync"},
    },
    "aarch64": {
        **{64: "write", 68: "write", 66: "write", 70: "write"},
        **{38: "rename", 276: "rename", 37: "rename"},
        **{82: "fsync", 83: "fsync"},
    },
}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, number, architecture, instruction, arguments
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1


@dataclass(frozen=True)
class Outcome:
    """What became of a supervised process.

    Attributes:
        calls: What it did below the folder, in order: `write`, `rename` or `fsync`.
        status: Its exit status; negative for a signal, None when it took too long and was killed.
        said: What it printed.
    """

    calls: tuple[str, ...]
    status: int | None
    said: str


def problem() -> str | None:
    """Say why calls cannot be made to fail on this machine; None when they can."""
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        return "system calls are made to fail on Linux on x86-64 and aarch64 only"
    action = ctypes.c_uint32(0x7FC00000)
    known = ctypes.CDLL(None).syscall(_SECCOMP[platform.machine()], 2, 0, ctypes.byref(action)) == 0
    return None if known else "this kernel has no user notification of seccomp"


def run(act: Callable[[], int], folder: Path, *, fail: tuple[int, int] | None, seconds: float) -> Outcome:
    """Run `act` in a forked child, whose calls on files below the folder are counted.

    Args:
        act: Returns the exit status.
        folder: Absolute and without links.
        fail: Which call fails, from 0, and with which number of `errno`; None: none does.
        seconds: The child is killed after so long.
    """
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(act, theirs, writer)
    theirs.close()
    os.close(writer)
    os.set_blocking(reader, False)
    [listener] = socket.recv_fds(ours, 1, 1)[1]
    try:
        return _supervise(child, listener, reader, f"{folder}/", fail, time.monotonic() + seconds)
    finally:
        for descriptor in (listener, reader, ours.detach()):
            os.close(descriptor)


def _be_child(act: Callable[[], int], supervisor: socket.socket, output: int) -> None:
    status = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        # Whatever stands in their places, such as a test's.
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        listener = _install_filter()
        socket.send_fds(supervisor, [b"x"], [listener])
        os.close(listener)
        status = act()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        status = 1
    finally:
        os._exit(status)


def _install_filter() -> int:
    """Let the kernel ask about the calls; returns the descriptor on which it asks."""
    machine = platform.machine()
    numbers = sorted(_CALLS[machine])
    load = (0x20, 0, 0)
    program = [(*load, 4), (0x15, 1, 0, _AUDIT[machine]), (0x06, 0, 0, 0x7FFF0000), (*load, 0)]
    program += [(0x15, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FC00000)]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HxxxxxxP", len(program), ctypes.addressof(buffer))
    library = ctypes.CDLL(None, use_errno=True)
    # No new privileges, which is what an unprivileged process pays for a filter.
    library.prctl(38, 1, 0, 0, 0)
    listener = library.syscall(_SECCOMP[machine], 1, 8, ctypes.create_string_buffer(header, len(header)))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def _supervise(
    child: int, listener: int, reader: int, prefix: str, fail: tuple[int, int] | None, end: float
) -> Outcome:
    calls: list[str] = []
    said = b""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(reader, select.POLLIN)
    names = _CALLS[platform.machine()]
    ended, status = False, None
    while not ended:
        for descriptor, _ in poll.poll(20):
            if descriptor == reader:
                said += _read(reader)
            else:
                _answer(listener, calls, names, prefix, fail)
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            ended, status = True, os.waitstatus_to_exitcode(code)
        elif time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            ended = True
    return Outcome(tuple(calls), status, (said + _read(reader)).decode("utf-8", "replace"))


def _answer(listener: int, calls: list[str], names: dict[int, str], prefix: str, fail: tuple[int, int] | None) -> None:
    buffer = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
    except OSError as error:
        # The process was killed while it asked, or a signal came.
        if error.errno in (errno.ENOENT, errno.EINTR):
            return
        raise
    number, pid, _, call, _, _, first, *_ = _NOTIFICATION.unpack(buffer)
    kind = names[call]
    wrong = 0
    if _is_below(prefix, kind, pid, first):
        calls.append(kind)
        if fail is not None and len(calls) - 1 == fail[0]:
            wrong = -fail[1]
    answer = _ANSWER.pack(number, 0, wrong, 0 if wrong else _CONTINUE)
    try:
        fcntl.ioctl(listener, _SEND, answer)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def _is_below(prefix: str, kind: str, pid: int, first: int) -> bool:
    if kind == "rename":
        # Whatever a job renames is a result of it, or leads to one.
        return True
    try:
        return str(Path(f"/proc/{pid}/fd/{first}").readlink()).startswith(prefix)
    except OSError:
        return False


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 2**16)
    except BlockingIOError:
        return b""
