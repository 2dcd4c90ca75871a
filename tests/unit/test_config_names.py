"""What the run file and benchmarks name: benchmarks, methods, seeds, figures, data sets, networks, `extends`."""

from pathlib import Path

import pytest

from sc2.methods import method_names
from tests.configuration import DEFAULT, QUICK, Mistake, assert_named, drop, put

MISTAKES: dict[str, Mistake] = {
    "method for one size of input where images are whole": (
        "benchmarks/photodigits_detection.yaml",
        put("input", {"fit": "whole", "resize": 128, "multiple": 32, "mean": [0.5] * 3, "std": [0.25] * 3}),
        "config.yaml",
        "benchmarks/photodigits_detection.yaml: methods.bottleneck_unit",
        ["bottleneck_unit needs inputs of one size: set input.fit to crop, or remove bottleneck_unit from"],
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
    "a list for a mapping": (
        "config.yaml",
        put("benchmarks", ["photodigits_small_resnet"]),
        "config.yaml",
        "config.yaml: benchmarks",
        ["must be a mapping of keys to values"],
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
        [
            "unknown figure; did you mean 'three_way'? allowed: exrd, rate_accuracy, rate_accuracy_families, "
            "rate_accuracy_variants, three_way"
        ],
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
        [f"'webp' has no grid: add it under the key methods of {DEFAULT}, or remove it here"],
    ),
    "grid without points": (
        DEFAULT,
        put("methods", "webp", {"params": {}}),
        "config.yaml",
        f"{DEFAULT}: methods.webp.points",
        ["this key is required: add it, here or to methods/webp.yaml"],
    ),
    "default point out of the rate axis": (
        "methods/webp.yaml",
        put("points", ["10", "101"]),
        "config.yaml",
        "methods/webp.yaml: points[1]",
        ['quality must lie between 1 and 100 (it says "101")'],
    ),
    "default point written in two ways": (
        "methods/webp.yaml",
        put("points", ["10", "10.0"]),
        "config.yaml",
        "methods/webp.yaml: points",
        ["10 and 10.0 are the same number: keep one of them"],
    ),
    "unknown data set": (
        DEFAULT,
        put("dataset", "photodigit"),
        "config.yaml",
        f"{DEFAULT}: dataset",
        [
            "there is no file datasets/photodigit.yaml; did you mean 'photodigits'? ",
            "allowed: coco2017, coco2017_1000, coco2017_sample, ilsvrc2012, imagenette, imagenette_sample, ",
        ],
    ),
    "unknown network": (
        DEFAULT,
        put("teacher", "backbone", "name", "smal_resnet"),
        "config.yaml",
        f"{DEFAULT}: teacher.backbone.name",
        [
            "unknown network; did you mean 'small_resnet'? allowed: efficientnet, efficientnet_lite, ",
            ", resnet, small_resnet",
        ],
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
        ["extends itself: photodigits_small_resnet → photodigits_small_resnet; remove this key from one of them"],
    ),
    "a data set that extends what is not there": (
        "datasets/voc2012_300.yaml",
        put("extends", "voc2021"),
        "voc.yaml",
        "datasets/voc2012_300.yaml: extends",
        ["there is no file datasets/voc2021.yaml; did you mean 'voc2012'?"],
    ),
    "a data set that extends a number": (
        "datasets/coco2017_1000.yaml",
        put("extends", 2017),
        "coco.yaml",
        "datasets/coco2017_1000.yaml: extends",
        ["must be the name of a data set"],
    ),
    "extends in a circle": (
        DEFAULT,
        put("extends", "photodigits_quick_small_resnet"),
        "quick.yaml",
        f"{DEFAULT}: extends",
        ["photodigits_quick_small_resnet → photodigits_small_resnet → photodigits_quick_small_resnet"],
    ),
    "run file extends what is not there": (
        "full.yaml",
        put("extends", "conf"),
        "full.yaml",
        "full.yaml: extends",
        ["there is no file conf.yaml; did you mean 'config'?"],
    ),
    "run file extends a path": (
        "full.yaml",
        put("extends", "config.yaml"),
        "full.yaml",
        "full.yaml: extends",
        ["there is no file config.yaml.yaml; did you mean 'config'?"],
    ),
    "run files extend in a circle": (
        "config.yaml",
        put("extends", "full"),
        "full.yaml",
        "config.yaml: extends",
        ["extends itself: full → config → full; remove this key from one of them"],
    ),
    "mistake of the run file that is extended": (
        "config.yaml",
        put("groups", "photodigits", 0, "photodigit"),
        "full.yaml",
        "config.yaml: groups.photodigits[0]",
        ["is not run here; did you mean 'photodigits_detection'?"],
    ),
    "figure of the run file that extends": (
        "full.yaml",
        put("figures", ["exdr"]),
        "full.yaml",
        "full.yaml: figures[0]",
        ["unknown figure; did you mean 'exrd'?"],
    ),
    "method of the run file that is extended": (
        "config.yaml",
        put("benchmarks", "photodigits_small_resnet", 0, "jpg"),
        "full.yaml",
        "config.yaml: benchmarks.photodigits_small_resnet[0]",
        ["unknown method; did you mean 'jpeg'?"],
    ),
    "no seed at all": (
        "full.yaml",
        put("max_seeds", 0),
        "full.yaml",
        "full.yaml: max_seeds",
        ["must be greater than or equal to 1 (it says 0)"],
    ),
    "seeds as text": (
        "full.yaml",
        put("max_seeds", "all"),
        "full.yaml",
        "full.yaml: max_seeds",
        ['is text, must be a number: remove the quotes, and write 1e-3 as 1.0e-3 (it says "all")'],
    ),
    "mistake of the benchmark that is extended": (
        DEFAULT,
        put("latency", {"repeat": 3}),
        "quick.yaml",
        f"{DEFAULT}: latency.repeat",
        ["unknown key; did you mean 'repeats'? allowed: budget_s, images, repeats, spread_pct, warmup"],
    ),
    "mistake of the benchmark that extends": (
        QUICK,
        put("latency", {"repeat": 3}),
        "quick.yaml",
        f"{QUICK}: latency.repeat",
        ["unknown key; did you mean 'repeats'? allowed: budget_s, images, repeats, spread_pct, warmup"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_key_and_fix(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])
