"""A job's own process when another one runs it: hands everything over, passes signals on, and ends as the job does."""

import json
import os
import resource
import signal
import socket
import struct
import sys
from types import FrameType

from sc2.forks.inherited import LONGEST, inherited

_PASSED_ON = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCONT),
)


def run_in_fork(address: str) -> None:
    """Have a fork of the process at a socket run this command line, and exit as it does.

    Args:
        address: Path of the socket.

    Returns only where the job has to start alone, having done nothing but say so on standard error: the process is
    gone, is another user's, or was started otherwise.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(address)
        if peer(connection)[1] != os.getuid():
            raise PermissionError("it is another user's")
        request = {"inherited": inherited(), "environment": dict(os.environ), "argv": [sys.argv, sys.orig_argv]}
        # A signal that arrives once the job may have begun waits for the handlers that pass it on.
        signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGTSTP})
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
        reply, handles, _, _ = socket.recv_fds(connection, LONGEST, 1)
    except OSError as error:
        reply, handles = str(error).encode(), []
    if not handles:
        # A number is what the server reports of a fork that failed before it could take over.
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        why = "it failed" if reply.isdigit() else reply.decode() or "it has ended"
        print(f"sc2: this job starts alone, not as a fork of {address}: {why}", file=sys.stderr, flush=True)
        return
    _pass_signals_on(handles[0])
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _end(connection.recv(LONGEST))


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end of a socket."""
    process, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return process, user


def _pass_signals_on(job: int) -> None:
    """Send a process, given by its file descriptor, what this one is sent from now on."""

    def send(number: int, _frame: FrameType | None) -> None:
        try:
            signal.pidfd_send_signal(job, number)
        except ProcessLookupError:
            return  # It has ended; its status is on the way.

    def stop(_number: int, frame: FrameType | None) -> None:
        # Not SIGTSTP, which a process without a terminal's process group ignores.
        send(signal.SIGSTOP, frame)
        os.kill(os.getpid(), signal.SIGSTOP)

    for number in _PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, send)
    if signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, stop)


def _end(message: bytes) -> None:
    """Exit with the status that `waitpid` gave of the job, or die of the same signal."""
    if not message:
        sys.exit("sc2: error: the process that this job was forked from has been killed, and the job with it")
    code = os.waitstatus_to_exitcode(int(message))
    if code < 0:
        # The job has left a memory image already if it was to.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    # Nothing of this process is left to be done or written.
    os._exit(code)
