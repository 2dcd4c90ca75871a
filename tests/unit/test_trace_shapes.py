"""A trace as JSON, of a row, by an id, and as a Workflow Run RO-Crate that the published validator accepts."""

import json
from importlib import resources
from pathlib import Path

import pytest
import requests
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

from sc2.cli import main
from sc2.commands.crate import write_crate
from sc2.errors import ProvenanceError
from sc2.provenance.graph import as_json, nodes_of, trace_any, trace_row
from sc2.provenance.record import read_record, sha256_file
from sc2.provenance.trace import trace
from tests.recorded import EVALUATIONS, EVERYTHING, FIGURE, TABLE, TEACHER, Project, evaluation


def identity(project: Project, output: str) -> str:
    return read_record(project.record(output)).id


def test_list_has_every_record_once_and_what_uses_it_before(project: Project) -> None:
    nodes = nodes_of(trace(Path(FIGURE)))
    assert {node.path for node in nodes} == EVERYTHING
    place = {node.record.id: index for index, node in enumerate(nodes)}
    assert nodes[0].path == FIGURE
    assert all(place[parent.record.id] > place[node.record.id] for node in nodes for parent in node.parents)


@pytest.mark.parametrize("path", [FIGURE, TABLE, TEACHER, evaluation("10")])
def test_json_leads_from_any_result_to_data_and_commit(project: Project, path: str, capsys) -> None:
    assert main(["trace", path, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content == as_json(trace(Path(path)))
    records = {record["id"]: record for record in content["records"]}
    assert records[content["record"]]["path"] == content["path"] == path
    reached, open_ends = set(), [content["record"]]
    while open_ends:
        one = open_ends.pop()
        if one not in reached:
            reached.add(one)
            open_ends += records[one]["parents"]
    assert reached == set(records)
    (data,) = [record for record in content["records"] if record["stage"] == "prepare_data"]
    assert data["inputs"][0]["path"] == "raw.tar"
    assert data["inputs"][0]["sha256"] == sha256_file(Path("raw.tar"))
    assert data["git"]["commit"].startswith("0123456789")


def test_json_says_what_was_edited_or_rebuilt(project: Project) -> None:
    path = project.record(TABLE)
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": 2.5'))
    project.plan(TEACHER, epochs=13)
    project.build(TEACHER)
    records = {record["path"]: record for record in as_json(trace(Path(FIGURE)))["records"]}
    assert records[TABLE]["edited"] == "its content was changed after it was written"
    assert records[evaluation("10")]["rebuilt"] == [TEACHER]
    assert records[FIGURE]["edited"] is None


def test_record_by_its_id(project: Project) -> None:
    assert trace_any(Path(identity(project, TEACHER)), Path("results")).path == TEACHER
    assert trace_any(Path(TABLE), Path("results")).path == TABLE
    with pytest.raises(ProvenanceError, match="no record below results has this id"):
        trace_any(Path("0123456789abcdef"), Path("results"))


@pytest.fixture
def rows(project: Project) -> Path:
    """The table, with rows that name the records of the evaluations and one that names none behind it."""
    lines = [f"jpeg,{point},{identity(project, evaluation(point))}" for point in ("10", "50", "90")]
    Path(TABLE).write_text("\n".join(["method,point,record_id", *lines, "webp,1,ffffffffffffffff", ""]))
    return Path(TABLE)


def test_row_of_a_table(project: Project, rows: Path) -> None:
    assert trace_row(rows, ["2"]).path == evaluation("50")
    assert trace_row(rows, ["method=jpeg", "point=90"]).path == evaluation("90")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["0"], "0 of 4 rows are 0; give the number of a row, or values of columns"),
        (["5"], "0 of 4 rows are 5"),
        (["method=jpeg"], "3 of 4 rows are method=jpeg.*: method, point, record_id"),
        (["points=10"], "0 of 4 rows are points=10"),
        (["4"], "names record ffffffffffffffff, which is not behind it"),
    ],
)
def test_row_that_is_none(rows: Path, wanted: list[str], message: str) -> None:
    with pytest.raises(ProvenanceError, match=message):
        trace_row(rows, wanted)


def test_rows_without_records(project: Project) -> None:
    Path(TABLE).write_text("method,hypervolume\njpeg,0.5\n")
    with pytest.raises(ProvenanceError, match="computed from several runs each"):
        trace_row(Path(TABLE), ["1"])
    with pytest.raises(ProvenanceError, match="not a CSV table"):
        trace_row(Path(FIGURE), ["1"])


@pytest.fixture
def workflow(project: Project, root: Path) -> Project:
    """The project with the workflow beside its results."""
    for name in ("Snakefile", "rules/report.smk"):
        target = project.root / "workflow" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((root / "workflow" / name).read_text(encoding="utf-8"), encoding="utf-8")
    return project


@pytest.fixture
def context(monkeypatch) -> None:
    """The JSON-LD context as the library ships it, where the validator would ask the web for it.

    It is that of RO-Crate 1.3, which has moved the terms of Bioschemas; in 1.1 they are where the profile looks.
    """
    shipped = resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text(encoding="utf-8")
    text = shipped.replace("https://bioschemas.org/terms/", "https://bioschemas.org/").encode()

    def get(self: HttpRequester, url: str, **options: object) -> requests.Response:
        assert url == "https://w3id.org/ro/crate/1.1/context"
        answer = requests.Response()
        answer.status_code, answer.url, answer._content = 200, url, text
        answer.headers["Content-Type"] = "application/ld+json"
        return answer

    monkeypatch.setattr(HttpRequester, "get", get, raising=False)


def issues(folder: str) -> list[str]:
    """What the validator finds against the profile in what must be."""
    settings = services.ValidationSettings(
        rocrate_uri=folder, profile_identifier="workflow-run-crate", requirement_severity=models.Severity.REQUIRED
    )
    return [f"{issue.check.identifier}: {issue.message}" for issue in services.validate(settings).get_issues()]


@pytest.mark.usefixtures("context")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside the validator's libraries
def test_crate_is_accepted_by_the_validator_and_holds_the_trace(workflow: Project, capsys) -> None:
    assert main(["trace", FIGURE, "--crate", "crate"]) == 0
    assert "of 7 jobs; open crate/ro-crate-preview.html" in capsys.readouterr().out
    assert issues("crate") == []
    entities = {entity["@id"]: entity for entity in metadata(Path("crate"))}
    for path in EVERYTHING:
        action = entities[f"#job-{identity(workflow, path)}"]
        assert action["@type"] == "CreateAction"
        assert action["result"] in ({"@id": path}, [{"@id": path}])
        assert entities[path]["sha256"] == sha256_file(Path("crate") / path) == sha256_file(Path(path))
    used = entities[f"#job-{identity(workflow, TABLE)}"]["object"]
    assert {entity["@id"] for entity in used} == EVALUATIONS
    assert "with uncommitted changes" in entities[f"#job-{identity(workflow, TEACHER)}"]["description"]
    assert entities[f"#sha256-{sha256_file(Path('raw.tar'))}"]["name"] == "raw.tar"
    page = (Path("crate") / "ro-crate-preview.html").read_text(encoding="utf-8")
    assert FIGURE in page
    assert all(path in page for path in EVERYTHING)


def metadata(folder: Path) -> list[dict]:
    content = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    graph: list[dict] = content["@graph"]
    return graph


@pytest.mark.usefixtures("context")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside the validator's libraries
def test_validator_refuses_a_crate_without_its_workflow(workflow: Project) -> None:
    """The check above can fail."""
    write_crate(trace(Path(FIGURE)), Path("crate"))
    path = Path("crate/ro-crate-metadata.json")
    content = json.loads(path.read_text())
    (root,) = [entity for entity in content["@graph"] if entity["@id"] == "./"]
    del root["mainEntity"]
    path.write_text(json.dumps(content))
    assert any("`mainEntity` property" in problem for problem in issues("crate"))


def test_crate_names_what_is_large(workflow: Project, monkeypatch) -> None:
    monkeypatch.setattr("sc2.commands.crate.LARGEST_BYTES", 10)
    write_crate(trace(Path(FIGURE)), Path("crate"))
    assert (Path("crate") / FIGURE).is_file()
    assert not (Path("crate") / TEACHER).exists()
    (entity,) = [one for one in metadata(Path("crate")) if one.get("name") == TEACHER]
    assert entity["@id"] == f"#sha256-{sha256_file(Path(TEACHER))}"
    assert entity["contentSize"] == str(Path(TEACHER).stat().st_size)


def test_crate_does_not_take_a_file_that_is_not_as_recorded(workflow: Project) -> None:
    Path(TABLE).write_text("0.99")
    with pytest.raises(ProvenanceError, match=f"{TABLE}: not what its record says"):
        write_crate(trace(Path(FIGURE)), Path("crate"))
    assert not Path("crate").exists()


def test_crate_does_not_overwrite(workflow: Project) -> None:
    Path("crate").mkdir()
    Path("crate/mine.txt").write_text("mine")
    with pytest.raises(ProvenanceError, match="in use"):
        write_crate(trace(Path(FIGURE)), Path("crate"))
    assert [path.name for path in Path("crate").iterdir()] == ["mine.txt"]
