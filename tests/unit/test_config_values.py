"""Values that are not allowed: each is named with file, key, the rule and what stands there."""

from pathlib import Path

import pytest

from tests.configuration import DEFAULT, Mistake, assert_named, put

IMAGENETTE = "benchmarks/imagenette_efficientnet_lite0.yaml"

MISTAKES: dict[str, Mistake] = {
    "too few numbers": (
        DEFAULT,
        put("input", "mean", [0.5]),
        "config.yaml",
        f"{DEFAULT}: input.mean",
        ["needs at least 3 entries (it says [0.5])"],
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
    "crop of nothing": (
        DEFAULT,
        put("input", "crop", 0),
        "config.yaml",
        f"{DEFAULT}: input.crop",
        ["must be greater than 0 (it says 0)"],
    ),
    "random crop of another fit": (
        DEFAULT,
        put("augment", {"scaled_crop": {"short_side": [64, 128], "side": 64}}),
        "config.yaml",
        f"{DEFAULT}: augment",
        ["scaled_crop does not go with input.fit: crop; use resized_crop there, or remove it"],
    ),
    "unknown fit": (
        DEFAULT,
        put("input", "fit", "stretch"),
        "config.yaml",
        f"{DEFAULT}: input.fit",
        ['unknown value (it says "stretch"); allowed: crop, whole'],
    ),
    "crop of a whole image": (
        DEFAULT,
        put("input", "fit", "whole"),
        "config.yaml",
        f"{DEFAULT}: input.crop",
        ["crop belongs to fit: crop; remove it, or set it to null if it is inherited (it says 64)"],
    ),
    "longest side of a crop": (
        DEFAULT,
        put("input", "longest", 128),
        "config.yaml",
        f"{DEFAULT}: input.longest",
        ["longest belongs to fit: whole; remove it (it says 128)"],
    ),
    "multiple of a crop": (
        DEFAULT,
        put("input", "multiple", 32),
        "config.yaml",
        f"{DEFAULT}: input.multiple",
        ["multiple belongs to fit: whole; remove it, crop sets the size (it says 32)"],
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
        ["digits must rise from 1 or more to at most 5, not [3, 2]"],
    ),
    "wrong hash": (
        IMAGENETTE,
        put("teacher", "sha256", "ABC"),
        "imagenette.yaml",
        f"{IMAGENETTE}: teacher.sha256",
        ['must match ^[0-9a-f]{8,64}$ (it says "ABC")'],
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
        ["listed twice: 10; keep one of each"],
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
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_key_and_fix(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])
