"""Results travel through DVC: publish, clone, `sc2 pull`; Snakemake then reruns what it would rerun at home."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.project import (
    BENCHMARK,
    EVERYTHING,
    JPEG,
    REPORT,
    STUDENT,
    STUDENTS,
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
    project.run("dvc", "remote", "add", "--default", "store", project.path.parent / "store")
    shown = project.sc2("push").stdout
    assert f"uploaded {len(set(contents(project).values()))} files" in shown
    assert "0 were there already\nnow share what names them: git add dvc.lock" in shown
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
    """All results by path, without what git holds."""
    ours = (".gitignore", "README.md")
    paths = [path for path in (project.path / "results").rglob("*") if path.is_file() and path.name not in ours]
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


def test_a_stranger_changes_one_method_and_a_third_pulls_the_difference(
    clone: Project, published: Project, tmp_path: Path
) -> None:
    shown = clone.sc2("pull").stdout
    assert "all as recorded" in shown
    assert "all of it matches this checkout" in shown
    assert contents(clone) == contents(published)
    assert clone.planned() == set()
    assert "up to date" in clone.run("dvc", "status").stdout
    assert clone.git("status", "--porcelain") == ""
    third = clone.copy(tmp_path / "third" / "project")
    # From here on it is as if the run had been made here.
    clone.edit(f"config/benchmarks/{BENCHMARK}.yaml", "finetune: {epochs: 1,", "finetune: {epochs: 2,")
    second_phase = trained("0.5", "4", phases=("finetune",)) | measured(STUDENT, "0.5", "4") | REPORT
    assert clone.planned() == second_phase
    clone.git("checkout", "config")
    clone.change_code("sc2/methods/codec/jpeg.py")
    assert clone.planned() == JPEG | REPORT
    # What is not what the code makes is not pushed.
    assert "nothing was pushed" in clone.sc2("push", status=1).stdout
    clone.git("commit", "--all", "--quiet", "--message", "another JPEG")
    steps = len(JPEG | REPORT) + 1  # and the target
    assert f"{steps} of {steps} steps (100%) done" in clone.snakemake()
    before = contents(published)
    changed = {content for path, content in contents(clone).items() if before.get(path) != content}
    assert f"uploaded {len(changed - set(before.values()))} files" in clone.sc2("push").stdout
    clone.git("commit", "--all", "--quiet", "--message", "its results")
    third.git("pull", "--quiet", "--ff-only", clone.path)
    assert third.planned() == JPEG | REPORT
    shown = third.sc2("pull").stdout
    assert f"fetched {len(changed - set(before.values()))} files" in shown
    assert contents(third) == contents(clone)
    assert third.planned() == set()


class Stranger(Project):
    """A checkout of a user who is not the one that runs the tests.

    Args:
        folder: A folder for that user, where commands run until there is a checkout.
    """

    uid = 54321
    prefix = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.chown(folder, self.uid, self.uid)
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """As everybody's, with a home and a folder for what is temporary."""
        folder = str(self.folder)
        return {**super().environment(), "HOME": folder, "TMPDIR": folder, "USER": "stranger", "LOGNAME": "stranger"}

    def cannot(self) -> str:
        """Say why this user cannot work here; empty if they can."""
        # By way of another program, which has lost what root may do.
        told = self.run("env", "python", "-c", "import snakemake, torch", status=None)
        return told.stderr.strip().rpartition("\n")[2] if told.returncode else ""


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """Another user, with nothing but a folder of their own, outside pytest's, which is closed to others."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("works as another user, for which it must be root and have setpriv")
    with tempfile.TemporaryDirectory(prefix="sc2-stranger-") as folder:
        made = Stranger(Path(folder))
        problem = made.cannot()
        if problem:
            pytest.skip(f"another user cannot run this Python: {problem}")
        yield made


def test_another_user_pulls_on_another_path_and_changes_one_method(published: Project, stranger: Stranger) -> None:
    """The remote is a folder of the first user, which others may read and not write."""
    folder = stranger.folder
    shutil.copytree(published.path.parent / "store", folder / "store")
    # Not from the checkout itself: git takes nothing from another user's.
    published.git("bundle", "create", "--quiet", folder / "project.bundle", "HEAD", "--all")
    stranger.run("mkdir", "elsewhere")
    stranger.git("clone", "--quiet", "project.bundle", "elsewhere/project")
    stranger.path = folder / "elsewhere" / "project"
    stranger.run("dvc", "remote", "add", "--local", "--default", "theirs", folder / "store")
    shown = stranger.sc2("pull").stdout
    assert "all as recorded" in shown
    assert "all of it matches this checkout" in shown
    assert contents(stranger) == contents(published)
    assert {path.stat().st_uid for path in (stranger.path / "results").rglob("*")} == {stranger.uid}
    assert stranger.planned() == set()
    stranger.change_code("sc2/methods/codec/jpeg.py")
    assert stranger.planned() == JPEG | REPORT


def test_one_method_alone_is_pulled_with_its_origins_and_never_pushed_as_the_whole(clone: Project) -> None:
    """Another run file has a lock of its own, which works in the same way."""
    shown = clone.sc2("pull", "--method", "jpeg").stdout
    assert "all as recorded" in shown
    kinds = {path.split("/")[1] for path in contents(clone)}
    assert kinds == {"data", "teachers", "export", "evaluate", "latency"}
    assert not list((clone.path / "results").glob(f"*/{BENCHMARK}/{STUDENT}"))
    assert clone.planned() == STUDENTS | REPORT | {f"evaluate_teacher {BENCHMARK}/0"}
    assert "are not complete, and nothing was pushed" in clone.sc2("push", status=2).stderr
    assert clone.git("status", "--porcelain") == ""
    clone.write("config/codec.yaml", f"benchmarks: {{{BENCHMARK}: [jpeg]}}\nfigures: [rate_accuracy]\n")
    other = ("--config", "config/codec.yaml")
    assert "there is no config/codec.lock here" in clone.sc2("pull", *other, status=2).stderr
    clone.snakemake("--configfile", "config/codec.yaml")
    assert "git add config/codec.lock" in clone.sc2("push", *other).stdout
    before = contents(clone)
    shutil.rmtree(clone.path / "results")
    shutil.rmtree(clone.path / ".snakemake")
    clone.sc2("pull", *other)
    assert contents(clone) == before
    assert clone.planned("--configfile", "config/codec.yaml") == set()


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


def test_damage_and_death_leave_nothing_half_trusted(clone: Project, published: Project) -> None:
    """A checkpoint that is damaged in the remote, while all else is there; then a pull that is killed."""
    store = clone.path.parent / "store"
    shutil.copytree(published.path.parent / "store", store)
    content = bytearray((published.path / CHECKPOINT).read_bytes())
    (damaged,) = [path for path in store.rglob("*") if path.is_file() and path.read_bytes() == content]
    damaged.chmod(0o644)
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    damaged.chmod(0o444)
    clone.run("dvc", "remote", "add", "--local", "damaged", store)
    shown = clone.sc2("pull", "--remote", "damaged", status=1).stdout
    assert f"removed from the cache and not used: {CHECKPOINT}" in shown
    assert f"missing     {CHECKPOINT}: gone, but a record names it" in shown
    assert not (clone.path / CHECKPOINT).exists()
    assert clone.planned(CHECKPOINT) >= trained("4", phases=("finetune",))
    clone.write("scratch/pull.unfinished", "")
    assert "`sc2 pull` was interrupted while it placed results" in clone.snakemake("-n", status=1)
    clone.sc2("pull")
    assert clone.planned() == set()
    (clone.path / "dvc.lock").unlink()
    assert "there is no dvc.lock" in clone.sc2("pull", status=2).stderr
