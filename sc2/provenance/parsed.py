"""What parsing the code has given, kept by the process that plans a workflow, for its jobs and for the next plan.

Parsing takes a third of the start of a job and a fifth of a plan. What was parsed is found again by its text and by how
it was parsed, so that it cannot be stale; a file that is damaged is as good as none.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sc2.system.atomic import replacing

KEPT = Path("scratch") / "parsed.json"
"""Where it is kept, relative to the folder that jobs run in."""


@dataclass(frozen=True)
class Import:
    """One import statement's target inside the package.

    Attributes:
        module: Dotted name of a module or package.
        names: Names imported from it; each may be a submodule or a name defined in it.
        line: Line of the statement, for messages.
    """

    module: str
    names: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Source:
    """A file's contribution: the digest of its code, and its imports."""

    digest: str
    imports: tuple[Import, ...]


def key_of(text: bytes, without: frozenset[str], parser: str) -> str:
    """Return what identifies a contribution: the text, what is left out of it, and the hash of the code that parses."""
    how = json.dumps([sys.version, parser, sorted(without)])
    return hashlib.sha256(how.encode() + b"\0" + text).hexdigest()


def keep(sources: Mapping[str, Source], path: Path) -> None:
    """Write contributions by their keys to a file that `kept` reads: their hash in the first line, then one of JSON."""
    text = json.dumps({key: asdict(source) for key, source in sources.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(f"{_checksum(text)}\n{text}", encoding="utf-8")


def kept(path: Path) -> dict[str, Source]:
    """Return the contributions in a file that `keep` wrote; none where there is no such file, or it was changed."""
    try:
        checksum, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return {}
    if checksum != _checksum(text):
        return {}
    return {key: _source(entry) for key, entry in json.loads(text).items()}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _source(entry: dict[str, Any]) -> Source:
    imports = ((each["module"], tuple(each["names"]), each["line"]) for each in entry["imports"])
    return Source(entry["digest"], tuple(Import(*each) for each in imports))
