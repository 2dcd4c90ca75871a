"""The import graph of the package, read from its source: also imports inside functions and by name at run time."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sc2.provenance.fingerprint import package_root

PACKAGE = package_root() / "sc2"
DECLARES = {
    "backbones": "def build(",
    "backbones/heads": "def attach(",
    "data": "class Params(",
    "released": "def weights(",
    "report/figures": "def draw(",
    "report/pictures": "def draw(",
    "tasks": "TASK = ",
}
"""By folder, how the files in it that are imported by name at run time can be told from the others."""


@cache
def graph() -> dict[str, frozenset[str]]:
    """Return the files of the package, each with the files that it imports; paths are relative to the package."""
    return {path.relative_to(PACKAGE).as_posix(): frozenset(_imports(path)) for path in sorted(PACKAGE.rglob("*.py"))}


def room(file: str) -> str:
    """Return the room of a file: its folder in the package, or the file itself on the ground floor."""
    return file.partition("/")[0].removesuffix(".py")


def family(file: str) -> str | None:
    """Return the family that a file of `methods/` belongs to; None for the catalogue and other rooms."""
    parts = file.split("/")
    return parts[1] if parts[0] == "methods" and len(parts) == 3 else None


def circles(edges: dict[str, frozenset[str]]) -> list[list[str]]:
    """Return the sets of nodes that reach each other."""
    reach = {node: _reachable(node, edges) for node in edges}
    together = {
        node: sorted({node} | {other for other in reach[node] if node in reach.get(other, ())}) for node in edges
    }
    return [list(members) for members in dict.fromkeys(tuple(m) for m in together.values() if len(m) > 1)]


def _reachable(start: str, edges: dict[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        for node in edges.get(todo.pop(), frozenset()):
            if node not in found:
                found.add(node)
                todo.append(node)
    return found


def _imports(path: Path) -> Iterator[str]:
    tree = _Runs().visit(ast.parse(path.read_text(encoding="utf-8")))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [file for name in inner for file in _files(name)]
            yield from submodules or _files(node.module)
        elif isinstance(node, ast.JoinedStr):
            yield from _named_at_run_time(node)


def _named_at_run_time(node: ast.JoinedStr) -> Iterator[str]:
    """Yield all files that a module name such as `f"sc2.data.{kind}"` may mean."""
    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    if re.fullmatch(r"sc2(\.[a-z_]+)+\.\*", text):
        folder = text.removeprefix("sc2.").removesuffix(".*").replace(".", "/")
        for path in (PACKAGE / folder).glob("*.py"):
            if f"\n{DECLARES[folder]}" in path.read_text(encoding="utf-8"):
                yield path.relative_to(PACKAGE).as_posix()


def _files(module: str) -> Iterator[str]:
    if module == "sc2" or not module.startswith("sc2."):
        return
    inside = module.removeprefix("sc2.").replace(".", "/")
    for name in (f"{inside}.py", f"{inside}/__init__.py"):
        if (PACKAGE / name).is_file():
            yield name


class _Runs(ast.NodeTransformer):
    """Drops what is for type checkers alone."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node
