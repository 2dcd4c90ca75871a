"""What verify removes and repairs: what was judged and found wrong, and never anything that is somebody's own."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sc2.errors import FolderError, ProvenanceError
from sc2.provenance.repair import Repair, clear_away, format_repair, plan_repair
from sc2.provenance.verify import format_report, prune, removable
from tests.recorded import FIGURE, TABLE, TEACHER, Project, evaluation


def linked_elsewhere(project: Project, folder: str) -> Path:
    """Move a folder of the project to another place, and link it."""
    other = project.root.parent / f"{project.root.name}-other-disk" / Path(folder).name
    other.parent.mkdir()
    Path(folder).rename(other)
    Path(folder).symlink_to(other)
    return other


@pytest.mark.parametrize("folder", ["results/data", "results/evaluate/bench/jpeg/50", "results"])
def test_results_on_another_disk_are_as_recorded(project: Project, folder: str) -> None:
    other = linked_elsewhere(project, folder)
    report = project.verify()
    assert (report.findings, report.checked) == ([], 7)
    assert removable(report) == []
    (other / "own.csv").write_text("x")
    assert project.found() == {"unrecorded": {f"{folder}/own.csv"}}


def test_what_is_bad_behind_a_link_is_removed_and_nothing_else(project: Project) -> None:
    other = linked_elsewhere(project, "results/tables")
    Path(TABLE).write_text("0.99")
    prune(project.verify())
    assert list(other.rglob("*.*")) == []
    assert Path("results/tables").is_symlink()


def test_a_loop_of_folders_and_what_cannot_be_read_are_errors(project: Project) -> None:
    Path("results/data/round").symlink_to(Path("results").absolute())
    with pytest.raises(FolderError, match="leads back"):
        project.verify()
    Path("results/data/round").unlink()
    os.mkfifo("results/data/pipe")
    with pytest.raises(FolderError, match="a pipe"):
        project.verify()


def test_a_copy_of_results_is_nobodys_and_is_not_removed(project: Project) -> None:
    shutil.copytree("results/figures", "results/figures_backup")
    before = {path: path.read_bytes() for path in Path("results").rglob("*.*")}
    report = project.verify()
    record = "results/figures_backup/bench/rate.prov.json"
    assert project.found() == {"edited": {record}, "unrecorded": {"results/figures_backup/bench/rate.svg"}}
    assert prune(report) == []
    assert {path: path.read_bytes() for path in Path("results").rglob("*.*")} == before


def test_a_record_of_another_version_was_not_judged(project: Project) -> None:
    path = project.record(FIGURE)
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    assert prune(project.verify()) == []
    assert path.exists()


def test_what_another_record_claims_rightly_stays(project: Project) -> None:
    """A record of a rule that was renamed names the same output, and is edited."""
    record = project.record(FIGURE)
    old = record.with_name("old.prov.json")
    old.write_text(record.read_text().replace('"seconds": 1.5', '"seconds": 2.5'))
    assert [path.name for path in prune(project.verify())] == ["old.prov.json"]
    assert project.verify().findings == []


def test_an_edited_record_cannot_have_files_elsewhere_removed(project: Project) -> None:
    record = project.record(FIGURE)
    content = json.loads(record.read_text())
    content["outputs"]["more"] = {**content["outputs"]["out"], "path": TABLE}
    record.write_text(json.dumps(content))
    removed = {path.relative_to(project.root).as_posix() for path in prune(project.verify())}
    assert removed == {FIGURE, record.as_posix()}


def repaired(project: Project) -> Repair:
    """Carry out the plan; the pretended jobs stand for Snakemake, which makes what it is asked for and the rest."""
    report = project.verify()
    plan = plan_repair(report)
    clear_away(plan, report)
    for output in project.steps:
        if output in plan.targets or not Path(output).exists():
            project.build(output)
    return plan


def edit(project: Project) -> None:
    Path(TABLE).write_text("0.99")


def lose_an_intermediate_result(project: Project) -> None:
    shutil.rmtree(Path(evaluation("50")).parent)


def lose_a_final_result(project: Project) -> None:
    Path(FIGURE).unlink()


def lose_a_record(project: Project) -> None:
    project.record(TEACHER).unlink()


def damage_a_record(project: Project) -> None:
    project.record(TABLE).write_text("{")


def edit_a_record(project: Project) -> None:
    path = project.record(TEACHER)
    path.write_text(path.read_text().replace("1.5", "2.5"))


def go_stale(project: Project) -> None:
    project.plan(TEACHER, epochs=20)


def add_a_foreign_file(project: Project) -> None:
    Path("results/own.csv").write_text("mine")


def add_a_link_to_nowhere(project: Project) -> None:
    Path("results/own").symlink_to("nowhere")


def copy_results(project: Project) -> None:
    shutil.copytree("results/figures", "results/figures_backup")


@pytest.mark.parametrize(
    "harm",
    [
        *(edit, lose_an_intermediate_result, lose_a_final_result, lose_a_record, damage_a_record, edit_a_record),
        *(go_stale, add_a_foreign_file, add_a_link_to_nowhere, copy_results),
    ],
)
def test_a_repair_puts_all_right_and_loses_nothing_of_anybodys(
    project: Project, harm: Callable[[Project], None]
) -> None:
    harm(project)
    assert project.verify().findings
    bad = removable(project.verify())
    files = [path.absolute() for path in Path("results").rglob("*.*") if path.is_file()]
    before = {path.read_bytes() for path in files if path not in bad}
    repaired(project)
    assert project.verify().findings == []
    assert before <= {path.read_bytes() for path in project.root.rglob("*.*") if path.is_file()}


def test_a_repair_asks_for_what_is_gone_and_nothing_else(project: Project) -> None:
    lose_an_intermediate_result(project)
    plan = plan_repair(project.verify())
    assert plan == Repair([], [], [evaluation("50")], [])
    shown = format_repair(plan, Path("config/mine.yaml"), "the command").splitlines()
    run = f"snakemake --cores all {evaluation('50')} all --configfile config/mine.yaml"
    assert shown == [f"run        {run}", "nothing was done; to do this:", "the command"]


def test_what_a_stale_job_no_longer_reads_is_not_asked_for(project: Project) -> None:
    """The configuration plans no such file any more: Snakemake would refuse it."""
    gone = evaluation("50")
    shutil.rmtree(Path(gone).parent)
    del project.steps[gone]
    project.plan(TABLE, points=["10", "90"])
    plan = plan_repair(project.verify())
    assert gone not in plan.targets
    assert {TABLE, FIGURE} <= set(plan.targets)


def test_what_no_job_makes_is_named(project: Project) -> None:
    Path("raw.tar").unlink()
    plan = plan_repair(project.verify())
    assert plan.by_hand == ["raw.tar"]
    assert "by hand    restore raw.tar: no job of the workflow makes it" in format_repair(plan, Path("c"), "x")


def test_repair_from_another_folder_is_refused(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(project)
    report = project.verify()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(ProvenanceError, match="run this in the project of these results"):
        clear_away(plan_repair(report), report)
    assert Path(project.root / TABLE).read_text() == "0.99"


def test_the_last_line_is_the_command_that_repairs(project: Project) -> None:
    assert format_report(project.verify(), "repair").splitlines()[-1].startswith("7 records checked: all as recorded")
    lose_a_final_result(project)
    *_, summary, command = format_report(project.verify(), "sc2 verify --repair --yes").splitlines()
    assert summary.startswith("7 records checked: 1 missing; ")
    assert "; to repair this" in summary
    assert command == "sc2 verify --repair --yes"
