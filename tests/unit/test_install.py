"""`make env` with uv and with pip: what is asked of each, and that uv is told what pip is configured with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import install
from tests.unit.test_environment import lock_entries

SAYS = """\
#!/bin/sh
echo "$@" > "$SAID"
env | grep -E '^(UV_|SSL_CERT)' | sort >> "$SAID"
exit ${ENDS:-0}
"""
"""Stands for uv."""


def installed(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the module with a folder in front of the path, and of pip's settings those that are not this user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "SSL_"))}
    given = {
        **kept,
        "PATH": f"{folder}:{os.defpath}" if (folder / "uv").exists() else str(folder),
        "SAID": str(folder / "said"),
        "HOME": str(folder),
        **environment,
    }
    command = [sys.executable, "-m", "tests.install", "some.lock"]
    root = Path(install.__file__).parents[1]
    return subprocess.run(command, cwd=root, env=given, capture_output=True, text=True, check=False)


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    path = tmp_path / "uv"
    path.write_text(SAYS)
    path.chmod(0o755)
    return path


def test_uv_is_told_what_pip_is_configured_with(uv: Path) -> None:
    """By pip itself, from its file and its variables; what is said to uv counts."""
    (uv.parent / "pip.conf").write_text(
        "[global]\nindex-url = https://a.example/simple\ncert = /ours.pem\nno-index = false\n"
        "[install]\nextra-index-url =\n    file:///b\n    file:///c\n[download]\ncert = /theirs.pem\n"
    )
    done = installed(
        uv.parent, PIP_CONFIG_FILE=str(uv.parent / "pip.conf"), PIP_FIND_LINKS="/d /e", UV_DEFAULT_INDEX="https://f"
    )
    assert done.returncode == 0, done.stderr
    words, *variables = (uv.parent / "said").read_text().splitlines()
    asked = f"pip install --python {sys.executable} --compile-bytecode --require-hashes -r some.lock"
    assert words == asked
    told = dict(line.split("=", 1) for line in variables)
    assert told.pop("UV_DEFAULT_INDEX") == "https://f"
    # The machine's own file may say more.
    assert told.items() >= {
        ("UV_INDEX", "file:///b file:///c"),
        ("UV_FIND_LINKS", "/d,/e"),
        ("UV_INDEX_STRATEGY", "unsafe-best-match"),
        ("SSL_CERT_FILE", "/ours.pem"),
    }


def test_without_uv_pip_installs(tmp_path: Path) -> None:
    """pip refuses the lock, because there is none: it is asked, and its status is passed on."""
    done = installed(tmp_path, PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 1
    assert "Could not open requirements file" in done.stderr
    assert "some.lock" in done.stderr


def test_pip_installs_where_uv_fails(uv: Path) -> None:
    done = installed(uv.parent, PIP_CONFIG_FILE=os.devnull, ENDS="3")
    assert done.returncode == 1
    assert "uv ended with status 3: pip installs instead" in done.stderr
    assert "Could not open requirements file" in done.stderr


def test_later_sections_count_and_others_do_not() -> None:
    listed = """\
:env:.default-timeout='180'
download.index-url='https://download.example'
global.index-url='https://global.example'
global.timeout='15'
global.trusted-host='\\na.example\\nb.example:8080'
install.index-url='https://install.example'
install.find-links=''
wheel.timeout='1'
"""
    found = install.settings(listed)
    assert found == {
        "index-url": "https://install.example",
        "timeout": "180",
        "trusted-host": "\na.example\nb.example:8080",
    }
    assert install.for_uv(found) == {
        "UV_DEFAULT_INDEX": "https://install.example",
        "UV_HTTP_TIMEOUT": "180",
        "UV_INSECURE_HOST": "a.example b.example:8080",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


@pytest.mark.parametrize(("value", "asked"), [("1", True), ("false", False)])
def test_no_index_is_handed_over(uv: Path, value: str, asked: bool) -> None:
    installed(uv.parent, PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX=value)
    words = (uv.parent / "said").read_text().splitlines()[0].split()
    assert ("--no-index" in words) is asked


def test_the_uv_of_ci_is_one_version_and_its_files_are_checked(root: Path) -> None:
    entry, *others = lock_entries(root / ".ci", "uv.txt")
    assert not others
    assert entry.startswith("uv==")
    assert entry.count("--hash=sha256:") == 2
