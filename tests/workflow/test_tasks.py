"""Three tasks in one plan: what depends on an encoder that another task's benchmark trained."""

import pytest

from tests.workflow.project import Project, create, parse_plan

pytestmark = pytest.mark.workflow

QUICK = ("--configfile", "config/quick.yaml")
CLASSIFICATION = "photodigits_quick_small_resnet"
DENSE = ("photodigits_quick_detection", "photodigits_quick_segmentation")
STUDENT = "entropic_student"
FIGURES = ("rate_accuracy", "exrd", "three_way")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which Snakemake believes that everything has been run."""
    project = create(tmp_path_factory.mktemp("built") / "project")
    project.believe(*QUICK)
    return project


def runs(benchmark: str, point: str, *phases: str) -> set[str]:
    """What a run of the Entropic Student consists of, from some phases on."""
    run = f"{benchmark}/{STUDENT}/{point}/0"
    return {f"train {run}/{phase}" for phase in phases} | {f"export {run}", f"evaluate {run}"}


def shown(benchmark: str) -> set[str]:
    """What gathers the runs of a benchmark's Entropic Student."""
    drawn = {f"plot_figure {benchmark}/{figure}" for figure in FIGURES} | {f"draw_examples {benchmark}/{STUDENT}"}
    of_all = {f"{stage} {benchmark}" for stage in ("make_tables", "model_latency")}
    return drawn | of_all | {f"measure_latency {benchmark}/{STUDENT}"}


def test_an_encoder_is_an_input_of_the_other_tasks(built: Project) -> None:
    """Another encoder of one β: its dependants in detection and segmentation run again, those of another β do not."""
    checkpoint = f"results/train/{CLASSIFICATION}/{STUDENT}/4/seed0/finetune.pt"
    again = parse_plan(built.snakemake("-n", *QUICK, "--forcerun", checkpoint))
    expected = runs(CLASSIFICATION, "4", "finetune") | shown(CLASSIFICATION) | {"compare_tasks photodigits_quick"}
    for benchmark in DENSE:
        expected |= runs(benchmark, "4", "distill", "finetune") | shown(benchmark)
    assert again == expected


def test_a_teacher_is_an_input_of_those_that_start_from_its_body(built: Project) -> None:
    teacher = f"results/teachers/{CLASSIFICATION}/seed0/teacher.pt"
    again = parse_plan(built.snakemake("-n", *QUICK, "--forcerun", teacher))
    assert {f"train_teacher {benchmark}/0" for benchmark in (CLASSIFICATION, *DENSE)} <= again
    assert not any(job.startswith("prepare_data") for job in again)
