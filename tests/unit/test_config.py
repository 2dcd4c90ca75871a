"""Every configuration file loads, and every kind of mistake in one is named with file, key, allowed values and fix."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sc2.config.json_schema import schema_text, schemas
from sc2.config.load import load_config
from sc2.config.yaml_files import merge
from sc2.errors import ConfigError
from sc2.methods import method_names

CONFIG = Path(__file__).parents[2] / "config"
RUN_FILES = sorted(CONFIG.glob("*.yaml"))
ALL_FILES = sorted(CONFIG.rglob("*.yaml"))
MODELINE = "# yaml-language-server: $schema="

DEFAULT = "benchmarks/photodigits_small_resnet.yaml"
QUICK = "benchmarks/photodigits_quick_small_resnet.yaml"
IMAGENETTE = "benchmarks/imagenette_mobilenet_v2.yaml"

Edit = Callable[[dict[str, Any]], None]


def put(*path_and_value: Any) -> Edit:
    """Edit that sets the key at a path: `put("a", "b", 3)`."""
    *path, last, value = path_and_value

    def edit(content: dict[str, Any]) -> None:
        for key in path:
            content = content[key]
        content[last] = value

    return edit


def drop(*path: str) -> Edit:
    """Edit that removes the key at a path."""

    def edit(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return edit


class Project:
    """A copy of the configuration that a test may spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "config"
        shutil.copytree(CONFIG, self.folder)

    def edit(self, file: str, edit: Edit) -> None:
        path = self.folder / file
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        edit(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def problems(self, run: str = "config.yaml") -> list[tuple[str, str]]:
        """Load a run file that must be refused; returns (file and key, message) per problem, paths made relative."""
        with pytest.raises(ConfigError) as caught:
            load_config(self.folder / run)
        heading, *lines = str(caught.value).replace(f"{self.folder}/", "").splitlines()
        assert len(lines) % 2 == 0
        pairs = [(where.strip(), message.strip()) for where, message in zip(lines[::2], lines[1::2], strict=True)]
        assert heading == f"the configuration has {len(pairs)} problem{'s' if len(pairs) > 1 else ''}:"
        return pairs


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# Every file is good


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.name)
def test_every_run_file_loads(path: Path) -> None:
    config = load_config(path)
    assert config.benchmarks
    assert all(benchmark.methods for benchmark in config.benchmarks.values())


def test_every_file_is_reached_from_a_run_file() -> None:
    configs = [load_config(path) for path in RUN_FILES]
    benchmarks = {name for config in configs for name in config.benchmarks}
    parents = {b.config.extends for config in configs for b in config.benchmarks.values()} - {None}
    datasets = {name for config in configs for name in config.datasets}
    methods = {name for config in configs for b in config.benchmarks.values() for name in b.methods}
    reached = {CONFIG / "benchmarks" / f"{name}.yaml" for name in benchmarks | parents}
    reached |= {CONFIG / "datasets" / f"{name}.yaml" for name in datasets}
    reached |= {CONFIG / "methods" / f"{name}.yaml" for name in methods}
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


# Every kind of mistake: file, edit, run file, where it is reported, what the message holds

MISTAKES: dict[str, tuple[str, Edit, str, str, list[str]]] = {
    "unknown key of the run file": (
        "config.yaml",
        put("seed", ["0"]),
        "config.yaml",
        "config.yaml: seed",
        ["unknown key; did you mean 'seeds'? allowed: benchmarks, figures, groups, seeds"],
    ),
    "unknown key of a benchmark": (
        DEFAULT,
        put("titel", "x"),
        "config.yaml",
        f"{DEFAULT}: titel",
        ["unknown key; did you mean 'title'?", "dataset, examples, extends"],
    ),
    "unknown key one level down": (
        DEFAULT,
        put("input", "resise", 64),
        "config.yaml",
        f"{DEFAULT}: input.resise",
        ["unknown key; did you mean 'resize'? allowed: crop, fit, interpolation, longest, mean, multiple, resize, std"],
    ),
    "unknown key behind a union": (
        DEFAULT,
        put("teacher", "training", "epoch", 3),
        "config.yaml",
        f"{DEFAULT}: teacher.training.epoch",
        [
            "unknown key; did you mean 'epochs'? allowed: batch_size, body_lr_factor, epochs, label_smoothing, lr, "
            "weight_decay"
        ],
    ),
    "method for one size of input where images are whole": (
        "benchmarks/photodigits_detection.yaml",
        put("input", {"fit": "whole", "resize": 128, "multiple": 32, "mean": [0.5] * 3, "std": [0.25] * 3}),
        "config.yaml",
        "benchmarks/photodigits_detection.yaml: methods.bottleneck_unit",
        ["bottleneck_unit is made for inputs of one size: set input.fit to crop, or take bottleneck_unit off"],
    ),
    "key of another branch of a union": (
        DEFAULT,
        put("teacher", "weights", "x"),
        "config.yaml",
        f"{DEFAULT}: teacher.weights",
        ["unknown key;", "allowed: backbone, body_from, body_weights, head, source, training"],
    ),
    "unknown key of a grid": (
        DEFAULT,
        put("methods", "jpeg", "point", ["1"]),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.point",
        ["unknown key; did you mean 'points'? allowed: encoder_from, params, points"],
    ),
    "unknown parameter of a method on a benchmark": (
        DEFAULT,
        put("methods", "end_to_end", "params", "phases", "train", "epoch", 3),
        "config.yaml",
        f"{DEFAULT}: methods.end_to_end.params.phases.train.epoch",
        ["unknown key; did you mean 'epochs'?", "quantiles_lr"],
    ),
    "unknown phase": (
        DEFAULT,
        put("methods", "end_to_end", "params", "phases", "trian", {}),
        "config.yaml",
        f"{DEFAULT}: methods.end_to_end.params.phases.trian",
        ["unknown key; did you mean 'train'? allowed: train"],
    ),
    "unknown key of a method file": (
        "methods/jpeg.yaml",
        put("parms", {}),
        "config.yaml",
        "methods/jpeg.yaml: parms",
        ["unknown key; did you mean 'params'? allowed: params, title"],
    ),
    "unknown key of a data set": (
        "datasets/photodigits.yaml",
        put("images", "tets", 3),
        "config.yaml",
        "datasets/photodigits.yaml: images.tets",
        ["unknown key; did you mean 'test'? allowed: test, train, val"],
    ),
    "unknown key of a source of images": (
        "datasets/imagenette.yaml",
        put("source", "fiel", "x"),
        "imagenette.yaml",
        "datasets/imagenette.yaml: source.fiel",
        ["unknown key; did you mean 'file'? allowed: file, kind, sha256"],
    ),
    "unknown argument of a network": (
        DEFAULT,
        put("teacher", "backbone", "args", {"widht": 8}),
        "config.yaml",
        f"{DEFAULT}: teacher.backbone.args.widht",
        ["unknown argument of small_resnet; did you mean 'width'? allowed: "],
    ),
    "missing key": (
        DEFAULT,
        drop("input", "crop"),
        "config.yaml",
        f"{DEFAULT}: input.crop",
        ["this key is required: add it", "side of the centre crop"],
    ),
    "missing key of a union": (
        DEFAULT,
        drop("teacher", "training", "lr"),
        "config.yaml",
        f"{DEFAULT}: teacher.training.lr",
        ["this key is required: add it"],
    ),
    "missing tag of a union": (
        DEFAULT,
        drop("teacher", "source"),
        "config.yaml",
        f"{DEFAULT}: teacher.source",
        ["this key is required: add it; allowed: file, timm, torchvision, train"],
    ),
    "unknown tag of a union": (
        DEFAULT,
        put("teacher", "source", "trian"),
        "config.yaml",
        f"{DEFAULT}: teacher.source",
        ["unknown value; did you mean 'train'? allowed: train, file, torchvision, timm"],
    ),
    "missing kind of a data set": (
        "datasets/photodigits.yaml",
        drop("kind"),
        "config.yaml",
        "datasets/photodigits.yaml: kind",
        ["this key is required: add it; allowed: coco, image_folder, photodigits, voc"],
    ),
    "unknown kind of a data set": (
        "datasets/photodigits.yaml",
        put("kind", "photodigit"),
        "config.yaml",
        "datasets/photodigits.yaml: kind",
        ["unknown kind of data set; did you mean 'photodigits'? allowed: coco, image_folder, photodigits, voc"],
    ),
    "too few numbers": (
        DEFAULT,
        put("input", "mean", [0.5]),
        "config.yaml",
        f"{DEFAULT}: input.mean",
        ["has too few values (it says [0.5])"],
    ),
    "too few channels": (
        DEFAULT,
        put("methods", "entropic_student", "params", "encoder_channels", [8]),
        "config.yaml",
        f"{DEFAULT}: methods.entropic_student.params.encoder_channels",
        ["needs at least 3 entries (it says [8])"],
    ),
    "unknown choice": (
        DEFAULT,
        put("input", "interpolation", "bilinaer"),
        "config.yaml",
        f"{DEFAULT}: input.interpolation",
        ["unknown value (it says \"bilinaer\"); did you mean 'bilinear'? allowed: nearest, bilinear, bicubic"],
    ),
    "number out of range": (
        DEFAULT,
        put("teacher", "training", "lr", -1),
        "config.yaml",
        f"{DEFAULT}: teacher.training.lr",
        ["must be greater than 0 (it says -1)"],
    ),
    "number of zero in a list": (
        DEFAULT,
        put("input", "std", [0, 1, 1]),
        "config.yaml",
        f"{DEFAULT}: input.std[0]",
        ["must be greater than 0 (it says 0)"],
    ),
    "crop larger than the image": (
        DEFAULT,
        put("input", "crop", 100),
        "config.yaml",
        f"{DEFAULT}: input.crop",
        ["crop must be at most resize, which is 64 (it says 100)"],
    ),
    "crop of a whole image": (
        DEFAULT,
        put("input", "fit", "whole"),
        "config.yaml",
        f"{DEFAULT}: input.crop",
        ["crop belongs to fit: crop; take it out, or write null where it is inherited (it says 64)"],
    ),
    "longest side of a crop": (
        DEFAULT,
        put("input", "longest", 128),
        "config.yaml",
        f"{DEFAULT}: input.longest",
        ["longest belongs to fit: whole; take it out (it says 128)"],
    ),
    "multiple of a crop": (
        DEFAULT,
        put("input", "multiple", 32),
        "config.yaml",
        f"{DEFAULT}: input.multiple",
        ["multiple belongs to fit: whole; take it out, the size is that of crop (it says 32)"],
    ),
    "long side shorter than the short one": (
        DEFAULT,
        put("input", {"fit": "whole", "resize": 64, "longest": 32, "mean": [0.5] * 3, "std": [0.25] * 3}),
        "config.yaml",
        f"{DEFAULT}: input.longest",
        ["longest must be at least resize, which is 64 (it says 32)"],
    ),
    "default out of range in a method file": (
        "methods/entropic_student.yaml",
        put("params", "phases", "distill", "lr", 0),
        "config.yaml",
        "methods/entropic_student.yaml: params.phases.distill.lr",
        ["must be greater than 0 (it says 0)"],
    ),
    "rule over several keys": (
        "datasets/photodigits.yaml",
        put("digits", [3, 2]),
        "config.yaml",
        "datasets/photodigits.yaml",
        ["digits must rise within 1 and 5, not [3, 2]"],
    ),
    "wrong hash": (
        IMAGENETTE,
        put("teacher", "sha256", "ABC"),
        "imagenette.yaml",
        f"{IMAGENETTE}: teacher.sha256",
        ['must match ^[0-9a-f]{64}$ (it says "ABC")'],
    ),
    "point not a string": (
        DEFAULT,
        put("methods", "entropic_student", "points", [0.25]),
        "config.yaml",
        f"{DEFAULT}: methods.entropic_student.points[0]",
        ['0.25 must be a string: write "0.25" in quotes'],
    ),
    "point not a number": (
        DEFAULT,
        put("methods", "jpeg", "points", ["10", "high"]),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.points[1]",
        ["quality must be a plain number, e.g. 0.16", '(it says "high")'],
    ),
    "point listed twice": (
        DEFAULT,
        put("methods", "jpeg", "points", ["10", "20", "10"]),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.points",
        ["listed twice: 10"],
    ),
    "point written in two ways": (
        DEFAULT,
        put("methods", "entropic_student", "points", ["0.5", "0.50"]),
        "config.yaml",
        f"{DEFAULT}: methods.entropic_student.points",
        ["0.5 and 0.50 are the same number: keep one of them"],
    ),
    "point out of the rate axis": (
        DEFAULT,
        put("methods", "jpeg", "points", ["10", "101"]),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.points[1]",
        ['quality must lie between 1 and 100 (it says "101")'],
    ),
    "point between two steps of the rate axis": (
        DEFAULT,
        put("methods", "webp", "points", ["10.5"]),
        "config.yaml",
        f"{DEFAULT}: methods.webp.points[0]",
        ['quality must be a whole number (it says "10.5")'],
    ),
    "quality zero": (
        DEFAULT,
        put("methods", "codec_feature_webp", "points", ["0"]),
        "config.yaml",
        f"{DEFAULT}: methods.codec_feature_webp.points[0]",
        ['quality must lie between 1 and 100 (it says "0")'],
    ),
    "word that is no choice": (
        DEFAULT,
        put("methods", "lossless_image", "points", ["png", "gif"]),
        "config.yaml",
        f"{DEFAULT}: methods.lossless_image.points[1]",
        ['format must be one of: png, webp (it says "gif")'],
    ),
    "width zero": (
        DEFAULT,
        put("methods", "local_model", "points", ["0"]),
        "config.yaml",
        f"{DEFAULT}: methods.local_model.points[0]",
        ['width must lie between 0.01 and 1024 (it says "0")'],
    ),
    "unknown network of a local model": (
        DEFAULT,
        put("methods", "local_model", "params", "network", {"name": "small_resne"}),
        "config.yaml",
        f"{DEFAULT}: methods.local_model.params.network.name",
        ["unknown network; did you mean 'small_resnet'?"],
    ),
    "local model without that argument": (
        DEFAULT,
        put("methods", "local_model", "params", "width_argument", "width_mult"),
        "config.yaml",
        f"{DEFAULT}: methods.local_model.params.network.args.width_mult",
        ["unknown argument of small_resnet; did you mean 'width'?"],
    ),
    "cut behind the head": (
        DEFAULT,
        put("methods", "codec_feature_jpeg", "params", "cut", "head"),
        "config.yaml",
        f"{DEFAULT}: methods.codec_feature_jpeg.params.cut",
        ['must match ^(stem|layer[1-4])$ (it says "head")'],
    ),
    "no points": (
        DEFAULT,
        put("methods", "jpeg", "points", []),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.points",
        ["needs at least 1 entry"],
    ),
    "one value for a list": (
        DEFAULT,
        put("methods", "jpeg", "points", "10"),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.points",
        ['must be a list: put it in brackets, [a, b] (it says "10")'],
    ),
    "a list for a mapping": (
        "config.yaml",
        put("benchmarks", ["photodigits_small_resnet"]),
        "config.yaml",
        "config.yaml: benchmarks",
        ["must be a mapping of keys to values"],
    ),
    "empty value": (
        "methods/jpeg.yaml",
        put("title", None),
        "config.yaml",
        "methods/jpeg.yaml: title",
        ["must not be empty"],
    ),
    "word that YAML takes for a truth value": (
        DEFAULT,
        put("dataset", True),
        "config.yaml",
        f"{DEFAULT}: dataset",
        ["YAML reads this as true: put it in quotes"],
    ),
    "seed not a string": (
        "config.yaml",
        put("seeds", [0]),
        "config.yaml",
        "config.yaml: seeds[0]",
        ['0 must be a string: write "0" in quotes'],
    ),
    "seed not a number": (
        "config.yaml",
        put("seeds", ["first"]),
        "config.yaml",
        "config.yaml: seeds[0]",
        ['must match ^[0-9]+$ (it says "first")'],
    ),
    "seed twice": ("config.yaml", put("seeds", ["1", "1"]), "config.yaml", "config.yaml: seeds", ["listed twice: 1"]),
    "bad name": (
        "config.yaml",
        put("benchmarks", {"Photo-digits": ["jpeg"]}),
        "config.yaml",
        "config.yaml: benchmarks.Photo-digits",
        ["use lower case letters, digits and single underscores"],
    ),
    "path as a name": (
        "config.yaml",
        put("benchmarks", {"../config": ["jpeg"]}),
        "config.yaml",
        "config.yaml: benchmarks.../config",
        ["use lower case letters, digits and single underscores"],
    ),
    "unknown figure": (
        "config.yaml",
        put("figures", ["exrd", "three_wya"]),
        "config.yaml",
        "config.yaml: figures[1]",
        ["unknown figure; did you mean 'three_way'? allowed: exrd, rate_accuracy, rate_accuracy_families, three_way"],
    ),
    "unknown benchmark": (
        "config.yaml",
        put("benchmarks", {"photodigit_small_resnet": ["jpeg"]}),
        "config.yaml",
        "config.yaml: benchmarks.photodigit_small_resnet",
        ["there is no file benchmarks/photodigit_small_resnet.yaml; did you mean 'photodigits_small_resnet'?"],
    ),
    "benchmark without methods": (
        "config.yaml",
        put("benchmarks", {"photodigits_small_resnet": []}),
        "config.yaml",
        "config.yaml: benchmarks.photodigits_small_resnet",
        ["needs at least 1 entry"],
    ),
    "method twice": (
        "config.yaml",
        put("benchmarks", {"photodigits_small_resnet": ["jpeg", "jpeg"]}),
        "config.yaml",
        "config.yaml: benchmarks.photodigits_small_resnet",
        ["listed twice: jpeg"],
    ),
    "unknown method in the run file": (
        "config.yaml",
        put("benchmarks", {"photodigits_small_resnet": ["jpg"]}),
        "config.yaml",
        "config.yaml: benchmarks.photodigits_small_resnet[0]",
        [f"unknown method; did you mean 'jpeg'? allowed: {', '.join(method_names())}"],
    ),
    "unknown method in a benchmark": (
        DEFAULT,
        put("methods", "jpg", {"points": ["1"]}),
        "config.yaml",
        f"{DEFAULT}: methods.jpg",
        [f"unknown method; did you mean 'jpeg'? allowed: {', '.join(method_names())}"],
    ),
    "method without a grid": (
        DEFAULT,
        drop("methods", "webp"),
        "config.yaml",
        "config.yaml: benchmarks.photodigits_small_resnet[1]",
        [f"'webp' has no grid: add it under the key methods of {DEFAULT}, or take it off here"],
    ),
    "unknown data set": (
        DEFAULT,
        put("dataset", "photodigit"),
        "config.yaml",
        f"{DEFAULT}: dataset",
        [
            "there is no file datasets/photodigit.yaml; did you mean 'photodigits'? ",
            "allowed: coco2017, ilsvrc2012, imagenette, photodigits",
        ],
    ),
    "unknown network": (
        DEFAULT,
        put("teacher", "backbone", "name", "smal_resnet"),
        "config.yaml",
        f"{DEFAULT}: teacher.backbone.name",
        ["unknown network; did you mean 'small_resnet'? allowed: hybrid_vit, mobilenet_v2, ", ", resnet, small_resnet"],
    ),
    "unknown task": (
        DEFAULT,
        put("task", "detecting"),
        "config.yaml",
        f"{DEFAULT}: task",
        ['unknown value (it says "detecting"); did', "allowed: classification, detection, segmentation"],
    ),
    "extends what is not there": (
        QUICK,
        put("extends", "photodigits_smal_resnet"),
        "quick.yaml",
        f"{QUICK}: extends",
        ["there is no file benchmarks/photodigits_smal_resnet.yaml; did you mean 'photodigits_small_resnet'?"],
    ),
    "extends itself": (
        DEFAULT,
        put("extends", "photodigits_small_resnet"),
        "config.yaml",
        f"{DEFAULT}: extends",
        ["goes round in a circle: photodigits_small_resnet → photodigits_small_resnet; take it out of one of them"],
    ),
    "extends in a circle": (
        DEFAULT,
        put("extends", "photodigits_quick_small_resnet"),
        "quick.yaml",
        f"{DEFAULT}: extends",
        ["photodigits_quick_small_resnet → photodigits_small_resnet → photodigits_quick_small_resnet"],
    ),
    "mistake of the benchmark that is extended": (
        DEFAULT,
        put("latency", {"repeat": 3}),
        "quick.yaml",
        f"{DEFAULT}: latency.repeat",
        ["unknown key; did you mean 'repeats'? allowed: images, repeats, warmup"],
    ),
    "mistake of the benchmark that extends": (
        QUICK,
        put("latency", {"repeat": 3}),
        "quick.yaml",
        f"{QUICK}: latency.repeat",
        ["unknown key; did you mean 'repeats'? allowed: images, repeats, warmup"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_key_and_fix(project: Project, name: str) -> None:
    file, edit, run, where, fragments = MISTAKES[name]
    project.edit(file, edit)
    problems = project.problems(run)
    assert [place for place, _ in problems] == [where]
    assert all(fragment in problems[0][1] for fragment in fragments), problems


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
        ("title: x\ntask: y\ntitle: z\n", "not valid YAML, line 3, column 1: the key 'title' stands here twice"),
        ("input:\n  crop: 1\n  crop: 2\n", "not valid YAML, line 3, column 3: the key 'crop' stands here twice"),
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
        "there is no such run file; did you mean 'imagenette'? allowed: coco, config, ilsvrc2012, imagenette, quick, "
        "voc"
    )


def test_a_folder_without_run_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such run file; call this in the project's folder, or name one with --c"):
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


# JSON schemas


def test_the_committed_schemas_are_those_of_the_code() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in (CONFIG / "schema").iterdir()}
    made = {name: schema_text(schema) for name, schema in schemas().items()}
    different = sorted(name for name in committed.keys() | made.keys() if committed.get(name) != made.get(name))
    assert not different, f"config/schema is not what the code makes: run `.venv/bin/sc2 schema` ({different})"


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: path.relative_to(CONFIG).as_posix())
def test_every_file_names_its_schema_and_fits_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first.startswith(MODELINE), f"the first line of {path} must name its schema"
    schema = json.loads((path.parent / first.removeprefix(MODELINE)).read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    content = yaml.safe_load(text)
    assert list(validator.iter_errors(content)) == []
    assert not validator.is_valid({**content, "no_such_key": 1})


def test_the_schema_of_an_extending_benchmark_requires_only_what_it_extends() -> None:
    schema = schemas()["benchmark_extends.schema.json"]
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"extends": "a", "teacher": {"training": {"epochs": 1}}})
    assert not validator.is_valid({"title": "a"})
    assert not validator.is_valid({"extends": "a", "teacher": {"training": {"epoch": 1}}})
