"""A run that is killed again and again, a job, Snakemake or both, and started again, ends like one that is not."""

import csv
import io
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.campaign.log import Entry, Log
from tests.campaign.pool import FAILED
from tests.workflow.project import Project

PART = "kills"
VICTIMS = ("a job", "Snakemake", "Snakemake and all jobs")
END = "end of a run"
WALL_CLOCK = ("latency.csv", "switch.csv", "timed_hypervolume.csv")
"""Tables that hold times: these are compared without them."""
OF_THE_MOMENT = {"repeats", "cpu_share", "load_per_core", "loaded"}
"""Columns beside those of times (ms) that depend on what else the machine did."""
LONGEST_WAIT_S = 4.0
LONGEST_RUN_S = 1800


def products(project: Project) -> dict[str, bytes]:
    """Return what must be equal after any two runs: tables without times, trained weights and measurements."""
    found: dict[str, bytes] = {}
    for path in sorted((project.path / "results").rglob("*")):
        if path.suffix == ".csv" and path.name in WALL_CLOCK:
            found[str(path.relative_to(project.path))] = _without_times(path.read_text(encoding="utf-8"))
        elif path.suffix in (".csv", ".pt", ".tar", ".jsonl", ".parquet") or path.name == "summary.json":
            found[str(path.relative_to(project.path))] = path.read_bytes()
    return found


def _without_times(text: str) -> bytes:
    rows = list(csv.DictReader(io.StringIO(text)))
    timed = {name for row in rows for name in row if "_ms_" in name or name.endswith("_ms")}
    kept = [{name: row[name] for name in row if name not in timed | OF_THE_MOMENT} for row in rows]
    return repr(kept).encode()


def left_behind(project: Project) -> list[str]:
    """Return what a run must not leave: files under temporary names, states of trainings, locks."""
    hidden = [path for path in (project.path / "results").rglob(".*") if path.is_file()]
    scratch = [path for folder in ("training", "locks") for path in (project.path / "scratch" / folder).glob("*")]
    return sorted(str(path.relative_to(project.path)) for path in [*hidden, *scratch])


class Runner:
    """Starts a workflow and kills it.

    Args:
        project: Where it runs.
        arguments: Arguments of Snakemake.
        jobs: How many records there are at its end.
    """

    def __init__(self, project: Project, arguments: tuple[str, ...], jobs: int) -> None:
        self.project = project
        self.command = ["snakemake", "--cores", "2", *arguments]
        self.jobs = jobs
        self.locked = (project.path / ".snakemake" / "locks").is_dir()
        _end_left_over(project)

    def killed(self, victim: str, progress: float, chance: random.Random) -> str | None:
        """Start it, and kill a victim some time after a share of all records is there.

        Args:
            victim: One of `VICTIMS`.
            progress: That share.
            chance: Draws the time.

        Returns:
            What was killed; None where the run ended before.
        """
        wait = chance.uniform(0, LONGEST_WAIT_S)
        # Now and then while Snakemake still plans.
        planning = victim == VICTIMS[1] and chance.random() < 0.25
        workflow = self._started()
        try:
            while self._records() < progress * self.jobs and workflow.poll() is None:
                time.sleep(0.1)
            if not planning:
                self._some_jobs(workflow)
            time.sleep(wait)
            jobs = self._running(workflow) if planning else self._some_jobs(workflow)
            if workflow.poll() is not None:
                return None
            return self._kill(victim, workflow, jobs, chance)
        finally:
            self._wait(workflow)

    def finish(self) -> None:
        """Run it to its end."""
        workflow = self._started()
        status = self._wait(workflow)
        assert status == 0, f"the run failed: {self._log()[-3000:]}"

    def _started(self) -> "subprocess.Popen[str]":
        if self.locked:
            # As Snakemake says itself, where it was killed.
            self.project.run("snakemake", "--unlock", *self.command[3:])
            self.locked = False
        with self._output.open("w", encoding="utf-8") as output:
            return subprocess.Popen(
                self.command,
                cwd=self.project.path,
                env=self.project.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def _kill(
        self, victim: str, workflow: "subprocess.Popen[str]", jobs: list[psutil.Process], chance: random.Random
    ) -> str:
        if victim == VICTIMS[0]:
            killed = [chance.choice(jobs)]
        else:
            workflow.kill()
            self.locked = True
            killed = jobs if victim == VICTIMS[2] else []
        stages = []
        for job in killed:
            try:
                words = job.cmdline()
                job.kill()
                stages.append(words[words.index("sc2") + 1])
            except (psutil.NoSuchProcess, ValueError):
                stages.append("a job that just ended")
        return ", ".join(stages) or "Snakemake alone"

    def _running(self, workflow: "subprocess.Popen[str]") -> list[psutil.Process]:
        """Return the processes of jobs."""
        found = []
        try:
            for child in psutil.Process(workflow.pid).children(recursive=True):
                if "sc2" in child.cmdline()[:4] and child.name().startswith("python"):
                    found.append(child)
        except psutil.NoSuchProcess:
            pass
        return found

    def _some_jobs(self, workflow: "subprocess.Popen[str]") -> list[psutil.Process]:
        """Wait until jobs run, and return their processes; none where the workflow ends before."""
        while not (jobs := self._running(workflow)) and workflow.poll() is None:
            time.sleep(0.05)
        return jobs

    def _wait(self, workflow: "subprocess.Popen[str]") -> int:
        try:
            return workflow.wait(LONGEST_RUN_S)
        except subprocess.TimeoutExpired:
            workflow.send_signal(signal.SIGINT)
            workflow.wait(60)
            raise AssertionError(f"a run hangs: {self._log()[-3000:]}") from None

    def _records(self) -> int:
        return sum(1 for _ in (self.project.path / "results").rglob("*.prov.json"))

    @property
    def _output(self) -> Path:
        return self.project.path.parent / f"{self.project.path.name}.log"

    def _log(self) -> str:
        return self._output.read_text(encoding="utf-8")


def run(log: Log, undisturbed: Project, project: Project, *, arguments: tuple[str, ...], kills: int, seed: int) -> None:
    """Kill the run of a project so often, and compare its end with that of another one's run.

    Where the run ends before its last kill, it is compared and starts again.

    Args:
        log: Kills that it holds are not done again.
        undisturbed: A finished project.
        project: The same, without results or part of the way.
        arguments: Arguments of Snakemake.
        kills: How many.
        seed: Which victims and moments.
    """
    records = sum(1 for _ in (undisturbed.path / "results").rglob("*.prov.json"))
    runner = Runner(project, arguments, records)
    done = sum(entry.kind in VICTIMS for entry in log.of(PART))
    while done < kills:
        # Another moment after a run that ended before its own: the same one would be missed for ever.
        chance = random.Random(f"{seed} {len(list(log.of(PART)))}")
        victim, start = VICTIMS[done % len(VICTIMS)], time.monotonic()
        killed = runner.killed(victim, done / kills, chance)
        if killed is None:
            _compare(log, runner, undisturbed, f"after {done} kills")
            if log.entries[-1].failures:
                return
            _start_again(project)
            continue
        log.add(Entry(PART, victim, f"kill {done}: {killed}", {"killed": 1}, (), time.monotonic() - start))
        done += 1
    if "the end" not in log.done(PART):
        _compare(log, runner, undisturbed, "the end")


def _compare(log: Log, runner: Runner, undisturbed: Project, name: str) -> None:
    """Finish the run and note whether it ended as it should have."""
    start = time.monotonic()
    try:
        runner.finish()
    except AssertionError as error:
        log.add(Entry(PART, END, name, {FAILED: 1}, (str(error),), time.monotonic() - start))
        return
    wanted, found = products(undisturbed), products(runner.project)
    failures = [
        f"{path} differs" for path in sorted(wanted.keys() | found.keys()) if wanted.get(path) != found.get(path)
    ]
    failures += [f"{path} was left behind" for path in left_behind(runner.project)]
    verified = runner.project.sc2("verify", *_run_file(runner), status=None)
    if "all as recorded" not in verified.stdout:
        failures.append(f"sc2 verify: {verified.stdout[-1000:]}")
    outcome = {FAILED: 1} if failures else {f"all {len(wanted)} products as undisturbed": 1}
    log.add(Entry(PART, END, name, outcome, tuple(failures), time.monotonic() - start))


def _end_left_over(project: Project) -> None:
    """End the workflow of a campaign that was killed; its jobs are the project's to wait for."""
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.path) and any(word.endswith("snakemake") for word in process.cmdline()[:3]):
                process.kill()
                process.wait(60)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _run_file(runner: Runner) -> list[str]:
    words = runner.command
    return ["--config", words[words.index("--configfile") + 1]] if "--configfile" in words else []


def _start_again(project: Project) -> None:
    for name in ("results", "scratch", ".snakemake"):
        shutil.rmtree(project.path / name, ignore_errors=True)
