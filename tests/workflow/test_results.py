"""What a finished run is held to: records, resumed trainings, the same bytes again, the two ends of the wire."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psutil
import pytest

from sc2.data.store import SampleStore
from tests.workflow.project import (
    BENCHMARK,
    JPEG,
    REPORT,
    STUDENT,
    Project,
    measured,
    run_jobs,
    trained,
)

# The first test waits for the one run, which takes minutes on a busy machine.
pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

FIGURE = f"results/figures/{BENCHMARK}/rate_accuracy.svg"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def flip_byte(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_figure_is_traced_to_data_teacher_and_commit(project: Project) -> None:
    shown = project.sc2("trace", FIGURE).stdout
    commit = project.git("rev-parse", "HEAD").strip()
    words = ("prepare_data tinydigits", f"train_teacher {BENCHMARK}/0", "kind=photodigits", f"commit {commit[:10]}")
    for word in words:
        assert word in shown, shown
    assert "dirty" not in shown
    record = json.loads(project.read(FIGURE.replace(".svg", ".prov.json")))
    assert shown.startswith(f"plot_figure {BENCHMARK}/rate_accuracy  {record['id']}")


def test_verify_is_clean_after_a_run(finished: Project) -> None:
    assert "all as recorded" in finished.sc2("verify").stdout


def test_edited_checkpoint_is_found_and_made_again(project: Project) -> None:
    checkpoint = f"results/train/{BENCHMARK}/{STUDENT}/4/seed0/finetune.pt"
    before = sha256(project.path / checkpoint)
    flip_byte(project.path / checkpoint)
    shown = project.sc2("verify", status=1).stdout
    assert re.search(rf"^edited +{checkpoint}: its content is not what train wrote", shown, flags=re.MULTILINE), shown
    project.sc2("verify", "--prune", "--yes")
    assert project.planned() == trained("4", phases=("finetune",)) | measured(STUDENT, "4") | REPORT
    project.snakemake(checkpoint)
    assert sha256(project.path / checkpoint) == before


def test_missing_summary_is_found_and_the_named_command_makes_it(project: Project) -> None:
    summary = f"results/evaluate/{BENCHMARK}/jpeg/10/seed0/summary.json"
    (project.path / summary).unlink()
    shown = project.sc2("verify", status=1).stdout
    assert re.search(rf"^missing +{summary}: .*`snakemake --cores all {summary}` rebuilds it", shown, re.MULTILINE)
    assert project.planned(summary) == run_jobs("evaluate", "jpeg", "10")


def test_edited_method_is_stale_and_snakemake_agrees(project: Project) -> None:
    project.change_code("sc2/methods/codec/jpeg.py")
    shown = project.sc2("verify", status=1).stdout
    stale = {line.split()[1].rstrip(":") for line in shown.splitlines() if line.startswith("stale")}
    records = [json.loads(path.read_text()) for path in project.path.glob("results/**/*.prov.json")]
    jobs = {
        f"{record['stage']} {'/'.join(record['keys'].values())}"
        for record in records
        if next(iter(record["outputs"].values()))["path"] in stale
    }
    assert "code changed: sc2/methods/codec/jpeg.py" in shown
    assert jobs == project.planned() == JPEG | REPORT
    project.sc2("verify", "--prune", "--yes")
    assert project.planned() == JPEG | REPORT


def test_killed_training_goes_on_and_ends_with_the_same_weights(project: Project) -> None:
    """By a power cut, which takes Snakemake along; and alone, by a lack of memory and by a time limit."""
    folder = project.path / f"results/train/{BENCHMARK}/{STUDENT}/4/seed0"
    target = f"results/train/{BENCHMARK}/{STUDENT}/4/seed0/distill.pt"
    before = sha256(project.path / target)
    shutil.rmtree(folder)
    end_trainings(project, target, {2: signal.SIGKILL}, with_snakemake=True)
    assert not list(folder.glob("*")), "something half-written was left behind"
    assert len(list(project.path.glob("scratch/training/*.pt"))) == 1
    assert "--unlock" in project.snakemake(target, status=1)
    project.run("snakemake", "--unlock")
    shown = end_trainings(project, target, {4: signal.SIGKILL, 8: signal.SIGTERM}, with_snakemake=False)
    assert re.search(r"resumes after epoch [12] of 12", shown), shown
    assert re.search(r"resumes after epoch [3-7] of 12", shown), shown
    assert re.search(r"stopped by SIGTERM after epoch ([89]|1[0-2]) of 12.*; the state is saved", shown), shown
    assert re.search(r"resumes after epoch ([89]|1[0-2]) of 12", shown), shown
    assert sha256(project.path / target) == before
    assert not list(project.path.glob("scratch/training/*")), "the state of a finished training was left behind"
    assert project.planned(target) == set()


def end_trainings(project: Project, target: str, ends: dict[int, signal.Signals], *, with_snakemake: bool) -> str:
    """Start Snakemake on a training and send a signal whenever it reports an epoch; return what was printed.

    The training starts again by itself, unless Snakemake is killed too.
    """
    left = dict(ends)
    with subprocess.Popen(
        ["snakemake", "--cores", "1", "--retries", "3", target],
        cwd=project.path,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as workflow:
        assert workflow.stdout is not None
        shown = ""
        for line in workflow.stdout:
            shown += line
            number = next((left.pop(epoch) for epoch in [*left] if f" epoch {epoch}/" in line), None)
            if number is None:
                continue
            children = psutil.Process(workflow.pid).children(recursive=True)
            (job,) = [child for child in children if "train" in child.cmdline()]
            if with_snakemake:
                workflow.kill()
            job.send_signal(number)
        assert workflow.wait() == (-signal.SIGKILL if with_snakemake else 0), shown
    return shown


def test_same_inputs_give_the_same_bytes(project: Project) -> None:
    """A measurement and its table again, byte for byte; then the snapshot for readers."""
    run = f"{BENCHMARK}/{STUDENT}/0.5/seed0"
    names = [
        f"results/evaluate/{run}/samples.parquet",
        f"results/evaluate/{run}/summary.json",
        f"results/tables/{BENCHMARK}/rate_quality.csv",
        f"results/tables/{BENCHMARK}/comparison.csv",
        f"results/tables/{BENCHMARK}/fewest_bytes.csv",
        f"results/tables/{BENCHMARK}/teacher.csv",
        FIGURE,
    ]
    before = {name: (project.path / name).read_bytes() for name in names}
    forced = project.planned("--forcerun", f"results/evaluate/{run}/summary.json")
    assert forced == run_jobs("evaluate", STUDENT, "0.5") | REPORT
    project.snakemake("--forcerun", f"results/evaluate/{run}/summary.json")
    assert {name: (project.path / name).read_bytes() for name in names} == before

    project.snakemake("snapshots")
    snapshot = f"docs/reference/{BENCHMARK}"
    record = json.loads(project.read(FIGURE.replace(".svg", ".prov.json")))
    assert record["id"] in project.read(f"{snapshot}/README.md")
    assert not list((project.path / snapshot).glob("*.png"))
    table = f"results/tables/{BENCHMARK}/rate_quality.csv"
    assert project.read(f"{snapshot}/rate_quality.csv") == project.read(table)


def test_two_processes_answer_as_the_evaluation_did(project: Project) -> None:
    """Encode with the device half alone, decode with the server half alone; damage is refused in one line."""
    export = project.path / f"results/export/{BENCHMARK}/{STUDENT}/0.5/seed0"
    evaluated = pd.read_parquet(project.path / f"results/evaluate/{BENCHMARK}/{STUDENT}/0.5/seed0/samples.parquet")
    data = project.path / "results/data/tinydigits"
    SampleStore(data / "index.jsonl", data / "test.tar", "test").image(3).save(project.path / "image.png")
    device, server = project.path / "device", project.path / "server"
    for folder in (device, server):
        folder.mkdir()
        shutil.copy2(export / f"{folder.name}.pt", folder)
    project.sc2("encode", device, "image.png", "-o", "out.sc2")
    answer = json.loads(project.sc2("decode", server, "out.sc2", "--json").stdout)
    content = (project.path / "out.sc2").read_bytes()
    assert answer["index"] == evaluated["predicted"][3]
    assert len(content) == evaluated["container_bytes"][3]

    (project.path / "flipped.sc2").write_bytes(content)
    flip_byte(project.path / "flipped.sc2")
    (project.path / "short.sc2").write_bytes(content[:-3])
    other = f"results/export/{BENCHMARK}/{STUDENT}/4/seed0"
    wrong: list[tuple[str | Path, str]] = [(server, "flipped.sc2"), (server, "short.sc2"), (other, "out.sc2")]
    with ThreadPoolExecutor(2) as pool:
        refused = list(pool.map(lambda pair: project.sc2("decode", *pair, status=2), wrong))
    for (_, name), done in zip(wrong, refused, strict=True):
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("sc2: error:")]
        assert name in line
        assert "Traceback" not in done.stderr
        assert not done.stdout
