"""The workflow on a real Slurm: its profile, a job that is killed through Slurm, and the results of a local run."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.project import BENCHMARK, CONFIGURATION, PLOTS, STUDENT, Project, create
from tests.workflow.slurm import Slurm, running_slurm, unusable

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(unusable() is not None, reason=unusable() or ""),
]

PROFILE = "workflow/profiles/slurm/config.yaml"
TABLES = ("rate_quality", "rate_quality_seeds", "comparison", "fewest_bytes", "equal_quality", "paired", "teacher")
"""All but those with times of latency measurements."""
FILE = f"config/benchmarks/{BENCHMARK}.yaml"
SMALLER = {'points: ["0.5", "4"]': 'points: ["0.5"]', 'points: ["10", "90"]': 'points: ["90"]'}
"""Each job starts a Snakemake, each submission another one: one point of both methods is enough."""
TRAININGS = [f"rule_train_wildcards_{BENCHMARK}_{STUDENT}_0.5_0_{phase}" for phase in ("distill", "finetune")]
KILLED = TRAININGS[0]
MEMORY_MB = 6000
"""What a training asks for at first."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with running_slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


@pytest.fixture(scope="module")
def ran(cluster: Slurm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """The tiny project after all of it went through Slurm, and what Snakemake printed; one training was killed."""
    project = create(tmp_path_factory.mktemp("on_slurm") / "project", {**CONFIGURATION, FILE: smaller()})
    project.write("workflow/profiles/here/config.yaml", yaml.safe_dump(profile_of_this_cluster()))
    log = project.path.parent / "snakemake.log"
    with log.open("w", encoding="utf-8") as output, started(project, cluster, output) as workflow:
        cancel(cluster, KILLED, workflow)
        status = workflow.wait()
    shown = log.read_text(encoding="utf-8")
    assert status == 0, f"{shown}\n{cluster.logs()}"
    return project, shown


def smaller() -> str:
    """The tiny benchmark's file with a point less of both methods."""
    text = CONFIGURATION[FILE]
    for old, new in SMALLER.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def profile_of_this_cluster() -> dict[str, Any]:
    """The profile as it is shipped, with what a lab may change: GPUs by another name, larger groups, how to ask."""
    profile: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / PROFILE).read_text(encoding="utf-8"))
    profile["set-resources"]["train_teacher"] = {"gpu": 0, "gres": "gpu:1"}
    profile["group-components"] |= {"runs": 50}
    # Without a data base of past jobs there is no sacct.
    return profile | {"slurm-status-command": "squeue", "slurm-init-seconds-before-status-checks": 1}


def started(project: Project, cluster: Slurm, output: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", "--profile", "workflow/profiles/here"]
    environment = {**project.environment(), **cluster.environment}
    return subprocess.Popen(
        command, cwd=project.path, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True
    )


def cancel(cluster: Slurm, comment: str, workflow: subprocess.Popen[str]) -> None:
    """Wait until the job with a comment runs, and kill it."""
    while not (found := cluster.active(comment)):
        if workflow.poll() is not None:
            return  # its output says why
        time.sleep(0.2)
    cluster.command("scancel", *found)


def of(cluster: Slurm, comment: str) -> list[dict[str, str]]:
    """Submissions with a comment, first to last."""
    return [job for job in cluster.jobs() if job["Comment"] == comment]


def the_tables_are_those_of_a_local_run(ran: tuple[Project, str], here: Project) -> None:
    project, _ = ran
    paths = [f"results/tables/{BENCHMARK}/{name}.csv" for name in TABLES]
    here.write(FILE, smaller())
    here.snakemake(paths[0])
    for path in paths:
        assert project.read(path) == here.read(path), path


def nothing_is_left_to_do_for_a_local_run(ran: tuple[Project, str]) -> None:
    project, _ = ran
    assert project.planned() == set()
    assert "all as recorded" in project.sc2("verify").stdout


def a_killed_training_is_submitted_again_with_more_memory(ran: tuple[Project, str], cluster: Slurm) -> None:
    _, shown = ran
    first, second = of(cluster, KILLED)
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == (f"{MEMORY_MB}M", f"{2 * MEMORY_MB}M")
    assert "Trying to restart job" in shown


def trainings_ask_for_a_gpu_and_nothing_else_does(ran: tuple[Project, str], cluster: Slurm) -> None:
    for training in TRAININGS:
        assert {job["TresPerJob"] for job in of(cluster, training)} == {"gres:gpu:1"}
    [teacher] = of(cluster, f"rule_train_teacher_wildcards_{BENCHMARK}_0")
    assert (teacher.get("TresPerJob"), teacher["TresPerNode"]) == (None, "gres:gpu:1")
    others = [job for job in cluster.jobs() if "train" not in job["Comment"]]
    assert not [job for job in others if "gpu" in job.get("TresPerJob", "") + job.get("TresPerNode", "")]


def short_jobs_are_submitted_together(ran: tuple[Project, str], cluster: Slurm) -> None:
    """Data, a teacher, its evaluation, trainings, the killed one again, two latencies; and all runs, and the report."""
    assert len(of(cluster, "rule_runs_evaluate_export")) == 1
    assert len(of(cluster, "rule_report_make_tables_model_latency_plot_figure")) == 1
    assert len(cluster.jobs()) == 3 + len(TRAININGS) + 1 + 2 + 2
    [runs] = of(cluster, "rule_runs_evaluate_export")
    # One after another: the memory of one, the time of both.
    assert (runs["MinMemoryNode"], runs["TimeLimit"]) == ("4000M", "1-02:00:00")
    assert len(PLOTS) > 1


def nothing_runs_beside_a_latency_measurement(ran: tuple[Project, str], cluster: Slurm) -> None:
    jobs = cluster.jobs()
    measured = [job for job in jobs if "measure_latency" in job["Comment"]]
    assert [job["OverSubscribe"] for job in measured] == ["NO", "NO"]
    for job in measured:
        others = [other for other in jobs if other["JobId"] != job["JobId"]]
        assert not [o for o in others if o["StartTime"] < job["EndTime"] and job["StartTime"] < o["EndTime"]]


def test_the_workflow_runs_on_slurm(ran: tuple[Project, str], cluster: Slurm, project: Project) -> None:
    """One test, because processes of pytest-xdist would each run a cluster of their own for minutes."""
    the_tables_are_those_of_a_local_run(ran, project)
    nothing_is_left_to_do_for_a_local_run(ran)
    a_killed_training_is_submitted_again_with_more_memory(ran, cluster)
    trainings_ask_for_a_gpu_and_nothing_else_does(ran, cluster)
    short_jobs_are_submitted_together(ran, cluster)
    nothing_runs_beside_a_latency_measurement(ran, cluster)
