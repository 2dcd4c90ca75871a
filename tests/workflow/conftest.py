"""One tiny end-to-end run per session; every test works in a copy of it."""

from pathlib import Path

import pytest
from filelock import FileLock

from tests.workflow.project import Project, create


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project after its one run. Read only: tests that change it take `project`."""
    base = tmp_path_factory.getbasetemp()
    # The processes of pytest-xdist share the folder above theirs; the first of them runs the workflow, the others wait.
    shared = base if not base.name.startswith("popen-") else base.parent
    path, done = shared / "finished" / "project", shared / "finished" / "done"
    with FileLock(shared / "finished.lock"):
        if not done.is_file():
            create(path).snakemake()
            done.touch()
    return Project(path)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project for one test."""
    return finished.copy(tmp_path / "project")
