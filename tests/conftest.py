"""Shared fixtures: a tiny data set and teacher, and the methods' own parameters scaled to them."""

import gc
import os
from pathlib import Path
from typing import Any

import pytest

from tests.dealt import dealt

# Their assertions say what they compared, as those of a test file do.
pytest.register_assert_rewrite("tests.configuration", "tests.planning")

ROOT = Path(__file__).parents[1]


# What is imported and collected stays: looking for garbage in it meanwhile is a quarter of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again."""
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of workflows, dealt to the processes; first of all the one that mostly waits for Slurm."""
    items.sort(key=lambda item: item.path.name != "test_slurm.py")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = dealt(items, workers, lambda item: item.path.name if item.get_closest_marker("workflow") else None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def input_spec() -> dict[str, Any]:
    """Input of the tiny benchmark: 32×32 images."""
    return {
        "resize": 32,
        "crop": 32,
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    }
