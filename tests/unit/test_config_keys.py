"""Keys and tags that are unknown or missing: each is named with the file, the allowed ones and the nearest."""

from pathlib import Path

import pytest

from tests.configuration import DEFAULT, Mistake, assert_named, drop, put

MISTAKES: dict[str, Mistake] = {
    "unknown key of the run file": (
        "config.yaml",
        put("seed", ["0"]),
        "config.yaml",
        "config.yaml: seed",
        ["unknown key; did you mean 'seeds'? allowed: benchmarks, compute, extends, figures, groups, max_seeds, seeds"],
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
        ["unknown key; did you mean 'points'? allowed: at, chain, encoder_from, params, points, seeds, share_"],
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
        ["unknown key; did you mean 'params'? allowed: params, points, title"],
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
        ["unknown key; did you mean 'file'? allowed: bytes, file, kind, mirrors, sha256, url"],
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
        ["this key is required: add it; allowed: file, package, timm, torchvision, train"],
    ),
    "unknown tag of a union": (
        DEFAULT,
        put("teacher", "source", "trian"),
        "config.yaml",
        f"{DEFAULT}: teacher.source",
        ["unknown value; did you mean 'train'? allowed: train, file, package, torchvision, timm"],
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
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_key_and_fix(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])
