"""Jobs of a workflow are forks of one process, and give the same bytes as those that start alone."""

import re
import shutil
import sys

import pytest

from sc2.provenance.environment import sha256_file
from tests.workflow.project import BENCHMARK, STUDENT, Project

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(sys.platform != "linux", reason="jobs are forks on Linux only"),
]

RUN = f"{BENCHMARK}/{STUDENT}/0.5/seed0"
FILES = [
    *(f"results/train/{RUN}/{phase}.{suffix}" for phase in ("distill", "finetune") for suffix in ("pt", "csv")),
    *(f"results/export/{RUN}/{name}" for name in ("device.pt", "server.pt", "costs.json")),
    *(f"results/evaluate/{RUN}/{name}" for name in ("samples.parquet", "summary.json")),
]
SAY_PARENT = """\
    print("child of", Path(f"/proc/{os.getppid()}/cmdline").read_text().replace("\\0", " "))
    stage = STAGES[arguments.stage]
"""


def test_forks_and_processes_of_their_own_give_the_same_bytes(project: Project) -> None:
    # No job's code: nothing else runs again.
    project.edit("sc2/cli.py", "    stage = STAGES[arguments.stage]\n", SAY_PARENT)
    before = {name: sha256_file(project.path / name) for name in FILES}
    # An activated environment exports the prompt, which the shell of a job drops.
    prompt = {"PS1": "(.venv) $ ", "PS2": "> "}
    for variables, parent in ((prompt, "python -m sc2.forks.server"), ({"SC2_FORKS": "off"}, "bash|sh")):
        for stage in ("train", "export", "evaluate"):
            shutil.rmtree(project.path / "results" / stage / RUN)
        done = project.run("snakemake", "--cores", "2", f"results/evaluate/{RUN}/summary.json", env=variables)
        parents = re.findall(r"^child of (.*)$", done.stdout, re.MULTILINE)
        assert len(parents) == 4, done.stdout + done.stderr
        assert all(re.search(parent, told) for told in parents), parents
        assert {name: sha256_file(project.path / name) for name in FILES} == before
