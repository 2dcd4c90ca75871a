"""Results travel through DVC: publish, clone, `sc2 pull`; Snakemake then reruns what it would rerun at home."""

import re
import shutil
from pathlib import Path

import pytest

from tests.workflow.project import (
    BENCHMARK,
    EVERYTHING,
    JPEG,
    REPORT,
    STUDENT,
    Project,
    measured,
    timed,
    trained,
)

# The first test waits for the one run, which takes minutes on a busy machine.
pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

CHECKPOINT = f"results/train/{BENCHMARK}/{STUDENT}/4/seed0/finetune.pt"


@pytest.fixture(scope="module")
def published(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose results are in a store beside it and named by a committed dvc.lock."""
    project = finished.copy(tmp_path_factory.mktemp("published") / "project")
    project.sc2("dvc")
    project.run("dvc", "commit", "--force")
    project.run("dvc", "remote", "add", "--default", "store", project.path.parent / "store")
    project.run("dvc", "push")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "published")
    assert "dvc.lock" in project.git("ls-files")
    assert project.git("ls-files", "results").split() == ["results/README.md"]
    return project


@pytest.fixture
def clone(published: Project, tmp_path: Path) -> Project:
    """A fresh clone, nothing pulled."""
    project = Project(tmp_path / "project")
    published.git("clone", "--quiet", published.path, project.path)
    return project


def contents(project: Project) -> dict[str, bytes]:
    """All results by path."""
    paths = [path for path in (project.path / "results").rglob("*") if path.is_file() and path.name != ".gitignore"]
    return {str(path.relative_to(project.path)): path.read_bytes() for path in paths}


def test_every_output_of_the_default_run_belongs_to_a_stage(root: Path) -> None:
    """A stage of the workflow that dvc.yaml forgets would be missing after a pull."""
    rules = "".join(path.read_text(encoding="utf-8") for path in sorted((root / "workflow" / "rules").glob("*.smk")))
    # The default has no published checkpoints in the place of trainings.
    written = set(re.findall(r'="results/([a-z]+)/\{', rules)) - {"released"}
    stored = set(re.findall(r"- results/([a-z]+)/\w+:\n\s+persist: true", (root / "dvc.yaml").read_text()))
    assert stored == written


def test_repro_with_everything_present_is_harmless(published: Project, tmp_path: Path) -> None:
    """Whichever way DVC is used: it calls Snakemake, which has nothing to do, and no output is touched."""
    project = published.copy(tmp_path / "project")
    before = contents(project)
    assert "up to date" in project.run("dvc", "status").stdout
    project.run("dvc", "repro")
    (project.path / "dvc.lock").unlink()
    assert project.run("dvc", "repro").stdout.count("Running stage") == 5
    assert contents(project) == before
    assert project.git("diff", "--", "dvc.lock") == ""
    assert project.planned() == set()


def test_fresh_clone_without_a_pull_plans_everything(clone: Project) -> None:
    assert clone.planned() == EVERYTHING


def test_pull_restores_a_state_with_nothing_to_do(clone: Project, published: Project) -> None:
    shown = clone.sc2("pull").stdout
    assert "all as recorded" in shown
    assert contents(clone) == contents(published)
    assert clone.planned() == set()
    assert "up to date" in clone.run("dvc", "status").stdout
    assert clone.git("status", "--porcelain") == ""
    # A second pull finds all of it in place.
    clone.sc2("pull", "--remote", "store", "--config", "config/config.yaml")
    assert clone.planned() == set()
    # From here on it is as if the run had been made here.
    clone.change_code("sc2/methods/codec/jpeg.py")
    assert clone.planned() == JPEG | REPORT
    clone.git("checkout", "sc2/methods/codec/jpeg.py")
    clone.edit(f"config/benchmarks/{BENCHMARK}.yaml", "finetune: {epochs: 1,", "finetune: {epochs: 2,")
    second_phase = trained("0.5", "4", phases=("finetune",)) | measured(STUDENT, "0.5", "4") | REPORT
    assert clone.planned() == second_phase


def test_pull_into_an_edited_clone_drops_what_is_stale(clone: Project) -> None:
    """Code and configuration that differ from what was run: those jobs are planned, the others are not."""
    clone.change_code("sc2/methods/codec/jpeg.py")
    clone.edit(f"config/benchmarks/{BENCHMARK}.yaml", 'points: ["0.5", "4"]', 'points: ["0.5"]')
    shown = clone.sc2("pull").stdout
    assert "code changed: sc2/methods/codec/jpeg.py" in shown
    assert "belongs to a job that the configuration no longer contains" in shown
    # The latency job of the student covers all its points, so losing one is a change to it.
    assert clone.planned() == JPEG | timed(STUDENT) | REPORT
    # Back at what was run: nothing that was dropped, or not verified, counts until it is made or pulled again.
    clone.git("checkout", ".")
    assert clone.planned() >= JPEG | REPORT
    clone.sc2("pull")
    assert clone.planned() == set()


def test_damage_in_the_store_is_found(clone: Project, published: Project) -> None:
    """DVC does not check what it downloads; the records do."""
    digest = next(
        path
        for path in (published.path.parent / "store").rglob("*")
        if path.is_file() and path.read_bytes() == (published.path / CHECKPOINT).read_bytes()
    )
    store = clone.path.parent / "store"
    clone.run("cp", "-r", published.path.parent / "store", store)
    damaged = store / digest.relative_to(published.path.parent / "store")
    damaged.chmod(0o644)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    clone.run("dvc", "remote", "add", "--local", "damaged", store)
    shown = clone.sc2("pull", "--remote", "damaged", status=1).stdout
    assert f"{CHECKPOINT}: its content is not what train wrote" in shown
    assert clone.planned() == trained("4", phases=("finetune",)) | measured(STUDENT, "4") | REPORT


def test_file_missing_in_the_store_is_an_error(clone: Project, tmp_path: Path) -> None:
    clone.run("dvc", "remote", "add", "--local", "empty", tmp_path / "empty")
    done = clone.sc2("pull", "--remote", "empty", status=2)
    assert "sc2: error: `dvc pull` failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_came_from_a_store_that_holds_a_part_is_verified(clone: Project, published: Project) -> None:
    """One file of the trainings was not pushed: all else comes, is verified, and what is stale is dropped."""
    store = clone.path.parent / "store"
    shutil.copytree(published.path.parent / "store", store)
    (lost,) = [path for path in store.rglob("*") if path.is_file() and path.read_bytes() == published_bytes(published)]
    lost.unlink()
    clone.run("dvc", "remote", "add", "--local", "part", store)
    clone.change_code("sc2/methods/codec/jpeg.py")
    shown = clone.sc2("pull", "--remote", "part", status=1).stdout
    assert f"not in the remote: results/train/{BENCHMARK}" in shown
    assert "code changed: sc2/methods/codec/jpeg.py" in shown
    assert (clone.path / f"results/teachers/{BENCHMARK}/seed0/teacher.pt").is_file()
    assert not list(clone.path.glob(f"results/evaluate/{BENCHMARK}/jpeg/*/seed0/summary.json"))


def published_bytes(published: Project) -> bytes:
    return (published.path / CHECKPOINT).read_bytes()


def test_pull_without_a_remote_or_a_lock_names_the_fix(clone: Project) -> None:
    assert "no remote 'nowhere'" in clone.sc2("pull", "--remote", "nowhere", status=2).stderr
    clone.run("dvc", "remote", "remove", "store")
    assert "dvc remote add -d NAME URL" in clone.sc2("pull", status=2).stderr
    (clone.path / "dvc.lock").unlink()
    assert "there is no dvc.lock" in clone.sc2("pull", status=2).stderr


def test_pull_does_not_overwrite_own_results(clone: Project) -> None:
    clone.sc2("pull")
    own = f"results/tables/{BENCHMARK}/teacher.csv"
    clone.write(own, "mine\n")
    done = clone.sc2("pull", status=2)
    assert "own results are in the way" in done.stderr
    assert clone.read(own) == "mine\n"
