"""Verify names exactly what is edited, missing, stale or unrecorded, and prune removes what must run again."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sc2.config.load import load_config
from sc2.errors import ProvenanceError
from sc2.jobs.identity import job
from sc2.provenance.copies import changed_copies
from sc2.provenance.record import hashes_of, read_record, record_id
from sc2.provenance.schema import seal
from sc2.provenance.trace import trace
from sc2.provenance.verify import Finding, Report, format_report, prune, removable, verify
from tests.recorded import (
    COMMIT,
    DATA,
    DIRTY,
    EVALUATIONS,
    EVERYTHING,
    FIGURE,
    TABLE,
    TEACHER,
    Planned,
    Project,
    Step,
    evaluation,
)


def test_fresh_results_are_good(project: Project) -> None:
    report = project.verify()
    assert (report.findings, report.checked, report.outside) == ([], 7, 0)
    assert format_report(report).splitlines() == [
        f"dirty       {FIGURE}: uncommitted work in 1 of the 7 records behind it (train_teacher)",
        "7 records checked: all as recorded; uncommitted work behind 1 of the results (dirty)",
    ]
    assert prune(report) == []


def test_absolute_folder_from_elsewhere(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert verify(project.root / "results", project.jobs).findings == []


def test_part_of_the_results(project: Project) -> None:
    report = verify(Path("results/evaluate"), project.jobs)
    assert (report.findings, report.checked) == ([], 3)


def test_edited_output_and_what_was_made_from_it(project: Project) -> None:
    Path(TABLE).write_text("0.99")
    assert project.found() == {"edited": {TABLE}, "stale": {FIGURE}}
    assert project.message(FIGURE) == f"input {TABLE} changed"


@pytest.mark.parametrize("path", sorted(EVERYTHING))
def test_a_byte_flipped_in_any_artifact(project: Project, path: str) -> None:
    content = bytearray(Path(path).read_bytes())
    content[-1] ^= 1
    Path(path).write_bytes(content)
    assert project.found()["edited"] == {path}


def test_figure_drawn_from_another_table(project: Project) -> None:
    """It was drawn while the table was another one; then the table of before was put back, with its record."""
    table, record = Path(TABLE).read_bytes(), project.record(TABLE).read_bytes()
    project.plan(TABLE, digits=4)
    project.build(TABLE, FIGURE)
    project.steps[TABLE] = replace(project.steps[TABLE], spec={})
    Path(TABLE).write_bytes(table)
    project.record(TABLE).write_bytes(record)
    assert project.found() == {"stale": {FIGURE}}
    assert project.message(FIGURE) == f"input {TABLE} changed"


def test_figure_of_another_benchmark_in_its_place(project: Project) -> None:
    Path(FIGURE).write_bytes(Path(FIGURE).read_bytes().replace(b"bench", b"other"))
    assert project.found() == {"edited": {FIGURE}}


def test_teacher_replaced_together_with_its_record(project: Project) -> None:
    """By a teacher that the plan would make as well, trained from other data: everything measured with it is stale."""
    data = Path(DATA).read_bytes()
    Path(DATA).write_text("other images")
    project.build(TEACHER)
    Path(DATA).write_bytes(data)
    found = project.found()
    assert found == {"stale": {TEACHER, TABLE, FIGURE, *EVALUATIONS}}
    assert project.message(TEACHER) == f"input {DATA} changed"


def test_record_whose_seal_was_made_anew_no_longer_fits_its_neighbours(project: Project) -> None:
    """The seal is no signature: who computes it again is found where the edit reaches the work itself."""
    path = project.record(TABLE)
    record = read_record(path).model_copy(update={"spec": {"digits": 9}})
    identity = record_id(record.stage, record.keys, record.spec, record.code.digest, hashes_of(record.inputs))
    record = record.model_copy(update={"id": identity})
    record = record.model_copy(update={"seal": seal(record.model_dump(mode="json"))})
    path.write_text(json.dumps(record.model_dump(mode="json")))
    assert project.found() == {"stale": {TABLE, FIGURE}}
    assert "configuration changed: digits 9 → not set" in project.message(TABLE)


def test_clean_results_are_not_called_dirty_and_dirty_ones_are(project: Project) -> None:
    project.steps[TEACHER] = replace(project.steps[TEACHER], git=COMMIT)
    project.build()
    assert project.verify().dirty == ()
    project.steps[FIGURE] = replace(project.steps[FIGURE], git=DIRTY)
    project.build(FIGURE)
    report = project.verify()
    assert report.dirty == ((FIGURE, "uncommitted work in 1 of the 7 records behind it (plot_figure)"),)
    assert report.findings == []


def snapshot(project: Project) -> Path:
    """A snapshot of the figure and its table, as the workflow makes one."""
    folder = Path("docs/reference/bench")
    folder.mkdir(parents=True)
    for path in (TABLE, FIGURE):
        shutil.copy(path, folder)
    keys = {"benchmark": "bench"}
    readme = str(folder / "README.md")
    project.steps[readme] = Step("snapshot", keys, {}, {"tables": [TABLE], "figures": [FIGURE]}, readme, COMMIT)
    (project.root / "sc2" / "snapshot.py").write_text("import sc2.shared\n")
    project.build(readme)
    return folder


def test_edited_copies_of_results(project: Project) -> None:
    folder = snapshot(project)
    assert list(changed_copies(folder.parent, project.jobs)) == []
    Path(folder / "rate.csv").write_text("0.99")
    (folder / "own.svg").write_text("x")
    (folder / "README.md").unlink()
    found = {(finding.kind, finding.path) for finding in changed_copies(folder.parent, project.jobs)}
    assert found == {
        ("edited", f"{folder}/rate.csv"),
        ("unrecorded", f"{folder}/own.svg"),
        ("missing", f"{folder}/README.md"),
    }
    # Another run file's snapshots are not looked at.
    assert list(changed_copies(folder.parent, lambda stage, keys: None)) == []


def test_edited_record_of_copies(project: Project) -> None:
    folder = snapshot(project)
    record = folder / "README.prov.json"
    record.write_text(record.read_text().replace('"seconds": 1.5', '"seconds": 2.5'))
    (finding,) = changed_copies(folder.parent, project.jobs)
    assert (finding.kind, finding.message) == ("edited", "its content was changed after it was written")


def test_the_committed_snapshots_of_the_default_are_as_recorded(root: Path) -> None:
    config = load_config(root / "config" / "config.yaml")
    assert list(changed_copies(root / "docs" / "reference", lambda stage, keys: job(config, stage, keys))) == []


def test_edited_record_and_what_was_made_from_it(project: Project) -> None:
    path = project.record(TABLE)
    path.write_text(path.read_text().replace("0123456789abcdef", "fedcba9876543210", 1))
    assert project.found() == {"edited": {path.as_posix()}, "stale": {FIGURE}}
    assert project.message(path.as_posix()) == "its content was changed after it was written"


def test_damaged_record(project: Project) -> None:
    path = project.record(FIGURE)
    path.write_text("{")
    assert project.found() == {"edited": {path.as_posix()}, "unrecorded": {FIGURE}}
    assert project.message(path.as_posix()).startswith("the record is damaged")


def test_missing_output_is_named_once(project: Project) -> None:
    Path(DATA).unlink()
    assert project.found() == {"missing": {DATA}}
    message = project.message(DATA)
    assert "input of results/evaluate/bench/jpeg/10/seed0/summary.json" in message
    assert message.endswith(f"and 1 more; `snakemake --cores all {DATA}` rebuilds it")


def test_missing_input_that_no_job_made(project: Project) -> None:
    Path("raw.tar").unlink()
    assert project.message("raw.tar") == f"gone, but a record names it: input of {DATA}"


def test_missing_file_behind_a_link(project: Project) -> None:
    Path(FIGURE).unlink()
    Path(FIGURE).symlink_to("nowhere")
    assert project.found() == {"missing": {FIGURE}}


def test_input_outside_the_project_is_not_looked_for(project: Project, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}.tar"
    outside.write_text("pixels")
    project.steps[DATA] = replace(project.steps[DATA], inputs={"archive": [str(outside)]})
    project.build()
    outside.unlink()
    assert project.verify().findings == []


def test_changed_source_file(project: Project) -> None:
    Path("raw.tar").write_text("other pixels")
    assert project.found() == {"stale": EVERYTHING}
    assert project.message(DATA) == "input raw.tar changed"


def test_stale_by_configuration_and_all_that_follows(project: Project) -> None:
    project.plan(TEACHER, epochs=20, width=8)
    assert project.found() == {"stale": {TEACHER, TABLE, FIGURE, *EVALUATIONS}}
    assert project.message(TEACHER) == "configuration changed: epochs 12 → 20, width not set → 8"
    assert project.message(evaluation("10")) == f"input {TEACHER} is stale"
    assert project.message(FIGURE) == f"input {TABLE} is stale"


def test_type_of_a_value_is_configuration(project: Project) -> None:
    project.plan(evaluation("10"), quality=10)
    assert project.message(evaluation("10")) == "configuration changed: the types of values"


def test_tuple_in_the_plan_equals_the_list_in_the_record(project: Project) -> None:
    project.plan(FIGURE, size=[3, 2])
    project.build(FIGURE)
    project.plan(FIGURE, size=(3, 2))
    assert project.verify().findings == []


def test_stale_by_code_of_one_stage(project: Project) -> None:
    (project.root / "sc2" / "evaluate.py").write_text("import sc2.shared\nB = 1\n")
    assert project.found() == {"stale": {TABLE, FIGURE, *EVALUATIONS}}
    assert project.message(evaluation("50")) == "code changed: sc2/evaluate.py"


def test_stale_by_shared_code(project: Project) -> None:
    (project.root / "sc2" / "shared.py").write_text("A = 22\n")
    assert project.found() == {"stale": EVERYTHING}
    assert project.message(FIGURE) == f"code changed: sc2/shared.py; input {TABLE} is stale"


def test_comment_in_the_code_is_not_stale(project: Project) -> None:
    (project.root / "sc2" / "shared.py").write_text('"""Constants."""\n\nA = 1  # one\n')
    assert project.verify().findings == []


def test_stale_by_a_file_of_code_that_is_gone(project: Project) -> None:
    (project.root / "sc2" / "shared.py").rename(project.root / "sc2" / "other.py")
    (project.root / "sc2" / "plot_figure.py").write_text("import sc2.other\n")
    jobs = project.jobs

    def figure_only(stage: str, keys: Mapping[str, str]) -> Planned | None:
        return jobs(stage, keys) if stage == "plot_figure" else None

    report = verify(Path("results"), figure_only)
    (finding,) = report.findings
    assert finding.message.startswith("code changed: sc2/other.py (new), sc2/plot_figure.py, sc2/shared.py (gone);")


def test_stale_by_an_input_that_the_configuration_no_longer_contains(project: Project) -> None:
    del project.steps[evaluation("50")]
    assert project.found() == {"stale": {TABLE, FIGURE}}
    assert project.message(TABLE) == (
        f"input {evaluation('50')} belongs to a job that the configuration no longer contains"
    )


def test_stale_by_a_parent_rebuilt_to_the_same_bytes(project: Project) -> None:
    project.same_bytes = True
    project.build()
    old = read_record(project.record(TABLE)).id
    project.plan(TABLE, digits=4)
    project.build(TABLE)
    new = read_record(project.record(TABLE)).id
    assert project.found() == {"stale": {FIGURE}}
    assert project.message(FIGURE) == f"input {TABLE} was made by record {old}, now its record is {new}"


def test_record_of_an_input_gone(project: Project) -> None:
    old = read_record(project.record(TABLE)).id
    project.record(TABLE).unlink()
    assert project.found() == {"missing": {TABLE}}
    assert project.message(TABLE) == f"its record {old} is gone, and it is an input of {FIGURE}"
    # Nothing speaks against the table and the figure: neither is removed.
    assert removable(project.verify()) == []


def test_unrecorded(project: Project) -> None:
    for name in ["own.csv", ".gitignore", "x.tmp", ".x.csv.partial", "x.csv.lock"]:
        (Path(TABLE).parent / name).write_text("x")
    assert project.found() == {"unrecorded": {"results/tables/bench/own.csv"}}


def test_the_page_on_the_results_needs_no_record(project: Project) -> None:
    Path("results/README.md").write_text("x")
    (Path(TABLE).parent / "README.md").write_text("x")
    assert project.found() == {"unrecorded": {"results/tables/bench/README.md"}}


def test_outside_the_configuration_is_counted_only(project: Project) -> None:
    gone = evaluation("90")
    del project.steps[gone]
    project.steps[TABLE] = replace(project.steps[TABLE], inputs={"runs": [evaluation("10"), evaluation("50")]})
    project.build(TABLE, FIGURE)
    Path(gone).write_text("edited")
    report = project.verify()
    assert (report.findings, report.checked, report.outside) == ([], 6, 1)
    assert format_report(report).splitlines()[-1] == (
        "6 records checked: all as recorded; uncommitted work behind 1 of the results (dirty); 1 outside this "
        "configuration, not checked"
    )


def test_circle_of_edited_records_ends(project: Project) -> None:
    data, teacher = project.record(DATA), project.record(TEACHER)
    identity = read_record(teacher).id
    text = data.read_text()
    data.write_text(text.replace('"path": "raw.tar"', f'"path": "{TEACHER}"').replace("null", f'"{identity}"', 1))
    assert data.as_posix() in project.found()["edited"]
    with pytest.raises(ProvenanceError, match="its own ancestor"):
        trace(Path(TEACHER))


def test_report_sorts_by_kind_and_ends_with_a_summary(project: Project) -> None:
    Path(TABLE).write_text("0.99")
    Path(DATA).unlink()
    (Path(TABLE).parent / "own.csv").write_text("x")
    lines = format_report(project.verify()).splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["dirty", "edited", "missing", "stale", "unrecorded"]
    assert lines[1].startswith(f"edited      {TABLE}: its content is not what make_tables wrote")
    assert lines[-1].startswith("7 records checked: 1 edited, 1 missing, 1 stale, 1 unrecorded; uncommitted work")


def test_no_folder_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ProvenanceError, match="no such folder; build the results"):
        verify(tmp_path / "results", lambda stage, keys: None)
    assert format_report(verify(tmp_path, lambda stage, keys: None)) == "0 records checked: nothing to verify"


def test_prune_removes_what_has_to_run_again_and_nothing_else(project: Project) -> None:
    Path(TABLE).write_text("0.99")
    own = Path(TABLE).parent / "own.csv"
    own.write_text("x")
    removed = prune(project.verify())
    expected = {Path(TABLE), project.record(TABLE), Path(FIGURE), project.record(FIGURE)}
    assert {path.relative_to(project.root) for path in removed} == expected
    assert not any(path.exists() for path in expected)
    assert own.exists()
    project.build(TABLE, FIGURE)
    assert project.found() == {"unrecorded": {own.as_posix()}}


@pytest.mark.parametrize("path", ["results/figures/../../precious.txt", "/precious.txt", "../precious.txt", ""])
def test_record_with_a_path_that_leads_away_is_damaged(project: Project, path: str) -> None:
    record = project.record(FIGURE)
    record.write_text(record.read_text().replace(f'"path": "{FIGURE}"', f'"path": "{path}"'))
    assert "must be relative" in project.message(record.as_posix())


def test_prune_stays_in_the_folder(project: Project) -> None:
    precious = project.root / "precious.txt"
    precious.write_text("mine")
    finding = Finding("edited", "precious.txt", "", (precious, project.root / "results" / ".." / "precious.txt"))
    assert prune(Report(Path("results"), [finding], 1, 0)) == []
    assert precious.read_text() == "mine"
