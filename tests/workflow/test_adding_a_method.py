"""docs/adding-a-method.md, done block by block in a copy of a finished run: its method ends up in the tables."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.workflow.project import BENCHMARK, Project, measured

# The first test waits for the one run, which takes minutes on a busy machine.
pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

PAGE = "docs/adding-a-method.md"
METHOD, POINTS = "downsampled_pixels", ("4", "8", "16")
DOCUMENTED = "photodigits_small_resnet"
LINES = 60
"""What a simple method may cost, blank lines included."""


def blocks(page: str) -> dict[str, str]:
    """Return the content of each fenced block that has a file's name in the line above it."""
    return dict(re.findall(r"^`([^`\n]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


def commands(page: str) -> list[str]:
    """Return the lines of the page's one shell block."""
    [block] = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return block.splitlines()


def follow(project: Project) -> list[str]:
    """Write the page's files, with the tiny benchmark in the place of the default one; returns its commands."""
    page = project.read(PAGE)
    files = blocks(page)
    assert page.count("```python") + page.count("```yaml") == len(files)
    for name, content in files.items():
        assert not (project.path / name).exists()  # the page adds files and edits none
        project.write(name, content.replace(DOCUMENTED, BENCHMARK))
    return commands(page)


def test_the_page_is_one_python_file_one_yaml_and_a_run_file(root: Path) -> None:
    files = blocks((root / PAGE).read_text(encoding="utf-8"))
    kinds = [f"{Path(name).parts[0]} {Path(name).suffix}" for name in files]
    assert kinds == ["sc2 .py", "config .yaml", "config .yaml"]
    assert sum(len(content.splitlines()) for content in files.values()) <= LINES


def test_every_step_of_the_page_works(project: Project) -> None:
    schema, contract, plan, run = follow(project)
    project.run(*schema.split())
    assert (project.path / f"config/schema/method_{METHOD}.schema.json").is_file()
    assert re.search(r"\d\d passed", project.run(*contract.split()).stdout)
    new = measured(METHOD, *POINTS)
    # Nothing else runs: the codec's results are taken as they are, the tables and figures get the new rows.
    planned = project.planned(*plan.removeprefix("snakemake -n").split())
    figures = {job for job in planned if job.startswith("plot_figure ")}
    assert figures
    assert planned - figures == new | {f"make_tables {BENCHMARK}", f"model_latency {BENCHMARK}"}
    project.run(*run.replace("--cores all", "--cores 2").split())
    table = pd.read_csv(project.path / f"results/tables/{BENCHMARK}/rate_quality.csv", dtype={"point": str})
    rows = table[table["method"] == METHOD].set_index("point")
    assert list(rows.index) == list(POINTS)
    assert rows["payload_bytes_mean"].tolist() == [3 * int(point) ** 2 for point in POINTS]
    assert rows["method_title"].unique() == ["Downsampled pixels"]
    assert not rows["trained"].any()
    project.snakemake("snapshots", "--configfile", "config/thumbnails.yaml")
    assert "| Downsampled pixels | k=4 |" in project.read(f"docs/reference/{BENCHMARK}/README.md")
    assert project.planned("--configfile", "config/thumbnails.yaml") == set()


def test_the_pages_files_are_formatted_and_typed_as_the_project_is(project: Project) -> None:
    follow(project)
    sources = [name for name in blocks(project.read(PAGE)) if Path(name).suffix == ".py"]
    project.run("ruff", "check", *sources)
    project.run("ruff", "format", "--check", *sources)
    # What `make check` has found out about the other files holds for their copies.
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", project.path / ".mypy_cache")
    project.run("mypy", *sources)
