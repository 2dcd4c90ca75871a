"""Shared fixture of the tests of provenance: a small project whose every step has run and is recorded."""

from pathlib import Path

import pytest

from tests.recorded import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A recorded project in its own folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    made.build()
    return made
