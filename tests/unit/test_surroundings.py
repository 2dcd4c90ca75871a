"""What of the environment reaches a job, and what does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sc2.system.surroundings import THREADS, for_git, for_jobs, settle

FOREIGN = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "/nowhere/matplotlibrc",
    "LANG": "de_DE.ISO-8859-1",
    "LC_ALL": "tr_TR.UTF-8",
    "LC_NUMERIC": "de_DE.UTF-8",
    "OMP_NUM_THREADS": "7",
    "OMP_DYNAMIC": "TRUE",
    "MKL_NUM_THREADS": "7",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "GIT_DIR": "/nowhere/.git",
    "GIT_INDEX_FILE": "/nowhere/index",
}
KEPT = {
    "SC2_DATA": "/data",
    "PATH": os.environ["PATH"],
    "CUDA_VISIBLE_DEVICES": "1",
    "https_proxy": "http://proxy",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
OF_PYTHON = {"PYTHONPATH": "/other", "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "ascii"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "home")


def test_what_could_change_numbers_does_not_reach_a_job(home: str, tmp_path: Path) -> None:
    found = {**FOREIGN, **KEPT, "HOME": home}
    settle(found, threads=1)
    own = {"LC_ALL": "C", "MPLBACKEND": "agg", "MPLCONFIGDIR": str(tmp_path / "scratch" / "matplotlib")}
    assert found == {**KEPT, "HOME": home, **own, **dict.fromkeys(THREADS, "1")}
    settle(found, threads=3)
    assert {found[name] for name in THREADS} == {"3"}


def test_the_same_environment_whatever_was_there(home: str) -> None:
    plain = for_jobs({**KEPT, "HOME": home}, Path("/project"))
    assert for_jobs({**FOREIGN, **OF_PYTHON, **KEPT, "HOME": home}, Path("/project")) == plain
    assert (plain["PYTHONPATH"], plain["PYTHONSAFEPATH"], plain["PYTHONUTF8"]) == ("/project", "1", "1")
    assert plain["PATH"].startswith(f"{Path(sys.executable).parent}{os.pathsep}")


@pytest.mark.parametrize("place", [None, "", "/dev/null/home", "/proc"])
def test_a_home_that_cannot_be_written_to_is_replaced(
    home: str, tmp_path: Path, place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere but there.
    monkeypatch.setattr(os, "access", lambda folder, mode: folder != "/proc")
    found = {} if place is None else {"HOME": place, "TMPDIR": place, "TMP": home}
    settle(found, threads=1)
    assert found["HOME"] == str(tmp_path / "scratch" / "home")
    assert Path(found["HOME"]).is_dir()
    assert "TMPDIR" not in found
    assert found.get("TMP") == (None if place is None else home)


def test_git_finds_the_repository_by_its_folder(home: str) -> None:
    found = for_git({**FOREIGN, **KEPT})
    assert "GIT_DIR" not in found
    assert "GIT_INDEX_FILE" not in found
    assert found["GIT_CONFIG_KEY_0"] == "safe.directory"
    assert found["GIT_OPTIONAL_LOCKS"] == "0"


def test_figures_are_drawn_where_a_notebook_set_the_backend(tmp_path: Path) -> None:
    """Jupyter and Colab export a backend that exists in their own process only."""
    code = (
        "import os\nfrom sc2.system.surroundings import settle\nsettle(os.environ, threads=1)\n"
        "import matplotlib\nimport sc2.report.layout\nprint(matplotlib.get_backend().lower())\n"
    )
    environ = {**os.environ, **FOREIGN, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "agg\n"), done.stderr
