"""Trace prints the chain below a result, and says what was rebuilt or edited since."""

from dataclasses import replace
from pathlib import Path

import pytest

from sc2.errors import ProvenanceError
from sc2.provenance.record import read_record, sha256_file
from sc2.provenance.trace import format_trace, trace
from tests.recorded import COMMIT, DATA, EVERYTHING, FIGURE, POINTS, TABLE, TEACHER, Project, Step, evaluation


def test_tree_follows_the_records(project: Project) -> None:
    node = trace(Path(FIGURE))
    assert node.path == FIGURE
    (table,) = node.parents
    assert [child.record.keys["point"] for child in table.parents] == list(POINTS)
    for run in table.parents:
        data, teacher = run.parents
        assert (data.record.stage, teacher.record.stage) == ("prepare_data", "train_teacher")
        assert teacher.parents == (data,)
    assert [file.path for file in data.sources] == ["raw.tar"]


def test_text_of_a_grouped_tree(project: Project) -> None:
    ids = {output: read_record(project.record(output)).id for output in EVERYTHING}
    raw = sha256_file(Path("raw.tar"))
    assert format_trace(trace(Path(FIGURE))).splitlines() == [
        f"plot_figure bench/rate  {ids[FIGURE]}  {FIGURE}  1.5 s  commit 0123456789",
        f"└── make_tables bench  {ids[TABLE]}  {TABLE}  1.5 s  commit 0123456789",
        "    └── evaluate bench/jpeg  3 records  points 10 50 90  results/evaluate/bench/jpeg/…  4.5 s in all"
        "  commit 0123456789",
        f"        ├── prepare_data digits  {ids[DATA]}  {DATA}  1.5 s  commit 0123456789",
        f"        │   ├── file raw.tar  sha256 {raw}",
        "        │   └── kind=photodigits, train=6000",
        f"        └── train_teacher bench  {ids[TEACHER]}  {TEACHER}  1.5 s  commit 0123456789+dirty",
        f"            └── prepare_data digits  {ids[DATA]}  {DATA}  1.5 s  commit 0123456789  (see above)",
        "! uncommitted work in 1 of 7 records (+dirty): no commit holds the code that made them",
    ]


def test_full_tree_has_a_line_for_each_record(project: Project) -> None:
    text = format_trace(trace(Path(FIGURE)), full=True)
    for point in POINTS:
        identity = read_record(project.record(evaluation(point))).id
        assert f"evaluate bench/jpeg/{point}/0  {identity}  {evaluation(point)}" in text
    assert text.count("kind=photodigits") == 1
    assert text.count("(see above)") == 5  # the data below the teacher; data and teacher below two more evaluations


def test_many_runs_stay_readable(project: Project) -> None:
    outputs = []
    for index in range(40):
        point, seed = str(index // 2), str(index % 2)
        output = f"results/evaluate/bench/webp/{point}/seed{seed}/summary.json"
        keys = {"benchmark": "bench", "method": "webp", "point": point, "seed": seed}
        project.steps[output] = Step("evaluate", keys, {"quality": point}, {"data": [DATA]}, output, COMMIT)
        outputs.append(output)
    table = project.steps[TABLE]
    project.steps[TABLE] = replace(table, inputs={"runs": [*table.inputs["runs"], *outputs]})
    project.build(*outputs, TABLE, FIGURE)
    lines = format_trace(trace(Path(FIGURE))).splitlines()
    assert len(lines) == 11
    (webp,) = [line for line in lines if "bench/webp" in line]
    assert f"40 records  points {' '.join(map(str, range(20)))}  seeds 0 1" in webp
    assert len(format_trace(trace(Path(FIGURE)), full=True).splitlines()) > 80


def test_trace_does_not_depend_on_the_current_folder(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = format_trace(trace(Path(FIGURE)))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert format_trace(trace(project.root / FIGURE)) == text


def test_trace_says_what_was_rebuilt_or_edited_since(project: Project) -> None:
    project.plan(TEACHER, epochs=13)
    project.build(TEACHER)
    path = project.record(TABLE)
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": 2.5'))
    node = trace(Path(FIGURE))
    assert node.parents[0].parents[0].rebuilt == (TEACHER,)
    text = format_trace(node)
    assert f"rebuilt since: {TEACHER}" in text
    assert "was edited: its content was changed" in text


def test_trace_without_a_record_says_how_to_get_one(project: Project) -> None:
    with pytest.raises(ProvenanceError, match=r"raw\.tar: no record lists this file.*snakemake --cores all raw\.tar"):
        trace(Path("raw.tar"))
    with pytest.raises(ProvenanceError, match="no such file, and no record"):
        trace(Path("results/figures/bench/typo.svg"))


def test_trace_with_the_record_of_an_input_missing(project: Project) -> None:
    identity = read_record(project.record(TEACHER)).id
    project.record(TEACHER).unlink()
    with pytest.raises(ProvenanceError, match=rf"{TEACHER}: the record {identity} of this input of .* is missing"):
        trace(Path(FIGURE))


def test_trace_says_why_there_is_no_commit(project: Project) -> None:
    unknown = {"commit": None, "dirty": None, "dirty_sha256": None, "unknown": "not in a git repository"}
    project.steps[FIGURE] = replace(project.steps[FIGURE], git=unknown)
    project.build(FIGURE)
    first, second, *_ = format_trace(trace(Path(FIGURE))).splitlines()
    assert first.endswith("no commit (not in a git repository)")
    assert second.endswith("commit 0123456789")
