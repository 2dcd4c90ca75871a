"""`snakemake report`, `sc2 report` and Snakemake's own report in a finished project."""

import re
import zipfile

import pytest

from tests.result_page import content_of
from tests.workflow.project import BENCHMARK, FIGURES, STUDENT, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]


def test_a_report_of_a_finished_run(project: Project) -> None:
    """Only the latency over channels is left to do; then the page, and Snakemake's own report."""
    ran = project.snakemake("report")
    assert re.search(r"^model_latency +1$", ran, re.MULTILINE), ran
    assert "make_tables" not in ran

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

    project.snakemake("report", "--report", "report.zip")
    with zipfile.ZipFile(project.path / "report.zip") as archive:
        text = "".join(
            archive.read(name).decode("utf-8") for name in archive.namelist() if name.endswith((".html", ".js"))
        )
    for figure in FIGURES:
        assert f"{figure}.svg" in text
    for told in ("end_to_end.csv", "paired.csv", "the dashed line is the teacher", "a line per method, at its point"):
        assert told in text, told
