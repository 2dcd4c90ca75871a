"""The workflow's side: starts the process that jobs are forked from, which ends when the workflow does."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from sc2.forks.inherited import ADDRESS, NO_THREADS
from sc2.system.surroundings import THREADS

_STARTED: list[subprocess.Popen[bytes]] = []
"""Keeps what was started from being waited for."""


def start_forks() -> dict[str, str]:
    """Start the process and return the variables that jobs find it by: none where there is none.

    It is started as Snakemake starts a job with one thread, by way of the same shell: that drops the prompt, which an
    activated environment exports, and puts other variables of an interactive shell in order. There is none where the
    operating system is not Linux, or the user has set `SC2_FORKS=off`. Jobs may ask for a fork at once: they wait until
    the libraries are imported.
    """
    if sys.platform != "linux" or os.environ.get(ADDRESS) == "off":
        return {}
    folder = Path(tempfile.mkdtemp(prefix="sc2-forks-"))
    address = str(folder / "socket")
    # Nobody writes to the pipe: it is closed when this process ends, however it ends. No other process has this end.
    workflow, _ = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
        descriptors = [str(listener.fileno()), str(workflow)]
        temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), tempfile.gettempdir())
        started = subprocess.Popen(
            [shutil.which("bash") or "sh", "-c", 'exec python -m sc2.forks.server "$@"', "sh", *descriptors],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(listener.fileno(), workflow),
            # What a terminal sends to the group in front is for the jobs' own processes, which pass it on.
            process_group=0,
            env={**os.environ, **dict.fromkeys(THREADS, "1"), **temporary, **NO_THREADS},
        )
    os.close(workflow)
    _STARTED.append(started)
    return {ADDRESS: address}
