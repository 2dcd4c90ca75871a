"""What a process is born with and no fork can take on later; a job that inherited something else starts alone."""

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from sc2.system.surroundings import THREADS

LONGEST = 1 << 20
"""No message is longer, in bytes: a client's arguments and environment."""

ADDRESS = "SC2_FORKS"
"""Names the socket of the process to be forked from, in the environment of jobs; `off` starts every job alone."""

NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""Keeps libraries from starting a thread while they are imported: an allocator that PyArrow has but does not use by
default, and CUDA, which torch asks for GPUs unless it is told to ask their driver's management library."""

_FREE = frozenset({*THREADS, *NO_THREADS, ADDRESS, "_", "SHLVL", "PWD", "OLDPWD"})
"""Variables that may differ: those of the shell, and those that every stage settles itself."""

_STATUS = frozenset(
    {
        *("Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn"),
        *("CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Cpus_allowed", "Mems_allowed"),
    }
)


def inherited() -> dict[str, Any]:
    """Return what has to be the same in two processes, by the name that a message gives it; plain values as of JSON.

    Everything of the environment that a library may read while it is imported is among it.
    """
    process = Path("/proc/self")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {
        **{f"status {name}": value.strip() for name, value in status.items() if name in _STATUS},
        **{f"variable {name}": value for name, value in os.environ.items() if name not in _FREE},
        **{f"namespace {name}": str((process / "ns" / name).readlink()) for name in ("mnt", "net", "pid")},
        "cgroup": (process / "cgroup").read_text(),
        "limits": (process / "limits").read_text(),
        "memory score": (process / "oom_score_adj").read_text(),
        # The libraries of the process to be forked from were loaded with one.
        "threads": dict(pairwise(sys.argv)).get("--threads", "1"),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "session": os.getsid(0),
        "working directory": os.getcwd(),  # noqa: PTH109  (a Path object costs more than the call)
        "interpreter": [sys.executable, sys.prefix, sys.version],
        "options": [sys.orig_argv[1:2], list(sys.flags), sys.warnoptions, sorted(map(repr, sys._xoptions.items()))],
        "module path": sys.path,
        # Installing, upgrading and removing a package changes the folder.
        "packages": [os.stat(path).st_mtime_ns for path in sys.path if path.endswith("-packages")],  # noqa: PTH116
    }


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the names of what is not the same."""
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
