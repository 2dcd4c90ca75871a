"""The method catalogue: one file per method, found by name. Imports no torch."""

import importlib
from pathlib import Path

from sc2.errors import ConfigError
from sc2.methods.base import Method


def method_names() -> list[str]:
    """Return the names of all methods: the files in this folder, without `base` and what starts with `_`, sorted."""
    names = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in names if name != "base" and not name.startswith("_"))


def get_method(name: str) -> Method:
    """Return the method called `name`.

    Raises:
        ConfigError: There is no such method.
    """
    if name not in method_names():
        raise ConfigError(f"no method {name!r}; there are: {', '.join(method_names())}")
    method = importlib.import_module(f"sc2.methods.{name}").METHOD
    assert isinstance(method, Method)
    return method
