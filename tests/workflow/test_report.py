"""`sc2 report` and Snakemake's own report in a finished project."""

import zipfile

import pytest

from tests.result_page import content_of
from tests.workflow.project import BENCHMARK, FIGURES, STUDENT, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]


def test_a_report_of_a_finished_run(project: Project) -> None:
    """The page, and Snakemake's own report."""
    project.sc2("report")
    every = content_of(project.read("report/index.html"))["benchmarks"]
    [benchmark] = [one for one in every if not one["snapshot"]]
    assert benchmark["name"] == BENCHMARK
    points = {(curve["method"], point["point"]): point for curve in benchmark["curves"] for point in curve["points"]}
    assert set(points) == {("jpeg", "10"), ("jpeg", "90"), (STUDENT, "0.5"), (STUDENT, "4")}
    [run] = points[STUDENT, "4"]["runs"]
    commit = project.git("rev-parse", "HEAD").strip()
    assert f"train {BENCHMARK}/{STUDENT}/4/0/finetune" in run["trace"]
    assert (run["commit"], run["dirty"]) == (commit, "")
    assert run["command"].split()[3:5] == ["--force", f"results/evaluate/{BENCHMARK}/{STUDENT}/4/seed0/summary.json"]
    assert not project.git("status", "--porcelain")

    project.snakemake("--report", "report.zip")
    with zipfile.ZipFile(project.path / "report.zip") as archive:
        text = "".join(
            archive.read(name).decode("utf-8") for name in archive.namelist() if name.endswith((".html", ".js"))
        )
    for figure in FIGURES:
        assert f"{figure}.svg" in text
    for told in ("end_to_end.csv", "paired.csv", "the dashed line is the teacher", "a line per method, at its point"):
        assert told in text, told
