"""A job that is a fork cannot be told from one that started alone: status, signals, streams, environment, numbers."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sc2.forks.inherited import ADDRESS, LONGEST, differences, inherited
from sc2.jobs.stages import STAGES
from sc2.system.surroundings import THREADS
from tests.conftest import ROOT
from tests.forks import Workflow

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forks on Linux only")

FORKED = "import sys; assert 'colorsys' in sys.modules\n"
"""Fails in a job that has started alone."""


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    """A workflow whose jobs are forks of a process with little in it."""
    workflow = Workflow(tmp_path_factory.mktemp("forks"), ("json", "colorsys"))
    yield workflow
    assert workflow.end() == ""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Workflow]:
    """The same, for one test, which may end it."""
    workflow = Workflow(tmp_path, ("json", "colorsys"))
    yield workflow
    workflow.process.kill()
    workflow.process.communicate()
    # Where a test has killed the server, nobody else does.
    shutil.rmtree(Path(workflow.variables[ADDRESS]).parent, ignore_errors=True)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    """A workflow whose jobs are forks of a process with all libraries."""
    workflow = Workflow(tmp_path_factory.mktemp("loaded"), None)
    yield workflow
    assert workflow.end() == ""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('told')", 1),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import os; os._exit(7)", 7),
    ],
)
def test_the_status_is_the_job_s(forks: Workflow, code: str, status: int) -> None:
    assert forks.run(FORKED + code)[0] == status
    assert forks.alone("import sys\n" + code)[0] == status


def test_streams_stay_apart_and_are_written_out(forks: Workflow) -> None:
    code = "print('out', input()); print('err', file=sys.stderr); import atexit; atexit.register(print, 'late')"
    with forks.job(FORKED + code, stdin=subprocess.PIPE) as job:
        assert job.communicate(b"in\n") == (b"out in\nlate\n", b"err\n")


def test_a_closed_reader_is_noticed(forks: Workflow) -> None:
    code = "sys.stdout.write('x' * 100000); sys.stdout.flush()"
    reader, writer = os.pipe()
    os.close(reader)
    told = []
    for address in (forks.environment[ADDRESS], "off"):
        with forks.job("import sys\n" + code, stdout=writer, env={**forks.environment, ADDRESS: address}) as job:
            told.append((job.communicate()[1].splitlines()[-1], job.returncode))
    os.close(writer)
    assert told[0] == told[1]
    assert b"BrokenPipeError" in told[0][0]


SHOW = """\
import json, os, sys, threading, signal, tempfile
print(json.dumps({
    "forked": "colorsys" in sys.modules,
    "arguments": sys.argv, "original": sys.orig_argv, "main": sys.modules["__main__"].__spec__.name,
    "environment": {k: v for k, v in os.environ.items() if k != "SC2_FORKS"}, "folder": os.getcwd(),
    "path": sys.path, "temporary": tempfile.gettempdir(), "threads": threading.active_count(),
    "signals": [str(signal.getsignal(s)) for s in signal.valid_signals()], "open": sorted(os.listdir("/proc/self/fd")),
    "project": sorted(m for m in sys.modules if m.startswith("sc2") and "forks" not in m),
    "streams": [[s.encoding, s.errors, s.line_buffering, s.write_through, s.name] for s in
        (sys.stdin, sys.stdout, sys.stderr)],
}))
"""


@pytest.mark.parametrize("variables", [{}, {"SHLVL": "7", "PWD": "/nowhere"}])
def test_it_sees_what_it_would_see_alone(forks: Workflow, variables: dict[str, str]) -> None:
    told = {}
    for address in (forks.environment[ADDRESS], "off"):
        environment = {**forks.environment, **variables, ADDRESS: address}
        status, output, errors = forks.run(SHOW, "--one", "two three", env=environment)
        assert (status, errors) == (0, "")
        told[address] = json.loads(output)
    forked, alone = told.values()
    assert forked.pop("forked")
    assert not alone.pop("forked")
    assert forked == alone


def test_no_module_of_the_project_is_there_before_the_job(forks: Workflow) -> None:
    """An edit counts for the next job, also of what a job before it has imported."""
    edited = forks.folder / "sc2" / "edited.py"
    for number in ("1", "22"):
        edited.write_text(f"NUMBER = {number}\n")
        assert forks.run(f"{FORKED}import sc2.edited; print(sc2.edited.NUMBER)") == (0, f"{number}\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_passed_on(forks: Workflow, number: signal.Signals) -> None:
    with forks.job(f"{FORKED}import os, time; print(os.getpid(), flush=True); time.sleep(60)") as job:
        process = running(job)
        job.send_signal(number)
        job.communicate(timeout=20)
    assert job.returncode == -number
    assert ended(process)


def test_the_job_can_handle_a_signal(forks: Workflow) -> None:
    handle = "import os, signal, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))"
    with forks.job(f"{FORKED}{handle}; print(os.getpid(), flush=True); time.sleep(60)") as job:
        running(job)
        job.terminate()
        job.communicate(timeout=20)
    assert job.returncode == 5


def test_a_signal_sent_as_the_job_begins_reaches_it(tmp_path: Path) -> None:
    """Before its own process has heard that the job began, which would then die of it and leave the job."""
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen()
        code = f"from sc2.forks.client import run_in_fork; run_in_fork({address!r})"
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as own, subprocess.Popen(["sleep", "60"]) as job:
            client, _ = server.accept()
            _, streams, _, _ = socket.recv_fds(client, LONGEST, 3)
            own.terminate()
            handle = os.pidfd_open(job.pid)
            socket.send_fds(client, [b"0"], [handle])
            assert job.wait(20) == -signal.SIGTERM
            client.send(str(signal.SIGTERM.value).encode())
            assert own.wait(20) == -signal.SIGTERM
            for descriptor in (*streams, handle):
                os.close(descriptor)
            client.close()


def test_a_stopped_job_goes_on(forks: Workflow) -> None:
    with forks.job(f"{FORKED}import os, time; print(os.getpid(), flush=True); time.sleep(0.5)") as job:
        process = running(job)
        job.send_signal(signal.SIGTSTP)
        until(lambda: process.status() == psutil.STATUS_STOPPED)
        job.send_signal(signal.SIGCONT)
        job.communicate(timeout=20)
    assert job.returncode == 0


def test_the_job_is_killed_with_its_client(forks: Workflow) -> None:
    with forks.job(f"{FORKED}import os, time; print(os.getpid(), flush=True); time.sleep(60)") as job:
        process = running(job)
        job.kill()
        assert ended(process)


def test_a_client_that_leaves_its_reply_unread_takes_nobody_along(forks: Workflow) -> None:
    """To send it how its job ended fails in another way than to one that has read all it was sent."""
    for _ in range(3):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(forks.variables[ADDRESS])
        request = {"inherited": {**inherited(), "umask": -1}, "environment": {}, "argv": [[], []]}
        with Path(os.devnull).open("rb") as nothing:
            socket.send_fds(client, [json.dumps(request).encode()], [nothing.fileno()] * 3)
        assert select.select([client], [], [], 20)[0], "the reply"
        client.close()
        assert forks.run(FORKED) == (0, "", "")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None])
def test_everything_ends_with_the_workflow(own: Workflow, how: signal.Signals | None) -> None:
    with own.job(f"{FORKED}import os, time; print(os.getpid(), flush=True); time.sleep(60)") as job:
        process = running(job)
        server = process.parent()
        assert server is not None
        if how is None:
            own.end()
        else:
            own.process.send_signal(how)
        job.communicate(timeout=20)
    assert job.returncode == -signal.SIGTERM
    assert ended(process)
    assert ended(server)
    assert not Path(own.variables[ADDRESS]).parent.exists()


def test_a_job_says_that_the_server_was_killed_and_the_next_one_starts_alone(own: Workflow) -> None:
    with own.job(f"{FORKED}import os, time; print(os.getpid(), flush=True); time.sleep(60)") as job:
        process = running(job)
        server = process.parent()
        assert server is not None
        server.kill()
        _, errors = job.communicate(timeout=20)
    assert job.returncode == 1
    assert b"has been killed" in errors
    assert ended(process)
    status, output, errors_ = own.run("print('done')")
    assert (status, output) == (0, "done\n")
    assert re.search("starts alone.*Connection refused", errors_)


@pytest.mark.parametrize(
    ("variables", "folder", "before", "told"),
    [
        ({"MKL_CBWR": "COMPATIBLE"}, None, (), "variable MKL_CBWR"),
        ({"PYTHONHASHSEED": "1"}, None, (), "variable PYTHONHASHSEED"),
        ({}, "/", (), "working directory"),
        ({}, None, ("nice",), "niceness"),
        ({}, None, ("prlimit", "--nofile=99"), "limits"),
        ({}, None, ("setsid",), "session"),
        ({ADDRESS: "/nowhere/socket"}, None, (), "No such file"),
    ],
)
def test_what_inherits_something_else_starts_alone(
    forks: Workflow, variables: dict[str, str], folder: str | None, before: tuple[str, ...], told: str
) -> None:
    environment = {**forks.environment, **variables}
    if folder:
        environment["PYTHONPATH"] = str(forks.folder)
    code = "import os, sys; print('colorsys' in sys.modules, os.getcwd())"
    done = subprocess.run(
        [*before, "python", "-m", "sc2", code],
        cwd=folder or forks.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"False {folder or forks.folder}\n"
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_number_of_threads_starts_alone(forks: Workflow) -> None:
    """The libraries are imported for one; what Snakemake tells them each stage settles itself."""
    two = {**forks.environment, **dict.fromkeys(THREADS, "2")}
    assert forks.run(FORKED, "--threads", "1", env=two)[0] == 0
    status, _, errors = forks.run("", "--threads", "2")
    assert status == 0
    assert "starts alone" in errors
    assert errors.endswith(": other threads\n")


def test_a_library_that_starts_a_thread_is_left_to_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    workflow = Workflow(tmp_path, ("json", "threaded", "colorsys"))
    try:
        code = "assert 'threaded' not in sys.modules\nimport os; print(len(os.listdir('/proc/self/task')))"
        assert workflow.run(FORKED + code) == (0, "1\n", "")
    finally:
        assert workflow.end() == "sc2: threaded starts a thread: each job imports it by itself\n"


def test_the_socket_is_private(forks: Workflow) -> None:
    assert Path(forks.variables[ADDRESS]).parent.stat().st_mode & 0o777 == 0o700


def test_another_interpreter_or_user_differs() -> None:
    ours = inherited()
    assert differences(ours, inherited()) == []
    assert differences(ours, {**ours, "interpreter": ["/other", "/other", ""]}) == ["interpreter"]
    assert differences(ours, {**ours, "status Uid": "1 1 1 1"}) == ["status Uid"]
    assert differences(ours, {**ours, "packages": []}) == ["packages"]


TRAIN = """\
import hashlib, numpy, torch
torch.manual_seed(0); torch.set_num_threads(1)
layers = torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.Flatten(), torch.nn.LazyLinear(5)
net = torch.nn.Sequential(*layers)
x = torch.randn(8, 3, 20, 20)
net(x)
for _ in range(5):
    values = list(net.parameters())
    for value, slope in zip(values, torch.autograd.grad(net(x).square().mean(), values)):
        value.data -= 0.1 * slope
weights = b"".join(value.numpy().tobytes() for value in net.state_dict().values())
random = numpy.random.default_rng(0).normal(size=(300, 300))
print(hashlib.sha256(weights).hexdigest(), hashlib.sha256((random @ random).tobytes()).hexdigest())
"""


def test_numbers_are_the_same(loaded: Workflow) -> None:
    forked, alone = loaded.run("import sys; assert 'timm' in sys.modules\n" + TRAIN), loaded.alone(TRAIN)
    assert forked == alone
    assert re.fullmatch(r"[0-9a-f]{64} [0-9a-f]{64}\n", forked[1]), forked


def test_nothing_was_computed_before_the_fork(loaded: Workflow) -> None:
    """No pool of threads, no CUDA, denormal numbers as they were, and chance of one's own."""
    code = """\
import sys, os
assert 'timm' in sys.modules
import numpy, torch
assert len(os.listdir("/proc/self/task")) == 1, os.listdir("/proc/self/task")
assert not torch.cuda.is_initialized() and not torch.cuda._is_in_bad_fork()
assert 5e-324 * 1.0 > 0 and float(numpy.float32(1e-45) * numpy.float32(1)) > 0
print(torch.initial_seed(), numpy.random.random())
"""
    first, second = loaded.run(code), loaded.run(code)
    assert first[0] == second[0] == 0, (first, second)
    assert not set(first[1].split()) & set(second[1].split())


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_imports_is_there(loaded: Workflow, stage: str) -> None:
    """Otherwise every job of it takes the time again. (What a package keeps private it loads when it is used.)"""
    code = f"""\
import sys
assert 'timm' in sys.modules
before = set(sys.modules)
sys.path.insert(0, {str(ROOT)!r})
for name in [name for name in sys.modules if name.partition(".")[0] == "sc2"]:
    del sys.modules[name]
import {STAGES[stage].module}
new = [name.split(".") for name in set(sys.modules) - before]
slow = {{name[0] for name in new if not any(part.startswith("_") for part in name)}}
slow -= {{*sys.stdlib_module_names, "sc2"}}
print(sorted(slow))
"""
    assert loaded.run(code) == (0, "[]\n", "")


def running(job: "subprocess.Popen[bytes]") -> psutil.Process:
    """Return the process that does a job, which says its number first."""
    assert job.stdout is not None
    number = int(job.stdout.readline())
    assert number != job.pid
    return psutil.Process(number)


def ended(process: psutil.Process) -> bool:
    """Wait until a process has ended."""
    try:
        process.wait(20)
    except psutil.TimeoutExpired:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
