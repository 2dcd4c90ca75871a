"""What a run does not depend on: cores, the user's environment, where it is started, who else is at work."""

import hashlib
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import IO

import psutil
import pytest

from sc2.jobs.stages import STAGES
from tests.workflow.project import BENCHMARK, STUDENT, Project

# The first test waits for the one run, which takes minutes on a busy machine.
pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

RUN = f"{BENCHMARK}/{STUDENT}/0.5/seed0"
TRAINED = [
    f"results/teachers/{BENCHMARK}/seed0/teacher.pt",
    f"results/teachers/{BENCHMARK}/seed0/evaluation.json",
    f"results/train/{RUN}/distill.pt",
]
MEASURED = [
    f"results/evaluate/{RUN}/samples.parquet",
    *(f"results/tables/{BENCHMARK}/{name}.csv" for name in ("rate_quality", "comparison", "fewest_bytes", "teacher")),
    f"results/figures/{BENCHMARK}/rate_accuracy.png",
]
# What Jupyter exports, a cluster's scheduler, a locale with a decimal comma, a hook of git, other packages.
FOREIGN = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "2",
    "OMP_DYNAMIC": "TRUE",
    "LC_ALL": "de_DE.ISO-8859-1",
    "LANG": "tr_TR.UTF-8",
    "PYTHONIOENCODING": "ascii",
    "GIT_DIR": "/nowhere",
    "TMPDIR": "/dev/null/tmp",
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def commands(project: Project, cores: int) -> list[str]:
    """The command line of every job of the whole run."""
    shown = project.run("snakemake", "-n", "-p", "--forceall", "--cores", str(cores)).stdout
    return sorted(re.findall(r"^ +python -m sc2 .*?(?=\n\n|\Z)", shown, flags=re.MULTILINE | re.DOTALL))


def test_what_a_job_is_told_does_not_depend_on_the_cores(finished: Project) -> None:
    one = commands(finished, 1)
    assert len(one) > 10
    assert one == commands(finished, 8)


def test_numbers_depend_neither_on_cores_nor_on_the_environment(project: Project, tmp_path: Path) -> None:
    """The one run had two cores and a plain environment; again, with one core and this one."""
    before = {name: (project.path / name).read_bytes() for name in (*TRAINED, *MEASURED)}
    for folder in ("teachers", f"evaluate/{RUN}", "tables", "figures"):
        shutil.rmtree(project.path / "results" / folder)
    (project.path / TRAINED[-1]).unlink()
    # Not in the project, whose figures would say that it has uncommitted changes.
    (tmp_path / "other" / "torch").mkdir(parents=True)
    (tmp_path / "other" / "torch" / "__init__.py").write_text("raise AssertionError('another torch')\n")
    environment = FOREIGN | {"PYTHONPATH": str(tmp_path / "other")}
    # In two steps: what was trained to the same bytes is no reason to time it again.
    for targets in (TRAINED, MEASURED):
        project.run("snakemake", "--cores", "1", *targets, env=environment)
        assert [name for name in targets if (project.path / name).read_bytes() != before[name]] == []


def test_config_is_refused(finished: Project) -> None:
    shown = finished.snakemake("-n", "--config", "seeds=1", status=1)
    assert "--config has no effect here" in shown
    assert "--configfile" in shown


def test_a_snakefile_elsewhere_runs_its_own_package(project: Project, tmp_path: Path) -> None:
    """Started in a folder that holds another copy of the package, which must not be taken."""
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.write("sc2/__init__.py", "raise AssertionError('the package of another copy')\n")
    index = "results/data/tinydigits/index.jsonl"
    elsewhere.run("snakemake", "-s", project.path / "workflow/Snakefile", "--cores", "1", index)
    assert elsewhere.read(index) == project.read(index)
    commit = project.git("rev-parse", "HEAD").strip()
    assert commit in elsewhere.read("results/data/tinydigits/data.prov.json")


def started(project: Project, target: str, output: IO[str] | int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["snakemake", "--cores", "1", target],
        cwd=project.path,
        env=project.environment(),
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_successor_of_a_killed_workflow_waits_for_its_orphan(project: Project) -> None:
    """`kill -9` of Snakemake alone: the training goes on, and is neither disturbed nor done twice."""
    target = f"results/train/{RUN}/distill.pt"
    before = sha256(project.path / target)
    for suffix in (".pt", ".csv", ".prov.json"):
        (project.path / target).with_suffix(suffix).unlink()
    log = project.path / "first.log"
    # To a file, as to a terminal: a pipe without a reader would end the orphan.
    with log.open("w") as output, started(project, target, output) as workflow:
        while " epoch 1/" not in log.read_text():
            assert workflow.poll() is None, log.read_text()
            time.sleep(0.05)
        (orphan,) = [
            child for child in psutil.Process(workflow.pid).children(recursive=True) if "train" in child.cmdline()
        ]
        # Held where it is, so that the successor meets it however fast it trains.
        orphan.suspend()
        workflow.kill()
    project.run("snakemake", "--unlock")
    with started(project, target, subprocess.PIPE) as successor:
        assert successor.stdout is not None
        shown = ""
        for line in successor.stdout:
            shown += line
            if f"waiting for another process ({orphan.pid})" in line:
                orphan.resume()
    assert successor.returncode == 0, shown
    assert ") to run train/" in shown
    assert "was completed by that process" in shown
    assert " epoch " not in shown
    assert sha256(project.path / target) == before
    assert "all as recorded" in project.sc2("verify").stdout


def test_two_that_make_the_same_data_set_both_end_well(project: Project) -> None:
    data = "results/data/tinydigits"
    before = project.read(f"{data}/index.jsonl")
    outputs = {
        "index": "index.jsonl", "meta": "meta.json", "train": "train.tar", "val": "val.tar", "test": "test.tar"
    }  # fmt: skip
    assert set(outputs) == set(STAGES["prepare_data"].outputs)
    words = [word for name, file in outputs.items() for word in (f"--out-{name}", f"{data}/{file}")]
    command = ["python", "-m", "sc2", "prepare_data", "--dataset", "tinydigits", *words]
    command += ["--record", f"{data}/data.prov.json"]
    both = [
        subprocess.Popen(command, cwd=project.path, env=project.environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        shown = process.communicate()[1]
        assert process.returncode == 0, shown
    assert project.read(f"{data}/index.jsonl") == before
    assert len(list((project.path / data).iterdir())) == 6
    assert "all as recorded" in project.sc2("verify").stdout
