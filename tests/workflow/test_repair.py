"""Results that were moved, lost, edited or joined by strangers: nothing is removed unasked, and one command repairs."""

import shlex
import shutil
from pathlib import Path

import pytest

from tests.workflow.project import BENCHMARK, STUDENT, Project
from tests.workflow.test_results import flip_byte, sha256

# The first test waits for the one run, which takes minutes on a busy machine.
pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

CHECKPOINT = f"results/train/{BENCHMARK}/{STUDENT}/4/seed0/finetune.pt"


def contents(project: Project) -> dict[str, bytes]:
    files = [path for path in (project.path / "results").rglob("*") if path.is_file()]
    return {str(path.relative_to(project.path)): path.read_bytes() for path in files}


def test_results_on_another_disk_are_as_recorded(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other-disk"
    shutil.move(project.path / "results" / "data", other)
    (project.path / "results" / "data").symlink_to(other)
    assert "all as recorded" in project.sc2("verify").stdout
    assert project.planned() == set()
    project.sc2("verify", "--prune", "--yes")
    assert len(list((other / "tinydigits").iterdir())) == 6


def test_prune_shows_before_it_removes(project: Project) -> None:
    flip_byte(project.path / CHECKPOINT)
    before = contents(project)
    shown = project.sc2("verify", "--prune", status=1).stdout
    assert f"would remove {project.path / CHECKPOINT}" in shown
    assert shown.splitlines()[-1] == "sc2 verify --prune --yes"
    assert contents(project) == before
    assert "--prune or --repair" in project.sc2("verify", "--yes", status=2).stderr


def test_the_last_line_of_verify_repairs_all_of_it(project: Project) -> None:
    """One of each kind: an intermediate result lost, a checkpoint edited, a method's code changed, a foreign file."""
    lost = f"results/latency/{BENCHMARK}/jpeg"
    shutil.rmtree(project.path / lost)
    before = sha256(project.path / CHECKPOINT)
    flip_byte(project.path / CHECKPOINT)
    project.change_code("sc2/measure/latency.py")
    project.write("results/tables/mine.csv", "my own\n")

    shown = project.sc2("verify", status=1).stdout
    assert {line.split()[0] for line in shown.splitlines()[:-2]} == {"edited", "missing", "stale", "unrecorded"}
    # Only to look at, first.
    plan = project.sc2("verify", "--repair", status=1).stdout
    assert f"remove     {CHECKPOINT}" in plan
    assert "set aside  results/tables/mine.csv" in plan
    assert f"{lost}/latency.json" in plan
    assert (project.path / "results/tables/mine.csv").exists()

    program, *arguments = shlex.split(shown.splitlines()[-1])
    assert program == "sc2"
    repaired = project.sc2(*arguments).stdout
    assert "all as recorded" in repaired.splitlines()[-1]
    assert project.planned() == set()
    assert sha256(project.path / CHECKPOINT) == before
    (aside,) = project.path.glob("scratch/set_aside/*/results/tables/mine.csv")
    assert aside.read_text() == "my own\n"
