"""A GPU for each job that computes on one: two jobs never share one unless asked. No torch."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sc2.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
JOBS_PER_GPU = "SC2_JOBS_PER_GPU"
_WAIT_S = 0.5


def visible(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the GPUs that a process with these variables may use, without loading CUDA.

    They are what `CUDA_VISIBLE_DEVICES` lists, or all that `nvidia-smi` knows; empty where there are none.
    """
    listed = environ.get(VISIBLE)
    known = _known()
    if listed is None:
        return list(known.values())
    # CUDA ignores what follows the first name that is not a GPU, such as -1.
    names = [name.strip() for name in listed.split(",")]
    end = next((place for place, name in enumerate(names) if name in ("", "-1")), len(names))
    # By number or by id, one GPU has one name here.
    return [known.get(name, name) for name in names[:end]]


def slots(environ: Mapping[str, str]) -> int:
    """Return how many jobs may compute on the visible GPUs at the same time; 0 where there are none.

    Raises:
        ConfigError: `SC2_JOBS_PER_GPU` is not a number from 1 on.
    """
    return len(visible(environ)) * _jobs_per_gpu(environ)


@contextmanager
def reserved(environ: MutableMapping[str, str], folder: Path | None = None, *, count: int = 1) -> Iterator[str | None]:
    """Take some of the visible GPUs for this process, and show it no other; wait while too many are taken.

    The kernel frees it when the process dies, however that happens.

    Args:
        environ: Variables; until the end, `CUDA_VISIBLE_DEVICES` names only the GPUs that were taken. Call this before
            CUDA is used.
        folder: Folder of the locks, by default one of this user for all projects on this machine.
        count: How many to take.

    Yields:
        The GPUs, as `CUDA_VISIBLE_DEVICES` names them; None where there is none.

    Raises:
        ConfigError: `SC2_JOBS_PER_GPU` is not a number from 1 on, or fewer GPUs are visible than are to be taken.
        OSError: The locks cannot be created.
    """
    names = visible(environ)
    if not names:
        yield None
        return
    if len(names) < count:
        raise ConfigError(
            f"compute.gpus is {count}, but {len(names)} can be used here: lower it, or {VISIBLE} hides some"
        )
    before = environ.get(VISIBLE)
    with ExitStack() as stack:
        folder = folder or Path(tempfile.gettempdir()) / f"sc2-gpus-{os.getuid()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A second job goes to a GPU only when each has a first.
        places = [(name, folder / f"{name}.{turn}") for turn in range(_jobs_per_gpu(environ)) for name in names]
        descriptors = [(name, os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) for name, path in places]
        for _, descriptor in descriptors:
            stack.callback(os.close, descriptor)
        taken = ",".join(_first_free(descriptors, count))
        environ[VISIBLE] = taken
        try:
            yield taken
        finally:
            if before is None:
                del environ[VISIBLE]
            else:
                environ[VISIBLE] = before


def _first_free(descriptors: list[tuple[str, int]], count: int) -> list[str]:
    said = False
    while True:
        taken: dict[str, int] = {}
        for name, descriptor in descriptors:
            if name not in taken and len(taken) < count and _locked(descriptor):
                taken[name] = descriptor
        if len(taken) == count:
            return list(taken)
        # All or none: two processes that each hold what the other waits for would wait for ever.
        for descriptor in taken.values():
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        if not said:
            which = f"{'all' if count == 1 else 'too many of'} {len(descriptors)} places on GPUs are taken"
            print(f"waiting for a GPU: {which}; to let jobs share one: {JOBS_PER_GPU}=2", file=sys.stderr, flush=True)
            said = True
        time.sleep(_WAIT_S)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _jobs_per_gpu(environ: Mapping[str, str]) -> int:
    value = environ.get(JOBS_PER_GPU, "1")
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(f"{JOBS_PER_GPU}={value}: must be a number from 1 on, how many jobs share a GPU")
    return int(value)


def _known() -> dict[str, str]:
    """Return the ids of all GPUs of the machine by number."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    command = [tool, "--query-gpu=index,uuid", "--format=csv,noheader"]
    # Without a driver or a GPU it fails: then there is none to share.
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    pairs = [line.split(", ") for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}
