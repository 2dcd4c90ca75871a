"""A picture is of uncommitted work if its own job is, or any job behind it."""

from dataclasses import replace
from pathlib import Path

import pytest

from sc2.errors import ProvenanceError
from sc2.provenance.record import read_record
from sc2.provenance.uncommitted import uncommitted
from tests.recorded import COMMIT, DATA, DIRTY, FIGURE, POINTS, TABLE, TEACHER, Project, evaluation

INPUTS: dict[str, Path | list[Path]] = {"table": Path(TABLE), "others": []}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Built from a clean tree."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.steps[TEACHER] = replace(project.steps[TEACHER], git=COMMIT)
    project.build()
    return project


def test_a_clean_tree_with_clean_results_is_committed(project: Project) -> None:
    assert not uncommitted(COMMIT, INPUTS)
    assert not uncommitted({"dirty": None, "unknown": "no commit yet"}, INPUTS)


def test_the_state_of_the_job_itself_counts(project: Project) -> None:
    assert uncommitted(DIRTY, INPUTS)
    assert uncommitted(DIRTY, {})


@pytest.mark.parametrize("behind", [DATA, TEACHER, evaluation("50"), TABLE])
def test_any_job_behind_an_input_counts(project: Project, behind: str) -> None:
    """Rebuilt in a dirty tree, to the same record and the same bytes."""
    before = read_record(project.record(behind)).id
    project.steps[behind] = replace(project.steps[behind], git=DIRTY)
    project.build(behind)
    assert read_record(project.record(behind)).id == before
    assert uncommitted(COMMIT, INPUTS)
    assert uncommitted(COMMIT, {"tables": [Path(TABLE).absolute()]})
    assert uncommitted(COMMIT, {"data": Path(DATA)}) is (behind == DATA)


def test_what_stands_beside_counts_only_for_itself(project: Project) -> None:
    project.steps[FIGURE] = replace(project.steps[FIGURE], git=DIRTY)
    project.build(FIGURE)
    assert not uncommitted(COMMIT, INPUTS)


def test_a_record_that_is_gone_says_nothing_and_a_damaged_one_is_named(project: Project) -> None:
    for point in POINTS:
        project.record(evaluation(point)).unlink()
    project.record(TEACHER).write_text("{")
    assert not uncommitted(COMMIT, INPUTS)
    with pytest.raises(ProvenanceError, match=r"teacher\.prov\.json: the record is damaged"):
        uncommitted(COMMIT, {"teacher": Path(TEACHER)})
