"""Runs of Snakemake as forks of one process that has imported it: most of a small plan's time are the imports.

Only libraries are imported before, so that a plan is made by the code of the project in whose folder it is. A process
of pytest has one such process, which ends with it: `python tests/snakemake_runs.py` reads a request in each line, and
writes the status that it has ended with.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("snakemake")
LIBRARIES = (
    *("snakemake.cli", "snakemake.report.html_reporter", "snakemake.storage", "smart_open", "yte", "numpy.typing"),
    *("pydantic", "pydantic.functional_serializers", "pydantic.functional_validators", "yaml", "tqdm", "requests"),
)
"""What a plan imports, but for what is the project's."""


def snakemake(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `snakemake` as a process of its own would, and wait for its end.

    Args:
        arguments: What follows the name of the program.
        folder: The working directory.
        environment: All variables.
    """
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as written:
        streams = [os.path.join(written, name) for name in ("stdout", "stderr")]  # noqa: PTH118
        request = [list(arguments), str(folder), dict(environment), streams]
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, f"the process that Snakemake is forked from has ended: {server.poll()}"
        told = [Path(stream).read_text(encoding="utf-8") for stream in streams]
    return subprocess.CompletedProcess([str(PROGRAM), *arguments], int(answer), *told)


@cache
def _server() -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    server = subprocess.Popen([sys.executable, __file__], env=environment, stdin=pipe, stdout=pipe, text=True)
    atexit.register(server.communicate)
    return server


def _serve() -> None:
    """Fork for each request until there are no more; in a fork, run Snakemake and do not return."""
    # As in a process of the program's own: not the folder of this file.
    sys.path[0] = str(PROGRAM.parent)
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()
    for line in sys.stdin:
        process = os.fork()
        if not process:
            _become(*json.loads(line))
            runpy.run_path(str(PROGRAM), run_name="__main__")
            return
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(arguments: list[str], folder: str, environment: dict[str, str], streams: list[str]) -> None:
    sys.argv = [str(PROGRAM), *arguments]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    files = [os.open(os.devnull, os.O_RDONLY), *(os.open(path, os.O_WRONLY | os.O_CREAT) for path in streams)]
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _serve()
