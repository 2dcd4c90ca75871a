"""Benchmarks of several tasks side by side: the overview, the serving table, and their page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sc2.drawing import DrawingJob
from sc2.errors import ProvenanceError
from sc2.job import RunningJob
from sc2.provenance.record import OutputFile, sha256_file
from sc2.report import group, group_snapshot, style
from sc2.report.columns import quality_of, rate_quality_columns, teacher_columns
from sc2.report.overview import alike, once
from sc2.report.series import collect, read_tables
from sc2.report.table_io import Row, read_table, write_table
from tests.unit.test_snapshot import write_record

RECORD = "0" * 16
TASKS = {"classification": 64.0, "detection": 96.0, "segmentation": 128.0}


def values_of(columns: Any, **known: Any) -> dict[str, Any]:
    """A value for every column: the known ones, and something of the right kind for the others."""
    other = {"text": "x", "flag": True, "int": 1, "float": 10.0}
    return {column.name: known.get(column.name, other[column.kind]) for column in columns}


def write_tables(folder: Path, task: str, size: float, curves: tuple[str, str] = ("", "")) -> dict[str, Path]:
    folder.mkdir()
    primary = quality_of(task).primary
    runs = [
        values_of(
            rate_quality_columns(task),
            **{"task": task, "method": "entropic_student", "method_title": "Student", "curve": curve, "point": point},
            **{"rate_axis": "beta", "seed": "0", "payload_bytes_mean": size / float(point), "device_model": point},
            **{"encoder_macs": int(size), primary: 70.0 - float(point)},
        )
        for point, curve in zip(("1", "4"), curves, strict=True)
    ]
    paths = {name: folder / f"{name}.csv" for name in ("rate_quality", "latency", "teacher")}
    write_table(paths["rate_quality"], rate_quality_columns(task), [Row(folder, run) for run in runs])
    paths["latency"].write_text("benchmark,method,point,seed\n")
    teacher = values_of(teacher_columns(task), task=task, teacher="net", **{primary: 75.0})
    write_table(paths["teacher"], teacher_columns(task), [Row(folder, teacher)])
    return paths


@pytest.fixture
def compared(tmp_path: Path) -> DrawingJob:
    """The stage's job, done."""
    tables = [write_tables(tmp_path / task, task, size) for task, size in TASKS.items()]
    inputs = {name: [paths[name] for paths in tables] for name in ("rate_quality", "latency", "teacher")}
    outputs = {"serving": tmp_path / "serving.csv", "svg": tmp_path / "overview.svg", "png": tmp_path / "overview.png"}
    facts = [{"name": "entropic_student", "family": "student", "symbol": "β="}]
    spec = {"benchmarks": list(TASKS), "titles": [f"Panel of {task}" for task in TASKS], "methods": facts}
    spec |= {"inputs": [{"resize": side} for side in (64, 96, 96)]}
    job = DrawingJob("compare_tasks", {"group": "g"}, spec, inputs, outputs, RECORD)
    group.run(job)
    return job


def test_tasks_with_images_of_one_size_share_a_payload(compared: RunningJob) -> None:
    rows = read_table(compared.outputs["serving"])
    assert rows["point"].tolist() == ["1", "4"]
    assert rows["device_models"].tolist() == [1, 1]
    assert rows["payloads"].tolist() == [2, 2]
    assert rows["payload_bytes_together"].tolist() == [64.0 + 128.0, 16.0 + 32.0]
    assert rows["payload_bytes_separately"].tolist() == [288.0, 72.0]
    assert rows[["top1_pct", "box_ap_pct", "miou_pct"]].to_numpy().tolist() == [[69.0] * 3, [66.0] * 3]


def test_the_overview_has_a_panel_per_benchmark_and_one_legend(compared: RunningJob) -> None:
    drawn = compared.outputs["svg"].read_text()
    for task in TASKS:
        assert f"Panel of {task}" in drawn
        assert quality_of(task).label in drawn
    assert drawn.count("<!-- Student -->") == 1


def test_an_overview_of_uncommitted_work_says_so(compared: DrawingJob) -> None:
    assert style.UNCOMMITTED not in compared.outputs["svg"].read_text()
    group.run(replace(compared, uncommitted=True))
    assert style.UNCOMMITTED in compared.outputs["svg"].read_text()


def test_a_curve_looks_the_same_in_every_panel_and_as_no_other(tmp_path: Path) -> None:
    """A depth that is alone in its panel does not take the look of another one in the panel beside it."""
    curves = {"classification": ("layer2", "layer3"), "detection": ("layer1", "layer1")}
    panels = []
    for task, names in curves.items():
        paths = write_tables(tmp_path / task, task, 64.0, names)
        tables = read_tables(paths)
        panels.append(collect(tables, ["entropic_student"]))
    assert [one.curve_index for panel in panels for one in panel] == [0, 1, 0]
    assert [one.curve_index for panel in alike(panels) for one in panel] == [1, 2, 0]
    assert [one.title for one in once(alike(panels))] == ["Student, layer1", "Student, layer2", "Student, layer3"]


ORDERINGS = """\
benchmark,task,ordering,claim,source,difference,difference_low,difference_high,verdict
b,t,student_webp,A student needs fewer bytes than WebP,webp,-40.04,-50,-30,holds
"""
OPEN = """\
benchmark,task,ordering,claim,source,difference,difference_low,difference_high,verdict
b,t,student_webp,A student needs fewer bytes than WebP,webp,-12.5,,,cannot be told
"""


def page(compared: RunningJob, folder: Path, sha256: str) -> str:
    folder.mkdir(parents=True)
    orderings = [folder.parent / f"{task}_orderings.csv" for task in TASKS]
    for path, text in zip(orderings, (ORDERINGS, OPEN, ORDERINGS.partition("\n")[0] + "\n"), strict=True):
        path.write_text(text)
    made = {"svg": OutputFile(path="overview.svg", sha256=sha256, bytes=1)}
    records = [write_record(folder / "made.prov.json", RECORD, "compare_tasks", "10:00", "10:30", outputs=made)]
    inputs: dict[str, Path | list[Path]] = {
        "serving": compared.outputs["serving"],
        "orderings": orderings,
        "figures": [compared.outputs["svg"]],
        "records": records,
    }
    outputs = {"readme": folder / "README.md"}
    job = RunningJob("snapshot_group", {"group": "g"}, compared.spec, inputs, outputs, RECORD)
    group_snapshot.run(job)
    return outputs["readme"].read_text(encoding="utf-8")


def test_the_page_shows_figure_and_costs(compared: RunningJob, tmp_path: Path) -> None:
    text = page(compared, tmp_path / "docs" / "g", sha256_file(compared.outputs["svg"]))
    assert "![Overview](overview.svg)" in text
    assert "[detection](../detection/README.md)" in text
    assert "| Student | 4 | 66.0 | 66.0 | 66.0 | 1 | 2 | 48.0 | 192 | 1 | 72.0 | 288 |\n" in text
    assert "| published | classification | detection | segmentation |\n" in text
    claim = "[A student needs fewer bytes than WebP](../../papers.md#webp)"
    assert f"| {claim} | **holds** (-50.0 … -30.0) | **cannot be told** | – |\n" in text
    assert {path.name for path in (tmp_path / "docs" / "g").iterdir()} >= {"overview.svg", "serving.csv"}


def test_a_figure_of_another_run_is_refused(compared: RunningJob, tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="no record of the snapshot has a file of this content"):
        page(compared, tmp_path / "docs" / "g", "1" * 64)
