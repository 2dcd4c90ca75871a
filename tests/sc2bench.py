"""The published SC2 code from PyPI, a reference for tests alone: fetched once per session, checked by hash."""

import importlib
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

REQUIREMENT = "sc2bench==0.1.1 --hash=sha256:e91f2dd276e6f060f117d031e72fb1e2fd3869fee11d6ec0581921a0c7c53734\n"
PATIENCE_S = 120


@pytest.fixture(scope="session")
def sc2bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function that imports a module of the package by its name below `sc2bench`; skips where it cannot be had."""
    folder = tmp_path_factory.mktemp("sc2bench")
    (folder / "requirements.txt").write_text(REQUIREMENT, encoding="utf-8")
    options = ["--quiet", "--no-deps", "--no-compile", "--retries", "1", "--timeout", "20", "--require-hashes"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site")]
    done = subprocess.run(
        [*command, "-r", str(folder / "requirements.txt")],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        pytest.skip(f"sc2bench cannot be installed from PyPI: {last}")
    site = str(folder / "site")
    sys.path.insert(0, site)
    yield partial(_module, site)
    sys.path.remove(site)


def _module(site: str, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(f"sc2bench.{name}")
    assert Path(str(module.__file__)).is_relative_to(site)
    return module
