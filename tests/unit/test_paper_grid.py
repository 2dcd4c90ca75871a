"""The papers' grid: as many runs and trainings as the papers' configurations, each with its own parameters."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sc2.config.load import load_config
from sc2.config.resolved import Config, MethodOnBenchmark
from sc2.jobs.plan import runs, trainings
from sc2.methods import get_method
from sc2.methods.learned_codec.images import MULTIPLE
from tests.configuration import DEFAULT, Edit, Mistake, Project, assert_named, drop, put
from tests.planning import every_job, load_small

ROOT = Path(__file__).parents[2]
COLUMNS = ("ImageNet", "COCO", "VOC")
CODECS = ["jpeg", "webp", "bpg"]
LEARNED = ["factorized_prior", "scale_hyperprior", "mean_scale_hyperprior", "joint_autoregressive"]
UNITS = ["bottleneck_unit", "bottleneck_unit_distilled"]

# Configuration files of the published code by family and data set, and the methods here. A codec has one file for all
# qualities, a trained method one for each operating point (docs/papers.md; counted in the code that it names).
PUBLISHED: dict[str, tuple[tuple[int, int, int], list[str]]] = {
    "codecs on the input": ((12, 3, 6), CODECS),
    "learned codecs on the input": ((10, 4, 8), LEARNED),
    "codecs on features": ((2, 0, 0), ["codec_feature_jpeg", "codec_feature_webp"]),
    "CR+BQ": ((6, 6, 6), ["channel_reduction_quantization"]),
    "End-to-End": ((5, 5, 5), ["end_to_end"]),
    "Entropic Student (FP)": ((31, 7, 6), ["entropic_student"]),
    "Entropic Student (MSHP)": ((29, 0, 0), ["entropic_student_mshp"]),
    "fine-tuned split": ((38, 0, 0), ["fine_tuned_split"]),
}
MISSING = {
    ("codecs on the input", "ImageNet"): (1, "VVC: no encoder can be installed from a package, and no figure shows it"),
}
# What the paper calls its more than 180 models are these and the codecs; the two phases of a student are one each here.
TRAINED_MODELS, TRAINING_JOBS = 144, 217


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(ROOT / "config/paper.yaml")


def column(benchmark: str) -> str:
    return {"ilsvrc2012": "ImageNet", "coco2017": "COCO", "voc2012": "VOC"}[benchmark.split("_")[0]]


def one_file_for_all_points(family: str) -> bool:
    return "codecs" in family


def counted(config: Config, family: str) -> list[int]:
    """The configurations of a family by data set, counted as the published code has them."""
    _, methods = PUBLISHED[family]
    found: Counter[str] = Counter()
    for name in config.benchmarks:
        own = [run for run in runs(config, name) if run.method in methods]
        found[column(name)] += len({run.method for run in own} if one_file_for_all_points(family) else own)
    return [found[name] for name in COLUMNS]


def test_the_grid_has_every_published_configuration(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{'published / here':32}" + "".join(f"{name:>14}" for name in COLUMNS)]
    total = [0, 0]
    for family, (published, _) in PUBLISHED.items():
        here = counted(config, family)
        missing = [MISSING.get((family, name), (0, ""))[0] for name in COLUMNS]
        lines.append(f"{family:32}" + "".join(f"{f'{a} / {b}':>14}" for a, b in zip(published, here, strict=True)))
        total = [total[0] + sum(published), total[1] + sum(here)]
        assert [a - b for a, b in zip(published, here, strict=True)] == missing, lines[-1]
    lines.append(f"{'together':32}{f'{total[0]} / {total[1]}':>14}")
    lines += [f"missing: {count} of {' on '.join(where)}: {reason}" for where, (count, reason) in MISSING.items()]
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert total == [189, 188]


def test_all_methods_belong_to_a_family(config: Config) -> None:
    known = {method for _, methods in PUBLISHED.values() for method in methods} | set(UNITS)
    assert {method for benchmark in config.benchmarks.values() for method in benchmark.methods} == known


def learns(config: Config, run: Any, phase: str) -> bool:
    method = config.benchmarks[run.benchmark].methods[run.method]
    return getattr(method.phase(phase, run.point), "epochs", 0) > 0


def test_the_grid_has_all_trainings(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [
        (run, phase) for name in config.benchmarks for run in runs(config, name) for phase in trainings(config, run)
    ]
    learning = [(run, phase) for run, phase in jobs if learns(config, run, phase)]
    of_units = [run for run, _ in learning if run.method in UNITS]
    models = {run for run, _ in learning} - set(of_units)
    with capsys.disabled():
        print(
            f"\ntrained models: {TRAINED_MODELS} published / {len(models)} here, by {len(learning) - len(of_units)} "
            f"trainings; units: {len(of_units)} more; published weights, unchanged: {len(jobs) - len(learning)}"
        )
    assert len(models) == TRAINED_MODELS
    assert len(learning) - len(of_units) == TRAINING_JOBS > 180
    assert len(of_units) == 27
    # Every learned codec once, whatever the number of benchmarks that use it.
    assert {(run.benchmark, run.method, run.point) for run, _ in jobs if run.method in LEARNED} == {
        ("ilsvrc2012_resnet50", method, str(quality)) for method in LEARNED for quality in range(1, 9)
    }


def method_on(config: Config, benchmark: str, method: str) -> MethodOnBenchmark:
    return config.benchmarks[benchmark].methods[method]


BETAS = ["0.08", "0.16", "0.32", "0.64", "1.28", "2.56", "5.12"]
VIT = [*BETAS[1:], "10.24", "15.36", "20.48"]
GRIDS = {
    ("ilsvrc2012_resnet50", "entropic_student"): BETAS,
    ("ilsvrc2012_resnet101", "entropic_student"): BETAS,
    ("ilsvrc2012_regnety064", "entropic_student"): [*BETAS, "7.68"],
    ("ilsvrc2012_hybrid_vit", "entropic_student"): VIT,
    ("ilsvrc2012_resnet50", "entropic_student_mshp"): [*BETAS[:6], "3.84"],
    ("ilsvrc2012_resnet101", "entropic_student_mshp"): BETAS[:6],
    ("ilsvrc2012_regnety064", "entropic_student_mshp"): [*BETAS[:6], "4.48"],
    ("ilsvrc2012_hybrid_vit", "entropic_student_mshp"): VIT,
    ("coco2017_fasterrcnn_resnet50", "entropic_student"): BETAS,
    ("voc2012_deeplabv3_resnet50", "entropic_student"): BETAS[1:],
    ("voc2012_deeplabv3_resnet101", "bpg"): [str(qp) for qp in range(5, 51, 5)],
    ("coco2017_fasterrcnn_resnet50", "jpeg"): [str(quality) for quality in range(10, 101, 10)],
    ("ilsvrc2012_efficientnet_l2_475", "mean_scale_hyperprior"): [str(quality) for quality in range(1, 9)],
    ("coco2017_fasterrcnn_resnet50", "end_to_end"): ["1.28e-8", "1.024e-7", "2.048e-7", "8.192e-7", "3.2768e-6"],
    ("voc2012_deeplabv3_resnet50", "channel_reduction_quantization"): ["1", "2", "3", "6", "9", "12"],
}


@pytest.mark.parametrize(("benchmark", "method"), GRIDS)
def test_operating_points(config: Config, benchmark: str, method: str) -> None:
    assert method_on(config, benchmark, method).points == GRIDS[benchmark, method]


# Epochs, batch size, learning rate, and the epochs after which it drops, by phase and point (docs/papers.md).
SCHEDULES: dict[tuple[str, str, str, str], tuple[int, int, float, list[float] | str]] = {
    ("ilsvrc2012_resnet101", "entropic_student", "distill", "0.08"): (10, 64, 1e-3, [5, 8]),
    ("ilsvrc2012_resnet50", "entropic_student_mshp", "finetune", "0.08"): (10, 128, 1e-3, [5]),
    ("ilsvrc2012_hybrid_vit", "entropic_student", "finetune", "5.12"): (10, 128, 1e-3, [5]),
    ("ilsvrc2012_hybrid_vit", "entropic_student", "finetune", "10.24"): (20, 128, 1e-3, [10]),
    ("ilsvrc2012_hybrid_vit", "entropic_student_mshp", "finetune", "20.48"): (20, 128, 1e-3, [10]),
    ("ilsvrc2012_hybrid_vit", "entropic_student_mshp", "distill", "20.48"): (10, 64, 1e-3, [5, 8]),
    ("ilsvrc2012_resnet50", "channel_reduction_quantization", "distill", "3"): (20, 64, 1e-3, [5, 10, 15]),
    ("coco2017_fasterrcnn_resnet50", "channel_reduction_quantization", "distill", "3"): (20, 4, 1e-3, [5, 15]),
    ("voc2012_deeplabv3_resnet50", "channel_reduction_quantization", "distill", "3"): (50, 16, 1e-3, [30, 40]),
    ("ilsvrc2012_resnet50", "end_to_end", "train", "1.28e-8"): (60, 256, 1e-3, "cosine"),
    ("coco2017_fasterrcnn_resnet50", "end_to_end", "train", "1.28e-8"): (10, 6, 1e-4, [5]),
    ("voc2012_deeplabv3_resnet50", "end_to_end", "train", "1.28e-8"): (50, 8, 2.5e-3, "poly"),
    ("coco2017_fasterrcnn_resnet50", "entropic_student", "distill", "0.08"): (5, 6, 1e-3, [3]),
    ("coco2017_fasterrcnn_resnet50", "entropic_student", "finetune", "0.08"): (5, 6, 1e-4, [3]),
    ("voc2012_deeplabv3_resnet50", "entropic_student", "distill", "0.16"): (40, 16, 1e-3, [30, 35]),
    ("voc2012_deeplabv3_resnet50", "entropic_student", "finetune", "0.16"): (10, 16, 2.5e-3, "poly"),
    ("ilsvrc2012_resnet50", "fine_tuned_split", "finetune", "layer1_1e-15"): (10, 256, 1e-3, [5, 8]),
    ("ilsvrc2012_resnet50", "fine_tuned_split", "finetune", "layer3_5e-5"): (10, 512, 1e-3, [5, 8]),
    ("ilsvrc2012_resnet50", "fine_tuned_split", "finetune", "layer4_1e-3"): (10, 512, 1e-3, [5, 8]),
    ("ilsvrc2012_resnet50", "fine_tuned_split", "finetune", "avgpool_1e-1"): (10, 256, 1e-3, [5, 8]),
}


@pytest.mark.parametrize(("benchmark", "method", "phase", "point"), SCHEDULES)
def test_schedules(config: Config, benchmark: str, method: str, phase: str, point: str) -> None:
    params: Any = method_on(config, benchmark, method).phase(phase, point)
    named = getattr(params, "schedule", "multi_step")
    drops = [round(fraction * params.epochs, 9) for fraction in params.milestones] if named == "multi_step" else named
    found = (params.epochs, params.batch_size, params.lr, drops)
    assert found == SCHEDULES[benchmark, method, phase, point]


def test_what_is_trained_and_compared_on_dense_tasks(config: Config) -> None:
    expected = {
        "coco2017_fasterrcnn_resnet50": (["layer1", "layer2", "layer3", "layer4"], ["layer2", "layer3", "layer4"]),
        "voc2012_deeplabv3_resnet50": (["layer2", "layer3", "layer4"], ["layer2"]),
    }
    for name, wanted in expected.items():
        for method in ("entropic_student", "channel_reduction_quantization"):
            params: Any = method_on(config, name, method).params
            assert (params.hints, params.phases.distill.trained_stages) == wanted


def test_inputs_and_crops(config: Config) -> None:
    by_name = {name: benchmark.config for name, benchmark in config.benchmarks.items()}
    squares = {name: (c.input.resize, c.input.square, c.input.interpolation) for name, c in by_name.items()}
    assert squares == {
        "ilsvrc2012_resnet50": (256, 224, "bilinear"),
        "ilsvrc2012_resnet101": (256, 224, "bilinear"),
        "ilsvrc2012_resnet152": (256, 224, "bilinear"),
        "ilsvrc2012_regnety064": (256, 224, "bicubic"),
        "ilsvrc2012_hybrid_vit": (248, 224, "bicubic"),
        "ilsvrc2012_efficientnet_l2": (833, 800, "bicubic"),
        "ilsvrc2012_efficientnet_l2_475": (507, 475, "bicubic"),
        "coco2017_fasterrcnn_resnet50": (800, None, "bilinear"),
        "voc2012_deeplabv3_resnet50": (513, None, "bilinear"),
        "voc2012_deeplabv3_resnet101": (513, None, "bilinear"),
    }
    assert by_name["coco2017_fasterrcnn_resnet50"].input.longest == 1333
    assert by_name["ilsvrc2012_hybrid_vit"].input.mean == by_name["ilsvrc2012_hybrid_vit"].input.std == (0.5, 0.5, 0.5)
    crops = {name: (c.augment.resized_crop, c.augment.scaled_crop) for name, c in by_name.items()}
    for name, (resized, scaled) in crops.items():
        assert by_name[name].augment.flip
        assert (resized is not None) == name.startswith("ilsvrc2012"), name
        assert (scaled is not None) == name.startswith("voc2012"), name
    scaled = crops["voc2012_deeplabv3_resnet50"][1]
    assert scaled is not None
    assert (scaled.short_side, scaled.side) == ((256, 1026), 513)


def test_learned_codecs_can_take_the_images_of_every_benchmark(config: Config) -> None:
    specs = [benchmark.config.input for benchmark in config.benchmarks.values() if {*LEARNED} & {*benchmark.methods}]
    assert len(specs) == 6
    assert not [spec for spec in specs if spec.square is None and spec.multiple % MULTIPLE]


def test_one_encoder_serves_all_tasks(config: Config) -> None:
    for benchmark in config.benchmarks.values():
        for method in benchmark.methods.values():
            dense = benchmark.config.task != "classification"
            # The papers train each CR+BQ network for its task.
            whole = method.name == "channel_reduction_quantization"
            shared = get_method(method.name).takes_encoder and not whole and (dense or method.name in LEARNED)
            expected = "ilsvrc2012_resnet50" if shared and benchmark.name != "ilsvrc2012_resnet50" else None
            assert method.encoder_from == expected, (benchmark.name, method.name)


# Parameters of some points


AT = ("methods", "channel_reduction_quantization", "at")


def test_a_point_may_have_a_longer_phase_and_changes_no_other_job(tmp_path: Path) -> None:
    def loaded(*edits: Edit) -> Config:
        def change(content: dict[str, Any]) -> None:
            for edit in (drop("methods", "entropic_student", "chain"), *edits):
                edit(content)

        return load_small(tmp_path, {DEFAULT: change})

    before = every_job(loaded())
    entry = {"points": ["4"], "phases": {"finetune": {"epochs": 77}}}
    changed = loaded(put("methods", "entropic_student", "at", [entry]))
    after = every_job(changed)
    assert {name for name in before if before[name] != after[name]} == {"finetune 4 0", "finetune 4 1"}
    method = next(iter(changed.benchmarks.values())).methods["entropic_student"]
    assert getattr(method.phase("finetune", "4"), "epochs", None) == 77
    assert getattr(method.phase("finetune", "1"), "epochs", None) != 77
    assert method.phase("distill", "4") == method.phase("distill", "1")


WHERE = f"{DEFAULT}: methods.channel_reduction_quantization.at"
MISTAKES: dict[str, Mistake] = {
    "a point that is not there": (
        DEFAULT,
        put(*AT, [{"points": ["0.017"], "phases": {}}]),
        "config.yaml",
        f"{WHERE}[0].points[0]",
        ['is no operating point here, and matches none (it says "0.017"); ', "allowed: "],
    ),
    "the same point twice": (
        DEFAULT,
        put(*AT, [{"points": ["*"], "phases": {}}, {"points": ["*"], "phases": {}}]),
        "config.yaml",
        f"{WHERE}[1].points",
        ["also listed in an entry before: take ", " out of one of them"],
    ),
    "an unknown parameter at a point": (
        DEFAULT,
        put(*AT, [{"points": ["*"], "phases": {"distill": {"epoch": 3}}}]),
        "config.yaml",
        f"{WHERE}[0].phases.distill.epoch",
        ["unknown key; did you mean 'epochs'?"],
    ),
    "phases of a codec": (
        DEFAULT,
        put("methods", "jpeg", "at", [{"points": ["*"], "phases": {}}]),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.at",
        ["jpeg is not trained, so that there is no phase to change: remove this key"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_key_and_fix(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])


def test_a_chain_says_itself_what_differs(tmp_path: Path) -> None:
    project = Project(tmp_path)
    entry = {"points": ["*"], "phases": {}}
    project.edit(DEFAULT, put("methods", "entropic_student", "at", [entry]))
    project.edit(DEFAULT, put("methods", "entropic_student", "chain", {}))
    assert (
        f"{DEFAULT}: methods.entropic_student.at",
        "in a chain, chain.params says what differs: remove one of the two keys",
    ) in project.problems()


def test_a_name_in_both_folders_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.folder / "paper/photodigits_small_resnet.yaml").write_text("title: another\n", encoding="utf-8")
    where, messages = zip(*project.problems(), strict=True)
    assert where[0] == "config.yaml: benchmarks.photodigits_small_resnet"
    assert messages[0] == (
        "there are two files of this name: remove benchmarks/photodigits_small_resnet.yaml or "
        "paper/photodigits_small_resnet.yaml"
    )
