"""Encoders and bodies that a benchmark takes over from another one, and what cannot be taken over."""

from pathlib import Path
from typing import Any

import pytest

from sc2.config.resolved import Config
from sc2.errors import ConfigError
from sc2.jobs.identity import job
from sc2.jobs.plan import Run, body_from, encoder_from, exported, trainings
from tests.configuration import DEFAULT, Edit, load_changed, put
from tests.planning import NAME, Load

DETECTION = "photodigits_detection"
TASKS = "config.yaml"


@pytest.fixture
def load_tasks(tmp_path: Path) -> Load:
    """Loads the run file of the three tasks, with every seed that is listed, and with some files changed."""

    def loaded(changes: dict[str, Edit] | None = None) -> Config:
        edits = {TASKS: [put("max_seeds", None)]}
        for file, change in (changes or {}).items():
            edits.setdefault(file, []).append(change)
        return load_changed(tmp_path, edits)

    return loaded


def test_a_first_phase_takes_the_encoder_of_the_same_run_elsewhere_and_a_second_none(load_tasks: Load) -> None:
    config = load_tasks()
    for point in ("0.5", "4"):
        own = Run(DETECTION, "entropic_student", point, "0")
        assert encoder_from(config, own, "distill") == [Run(NAME, "entropic_student", point, "0")]
        assert encoder_from(config, own, "finetune") == []
    assert encoder_from(config, Run(NAME, "entropic_student", "4", "0"), "distill") == []
    reduction = Run(DETECTION, "channel_reduction_quantization", "1", "0")
    assert encoder_from(config, reduction, "distill") == []
    assert body_from(config, DETECTION, "0") == [(NAME, "0")]
    assert body_from(config, NAME, "0") == []
    keys = {"benchmark": DETECTION, "method": "entropic_student", "point": "4", "seed": "0", "phase": "distill"}
    planned = job(config, "train", keys)
    assert planned is not None
    assert planned.spec["encoder_from"] == NAME
    assert "sc2/tasks/detection.py" in planned.fingerprint.files
    assert "sc2/backbones/heads/detection.py" in planned.fingerprint.files
    assert "sc2/backbones/heads/segmentation.py" not in planned.fingerprint.files


def test_a_codec_taken_over_is_not_trained_and_exports_the_other_benchmarks_weights(load_tasks: Load) -> None:
    config = load_tasks()
    own, other = (Run(name, "factorized_prior", "2", "0") for name in (DETECTION, NAME))
    assert (trainings(config, own), trainings(config, other)) == ([], ["train"])
    assert exported(config, own) == exported(config, other) == [(other, "train")]
    keys = {"benchmark": DETECTION, "method": "factorized_prior", "point": "2", "seed": "0"}
    assert job(config, "train", {**keys, "phase": "train"}) is None
    planned = job(config, "export", keys)
    assert planned is not None
    assert planned.spec["encoder_from"] == NAME
    student = Run(DETECTION, "entropic_student", "4", "0")
    assert trainings(config, student) == ["distill", "finetune"]
    assert exported(config, student) == [(student, "finetune")]
    assert exported(config, Run(DETECTION, "jpeg", "10", "0")) == []


def test_a_dense_job_depends_on_its_task_and_head_alone(load_tasks: Load) -> None:
    plain, changed = (
        load_tasks({f"benchmarks/{DETECTION}.yaml": put("teacher", "head", "out_channels", width)})
        for width in (32, 16)
    )
    for benchmark in (NAME, DETECTION, "photodigits_segmentation"):
        one, two = (job(config, "train_teacher", {"benchmark": benchmark, "seed": "0"}) for config in (plain, changed))
        assert one is not None
        assert two is not None
        assert (one.id != two.id) == (benchmark == DETECTION)
        assert one.spec["task"] == plain.benchmarks[benchmark].config.task


def _without(*path: str) -> Edit:
    *parents, last = path

    def change(content: dict[str, Any]) -> None:
        for key in parents:
            content = content[key]
        content[last].remove("entropic_student") if isinstance(content[last], list) else content.pop(last)

    return change


@pytest.mark.parametrize(
    ("file", "change", "where", "message"),
    [
        (
            TASKS,
            _without("benchmarks", NAME),
            f"{DETECTION}.yaml: methods.entropic_student.encoder_from",
            f"does not run entropic_student on {NAME}",
        ),
        (
            DEFAULT,
            put("methods", "entropic_student", "points", ["1"]),
            f"{DETECTION}.yaml: methods.entropic_student.encoder_from",
            f"{NAME} has no run of entropic_student at 0.12, 0.35, 0.8, 1.8, 4: add the points there",
        ),
        (
            DEFAULT,
            put("methods", "entropic_student", "seeds", ["1", "2"]),
            f"{DETECTION}.yaml: methods.entropic_student.encoder_from",
            f"{NAME} has no run of entropic_student with seed 0: add it to its seeds there, or remove it from those "
            "here; seeds there: 1, 2",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("methods", "jpeg", "encoder_from", NAME),
            f"{DETECTION}.yaml: methods.jpeg.encoder_from",
            "jpeg has no encoder to take from another benchmark",
        ),
        (
            "benchmarks/photodigits_segmentation.yaml",
            put("methods", "entropic_student", "encoder_from", DETECTION),
            "photodigits_segmentation.yaml: methods.entropic_student.encoder_from",
            f"the encoder of {DETECTION} is itself taken from another benchmark",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("teacher", "body_from", "photodigits"),
            f"{DETECTION}.yaml: teacher.body_from",
            "there is no benchmark 'photodigits' in",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("methods", "end_to_end", "seeds", ["0", "4"]),
            f"{DETECTION}.yaml: teacher.body_from",
            f"{NAME} has no teacher of seed 4: add it to the seeds of one of its methods, or remove it",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("teacher", "head", "anchor_px", [32]),
            f"{DETECTION}.yaml: teacher.head.anchor_px",
            "",
        ),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("input", {"resize": 100, "crop": 100, "mean": [0, 0, 0], "std": [1, 1, 1]}),
            f"{DETECTION}.yaml: input",
            "input.crop is 100, but detection needs a multiple of 32",
        ),
        (DEFAULT, put("teacher", "head", {"width": 3}), f"{NAME}.yaml: teacher.head.width", "unknown key"),
        (
            f"benchmarks/{DETECTION}.yaml",
            put("teacher", {"source": "timm", "weights": "w", "sha256": None, "backbone": {"name": "resnet"}}),
            f"{DETECTION}.yaml: teacher.source",
            "publishes no network for detection; allowed: file, torchvision, or train it",
        ),
    ],
)
def test_what_cannot_be_taken_from_another_benchmark_is_said(
    load_tasks: Load, file: str, change: Edit, where: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tasks({file: change})
    assert where in str(caught.value)
    assert message in str(caught.value)
