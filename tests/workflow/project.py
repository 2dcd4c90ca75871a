"""A throw-away copy of the project: how it is made, run and asked what it plans."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT
from tests.snakemake_runs import snakemake

BENCHMARK = "tiny_small_resnet"
FIGURES = ("rate_accuracy", "exrd", "three_way")
STUDENT = "entropic_student"
STUDENT_POINTS, JPEG_POINTS = ("0.5", "4"), ("10", "90")

# Many short epochs, so that a training can be killed half-way; the rest is as small as it can be.
CONFIGURATION = {
    "config/config.yaml": f"""\
benchmarks:
  {BENCHMARK}: [jpeg, {STUDENT}]
seeds: ["0"]
figures: [{", ".join(FIGURES)}]
""",
    "config/datasets/tinydigits.yaml": """\
kind: photodigits
seed: 0
size: 64
digit_px: [24, 44]
digits: [1, 1]
images: {train: 60, val: 20, test: 20}
""",
    f"config/benchmarks/{BENCHMARK}.yaml": f"""\
extends: photodigits_small_resnet
title: tiny digits, small ResNet
dataset: tinydigits
teacher:
  backbone: {{args: {{width: 8}}}}
  training: {{epochs: 1, batch_size: 20}}
latency: {{repeats: 2, warmup: 1, images: 2}}
examples: {{methods: []}}
methods:
  jpeg: {{points: ["10", "90"]}}
  {STUDENT}:
    points: ["0.5", "4"]
    chain: null
    seeds: ["0"]
    params:
      encoder_channels: [8, 8, 4]
      decoder_channels: [8, 8]
      phases:
        distill: {{epochs: 12, batch_size: 20}}
        finetune: {{epochs: 1, batch_size: 20}}
""",
}


class Project:
    """A checkout with the tiny configuration as its default."""

    prefix: tuple[str, ...] = ()
    """What stands in front of every command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(
        self, *command: str | Path, status: int | None = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project and check its exit status (None: any)."""
        done = subprocess.run(
            [*self.prefix, *(str(word) for word in command)],
            cwd=self.path,
            env={**self.environment(), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return checked(done, status)

    def environment(self) -> dict[str, str]:
        """The environment of commands: this interpreter's tools, no personal settings, no other copy of the package."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHON", "DVC_"))}
        home = self.path.parent / "home"
        people = {
            f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        return {
            **kept,
            **people,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc"),
            "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc"),
            "DVC_SITE_CACHE_DIR": str(home / "dvc_cache"),
        }

    def sc2(self, *arguments: str | Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run the project's own `sc2`, whichever one is installed."""
        return self.run("python", "-m", "sc2", *arguments, status=status)

    def snakemake(self, *arguments: str | Path, status: int | None = 0) -> str:
        """Run Snakemake, in a fork that has its imports if as this user, and return all that it prints."""
        words = ["--cores", "2", *map(str, arguments)]
        if self.prefix:
            done = self.run("snakemake", *words, status=status)
        else:
            done = checked(snakemake(words, self.path, self.environment()), status)
        return done.stdout + done.stderr

    def planned(self, *arguments: str) -> set[str]:
        """Return the jobs that Snakemake would run, each as `rule wildcard/wildcard/…`, without target rules."""
        return parse_plan(self.snakemake("-n", *arguments))

    def believe(self, *arguments: str) -> None:
        """Make Snakemake believe that everything has been run: every file is there, and up to date."""
        summary = self.snakemake("--summary", *arguments).splitlines()
        header, *rows = [line.split("\t") for line in summary if "\t" in line]
        for row in rows:
            self.write(row[header.index("output_file")], "made")
        self.snakemake("--touch", *arguments)
        assert self.planned(*arguments) == set()

    def git(self, *arguments: str | Path) -> str:
        """Run git and return what it prints."""
        return self.run("git", *arguments).stdout

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """Read a file of the project."""
        return (self.path / name).read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that occurs in a file exactly once."""
        text = self.read(name)
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def change_code(self, name: str) -> None:
        """Make a change to a source file that counts."""
        self.write(name, self.read(name) + "\n_CHANGED = 1\n")

    def copy(self, path: Path) -> "Project":
        """Return a copy with all results and Snakemake's notes; times of files are kept."""
        shutil.copytree(self.path, path, symlinks=True)
        return Project(path)


def checked(done: subprocess.CompletedProcess[str], status: int | None) -> subprocess.CompletedProcess[str]:
    """Return a command that has ended, with a status that it had to have (None: any)."""
    assert status in (None, done.returncode), f"{done.args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def create(path: Path, files: Mapping[str, str] = CONFIGURATION) -> Project:
    """Copy what git knows of the checkout under test, put some files in (the tiny configuration), and commit it."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    found = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    for name in filter(None, found.split("\0")):
        # A file that was removed but not from the index has nothing to copy; dvc.lock names other results.
        if (ROOT / name).is_file() and name != "dvc.lock":
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    # What Python has compiled of the package is valid for a copy that keeps the files' times.
    for folder in (ROOT / "sc2").rglob("__pycache__"):
        shutil.copytree(folder, path / folder.relative_to(ROOT), ignore=shutil.ignore_patterns("*.pyc.*"))
    project = Project(path)
    for name, text in files.items():
        project.write(name, text)
    project.git("init", "--quiet")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "tiny")
    return project


def parse_plan(text: str) -> set[str]:
    """Return the jobs of a dry run; what was read is checked against Snakemake's own count."""
    blocks = re.split(r"^(?:local)?rule (\w+):$", text, flags=re.MULTILINE)
    jobs, targets = [], 0
    for rule, block in zip(blocks[1::2], blocks[2::2], strict=True):
        if "\n    output:" not in block:
            targets += 1
            continue
        wildcards = re.search(r"^    wildcards: (.*)$", block, flags=re.MULTILINE)
        assert wildcards is not None, f"no wildcards in the plan of {rule}:\n{block}"
        jobs.append(f"{rule} {'/'.join(item.partition('=')[2] for item in wildcards[1].split(', '))}")
    total = re.search(r"^total +(\d+)$", text, flags=re.MULTILINE)
    assert len(jobs) + targets == (int(total[1]) if total else 0), text
    assert total or "Nothing to be done" in text, text
    assert len(set(jobs)) == len(jobs), jobs
    return set(jobs)


def run_jobs(stage: str, method: str, *points: str) -> set[str]:
    """Jobs of a stage for some points of a method."""
    return {f"{stage} {BENCHMARK}/{method}/{point}/0" for point in points}


def timed(method: str) -> set[str]:
    """The latency measurement over all points of a method."""
    return {f"measure_latency {BENCHMARK}/{method}"}


def measured(method: str, *points: str) -> set[str]:
    """Export and evaluation of some points of a method, and the latency of all of them."""
    return set().union(*(run_jobs(stage, method, *points) for stage in ("export", "evaluate"))) | timed(method)


def trained(*points: str, phases: tuple[str, ...] = ("distill", "finetune")) -> set[str]:
    """Training phases of some points of the Entropic Student."""
    return {f"train {BENCHMARK}/{STUDENT}/{point}/0/{phase}" for point in points for phase in phases}


PLOTS = {f"plot_figure {BENCHMARK}/{figure}" for figure in FIGURES} | {f"model_latency {BENCHMARK}"}
REPORT = {f"make_tables {BENCHMARK}"} | PLOTS
JPEG = measured("jpeg", *JPEG_POINTS)
STUDENTS = trained(*STUDENT_POINTS) | measured(STUDENT, *STUDENT_POINTS)
TEACHER = {f"train_teacher {BENCHMARK}/0", f"evaluate_teacher {BENCHMARK}/0"}
EVERYTHING = {"prepare_data tinydigits"} | TEACHER | JPEG | STUDENTS | REPORT
