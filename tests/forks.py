"""A throw-away package whose jobs are lines of Python, and a stand-in for the workflow that they are started by."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sc2.forks.inherited import ADDRESS
from sc2.system.surroundings import THREADS
from tests.conftest import ROOT

CLI = '''\
"""Runs its first argument."""
import sys


def main():
    exec(sys.argv[1], {})
    return 0
'''

WORKFLOW = "from sc2.forks.start import start_forks; print(start_forks(), flush=True); input()"


class Workflow:
    """A process that starts the forks and waits, and the jobs that it would start.

    Args:
        folder: Where the package is put; the working directory of everything.
        libraries: What is imported before the forks; None for what is imported in earnest.
    """

    def __init__(self, folder: Path, libraries: tuple[str, ...] | None) -> None:
        self.folder = folder
        for name in ("forks", "system"):
            shutil.copytree(ROOT / "sc2" / name, folder / "sc2" / name)
        for name in ("__init__.py", "__main__.py"):
            shutil.copy(ROOT / "sc2" / name, folder / "sc2" / name)
        (folder / "sc2" / "cli.py").write_text(CLI)
        if libraries is not None:
            server = folder / "sc2" / "forks" / "server.py"
            text = server.read_text()
            server.write_text(re.sub(r"^LIBRARIES = \(\n(.*\n)*?\)\n", f"LIBRARIES = {libraries}\n", text, flags=re.M))
            assert server.read_text() != text
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name != ADDRESS}
        kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.process = subprocess.Popen(
            ["python", "-c", WORKFLOW],
            cwd=folder,
            env=kept,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.variables: dict[str, str] = eval(self.process.stdout.readline())
        temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), kept.get("TMPDIR", "/tmp"))
        self.environment = {**kept, **dict.fromkeys(THREADS, "1"), **temporary, **self.variables}

    def job(self, code: str, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        """Start a job."""
        given = {"cwd": self.folder, "env": self.environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(["python", "-m", "sc2", code, *arguments], **{**given, **options})

    def run(self, code: str, *arguments: str, **options: Any) -> tuple[int, str, str]:
        """Run a job; return its status, output and errors."""
        with self.job(code, *arguments, **options) as job:
            output, errors = job.communicate(timeout=120)
        return job.returncode, output.decode(), errors.decode()

    def alone(self, code: str, *arguments: str, **options: Any) -> tuple[int, str, str]:
        """Run a job that is told not to be a fork."""
        return self.run(code, *arguments, env={**self.environment, ADDRESS: "off"}, **options)

    def end(self) -> str:
        """End the workflow and return what the processes said on standard error."""
        _, errors = self.process.communicate(b"\n", timeout=60)
        return errors.decode()
