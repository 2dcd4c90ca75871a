"""docs/bring-your-own.md, done block by block in a copy of the project, on a folder of photographs."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data as photographs

from sc2.config.load import load_benchmark
from sc2.teachers.spec import FetchedTeacher
from tests.workflow.project import Project, create
from tests.workflow.test_adding_a_method import blocks, commands

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

PAGE = "docs/bring-your-own.md"
BENCHMARK = "my_photographs_efficientnet_lite0"
CLASSES = ("church", "garbage_truck", "parachute")
PER_CLASS = 3
TIMED_ONCE = "latency: {repeats: 1, warmup: 0, images: 2, budget_s: 0.1}\n"
"""The page has the usual repetitions, which would be most of the time: a batch has a hundred images."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh copy of the project with the page's files and a folder of photographs."""
    project = create(tmp_path_factory.mktemp("own") / "project")
    for name, content in blocks(project.read(PAGE)).items():
        assert not (project.path / name).exists()
        project.write(name, content + (TIMED_ONCE if name.endswith(f"/{BENCHMARK}.yaml") else ""))
    # What they show does not matter here.
    for number, name in enumerate(CLASSES):
        folder = project.path / "data/my_photographs/test" / name
        folder.mkdir(parents=True)
        for position in range(PER_CLASS):
            cut = np.roll(photographs.astronaut(), 60 * (PER_CLASS * number + position), axis=1)[:400]
            Image.fromarray(cut).save(folder / f"{position}.jpg", quality=95)
    return project


def test_every_block_of_the_page_is_a_file(root: Path) -> None:
    page = (root / PAGE).read_text(encoding="utf-8")
    assert page.count("```yaml") == len(blocks(page)) == 4
    assert [line.partition(" ")[0] for line in commands(page)] == ["snakemake"] * 2


def test_every_step_of_the_page_works(own: Project) -> None:
    environment = {"SC2_DATA": str(own.path / "data")}
    plan, run = commands(own.read(PAGE))
    own.run(*plan.split(), env=environment)
    own.run(*run.replace("--cores all", "--cores 2").split(), env=environment)
    table = pd.read_csv(own.path / f"results/tables/{BENCHMARK}/rate_quality.csv", dtype={"point": str})
    assert list(table["method"].unique()) == ["jpeg", "webp", "lossless_image", "teacher_on_device"]
    assert len(table) == 8
    assert not table["trained"].any()
    sizes = table.set_index(["method", "point"])["payload_bytes_mean"]
    assert sizes["jpeg", "10"] < sizes["jpeg", "40"] < sizes["jpeg", "90"] < sizes["lossless_image", "webp"]
    assert sizes["teacher_on_device", "top1"] == 1
    meta = json.loads(own.read("results/data/my_photographs/meta.json"))
    assert meta["classes"] == list(CLASSES)
    assert {split: part["images"] for split, part in meta["splits"].items()} == {"train": 0, "val": 0, "test": 9}
    assert (own.path / f"results/figures/{BENCHMARK}/rate_accuracy.svg").is_file()
    log = own.read(f"logs/teachers/{BENCHMARK}/seed0/fetch.log")
    assert "classes: church is output 497, garbage_truck is output 569, parachute is output 701" in log
    own.sc2("verify")


def test_the_other_classifier_of_the_page_is_a_benchmark(own: Project) -> None:
    teacher = load_benchmark(own.path / "config/my_photographs.yaml", "my_photographs_convnext").config.teacher
    assert isinstance(teacher, FetchedTeacher)
    assert teacher.class_indices == {"church": 497, "garbage_truck": 569, "parachute": 701}
    assert teacher.source == "torchvision"


def test_a_class_without_an_output_is_named(own: Project, tmp_path: Path) -> None:
    project = own.copy(tmp_path / "project")
    folder = project.path / "data/my_photographs/test"
    (folder / "parachute").rename(folder / "parachutes")
    target = f"results/teachers/{BENCHMARK}/seed0/teacher.pt"
    said = project.run(
        *f"snakemake -R prepare_data --cores 1 {target} --configfile config/my_photographs.yaml".split(),
        env={"SC2_DATA": str(project.path / "data")},
        status=1,
    )
    assert re.search(
        r"class_indices does not name .* it lacks parachutes and has parachute\.", said.stdout + said.stderr
    )
