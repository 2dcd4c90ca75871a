"""Every artifact of a run corrupted in turn: `sc2 verify` has to find it and name it."""

import os
import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from sc2.commands.verify import repair_command
from sc2.config.load import load_config
from sc2.errors import SC2Error
from sc2.jobs.identity import Job, job
from sc2.provenance import verify as verification
from sc2.provenance.findings import Report, format_report
from sc2.provenance.record import SUFFIX, read_record, records, sha256_file
from tests.campaign.log import Entry, Log
from tests.campaign.pool import Batch, in_children
from tests.workflow.project import Project

PART = "corruption"
RESULTS = Path("results")
KINDS = ("flipped", "truncated", "emptied", "replaced", "deleted")
COMMAND = "asked of the command"
SIZE = 60


def artifacts(results: Path) -> dict[str, tuple[str, ...]]:
    """Return each file that a run made, with the names one of which has to be reported when it is wrong.

    A record that is gone, or that another one stands in for, cannot name itself: then its outputs are without a record.
    """
    found: dict[str, tuple[str, ...]] = {}
    for path in records(results):
        outputs = tuple(file.path for file in read_record(path).outputs.values())
        found |= {output: (output,) for output in outputs}
        found[str(path)] = (str(path), *outputs)
    return dict(sorted(found.items()))


def corrupted(path: Path, kind: str, others: list[str]) -> bytes | None:
    """Return the content that a kind of corruption leaves of a file; None where the file is to go."""
    content, chance = path.read_bytes(), random.Random(f"{path} {kind}")
    if kind == "flipped":
        changed = bytearray(content)
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    if kind == "truncated":
        return content[: chance.randrange(1, max(2, len(content)))]
    if kind == "replaced":
        return _neighbour(path, content, others)
    return b"" if kind == "emptied" else None


def _neighbour(path: Path, content: bytes, others: list[str]) -> bytes:
    """Return the content of the nearest file that says something else, of one of the same kind where there is one."""

    def distance(other: str) -> tuple[bool, bool, int]:
        record = other.endswith(SUFFIX) != path.name.endswith(SUFFIX)
        shared = sum(part == own for part, own in zip(Path(other).parts, path.parts, strict=False))
        return record, Path(other).suffix != path.suffix, -shared

    return next(found for name in sorted(others, key=distance) if (found := Path(name).read_bytes()) != content)


@contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    """Put content in the place of a file, or nothing, and the file back at the end; links to it are left alone."""
    aside = path.with_name(f".{path.name}.aside")
    path.rename(aside)
    try:
        if content is not None:
            path.write_bytes(content)
        yield
    finally:
        aside.replace(path)


class Verifier:
    """`sc2 verify` in this process, which hashes only what is touched.

    Nothing else changes between two calls, and a hash depends on a file's content alone: what is remembered is what
    would be computed. The same holds for what a configuration plans. Works in the current folder, and in its copies.
    """

    def __init__(self, config_path: Path) -> None:
        config = load_config(config_path)
        self._hashes = {path: sha256_file(path) for path in RESULTS.rglob("*") if path.is_file()}
        self._touched = Path()

        @cache
        def planned(stage: str, keys: tuple[tuple[str, str], ...]) -> Job | None:
            found = job(config, stage, dict(keys))
            assert found is None or found.code
            return found

        self._planned = lambda stage, keys: planned(stage, tuple(keys.items()))

    def report(self, touched: Path) -> Report:
        """Verify after one file was touched."""
        self._touched = touched
        with mock.patch.object(verification, "sha256_file", self._hashed):
            return verification.verify(RESULTS, self._planned)

    def _hashed(self, path: Path) -> str:
        name = path.relative_to(Path.cwd())
        return sha256_file(path) if name == self._touched else self._hashes[name]


@dataclass(frozen=True)
class Corruption:
    """What is corrupted, and how it is looked for.

    Attributes:
        artifacts: Each file with the names one of which has to be reported.
        verifier: Finds it.
    """

    artifacts: Mapping[str, tuple[str, ...]]
    verifier: Verifier

    def attempt(self, kind: str, number: int) -> str:
        """Corrupt file `number`: it must be found and named.

        Raises:
            AssertionError: It is not.
        """
        path = list(self.artifacts)[number]
        with changed(Path(path), self.content(path, kind)):
            try:
                report = self.verifier.report(Path(path))
            except SC2Error as error:
                if not any(name in str(error) for name in self.artifacts[path]):
                    raise
                return "refused by name"
        found = [finding.kind for finding in report.findings if finding.path in self.artifacts[path]]
        assert found, f"{path} is not found: {format_report(report)}"
        return found[0]

    def content(self, path: str, kind: str) -> bytes | None:
        """Return what the file is replaced by."""
        return corrupted(Path(path), kind, [other for other in self.artifacts if other != path])

    def agrees(self, project: Project, config: str, kind: str, number: int) -> str:
        """Ask the command itself: it must say what `attempt` goes by.

        Raises:
            AssertionError: It says something else.
        """
        path = list(self.artifacts)[number]
        with changed(Path(path), self.content(path, kind)):
            done = project.sc2("verify", "--config", config, status=None)
            try:
                wanted, status = format_report(self.verifier.report(Path(path)), repair_command(Path(config))), 1
            except SC2Error as error:
                wanted, status = f"sc2: error: {error}", 2
        assert (done.returncode, (done.stdout + done.stderr).strip()) == (status, wanted), path
        return "same as the command"


def run(log: Log, project: Project, config: str, *, workers: int, asked: int = 15) -> None:
    """Corrupt every artifact of a finished project in every way.

    Args:
        log: Where results go.
        project: The project; it is not changed.
        config: Its run file.
        workers: Verifications at a time.
        asked: In how many cases the command is asked besides.
    """
    os.chdir(project.path)
    assert "all as recorded" in project.sc2("verify", "--config", config).stdout
    corruption = Corruption(artifacts(RESULTS), Verifier(Path(config)))
    total, done = len(corruption.artifacts), log.done(PART)
    copies = project.path.parent / "corrupted"
    shutil.rmtree(copies, ignore_errors=True)
    # Planned once, for all children.
    corruption.verifier.report(Path())

    def attempt(kind: str, number: int) -> str:
        copy = copies / str(os.getpid())
        if not copy.exists():
            # The files are links: what a trial puts in the place of one is its own.
            shutil.copytree(project.path, copy, symlinks=True, copy_function=os.link)
        os.chdir(copy)
        if kind == COMMAND:
            return corruption.agrees(Project(copy), config, KINDS[number % len(KINDS)], 7 * number % total)
        return corruption.attempt(kind, number)

    batches = [Batch(kind, at, min(SIZE, total - at)) for kind in KINDS for at in range(0, total, SIZE)]
    batches += [Batch(COMMAND, at, min(5, asked - at)) for at in range(0, asked, 5)]
    left = [batch for batch in batches if batch.name not in done]
    for batch in in_children(left, attempt, workers=workers, seconds=120):
        log.add(Entry.of(PART, batch))
    shutil.rmtree(copies, ignore_errors=True)
