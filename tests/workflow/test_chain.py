"""A chain over the operating points in the plan: what a change at one of them runs again."""

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
    header, *rows = [line.split("\t") for line in project.snakemake("--summary").splitlines() if "\t" in line]
    for row in rows:
        project.write(row[header.index("output_file")], "made")
    project.snakemake("--touch")
    assert project.planned() == set()
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
