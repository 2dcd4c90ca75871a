"""A wheel of this tree, installed where nothing else of it is: what it says of itself, and that its command runs."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sc2.methods import method_names
from sc2.version import VERSION
from tests.workflow.project import Project, create

pytestmark = pytest.mark.workflow

COMMAND_S = 300


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with no setting that would show it another copy of the package, and return what it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=kept, capture_output=True, text=True, check=False, timeout=COMMAND_S)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy, because a build leaves files beside the sources."""
    return create(tmp_path_factory.mktemp("wheel") / "project")


@pytest.fixture(scope="module")
def wheel(tree: Project) -> Path:
    """The wheel, built with the locked setuptools: no network is asked."""
    out = tree.path.parent / "dist"
    options: list[str | Path] = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out]
    run(sys.executable, "-m", "pip", "wheel", *options, tree.path, cwd=out.parent)
    [path] = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The wheel's metadata."""
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode("utf-8"))


@pytest.fixture(scope="module")
def declared(root: Path) -> dict[str, object]:
    """The project table of pyproject.toml."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(table, dict)
    return table


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """An environment with the wheel and the packages of this one, without any copy of the package that they include.

    Downloading the declared dependencies again would take gigabytes. They are here in the locked versions, so a link to
    each is put in; that they are what the wheel asks for is a test of its own.
    """
    folder = wheel.parents[1] / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    packages = site_packages(folder)
    for source in map(Path, {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        for entry in filter(of_a_dependency, source.iterdir()):
            (packages / entry.name).symlink_to(entry)
    install: list[str | Path] = ["-m", "pip", "--python", folder / "bin" / "python", "install"]
    run(sys.executable, *install, "--no-deps", "--no-index", wheel, cwd=folder.parent)
    return folder


def site_packages(environment: Path) -> Path:
    return environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def of_a_dependency(entry: Path) -> bool:
    """Whether something in site-packages is neither the package nor a pointer to a checkout of it."""
    ours = entry.name.startswith(("sc2", "split_computing_sc2", "__editable__"))
    return not ours and entry.suffix != ".pth" and entry.name != "__pycache__"


def requirements_of(metadata: Message, extra: str) -> set[str]:
    """What the wheel asks for with an extra, without the condition that it is one."""
    found = map(Requirement, metadata.get_all("Requires-Dist", []))
    return {str(each).partition(";")[0].strip() for each in found if of_extra(each, extra)}


def of_extra(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement holds for an extra; for none of them where it is empty."""
    return (
        requirement.marker is None
        if not extra
        else bool(requirement.marker and requirement.marker.evaluate({"extra": extra}))
    )


def test_the_metadata_is_what_the_project_declares(metadata: Message, declared: dict[str, object], root: Path) -> None:
    assert metadata["Name"] == declared["name"] != "sc2"
    assert metadata["Version"] == VERSION
    assert metadata["Requires-Python"] == declared["requires-python"]
    extras = declared["optional-dependencies"]
    assert isinstance(extras, dict)
    for extra, lines in {"": declared["dependencies"], **extras}.items():
        assert requirements_of(metadata, extra) == {str(Requirement(line)) for line in lines}
    assert len(extras["all"]) > 10
    assert str(metadata.get_payload()).strip() == (root / "README.md").read_text(encoding="utf-8").strip()


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path, tree: Project) -> None:
    with ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert files == set(tree.git("ls-files", "sc2").split())


def unsatisfied(metadata: Message, environment: Path) -> Iterator[str]:
    """Yield the requirements, those of requirements among them, that an environment does not meet: `pip check`."""
    versions: dict[str, str] = {}
    asked: dict[str, list[Requirement]] = {}
    for distribution in distributions(path=[str(site_packages(environment))]):
        name = canonicalize_name(distribution.metadata["Name"])
        versions[name] = distribution.version
        asked[name] = [Requirement(line) for line in distribution.requires or []]
    waiting, seen = [canonicalize_name(str(metadata["Name"]))], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for requirement in asked[name]:
            own = name == canonicalize_name(str(metadata["Name"]))
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": "all" if own else ""}):
                continue
            wanted = canonicalize_name(requirement.name)
            if wanted not in versions or not requirement.specifier.contains(versions[wanted], prereleases=True):
                yield f"{name} needs {requirement}, there is {versions.get(wanted)}"
            else:
                waiting.append(wanted)
    assert len(seen) > 100


def test_the_declared_dependencies_are_installed(metadata: Message, installed: Path) -> None:
    assert not list(unsatisfied(metadata, installed))


def test_the_command_runs_in_another_folder(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(run(installed / "bin" / "sc2", "methods", "--json", cwd=tmp_path))
    assert [method["method"] for method in listed] == method_names()
    assert run(installed / "bin" / "sc2", "--version", cwd=tmp_path).split() == ["sc2", VERSION]
    table = run(installed / "bin" / "sc2", "methods", cwd=tmp_path)
    assert len(table.splitlines()) == len(listed) + 1


def test_what_runs_is_the_wheel(installed: Path, metadata: Message, tmp_path: Path) -> None:
    code = f"import importlib.metadata, sc2; print(sc2.__file__, importlib.metadata.version({metadata['Name']!r}))"
    file, version = run(installed / "bin" / "python", "-c", code, cwd=tmp_path).split()
    assert Path(file) == site_packages(installed) / "sc2" / "__init__.py"
    assert not Path(file).parent.is_symlink()
    assert version == VERSION
