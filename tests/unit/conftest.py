"""Shared fixtures: a small project whose every step has run and is recorded, and the published SC2 code."""

from pathlib import Path

import pytest

from tests.recorded import Project
from tests.sc2bench import sc2bench

__all__ = ["project", "sc2bench"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A recorded project in its own folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    made.build()
    return made
