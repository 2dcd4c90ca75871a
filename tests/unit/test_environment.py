"""The environment is described in several places (lock, direct dependencies, conda, Makefile); all say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PYTHON = "3.11"


def lock_entries(root: Path) -> list[str]:
    """Entries of requirements.lock with their hashes, one string each."""
    lines = (root / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.fixture
def locked(root: Path) -> dict[str, str]:
    """Version by name, from requirements.lock."""
    pins = {}
    for entry in lock_entries(root):
        requirement = Requirement(entry.partition(" --hash")[0].strip())
        [pin] = requirement.specifier
        assert pin.operator == "==", entry
        pins[canonicalize_name(requirement.name)] = pin.version
    return pins


@pytest.fixture
def direct(root: Path) -> list[Requirement]:
    """Direct dependencies, from requirements.in."""
    lines = (root / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


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


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.in", "environment.yml"])
def test_no_address_is_written_down(root: Path, name: str) -> None:
    """Where packages come from is the machine's business: pip's and conda's own configuration."""
    text = (root / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-?-?(index-url|extra-index-url|find-links|trusted-host)|^-[if] ", text, re.MULTILINE)


def test_the_lock_satisfies_every_direct_dependency(direct: list[Requirement], locked: dict[str, str]) -> None:
    assert len(direct) > 20
    for requirement in direct:
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} of requirements.in is not locked: run `make lock`"
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


def test_one_python_version_everywhere(root: Path, conda: dict[str, object]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
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


def test_the_makefile_and_the_comment_lock_with_the_same_command(root: Path) -> None:
    pattern = re.compile(r"uv pip compile requirements\.in.*")
    found = [pattern.findall((root / name).read_text(encoding="utf-8")) for name in ("Makefile", "requirements.in")]
    assert found[0] == found[1]
    assert len(found[0]) == 1


def test_help_lists_every_target_of_the_makefile(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    described = re.findall(r"^([a-z]+):.*## \S", text, re.MULTILINE)
    assert sorted(phony.split()) == sorted(described)
    assert len(described) > 8
