"""Local trainings on a machine with one GPU: one after another, though there are cores for two."""

import json
import os
from datetime import datetime, timedelta

import pytest

from tests.workflow.project import BENCHMARK, STUDENT, STUDENT_POINTS, Project

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

FILES = [f"results/train/{BENCHMARK}/{STUDENT}/{point}/seed0/finetune" for point in STUDENT_POINTS]


@pytest.mark.parametrize(("environment", "together"), [({}, False), ({"SC2_JOBS_PER_GPU": "2"}, True)])
def test_two_trainings_share_the_gpu_only_if_asked(
    project: Project, environment: dict[str, str], together: bool
) -> None:
    tool = project.path.parent / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "0, GPU-of-{tool.parent.parent.name}"\n', encoding="utf-8")
    tool.chmod(0o755)
    path = os.pathsep.join([str(tool.parent), project.environment()["PATH"]])
    for file in FILES:
        (project.path / f"{file}.pt").unlink()
    targets = [f"{file}.pt" for file in FILES]
    project.run("snakemake", "--cores", "2", *targets, env={"PATH": path, **environment})
    records = [json.loads(project.read(f"{file}.prov.json")) for file in FILES]
    starts = [datetime.fromisoformat(record["started"]) for record in records]
    ends = [start + timedelta(seconds=record["seconds"]) for start, record in zip(starts, records, strict=True)]
    assert (max(starts) < min(ends)) == together, (starts, ends)


def test_a_wrong_number_of_jobs_per_gpu_is_named(project: Project) -> None:
    (project.path / f"{FILES[0]}.pt").unlink()
    command = ("snakemake", "--cores", "2", f"{FILES[0]}.pt")
    done = project.run(*command, env={"SC2_JOBS_PER_GPU": "none"}, status=1)
    assert "SC2_JOBS_PER_GPU=none: must be a number from 1 on" in done.stderr
    assert not (project.path / f"{FILES[0]}.pt").exists()
