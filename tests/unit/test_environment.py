"""The environment is described in several places (pyproject.toml, requirements.in, lock, conda); all say the same."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from sc2.provenance.environment import PACKAGES
from sc2.version import VERSION

PYTHON = "3.11"


def lock_entries(folder: Path, name: str = "requirements.lock") -> list[str]:
    """Entries of a lock with their hashes, one string each."""
    lines = (folder / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.fixture
def locked(root: Path) -> dict[str, str]:
    """Version by name, from requirements.lock."""
    pins: dict[str, str] = {}
    for entry in lock_entries(root):
        requirement = Requirement(entry.partition(" --hash")[0].strip())
        [pin] = requirement.specifier
        assert pin.operator == "==", entry
        pins[canonicalize_name(requirement.name)] = pin.version
    return pins


@pytest.fixture
def project(root: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def runtime(project: dict[str, Any]) -> list[Requirement]:
    """What the package needs to run, from pyproject.toml: everywhere, and for one of its parts."""
    table = project["project"]
    lines = [*table["dependencies"], *(line for extra in table["optional-dependencies"].values() for line in extra)]
    return [found for found in map(Requirement, lines) if found.name != table["name"]]


@pytest.fixture
def tools(root: Path) -> list[Requirement]:
    """What only the checks, the tests and the build need, from requirements.in."""
    lines = (root / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


@pytest.fixture
def direct(runtime: list[Requirement], tools: list[Requirement]) -> list[Requirement]:
    """All direct dependencies."""
    return [*runtime, *tools]


@pytest.fixture
def conda(root: Path) -> dict[str, object]:
    content = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_every_entry_of_the_lock_has_hashes(root: Path) -> None:
    entries = lock_entries(root)
    assert len(entries) > 100
    for entry in entries:
        name, *hashes = entry.split("--hash=")
        assert hashes, f"{name} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value.strip()) for value in hashes), name


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.in", "environment.yml", ".ci/uv.txt"])
def test_no_address_is_written_down(root: Path, name: str) -> None:
    """Where packages come from is the machine's business: pip's and conda's own configuration."""
    text = (root / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-?-?(index-url|extra-index-url|find-links|trusted-host)|^-[if] ", text, re.MULTILINE)


def test_no_dependency_is_declared_twice(direct: list[Requirement]) -> None:
    names = Counter(canonicalize_name(requirement.name) for requirement in direct)
    assert not {name for name, count in names.items() if count > 1}


def test_every_import_of_the_package_is_a_declared_dependency(root: Path, runtime: list[Requirement]) -> None:
    """Also what is imported only inside functions; what another dependency happens to install does not count."""
    imported = set()
    for path in (root / "sc2").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                imported.add(node.module.partition(".")[0])
    # pydantic_core is one half of pydantic, which asks for its exact version.
    imported -= {"sc2", "pydantic_core", *sys.stdlib_module_names}
    declared = {canonicalize_name(requirement.name) for requirement in runtime}
    providers = {
        module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
    }
    missing = sorted(module for module in imported if not providers[module] & declared)
    assert not missing, f"pyproject.toml does not declare what provides {missing}"
    assert len(imported) > 10


def test_every_dependency_has_a_lower_bound(runtime: list[Requirement]) -> None:
    unbounded = [str(item) for item in runtime if not any(bound.operator == ">=" for bound in item.specifier)]
    assert not unbounded


def test_records_name_the_distribution(project: dict[str, Any]) -> None:
    assert project["project"]["name"] in PACKAGES


def test_the_lock_satisfies_every_direct_dependency(direct: list[Requirement], locked: dict[str, str]) -> None:
    assert len(direct) > 20
    for requirement in direct:
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not locked: run `make lock`"
        assert requirement.specifier.contains(locked[name]), f"{requirement}, but {locked[name]} is locked"


def test_the_conda_environment_has_the_locked_versions(
    conda: dict[str, object], direct: list[Requirement], locked: dict[str, str]
) -> None:
    entries = conda["dependencies"]
    assert isinstance(entries, list)
    [by_pip] = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    pins = {}
    for entry in by_pip:
        requirement = Requirement(entry)
        [pin] = requirement.specifier
        assert pin.operator == "==", entry
        pins[canonicalize_name(requirement.name)] = pin.version
    assert set(pins) == {canonicalize_name(requirement.name) for requirement in direct}
    different = {name: (version, locked[name]) for name, version in pins.items() if version != locked[name]}
    assert not different, f"environment.yml and requirements.lock disagree: {different}"


def test_one_python_version_everywhere(root: Path, project: dict[str, Any], conda: dict[str, object]) -> None:
    assert project["project"]["requires-python"] == f"=={PYTHON}.*"
    assert SpecifierSet(project["project"]["requires-python"]).contains(f"{PYTHON}.7")
    assert project["tool"]["ruff"]["target-version"] == f"py{PYTHON.replace('.', '')}"
    assert project["tool"]["mypy"]["python_version"] == PYTHON
    entries = conda["dependencies"]
    assert isinstance(entries, list)
    assert f"python={PYTHON}" in entries
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert f"--python-version {PYTHON} " in makefile
    assert f"({PYTHON.replace('.', ', ')})" in makefile
    assert f"--python-version {PYTHON} " in (root / "requirements.in").read_text(encoding="utf-8")


def test_hosted_ci_runs_what_ci_runs_here(root: Path) -> None:
    """Its form is checked by `make check`."""
    workflow = yaml.safe_load((root / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    [job] = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    [python] = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@")]
    assert python["python-version"] == PYTHON
    assert (root / python["cache-dependency-path"]).is_file()


def test_the_citation_is_of_this_version(root: Path, project: dict[str, Any]) -> None:
    """Its form is checked by `make check`; its date is that of the version in the changelog."""
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == VERSION
    assert citation["license"] == project["project"]["license"]
    released = re.findall(r"^## \[(.+)\] - (\d{4}-\d\d-\d\d)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == (VERSION, str(citation["date-released"]))
    dates = [date for _, date in released]
    assert dates == sorted(dates, reverse=True)


def test_the_makefile_and_the_comment_lock_with_the_same_command(root: Path) -> None:
    pattern = re.compile(r"uv pip compile --universal pyproject\.toml requirements\.in.*")
    found = [pattern.findall((root / name).read_text(encoding="utf-8")) for name in ("Makefile", "requirements.in")]
    assert found[0] == found[1]
    assert len(found[0]) == 1


def test_help_lists_every_target_of_the_makefile(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    phony, parts = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert parts == "$(CHECKS)"
    described = re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE)
    assert sorted(phony.split()) == sorted(described)
    assert len(described) > 8


@pytest.fixture
def bare(root: Path, tmp_path: Path) -> Path:
    """A folder with the Makefile and the lock, and `bin/`, which is all that is on the path there."""
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "uname", "cksum", "cut", "rm", "touch", "mkdir", "cat", "chmod"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def make_env(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make is not None
    command = [make, "env", "PLATFORM=Linux-x86_64", *arguments]
    environ = {"PATH": str(folder / "bin")}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("platform", ["Darwin-x86_64", "FreeBSD-amd64", "Linux-riscv64"])
def test_another_platform_is_told_before_anything_is_downloaded(bare: Path, platform: str) -> None:
    done = make_env(bare, f"PLATFORM={platform}", f"PYTHON={sys.executable}")
    assert done.returncode == 2
    assert "requirements.lock is for Linux-x86_64 Darwin-arm64, and this is" in done.stderr
    assert platform in done.stderr
    assert not (bare / ".venv").exists()


def test_the_readme_names_the_platforms(root: Path) -> None:
    [line] = re.findall(r"^PLATFORMS := (.*)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert line.split() == ["Linux-x86_64", "Darwin-arm64"]
    assert "On Linux (x86-64) or macOS (arm64)" in (root / "README.md").read_text(encoding="utf-8")


def test_uv_brings_the_python_that_is_not_there(bare: Path) -> None:
    done = make_env(bare)
    assert done.returncode == 2
    assert "Python 3.11 is needed" in done.stderr
    assert "install it or uv" in done.stderr
    uv = bare / "bin" / "uv"
    # It makes an environment whose python notes what it is asked to do.
    python = '#!/bin/sh\necho "python $@" >> calls\n'
    uv.write_text(
        f"#!/bin/sh\necho \"uv $@\" >> calls\nmkdir -p .venv/bin\ncat > .venv/bin/python <<'END'\n{python}END\n"
        "chmod +x .venv/bin/python\n"
    )
    uv.chmod(0o755)
    done = make_env(bare)
    assert done.returncode == 0, done.stderr
    assert (bare / "calls").read_text().splitlines() == [
        f"uv venv --python {PYTHON} --seed --allow-existing .venv",
        "python -m tests.install requirements.lock",
        "python -m pip install --no-deps --no-build-isolation -e .",
    ]
