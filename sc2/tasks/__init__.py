"""The tasks, one file each, found by name. Imports no torch."""

import importlib
from pathlib import Path

from sc2.errors import ConfigError
from sc2.tasks.base import Task


def task_names() -> list[str]:
    """Return the names of all tasks: the files in this folder that declare one, sorted."""
    names = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in names if name != "base" and not name.startswith("_"))


def get_task(name: str) -> Task:
    """Return the task called `name`.

    Raises:
        ConfigError: There is no such task.
    """
    if name not in task_names():
        raise ConfigError(f"no task {name!r}; there are: {', '.join(task_names())}")
    task = importlib.import_module(f"sc2.tasks.{name}").TASK
    assert isinstance(task, Task)
    return task
