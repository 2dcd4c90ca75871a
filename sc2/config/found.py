"""The names that a configuration can use, found by file. No torch."""

import ast
from pathlib import Path


def dataset_kinds() -> list[str]:
    """Return the kinds of data set: files in `sc2/data/` that declare `Params`."""
    return files_with("data", "class Params(")


def backbone_names() -> list[str]:
    """Return the networks: files in `sc2/backbones/` that declare `build`."""
    return files_with("backbones", "def build(")


def backbone_arguments(name: str) -> list[str]:
    """Return the arguments of a network's `build`, except the number of classes."""
    source = (Path(__file__).parents[1] / "backbones" / f"{name}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            return [argument.arg for argument in (*node.args.args[1:], *node.args.kwonlyargs)]
    raise AssertionError(f"sc2/backbones/{name}.py has no function build")


def figure_names() -> list[str]:
    """Return the figures: files in `sc2/report/figures/` that declare `draw`."""
    return files_with("report/figures", "def draw(")


def files_with(folder: str, declaration: str) -> list[str]:
    """Return the sorted names of the files in a folder of the package that have a line starting with `declaration`."""
    # Read, not imported: networks import torch, figures import matplotlib, and this runs when the workflow is parsed.
    paths = (Path(__file__).parents[1] / folder).glob("*.py")
    return sorted(path.stem for path in paths if f"\n{declaration}" in path.read_text(encoding="utf-8"))
