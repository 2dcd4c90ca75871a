"""What the workflow reruns, and what it leaves alone. Every test works in a throw-away copy of one finished run."""

import os
import shutil
import time
from pathlib import Path

import pytest

from sc2.jobs.stages import STAGES
from tests.workflow.project import (
    BENCHMARK,
    EVERYTHING,
    JPEG,
    PLOTS,
    REPORT,
    STUDENT,
    STUDENT_POINTS,
    STUDENTS,
    TEACHER,
    Project,
    measured,
    timed,
    trained,
)

# The first test waits for the one run, which takes minutes on a busy machine.
pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

BENCHMARK_FILE = f"config/benchmarks/{BENCHMARK}.yaml"
# Reading and planning take two seconds; what is asked for is that nobody ever waits.
PATIENCE_S = 10
HEAVY = ("torch", "torchvision", "compressai", "torchdistill", "timm", "sklearn", "skimage", "matplotlib")


def work_of_children() -> float:
    """Processor time of finished commands, seconds: what a user waits for on a machine that does nothing else."""
    times = os.times()
    return times.children_user + times.children_system


def test_second_run_does_nothing_and_says_so(finished: Project) -> None:
    before = work_of_children()
    done = finished.run("snakemake", "--cores", "2")
    assert "Nothing to be done" in done.stdout + done.stderr
    assert work_of_children() - before < PATIENCE_S


def test_fresh_project_plans_everything_without_heavy_imports(finished: Project, tmp_path: Path) -> None:
    """Reading and planning the workflow imports neither networks nor plots, and is quick."""
    for name in HEAVY:
        (tmp_path / "fake" / name).mkdir(parents=True)
        code = f"import pathlib\npathlib.Path({str(tmp_path / 'imported')!r}).open('a').write('{name} ')\n"
        (tmp_path / "fake" / name / "__init__.py").write_text(code + "raise AssertionError('imported to plan')\n")
    new = Project(tmp_path / "project")
    shutil.copytree(finished.path, new.path, ignore=shutil.ignore_patterns("results", ".snakemake"))
    before = work_of_children()
    done = new.run("snakemake", "-n", env={"PYTHONPATH": str(tmp_path / "fake")})
    assert work_of_children() - before < PATIENCE_S
    assert not (tmp_path / "imported").exists(), (tmp_path / "imported").read_text()
    assert "plot_figure" in done.stdout
    assert new.planned() == EVERYTHING


def test_jobs_on_this_machine_are_not_limited_per_second(project: Project) -> None:
    """Snakemake's limit costs most of a core in a run of hundreds of jobs (see `onstart` in the Snakefile)."""
    wrapper = 'include: "Snakefile"\nonsuccess: print("limit:", workflow.scheduler.job_rate_limiter)\n'
    project.write("workflow/watched", wrapper)
    table = f"results/tables/{BENCHMARK}/rate_quality.csv"
    (project.path / table).unlink()
    assert "limit: None" in project.snakemake("-s", "workflow/watched", table)


def test_cosmetic_edits_change_nothing(project: Project) -> None:
    """Comments, docstrings, formatting, times of sources and outputs: no job is planned."""
    method, loop = f"sc2/methods/student/{STUDENT}.py", "sc2/training/loop.py"
    project.write(method, project.read(method).replace('"""', '"""Said better: ', 1) + "\n# A remark.\n")
    project.run("ruff", "format", "--line-length", "79", "sc2")
    assert loop in project.git("diff", "--name-only"), "the formatter was to change more than one file"
    project.write(BENCHMARK_FILE, f"# A remark.\n{project.read(BENCHMARK_FILE)}")
    project.write("workflow/Snakefile", f"{project.read('workflow/Snakefile')}\n# A remark.\n")
    for pattern in ("sc2/**/*.py", "config/**/*.yaml", "workflow/**/*.smk", "results/**/*.*"):
        paths = sorted(project.path.glob(pattern))
        assert paths
        # In any order: the inputs of a job end up newer than its outputs.
        for seconds, path in enumerate(reversed(paths)):
            os.utime(path, (time.time() + seconds, time.time() + seconds))
    assert project.planned() == set()


def test_another_run_file_with_the_same_benchmark_shares_its_results(project: Project) -> None:
    project.write("config/mine.yaml", f"benchmarks: {{{BENCHMARK}: [jpeg, {STUDENT}]}}\n")
    assert project.planned("--configfile", "config/mine.yaml") == set()


@pytest.mark.parametrize(
    ("source", "jobs"),
    [
        (f"sc2/methods/student/{STUDENT}.py", STUDENTS | REPORT),
        ("sc2/methods/student/training.py", STUDENTS | REPORT),
        ("sc2/methods/codec/jpeg.py", JPEG | REPORT),
        ("sc2/methods/codec/webp.py", set()),
        ("sc2/training/loop.py", EVERYTHING - {"prepare_data tinydigits"}),
        ("sc2/backbones/small_resnet.py", EVERYTHING - {"prepare_data tinydigits"}),
        (
            "sc2/measure/latency.py",
            timed("jpeg") | timed(STUDENT) | REPORT,
        ),
        ("sc2/runs/switch.py", timed("jpeg") | timed(STUDENT) | REPORT),
        ("sc2/report/tables.py", REPORT),
        ("sc2/report/style.py", PLOTS),
        ("sc2/report/figures/exrd.py", {f"plot_figure {BENCHMARK}/exrd"}),
        ("sc2/provenance/trace.py", set()),
    ],
)
def test_change_in_code_reruns_what_imports_it(project: Project, source: str, jobs: set[str]) -> None:
    project.change_code(source)
    assert project.planned() == jobs


@pytest.mark.parametrize(
    ("old", "new", "jobs"),
    [
        pytest.param(
            "finetune: {epochs: 1,",
            "finetune: {epochs: 2,",
            trained(*STUDENT_POINTS, phases=("finetune",)) | measured(STUDENT, *STUDENT_POINTS) | REPORT,
            id="second phase",
        ),
        pytest.param("encoder_channels: [8,", "encoder_channels: [9,", STUDENTS | REPORT, id="architecture"),
        pytest.param(
            "training: {epochs: 1,", "training: {epochs: 2,", EVERYTHING - {"prepare_data tinydigits"}, id="teacher"
        ),
        pytest.param("title: tiny digits", "title: small digits", PLOTS, id="title"),
        pytest.param(
            'jpeg: {points: ["10", "90"]}',
            'jpeg: {points: ["10", "50", "90"]}',
            measured("jpeg", "50") | REPORT,
            id="new point of a codec",
        ),
        pytest.param(
            'points: ["0.5", "4"]',
            'points: ["0.5", "4", "16"]',
            trained("16") | measured(STUDENT, "16") | REPORT,
            id="new point of a training",
        ),
        pytest.param('points: ["0.5", "4"]', 'points: ["0.5"]', timed(STUDENT) | REPORT, id="point removed"),
    ],
)
def test_change_in_configuration_reruns_what_depends_on_it(
    project: Project, old: str, new: str, jobs: set[str]
) -> None:
    project.edit(BENCHMARK_FILE, old, new)
    assert project.planned() == jobs


def test_method_taken_off_the_run_file_reruns_the_report(project: Project) -> None:
    project.edit("config/config.yaml", f"[jpeg, {STUDENT}]", "[jpeg]")
    assert project.planned() == REPORT


def test_method_that_does_not_support_the_task_is_skipped_and_said_once(project: Project) -> None:
    source = "sc2/methods/codec/jpeg.py"
    reason = "scenes are not compressed"
    project.write(source, f"{project.read(source)}\nJpeg.unsupported = lambda self, task: {reason!r}\n")
    done = project.run("snakemake", "-n")
    said = f"{BENCHMARK}: jpeg is skipped, it does not support the task classification: {reason}"
    assert done.stderr.count(said) == 1, done.stderr
    assert project.planned() == REPORT
    assert f"no: {reason}" in project.sc2("methods").stdout


def test_new_seed_runs_trained_methods_and_their_teacher_only(project: Project) -> None:
    project.edit(BENCHMARK_FILE, 'seeds: ["0"]', 'seeds: ["0", "1"]')
    new = {job.replace("/0/distill", "/1/distill").replace("/0/finetune", "/1/finetune") for job in STUDENTS | TEACHER}
    assert project.planned() == {job.removesuffix("/0") + "/1" * job.endswith("/0") for job in new} | REPORT


def test_teacher_and_everything_below_it_follow_the_data(project: Project) -> None:
    project.edit("config/datasets/tinydigits.yaml", "seed: 0", "seed: 1")
    assert project.planned() == EVERYTHING
    assert TEACHER <= EVERYTHING


def test_bad_configuration_is_explained_in_full_at_once(project: Project) -> None:
    project.edit(BENCHMARK_FILE, "warmup:", "warm_up:")
    project.edit(BENCHMARK_FILE, 'points: ["10", "90"]', "points: [10, 90]")
    shown = project.snakemake("-n", status=1)
    for words in (
        (f"{BENCHMARK_FILE}: latency.warm_up", "unknown key", "did you mean 'warmup'?"),
        (f"{BENCHMARK_FILE}: methods.jpeg.points", 'write "10" in quotes'),
    ):
        assert all(word in shown for word in words), shown
    assert "Traceback" not in shown


def test_unknown_method_is_explained(project: Project) -> None:
    project.edit("config/config.yaml", "[jpeg,", "[jpegg,")
    shown = project.snakemake("-n", status=1)
    assert f"config/config.yaml: benchmarks.{BENCHMARK}" in shown
    assert "did you mean 'jpeg'?" in shown
    assert "Traceback" not in shown


def test_unknown_targets_are_refused(project: Project) -> None:
    unplanned = project.snakemake("-n", f"results/evaluate/{BENCHMARK}/jpeg/33/seed0/summary.json", status=1)
    assert f"config/config.yaml plans no evaluate of {BENCHMARK}/jpeg/33/0" in unplanned
    phase = project.snakemake("-n", f"results/train/{BENCHMARK}/jpeg/10/seed0/distill.pt", status=1)
    assert f"config/config.yaml plans no train of {BENCHMARK}/jpeg/10/0/distill" in phase
    misspelt = f"results/evaluate/{BENCHMARK}/jpegg/10/seed0/summary.json"
    assert f"No rule to produce {misspelt}" in project.snakemake("-n", misspelt, status=1)


def test_two_run_files_are_refused(project: Project) -> None:
    shown = project.snakemake("-n", "--configfile", "config/config.yaml", "config/quick.yaml", status=1)
    assert "one run file at most" in shown


def test_job_of_a_changed_plan_refuses_to_start(project: Project) -> None:
    """What runs is what was planned: a job whose code was edited after planning does nothing."""
    out = f"results/tables/{BENCHMARK}"
    before = (project.path / out / "rate_quality.csv").read_bytes()
    teacher = f"results/teachers/{BENCHMARK}/seed0/evaluation.json"
    arguments = ["--summaries", "--samples", "--latencies", "--switches", "--teachers", teacher]
    arguments += ["--teacher-samples", teacher.replace("evaluation.json", "samples.parquet")]
    names = [name.replace("_", "-") for name in STAGES["make_tables"].outputs]
    outputs = [word for name in names for word in (f"--out-{name}", f"{out}/{name}.new")]
    record = ["--record", f"{out}/new.prov.json", "--job", "0123456789ab-0123456789ab"]
    done = project.sc2("make_tables", "--benchmark", BENCHMARK, *arguments, *outputs, *record, status=2)
    assert "changed after the workflow was planned; start it again" in done.stderr
    assert (project.path / out / "rate_quality.csv").read_bytes() == before
    assert not (project.path / out / "new.prov.json").exists()


def test_workflow_is_clean_and_other_run_files_can_be_planned(project: Project) -> None:
    assert "Congratulations" in project.snakemake("--lint")
    project.run("snakefmt", "--check", "workflow")
    quick = project.planned("--configfile", "config/quick.yaml")
    assert {"prepare_data photodigits_quick", "train_teacher photodigits_quick_small_resnet/0"} <= quick
    real = project.planned("--configfile", "config/imagenette.yaml")
    assert {"prepare_data imagenette", "fetch_teacher imagenette_efficientnet_lite0/0"} <= real
