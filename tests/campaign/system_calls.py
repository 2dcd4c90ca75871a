"""Every write, rename and flush of one job of each stage fails in turn: its output is not there, or right."""

import errno
import hashlib
import importlib
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from sc2.backbones import mobilenet_v3
from sc2.cli import main
from sc2.jobs.stages import STAGES
from sc2.methods import method_names, module_of
from sc2.provenance.record import SUFFIX, Record, read_record, records, sha256_file
from sc2.system.surroundings import settle
from tests.campaign import shim
from tests.campaign.log import Entry, Log
from tests.campaign.pool import Batch, in_children
from tests.workflow.project import BENCHMARK, CONFIGURATION, STUDENT, Project, create

PART = "system calls"
ERRORS = (errno.ENOSPC, errno.EIO)
LONGEST_S = 60
SIZE = 20
TIMED = ("latency.json", "switch.json")
"""Outputs that hold wall-clock times."""
STATES = Path("scratch/training")

FETCHED, GROUP = "tiny_fetched", "tiny_pair"
WEIGHTS = Path("data/mobilenet_v3.pth")


def tiny_project(path: Path) -> Project:
    """Run a tiny configuration that has a job of every stage."""
    torch.manual_seed(0)
    buffer = io.BytesIO()
    torch.save(mobilenet_v3.network(10).state_dict(), buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    own, run_file = f"config/benchmarks/{BENCHMARK}.yaml", CONFIGURATION["config/config.yaml"]
    data = "config/datasets/tinydigits.yaml"
    methods, none = f"  {BENCHMARK}: [jpeg, {STUDENT}]\n", "examples: {methods: []}\n"
    assert methods in run_file
    assert none in CONFIGURATION[own]
    more = {
        "config/config.yaml": run_file.replace(methods, f"{methods}  {FETCHED}: [jpeg]\n")
        + f"groups: {{{GROUP}: [{BENCHMARK}, {FETCHED}]}}\n",
        own: CONFIGURATION[own].replace(none, "examples: {methods: [jpeg], images: 1}\n"),
        # A file is some writes for each image.
        data: CONFIGURATION[data].replace("{train: 60, val: 20, test: 20}", "{train: 24, val: 6, test: 6}"),
        f"config/benchmarks/{FETCHED}.yaml": f"""\
title: tiny digits, a network from a file
task: classification
dataset: tinydigits
input: {{resize: 64, crop: 64, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25]}}
teacher: {{source: file, weights: {WEIGHTS.name}, sha256: {digest}, backbone: {{name: mobilenet_v3}}}}
latency: {{repeats: 2, warmup: 1, images: 2}}
methods:
  jpeg: {{points: ["10", "90"]}}
""",
    }
    project = create(path, {**CONFIGURATION, **more})
    (path / WEIGHTS).write_bytes(buffer.getvalue())
    project.snakemake()
    project.snakemake("snapshots")
    return project


def jobs_of(project: Project) -> dict[str, Path]:
    """Return the record of one job of each stage that was run: of the method that trains, its last phase."""
    found: dict[str, Path] = {}
    folders = ["results", *(f"docs/reference/{name}" for name in (BENCHMARK, GROUP))]
    # The checkout holds snapshots of other runs, too.
    for path in [
        path for folder in folders if (project.path / folder).is_dir() for path in records(project.path / folder)
    ]:
        record = read_record(path)
        method = record.stage == "draw_examples" or record.keys.get("method", STUDENT) == STUDENT
        if method and record.keys.get("phase") != "distill":
            found.setdefault(record.stage, path.relative_to(project.path))
    return found


@dataclass(frozen=True)
class Job:
    """One job of a finished project, which can be run again in a copy of it.

    Attributes:
        project: The finished project.
        path: The job's record, relative to the project.
        record: What it says.
        wanted: What it wrote when it ran undisturbed, by name, without times.
    """

    project: Path
    path: Path
    record: Record
    wanted: Mapping[str, bytes]

    @classmethod
    def undisturbed(cls, project: Path, path: Path) -> "tuple[Job, int]":
        """Run a job twice in the current folder, a copy of the project; returns it and the number of its calls."""
        record = read_record(project / path)
        first = cls(project, path, record, {})
        first.reset()
        assert (done := first.run()).status == 0, f"{path}: {done.said}"
        names = {name.name for name in first.own} - {path.name, *TIMED}
        job = cls(project, path, record, {name: (path.parent / name).read_bytes() for name in names})
        job.reset()
        done = job.run()
        assert (problem := job.problem(done)) is None, f"{path}, undisturbed: {problem}"
        # Times that were just measured are not those that later jobs have read.
        job.restore()
        return job, len(done.calls)

    @property
    def own(self) -> set[Path]:
        """What the job leaves: all in its folder that no other job's record claims."""
        folder = self.project / self.path.parent
        others = [path for path in folder.glob(f"*{SUFFIX}") if path != self.project / self.path]
        claimed = {self.project / file.path for path in others for file in read_record(path).outputs.values()}
        files = {path for path in folder.iterdir() if path.is_file()}
        return {path.relative_to(self.project) for path in files - claimed - set(others)}

    def restore(self) -> None:
        """Bring the current folder, a copy of the project, to where it was when the project was finished."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
        shutil.rmtree(STATES, ignore_errors=True)
        shutil.copytree(self.project / self.path.parent, self.path.parent)

    def reset(self) -> None:
        """Bring the current folder, a copy of the project, to where it was before the job."""
        self.restore()
        for path in self.own:
            path.unlink()

    def run(self, fail: tuple[int, int] | None = None) -> shim.Outcome:
        """Run the job in the current folder; call number `fail[0]` fails with the error `fail[1]`."""
        act = partial(main, self.record.command[3:])
        return shim.run(act, Path.cwd(), fail=fail, seconds=LONGEST_S)

    def problem(self, done: shim.Outcome) -> str | None:
        """Say what is wrong after a run, None when all is as it should be."""
        if done.status not in (0, 1, 2):
            return f"it ended with {done.status}"
        folder, there = self.project / self.path.parent, set(self.path.parent.iterdir())
        for path in there - {self.path}:
            if not (folder / path.name).is_file():
                return f"{path} was left behind"
            wanted = self.wanted.get(path.name)
            if path.name not in TIMED and path.read_bytes() != (wanted or (folder / path.name).read_bytes()):
                return f"{path} is not what it should be"
        if self.path not in there:
            left = sorted(str(path) for path in self.own & there)
            return f"without a record: {', '.join(left)}" if left or done.status == 0 else None
        record = read_record(self.path)
        wrong = [file.path for file in record.outputs.values() if not _is(Path(file.path), file.sha256)]
        if record.edited() or record.id != self.record.id or wrong:
            return f"the record claims what is not there: {record.edited() or ', '.join(wrong)}"
        return None

    def attempt(self, number: int) -> str:
        """Let call `number // 2` fail; raises AssertionError where something wrong is left.

        Returns:
            Whether the job failed, or went on in spite of it.
        """
        self.reset()
        done = self.run((number // len(ERRORS), ERRORS[number % len(ERRORS)]))
        call = done.calls[number // len(ERRORS)] if number // len(ERRORS) < len(done.calls) else "no call"
        name = f"{call} {number // len(ERRORS)} fails with {errno.errorcode[ERRORS[number % len(ERRORS)]]}"
        assert (problem := self.problem(done)) is None, f"{name}: {problem}: {done.said[-300:]}"
        if STATES.is_dir() and any(STATES.iterdir()):
            # What an interrupted training has left is taken up by the next one.
            again = self.run()
            assert again.status == 0, f"{name}: it does not go on: {again.said[-300:]}"
            assert (problem := self.problem(again)) is None, f"{name}, then again: {problem}"
            assert not any(STATES.iterdir()), f"{name}: the state was left behind"
        return f"{call} failed, nothing left" if done.status else f"{call} failed, all right"


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256


def load_all() -> None:
    """Import what jobs import, once for all children."""
    for stage in STAGES.values():
        stage.load()
    for name in method_names():
        importlib.import_module(module_of(name))
    for module in ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "pyarrow.parquet"):
        importlib.import_module(module)


def run(log: Log, project: Project, *, workers: int, stages: Sequence[str] | None = None) -> None:
    """Let every call of one job of each stage fail; results go to the log.

    Args:
        log: The log.
        project: A finished project.
        workers: Jobs at a time.
        stages: Which stages; all by default.
    """
    os.environ.pop("SC2_DATA", None)
    load_all()
    settle(os.environ, threads=1)
    copies = project.path.parent / "calls"
    shutil.rmtree(copies, ignore_errors=True)
    jobs, batches = {}, []
    _enter(project, copies)
    for stage, path in jobs_of(project).items():
        if stages is None or stage in stages:
            jobs[stage], calls = Job.undisturbed(project.path, path)
            total = len(ERRORS) * calls
            batches += [Batch(stage, at, min(SIZE, total - at)) for at in range(0, total, SIZE)]

    def attempt(stage: str, number: int) -> str:
        _enter(project, copies)
        return jobs[stage].attempt(number)

    asked = [batch for batch in batches if batch.name not in log.done(PART)]
    for batch in in_children(asked, attempt, workers=workers, seconds=3 * LONGEST_S):
        log.add(Entry.of(PART, batch))
    os.chdir(project.path)
    shutil.rmtree(copies)


def _enter(project: Project, copies: Path) -> None:
    """Go to this process's own copy of the project."""
    copy = copies / str(os.getpid())
    if not copy.exists():
        shutil.copytree(project.path, copy, symlinks=True)
    os.chdir(copy)
