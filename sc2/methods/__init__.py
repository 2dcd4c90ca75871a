"""The method catalogue: one folder per family, one file per method in it, found by name. Imports no torch."""

import importlib
from functools import cache
from pathlib import Path

from sc2.errors import ConfigError
from sc2.split.method import Method

_FOLDER = Path(__file__).parent


@cache
def _modules() -> dict[str, str]:
    """Return each method's module by the method's name: the files in the family folders that declare `METHOD`."""
    # Read, not imported: planning one method should not import all the others.
    files = (path for path in _FOLDER.glob("*/*.py") if "\nMETHOD = " in path.read_text(encoding="utf-8"))
    return {
        path.stem: f"{__name__}.{path.parent.name}.{path.stem}" for path in sorted(files, key=lambda path: path.stem)
    }


def method_names() -> list[str]:
    """Return the names of all methods, sorted."""
    return list(_modules())


def base_of(name: str) -> str:
    """Return the method that a variant is one of: `jpeg` for `jpeg.grey`, and for `jpeg` itself."""
    return name.partition(".")[0]


def is_method(name: str) -> bool:
    """Return whether there is a method of a name, or of which a name is a variant."""
    return base_of(name) in _modules()


def module_of(name: str) -> str:
    """Return the dotted name of the module of a method, or of the one that a variant is one of.

    Raises:
        ConfigError: There is no such method.
    """
    if not is_method(name):
        raise ConfigError(f"no method {name!r}; there are: {', '.join(method_names())}")
    return _modules()[base_of(name)]


def get_method(name: str) -> Method:
    """Return the method called `name`, or of which `name` is a variant.

    Raises:
        ConfigError: There is no such method.
    """
    method = importlib.import_module(module_of(name)).METHOD
    assert isinstance(method, Method)
    return method
