"""Every configuration file loads, benchmarks take over what they extend, and all problems are listed at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sc2.config.load import load_benchmark, load_config
from sc2.config.reader import Reader
from sc2.config.yaml_files import Content, merge
from sc2.errors import ConfigError
from sc2.methods import base_of, method_names
from tests.configuration import CONFIG, DEFAULT, Project, drop, put

RUN_FILES = sorted(CONFIG.glob("*.yaml"))
ALL_FILES = sorted(CONFIG.rglob("*.yaml"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def extended(benchmark: str) -> Content:
    """Return a benchmark's file and those that it extends."""
    reader = Reader(CONFIG)
    file = reader.file("benchmarks", benchmark, (CONFIG, ()))
    content = None if file is None else reader.extended("benchmarks", file)
    assert content is not None, reader.problems
    return content


# Every file is good


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.name)
def test_every_run_file_loads(path: Path) -> None:
    config = load_config(path)
    assert config.benchmarks
    assert all(benchmark.methods for benchmark in config.benchmarks.values())


def test_every_file_is_reached_from_a_run_file() -> None:
    configs = [load_config(path) for path in RUN_FILES]
    benchmarks = {name for config in configs for name in config.benchmarks}
    datasets = {name for config in configs for name in config.datasets}
    methods = {name for config in configs for b in config.benchmarks.values() for name in b.methods}
    reached = {file for name in benchmarks for file, _ in extended(name).files}
    reached |= {CONFIG / "datasets" / f"{name}.yaml" for name in datasets}
    reached |= {CONFIG / "methods" / f"{base_of(name)}.yaml" for name in methods}
    reached |= {CONFIG / "published" / "orderings.yaml"} if all(config.orderings for config in configs) else set()
    assert reached | set(RUN_FILES) == set(ALL_FILES)
    assert len(ALL_FILES) > 8


def test_loading_imports_no_heavy_library() -> None:
    script = (
        "import sys; from sc2.config.load import load_config; from sc2.jobs import identity, plan\n"
        "for path in sys.argv[1:]:\n"
        "    config = load_config(path)\n"
        "    for name in config.benchmarks:\n"
        "        run = next(plan.runs(config, name))\n"
        "        keys = dict(benchmark=name, method=run.method, point=run.point, seed=run.seed)\n"
        "        assert identity.job(config, 'evaluate', keys).id\n"
        "heavy = {'torch', 'torchvision', 'compressai', 'timm', 'sklearn', 'skimage', 'matplotlib', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, RUN_FILES)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_merge_replaces_lists_and_merges_mappings() -> None:
    base = {"a": {"b": [1, 2], "c": 3}, "d": 4}
    assert merge(base, {"a": {"b": [9]}, "e": 5}) == {"a": {"b": [9], "c": 3}, "d": 4, "e": 5}
    assert base == {"a": {"b": [1, 2], "c": 3}, "d": 4}


def test_a_benchmark_takes_over_what_it_extends() -> None:
    parent = load_config(CONFIG / "config.yaml").benchmarks["photodigits_small_resnet"]
    child = load_config(CONFIG / "quick.yaml").benchmarks["photodigits_quick_small_resnet"]
    assert child.config.input == parent.config.input
    assert child.config.dataset != parent.config.dataset
    ours, theirs = (b.methods["entropic_student"].params.model_dump() for b in (child, parent))
    assert ours["encoder_channels"] == theirs["encoder_channels"]
    assert ours["phases"]["distill"]["batch_size"] == theirs["phases"]["distill"]["batch_size"]
    assert child.methods["jpeg"].points != parent.methods["jpeg"].points


def test_a_data_set_takes_over_what_it_extends() -> None:
    cut = {name: b.dataset.model_dump() for name, b in load_config(CONFIG / "voc.yaml").benchmarks.items()}
    whole = load_config(CONFIG / "paper.yaml").benchmarks["voc2012_deeplabv3_resnet50"].dataset.model_dump()
    assert cut["voc_segmentation"] == whole | {"max_images": 300}
    assert cut["voc_detection"] == whole | {"max_images": 300, "uses": "detection"}


def test_a_methods_own_points_stand_where_a_benchmark_lists_none(project: Project) -> None:
    project.edit("methods/webp.yaml", put("points", ["15", "25"]))
    assert project.points("webp") != ["15", "25"]
    project.edit(DEFAULT, put("methods", "webp", {"params": {}}))
    assert project.points("webp") == ["15", "25"]
    project.edit(DEFAULT, drop("methods", "webp"))
    assert project.points("webp") == ["15", "25"]
    assert "webp" in load_benchmark(project.folder / "config.yaml", "photodigits_small_resnet").methods


# Mistakes


def test_every_method_for_one_size_is_refused_where_images_are_whole(project: Project) -> None:
    project.edit(DEFAULT, put("input", {"fit": "whole", "resize": 64, "mean": [0.5] * 3, "std": [0.25] * 3}))
    assert {where.removeprefix(f"{DEFAULT}: methods.") for where, _ in project.problems()} == {
        *("bottleneck_unit", "bottleneck_unit_distilled", "codec_feature_jpeg", "codec_feature_webp"),
    }


def test_all_problems_are_listed_at_once(project: Project) -> None:
    project.edit("config.yaml", put("figures", ["exdr"]))
    project.edit(DEFAULT, put("methods", "jpeg", "points", ["0", "101"]))
    project.edit(DEFAULT, put("teacher", "backbone", "name", "resnett"))
    project.edit("datasets/photodigits.yaml", drop("images", "val"))
    project.edit("methods/webp.yaml", put("titel", "x"))
    assert [where for where, _ in project.problems()] == [
        "config.yaml: figures[0]",
        "datasets/photodigits.yaml: images.val",
        f"{DEFAULT}: teacher.backbone.name",
        f"{DEFAULT}: methods.jpeg.points[0]",
        f"{DEFAULT}: methods.jpeg.points[1]",
        "methods/webp.yaml: titel",
    ]


def test_a_problem_of_a_shared_file_is_listed_once(project: Project) -> None:
    grids = {"photodigits_small_resnet": ["jpeg"], "photodigits_quick_small_resnet": ["jpeg"]}
    project.edit("config.yaml", put("benchmarks", grids))
    project.edit("methods/jpeg.yaml", drop("title"))
    assert [where for where, _ in project.problems()] == ["methods/jpeg.yaml: title"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: [unclosed\ntask: classification\n", "not valid YAML, line 2, column 5: "),
        ("title: x\n\ttask: y\n", "not valid YAML, line 2, column 1: "),
        ("title: x\ntask: y\ntitle: z\n", "not valid YAML, line 3, column 1: duplicate key 'title'"),
        ("input:\n  crop: 1\n  crop: 2\n", "not valid YAML, line 3, column 3: duplicate key 'crop'"),
        ("- a\n- b\n", "must be a mapping of keys to values"),
        ("", "must be a mapping of keys to values"),
        ("just words\n", "must be a mapping of keys to values"),
    ],
)
def test_a_file_that_is_no_yaml_mapping(project: Project, text: str, expected: str) -> None:
    (project.folder / DEFAULT).write_text(text)
    [(where, message)] = project.problems()
    assert where == DEFAULT
    assert expected in message


def test_a_file_that_is_no_text(project: Project) -> None:
    (project.folder / DEFAULT).write_bytes(b"title: \xff\xfe\n")
    [(where, message)] = project.problems()
    assert where == DEFAULT
    assert "not a text file" in message


def test_a_missing_run_file(project: Project) -> None:
    [(where, message)] = project.problems("imagnette.yaml")
    assert where == "imagnette.yaml"
    assert message.startswith(
        "there is no such run file; did you mean 'imagenette'? allowed: ablation, coco, coco_sample, config, full, "
        "imagenette, imagenette_sample, paper, quick, samples, voc"
    )


def test_nothing_can_be_trained_on_a_set_that_only_evaluates(project: Project) -> None:
    def only_evaluates(content: dict[str, Any]) -> None:
        content["train_folder"] = None
        del content["val_per_class"]

    project.edit("datasets/imagenette.yaml", only_evaluates)
    name = "imagenette_efficientnet_lite0"
    project.edit("imagenette.yaml", put("benchmarks", {name: ["jpeg", "entropic_student", "teacher_on_device"]}))
    [(where, message)] = project.problems("imagenette.yaml")
    assert where == f"benchmarks/{name}.yaml: methods.entropic_student"
    assert "the data set imagenette only evaluates" in message
    project.edit("imagenette.yaml", put("benchmarks", {name: ["jpeg", "teacher_on_device"]}))
    assert list(load_config(project.folder / "imagenette.yaml").benchmarks[name].methods) == [
        "jpeg",
        "teacher_on_device",
    ]
    project.edit(DEFAULT, put("dataset", "imagenette"))
    problems = dict(project.problems())
    assert "only evaluates" in problems[f"{DEFAULT}: teacher.source"]


def test_a_folder_without_run_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such run file; run this in the project's folder, or set --c"):
        load_config(tmp_path / "config.yaml")


def test_a_missing_method_file(project: Project) -> None:
    (project.folder / "methods/jpeg.yaml").unlink()
    # Each benchmark that asks for it is named.
    where, messages = zip(*project.problems(), strict=True)
    assert where[0] == f"{DEFAULT}: methods.jpeg"
    assert all(name.endswith(": methods.jpeg") for name in where)
    [message] = set(messages)
    others = [name for name in method_names() if name != "jpeg"]
    assert message == f"there is no file methods/jpeg.yaml; allowed: {', '.join(others)}"


@pytest.mark.parametrize(("cut", "hints"), [("layer1", ["layer9"]), ("layer2", ["layer1", "layer2"])])
def test_hints_lie_at_the_cut_or_after_it(project: Project, cut: str, hints: list[str]) -> None:
    for key, value in (("cut", cut), ("hints", hints)):
        project.edit(DEFAULT, put("methods", "entropic_student", "params", key, value))
    [(where, message)] = project.problems()
    assert where == f"{DEFAULT}: methods.entropic_student.params"
    assert f"no hints before the cut: {hints[0]}; allowed: {cut}" in message
