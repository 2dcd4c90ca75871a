"""What `sc2 pull` and `sc2 push` have in common: the lock of a run file, and which of its files are asked for."""

import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sc2.commands.run_file import DEFAULT
from sc2.provenance.record import SUFFIX, Record, read_record
from sc2.sharing.lock import Folder
from sc2.sharing.selection import select
from sc2.sharing.store import Store

RESULTS = Path("results")


@dataclass(frozen=True)
class Wanted:
    """What is asked for; nothing named means everything.

    Attributes:
        benchmarks: Names of benchmarks.
        methods: Names of methods.
    """

    benchmarks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether all results are asked for."""
        return not self.benchmarks and not self.methods

    def __str__(self) -> str:
        parts = [("benchmark", self.benchmarks), ("method", self.methods)]
        return "; ".join(f"{key} {', '.join(names)}" for key, names in parts if names) or "everything"

    def of(self, files: Mapping[str, str], records: Mapping[str, Record]) -> dict[str, str]:
        """Return those of some files that are asked for, and those that they are made from.

        Args:
            files: Objects by path.
            records: The records among them, by path.

        Raises:
            SC2Error: A benchmark or a method has no record.
        """
        if self.everything:
            return dict(files)
        paths = select(records, self.benchmarks, self.methods)
        outputs = {file.path for path in paths for file in records[path].outputs.values()}
        return {path: content for path, content in files.items() if path in paths or path in outputs}


def lock_of(run: Path) -> Path:
    """Return the lock of a run file: DVC's own for the default one, a file beside the run file for another."""
    return Path("dvc.lock") if Path(run).resolve() == DEFAULT.resolve() else run.with_suffix(".lock")


def files_of(store: Store, folders: Iterable[Folder]) -> dict[str, str]:
    """Return the files of all folders whose lists are in the cache: objects by path."""
    return {path: content for folder in folders for path, content in (store.files(folder) or {}).items()}


def records_of(store: Store, files: Mapping[str, str], lost: Collection[str] = ()) -> dict[str, Record]:
    """Return the records among some files, read from the cache, by path.

    Args:
        store: The cache.
        files: Objects by path.
        lost: Objects that the cache lacks.

    Raises:
        ProvenanceError: One is no record that this version reads.
    """
    found = {path: content for path, content in files.items() if path.endswith(SUFFIX) and content not in lost}
    return {path: read_record(store.path(content)) for path, content in found.items()}


def run_tool(module: str, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment, even if its folder is not on the PATH."""
    command = [sys.executable, "-m", module, *arguments]
    # The output is captured, so nobody would see a question.
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=dict(environment)
    )
