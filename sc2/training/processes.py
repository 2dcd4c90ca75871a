"""A training in several processes, one per GPU, or per core where there is none, started by torchrun.

The job's own process starts them and waits; each of them runs the same stage on its part of every batch, and the first
one writes. They end when the job does, however that is.
"""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from sc2.errors import ConfigError, SC2Error
from sc2.job import RunningJob
from sc2.training.shares import Division
from sc2.training.stopping import Stopped, Stopping

Run = Callable[[RunningJob], None]
_LOOK_EVERY_S = 0.2
_END_WITH_PARENT = 1
"""A number of prctl(2)."""


def in_processes(stage: Run) -> Run:
    """Run a stage, which trains, in as many processes as its job asks for."""

    @wraps(stage)
    def run(job: RunningJob) -> None:
        if job.gpus == 1:
            stage(job)
        else:
            _launch(f"{stage.__module__}:{stage.__name__}", job)

    return run


def division(job: RunningJob) -> Division:
    """Return which part of each batch this process computes."""
    if not distributed.is_initialized():
        return Division(micro_batch=job.micro_batch)
    return Division(distributed.get_world_size(), distributed.get_rank(), job.micro_batch)


def is_first() -> bool:
    """Whether this process writes: the only one, or the first one of several."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _launch(stage: str, job: RunningJob) -> None:
    """Run a stage, as `module:function`, in torchrun's processes.

    Raises:
        ConfigError: There are GPUs, but too few.
        SC2Error: A process has failed; what it says is in the log.
        Stopped: A signal has asked for the end; it has been passed on.
    """
    found = torch.cuda.device_count()
    if 0 < found < job.gpus:
        raise ConfigError(f"compute.gpus is {job.gpus}, but this job sees {found}")
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "job.json"
        described.write_text(json.dumps(asdict(job), default=str), encoding="utf-8")
        command = [sys.executable, "-m", "sc2.training.processes", "start", str(job.gpus), stage, str(described)]
        # Its own group: what a terminal sends to the group in front reaches it through this process alone.
        with Stopping() as stopping, stopping.ignored():
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
            status = _ended(child, stopping)
    if stopping.received is not None and status:
        raise Stopped(f"stopped by {stopping.received.name}; the same command goes on from the state that is saved")
    if status:
        raise SC2Error(f"a training in {job.gpus} processes has failed: the reason is above")


def _ended(child: "subprocess.Popen[bytes]", stopping: Stopping) -> int:
    """Wait for the end of a process, pass a signal on, and return its status."""
    passed_on = False
    while True:
        try:
            return child.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if stopping.received is not None and not passed_on:
                child.terminate()
                passed_on = True


def _start(count: str, stage: str, described: str) -> int:
    """Be torchrun, which ends with this job."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    end_with_parent()
    arguments = ["--standalone", "--nproc-per-node", count, "-m", "sc2.training.processes", "work", stage, described]
    try:
        torchrun(arguments)
    except (ChildFailedError, SignalException):
        # A process that failed has said why.
        return 1
    return 0


def _work(stage: str, described: str) -> int:
    """Run a stage as one of several processes."""
    end_with_parent()
    # As in `sc2.cli`.
    warnings.filterwarnings("ignore", message=".torch.jit.script. is deprecated", category=FutureWarning)
    module, _, name = stage.partition(":")
    run: Any = getattr(importlib.import_module(module), name)
    with_gpu = torch.cuda.is_available()
    if with_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if with_gpu else "gloo")
    try:
        run.__wrapped__(_job(json.loads(Path(described).read_text(encoding="utf-8"))))
    except SC2Error as error:
        if is_first():
            print(f"sc2: error: {error}", file=sys.stderr, flush=True)
        return 2
    finally:
        distributed.destroy_process_group()
    return 0


def _job(content: dict[str, Any]) -> RunningJob:
    inputs = {
        name: [Path(each) for each in paths] if isinstance(paths, list) else Path(paths)
        for name, paths in content["inputs"].items()
    }
    outputs = {name: Path(path) for name, path in content["outputs"].items()}
    return replace(RunningJob(**content), inputs=inputs, outputs=outputs, beside=[])


def end_with_parent() -> None:
    """Be killed when the process that started this one is."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_start(*sys.argv[2:]) if sys.argv[1] == "start" else _work(*sys.argv[2:]))
