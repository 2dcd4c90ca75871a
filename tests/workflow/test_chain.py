"""A chain over the operating points in the plan, and a shared sweep: what runs again, and what one job does for all."""

from pathlib import Path

import pytest

from tests.workflow.project import (
    BENCHMARK,
    CONFIGURATION,
    REPORT,
    STUDENT,
    STUDENT_POINTS,
    Project,
    create,
    measured,
    parse_plan,
    trained,
)

pytestmark = pytest.mark.workflow

FILE = f"config/benchmarks/{BENCHMARK}.yaml"
LISTED = 'points: ["0.5", "4"]\n    chain: null'
POINTS = (*STUDENT_POINTS, "8")


@pytest.fixture
def built(tmp_path: Path) -> Project:
    """A project with three points in a chain, in which Snakemake believes that everything has been run."""
    assert CONFIGURATION[FILE].count(LISTED) == 1
    chained = 'points: ["0.5", "4", "8"]\n    chain: {params: {phases: {distill: {epochs: 3}}}}'
    project = create(tmp_path / "project", {**CONFIGURATION, FILE: CONFIGURATION[FILE].replace(LISTED, chained)})
    project.believe()
    return project


def test_a_point_is_an_input_of_those_after_it_alone(built: Project) -> None:
    for position, point in enumerate(POINTS):
        target = f"results/train/{BENCHMARK}/{STUDENT}/{point}/seed0/distill.pt"
        after = POINTS[position:]
        expected = trained(*after) | measured(STUDENT, *after) | REPORT
        assert parse_plan(built.snakemake("-n", "--forcerun", target)) == expected


def test_parameters_of_the_first_point_run_all_again_and_those_of_the_chain_not_the_first(project: Project) -> None:
    project.edit(FILE, LISTED, LISTED.replace("null", "{params: {phases: {distill: {epochs: 3}}}}"))
    assert project.planned() == trained("4") | measured(STUDENT, "4") | REPORT
    targets = [f"results/train/{BENCHMARK}/{STUDENT}/{point}/seed0/finetune.pt" for point in STUDENT_POINTS]
    project.snakemake(*targets)
    assert project.planned(*targets) == set()
    shown = project.sc2("trace", targets[1]).stdout
    assert "chained from 0.5" in shown, shown
    project.edit(FILE, "distill: {epochs: 12,", "distill: {epochs: 11,")
    assert project.planned(*targets) == trained(*STUDENT_POINTS)
    project.edit(FILE, "distill: {epochs: 11,", "distill: {epochs: 12,")
    project.edit(FILE, "distill: {epochs: 3}", "distill: {epochs: 2}")
    assert project.planned(*targets) == trained("4")


def test_a_shared_sweep_has_the_results_of_separate_runs_and_runs_nothing_again(project: Project) -> None:
    """One job trains both points, and the other one takes its result, whichever is started first."""
    project.edit(FILE, LISTED, LISTED.replace("chain: null", "chain: null\n    share_sweep: true"))
    assert project.planned() == set()
    files = [
        project.path / f"results/train/{BENCHMARK}/{STUDENT}/{point}/seed0/distill.{end}"
        for point in STUDENT_POINTS
        for end in ("pt", "csv")
    ]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    project.snakemake(*(str(file.relative_to(project.path)) for file in files))
    assert [file.read_bytes() for file in files] == before
    logs = [project.read(f"logs/train/{BENCHMARK}/{STUDENT}/{point}/seed0/distill.log") for point in STUDENT_POINTS]
    epochs = [[f"{point}/0/distill] epoch 12/12" in log for point in STUDENT_POINTS] for log in logs]
    assert sorted(epochs) == [[False, False], [True, True]], logs
    [follower] = [log for log, did in zip(logs, epochs, strict=True) if not any(did)]
    assert "resumes after epoch 12 of 12" in follower
