"""Hash of the code that a job runs: the import closure of its modules inside the package.

The hash is taken over the syntax tree without comments, docstrings, formatting and descriptions of fields, so that only
an edit that can change a result changes it. Imports are followed statically; a module that is imported by name at run
time must be passed in by the caller (the plan does so for methods).

A method's file contains code of several stages. For a stage that never trains, the caller says so: then the function
`training` of the method's class, and everything that only it imports, is left out of the hash.
"""

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sc2.errors import ProvenanceError
from sc2.provenance.parsed import Import, Source, keep, kept, key_of

PACKAGE = "sc2"
HOOKS_FOLDER = "sc2/methods/"
"""Folder of the classes with functions that only some stages call."""


@dataclass(frozen=True)
class Fingerprint:
    """Hash of an import closure.

    Attributes:
        digest: SHA-256 over all files of the closure (64 hex digits).
        files: Digest of each file's code by its path relative to the root, e.g. `sc2/split/wire.py`; sorted by path.
    """

    digest: str
    files: dict[str, str]


@dataclass(frozen=True)
class _File:
    """A file as it was read, and its contribution for each set of omitted functions."""

    state: tuple[int, int]
    text: bytes
    sources: dict[frozenset[str], Source]


# By absolute path. Parsing the workflow once needs hundreds of closures over the same few dozen files.
_CACHE: dict[str, _File] = {}

# What this process has needed of the code, by key; and what others have left, of which it needs some.
_PARSED: dict[str, Source] = {}
_LEFT: dict[str, Source] = {}


def fingerprint(
    modules: Iterable[str], root: Path | None = None, *, without: frozenset[str] = frozenset()
) -> Fingerprint:
    """Hash the import closure of some modules inside the package `sc2`.

    Args:
        modules: Dotted names, e.g. `["sc2.methods.jpeg"]`; their order and repetition do not matter.
        root: Folder that contains the package; by default that of the running package.
        without: Names of functions of the methods' classes that the job never calls, e.g. `training`.

    Raises:
        ProvenanceError: A module is missing, cannot be parsed, or uses a relative or a star import.
    """
    base = str(package_root() if root is None else root)
    files: dict[str, str] = {}
    done: set[str] = set()
    todo: list[tuple[str, str]] = [(name, "the list of modules") for name in modules]
    while todo:
        name, asked_by = todo.pop()
        if name in done:
            continue
        done.add(name)
        if "." in name:
            todo.append((name.rpartition(".")[0], asked_by))
        relative = _locate(base, name, asked_by)
        if relative is None:
            continue
        source = _read(base, relative, without if relative.startswith(HOOKS_FOLDER) else frozenset())
        files[relative] = source.digest
        todo.extend(_targets(base, relative, source))
    ordered = dict(sorted(files.items()))
    return Fingerprint(combine(ordered), ordered)


def keep_parsed(path: Path) -> None:
    """Write what this process has needed to a file, for the jobs that it starts and for the next plan."""
    keep(_PARSED, path)


def take_parsed(path: Path) -> None:
    """Take what another process has parsed, so that it is not parsed again."""
    _LEFT.update(kept(path))


def package_root() -> Path:
    """Return the folder that contains the running package."""
    return Path(__file__).resolve().parents[2]


def combine(files: Mapping[str, str]) -> str:
    """Return the digest of a closure from the digests of its files, whatever their order."""
    lines = "".join(f"{path}\0{digest}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _locate(base: str, name: str, asked_by: str) -> str | None:
    """Return a module's file relative to the root with `/`, or None for a package without `__init__.py`."""
    if name.partition(".")[0] != PACKAGE:
        raise ProvenanceError(f"{asked_by}: {name} is not inside the package {PACKAGE}; pass modules of {PACKAGE} only")
    path = name.replace(".", "/")
    # The package wins over a module of the same name, as in Python itself.
    for candidate in (f"{path}/__init__.py", f"{path}.py"):
        if os.path.isfile(f"{base}/{candidate}"):  # noqa: PTH113  (a Path object costs more than the call)
            return candidate
    if os.path.isdir(f"{base}/{path}"):  # noqa: PTH112
        return None
    raise ProvenanceError(f"{asked_by}: module {name} does not exist; correct the name or add {path}.py")


def _targets(base: str, relative: str, source: Source) -> Iterator[tuple[str, str]]:
    """Yield the modules that a file imports, each with the place of the import."""
    for item in source.imports:
        asked_by = f"{relative}:{item.line}"
        yield item.module, asked_by
        folder = f"{base}/{item.module.replace('.', '/')}"
        if not item.names or not os.path.isdir(folder):  # noqa: PTH112
            continue
        for name in item.names:
            # Otherwise it is a plain name that the package's `__init__` defines.
            if os.path.isfile(f"{folder}/{name}.py") or os.path.isdir(f"{folder}/{name}"):  # noqa: PTH112, PTH113
                yield f"{item.module}.{name}", asked_by


def _read(base: str, relative: str, without: frozenset[str] = frozenset()) -> Source:
    """Parse a file, or take it from the cache if its time and size are unchanged."""
    path = f"{base}/{relative}"
    status = os.stat(path)  # noqa: PTH116
    state = (status.st_mtime_ns, status.st_size)
    file = _CACHE.get(path)
    if file is None or file.state != state:
        file = _CACHE[path] = _File(state, Path(path).read_bytes(), {})
    source = file.sources.get(without)
    if source is None:
        # Most files have none of the functions, and are parsed once.
        there = frozenset(name for name in without if f"def {name}".encode() in file.text)
        source = file.sources.get(there) or _parse(file.text, relative, there)
        file.sources.update({without: source, there: source})
    return source


def _parse(text: bytes, relative: str, without: frozenset[str]) -> Source:
    """Return what a file contributes without some functions of its classes."""
    key = key_of(text, without, _parser())
    if key not in _PARSED:
        _PARSED[key] = _LEFT.get(key) or _parsed(text, relative, without)
    return _PARSED[key]


@cache
def _parser() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _parsed(text: bytes, relative: str, without: frozenset[str]) -> Source:
    try:
        tree = ast.parse(text, filename=relative)
    except SyntaxError as error:
        raise ProvenanceError(f"{relative}:{error.lineno}: cannot be parsed: {error.msg}") from error
    tree = _Strip(without).visit(tree)
    digest = hashlib.sha256(ast.unparse(tree).encode("utf-8", "surrogatepass")).hexdigest()
    return Source(digest, tuple(_imports(tree, relative)))


class _Strip(ast.NodeTransformer):
    """Drops everything that cannot change a result.

    That is: docstrings, the body of `if TYPE_CHECKING:`, the descriptions of a `Field`, and the functions of classes
    that the job never calls.
    """

    def __init__(self, without: frozenset[str]) -> None:
        self.without = without

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Drop the functions that are not called."""
        node.body = [
            part for part in node.body if not (isinstance(part, ast.FunctionDef) and part.name in self.without)
        ]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop the description of a field."""
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop a docstring."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """Replace `if TYPE_CHECKING: … else: …` by its else branch."""
        self.generic_visit(node)
        return node.orelse if _is_type_checking(node.test) else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit the children and put `pass` into empty bodies, so that a body of only a docstring equals `pass`."""
        super().generic_visit(node)
        if isinstance(node, ast.stmt) and getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node


def _is_type_checking(test: ast.expr) -> bool:
    """Return whether a condition is `TYPE_CHECKING` or `typing.TYPE_CHECKING`."""
    if isinstance(test, ast.Attribute):
        return test.attr == "TYPE_CHECKING" and isinstance(test.value, ast.Name)
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _imports(tree: ast.AST, relative: str) -> Iterator[Import]:
    """Yield the imports from the package in a stripped tree, including those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == PACKAGE:
                    yield Import(alias.name, (), node.lineno)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                dots = "." * node.level + (node.module or "")
                raise ProvenanceError(
                    f"{relative}:{node.lineno}: relative import `from {dots} import …`; use an absolute import "
                    f"(`from {PACKAGE}. …`), the code fingerprint follows those only"
                )
            if node.module is None or node.module.partition(".")[0] != PACKAGE:
                continue
            names = tuple(alias.name for alias in node.names)
            if "*" in names:
                raise ProvenanceError(f"{relative}:{node.lineno}: star import from {node.module}; import each name")
            yield Import(node.module, names, node.lineno)
