"""A slice of `make faults` (docs/reliability.md): a few trials of every part, the same ones each time."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from sc2.provenance.record import read_record
from tests.campaign import corruption, kills, mutations, shim, system_calls
from tests.campaign.log import Log
from tests.workflow.project import Project

# The first test waits for the one run, which takes minutes on a busy machine.
pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

CONFIG = "config/config.yaml"


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """The campaign goes to other folders and settles the environment."""
    folder, environment = Path.cwd(), dict(os.environ)
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log.jsonl")


def failures(log: Log) -> list[str]:
    return [failure for entry in log.entries for failure in entry.failures]


def test_every_artifact_that_is_corrupted_is_found_and_named(project: Project, log: Log) -> None:
    corruption.run(log, project, CONFIG, workers=1, asked=2)
    assert not failures(log)
    records = list(project.path.glob("results/**/*.prov.json"))
    tried = {kind: sum(entry.trials for entry in log.entries if entry.kind == kind) for kind in corruption.KINDS}
    assert set(tried.values()) == {tried["flipped"]}
    assert tried["flipped"] > 2 * len(records) > 20


def test_a_corruption_that_nothing_says_is_noticed(project: Project) -> None:
    os.chdir(project.path)
    verifier = corruption.Verifier(Path(CONFIG))
    tried = corruption.Corruption(corruption.artifacts(corruption.RESULTS), verifier)
    silent = mock.patch.object(verifier, "_hashed", lambda path: verifier._hashes[path.relative_to(Path.cwd())])
    number = next(at for at, name in enumerate(tried.artifacts) if name.endswith(".pt"))
    assert tried.attempt("flipped", number) == "edited"
    with silent, pytest.raises(AssertionError, match="is not found"):
        tried.attempt("flipped", number)


def test_a_killed_run_ends_as_one_that_was_not(finished: Project, project: Project, log: Log) -> None:
    """Only the jobs behind the trainings: the tests of results kill a training."""
    for folder in ("evaluate", "tables", "figures"):
        shutil.rmtree(project.path / "results" / folder)
    kills.run(log, finished, project, arguments=(), kills=3, seed=1)
    assert not failures(log)
    assert {entry.kind for entry in log.entries} == {*kills.VICTIMS, kills.END}


@pytest.mark.skipif(shim.problem() is not None, reason=str(shim.problem()))
def test_a_call_that_fails_leaves_no_output_or_the_right_one(project: Project, log: Log) -> None:
    system_calls.run(log, project, workers=1, stages=("train_teacher", "make_tables"))
    assert not failures(log)
    outcomes = {name for entry in log.entries for name in entry.outcomes}
    assert {f"{call} failed, nothing left" for call in ("write", "rename", "fsync")} <= outcomes


@pytest.mark.skipif(shim.problem() is not None, reason=str(shim.problem()))
def test_an_output_that_a_failed_call_spoils_is_noticed(project: Project, tmp_path: Path) -> None:
    copy = project.copy(tmp_path / "copy")
    path = system_calls.jobs_of(project)["make_tables"]
    os.chdir(copy.path)
    job = system_calls.Job(project.path, path, read_record(project.path / path), {})
    well = shim.Outcome((), 0, "")
    assert job.problem(well) is None
    (table,) = copy.path.glob("results/tables/*/comparison.csv")
    table.write_text("half of i")
    assert "is not what it should be" in str(job.problem(well))
    table.unlink()
    assert "claims what is not there" in str(job.problem(well))
    path.unlink()
    assert "without a record" in str(job.problem(well))
    job.reset()
    assert job.problem(shim.Outcome((), 1, "")) is None
    assert "without a record" in str(job.problem(well))
    assert "it ended with -9" in str(job.problem(shim.Outcome((), -9, "")))


def test_damaged_inputs_are_read_or_refused(tmp_path: Path, log: Log) -> None:
    kinds = {
        **{f"containers of {name}": mutations.containers(name, 300) for name in ("jpeg", "factorized_prior")},
        "BPG files": mutations.bpg_files(300),
        "configurations": mutations.Kind(60, mutations.Configurations(tmp_path / "c").read, str(tmp_path)),
        **mutations.annotations(500),
    }
    mutations.run(log, kinds, workers=1)
    assert not failures(log)
    assert all({"taken", "refused"} <= set(entry.outcomes) for entry in log.entries)
