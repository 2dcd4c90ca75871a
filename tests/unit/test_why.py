"""`sc2 why`: what changed since a record was written, for one output and for all."""

from pathlib import Path

import pytest

from sc2.commands.why import why
from sc2.errors import ProvenanceError
from tests.recorded import DATA, FIGURE, TABLE, TEACHER, Project, evaluation

RESULTS = Path("results")


def one(project: Project, output: str) -> list[str]:
    return why(project.jobs, Path(output), RESULTS).splitlines()


def test_nothing_changed(project: Project) -> None:
    assert one(project, FIGURE) == [f"{FIGURE}: nothing changed since its record was written"]
    expected = "no configuration and no code changed since the records were written"
    assert why(project.jobs, None, RESULTS) == expected


def test_a_key_and_a_file_are_named_where_they_act(project: Project) -> None:
    project.plan(TEACHER, epochs=20)
    (project.root / "sc2" / "make_tables.py").write_text("import sc2.shared\nB = 1\n")
    assert one(project, TEACHER) == [f"{TEACHER}  (train_teacher)", "  configuration: epochs 12 → 20"]
    lines = one(project, FIGURE)
    assert f"  {TABLE}  (make_tables)" in lines
    assert "    code: sc2/make_tables.py" in lines
    assert "        configuration: epochs 12 → 20" in lines
    # The teacher lies behind all three evaluations, and is said once.
    assert sum("epochs" in line for line in lines) == 1


def test_all_jobs_are_grouped_by_what_changed(project: Project) -> None:
    (project.root / "sc2" / "evaluate.py").write_text("import sc2.shared\nB = 1\n")
    project.plan(TEACHER, epochs=20)
    assert why(project.jobs, None, RESULTS).splitlines() == [
        f"3 evaluate  (e.g. {evaluation('10')})",
        "  code: sc2/evaluate.py",
        f"1 train_teacher  (e.g. {TEACHER})",
        "  configuration: epochs 12 → 20",
    ]


def test_inputs_that_changed_or_are_gone(project: Project) -> None:
    Path(DATA).write_text("other pixels")
    Path(evaluation("50")).unlink()
    assert f"  input {DATA} changed" in one(project, TEACHER)
    assert f"  input {evaluation('50')} is missing" in one(project, TABLE)


def test_a_file_that_moved_into_the_job_is_new_and_one_that_left_it_is_gone(project: Project) -> None:
    (project.root / "sc2" / "other.py").write_text("A = 1\n")
    (project.root / "sc2" / "plot_figure.py").write_text("import sc2.other\n")
    own = [line for line in one(project, FIGURE) if line.startswith("  code")]
    assert own == ["  code: sc2/other.py (new)", "  code: sc2/plot_figure.py", "  code: sc2/shared.py (gone)"]


def test_what_is_no_longer_planned_and_what_was_never_made(project: Project) -> None:
    del project.steps[FIGURE]
    assert one(project, FIGURE)[1] == "  the run file no longer contains it"
    assert "has not been built" in one(project, "results/figures/bench/other.svg")[0]


def test_a_folder_that_is_not_there(project: Project) -> None:
    with pytest.raises(ProvenanceError, match=r"elsewhere: no such folder; .*snakemake --cores all"):
        why(project.jobs, None, Path("elsewhere"))
