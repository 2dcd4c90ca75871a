"""`sc2 plan`: hours and storage follow from what was measured, and what was not is said."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sc2.cli import main
from sc2.commands import measure as measuring
from sc2.commands import measured as measurements
from sc2.commands.measure import measure
from sc2.commands.measured import Measured, read_measured, typical
from sc2.commands.plan import Amount, Plan
from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.errors import ConfigError, DataError
from sc2.jobs.workload import exports, training_size, workload
from sc2.runs import step_time as step_times
from sc2.runs.step_time import TIMED, WARM, step_flops, step_time, tensor_bytes
from sc2.tasks import get_task
from sc2.training.recipe import Recipe, Terms
from sc2.training.stopping import Stopped
from tests.configuration import put
from tests.planning import NAME, load_small

ROOT = Path(__file__).parents[2]
HERE = {"cpu": "a processor", "cores": 2, "memory_gib": 4.0, "gpus": ["a GPU"]}
DATA = "photodigits"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two points of a student in two phases, with two seeds, beside two codecs."""
    return load_small(tmp_path)


def student_steps(config: Config, seconds: float) -> Measured:
    steps = {work.key: {"seconds": seconds, "checkpoint_bytes": 10**9} for work in workload(config)}
    sizes = {f"{name}/{method}/{curve}": 2 * 10**9 for name, method, curve, _ in exports(config)}
    return Measured(HERE, steps, sizes)


def test_hours_are_steps_times_their_time(config: Config, tmp_path: Path) -> None:
    plan = Plan(config, tmp_path, student_steps(config, 0.5), {DATA: 1000})
    phases: Any = config.benchmarks[NAME].methods["entropic_student"]
    expected = 0.0
    for point in phases.points:
        for phase in ("distill", "finetune"):
            params = phases.phase(phase, point)
            expected += 2 * params.epochs * (1000 // params.batch_size) * 0.5 / 3600
    assert plan.hours(plan.works).value == pytest.approx(expected)
    assert plan.hours(plan.works).unknown == 0
    # Four runs with two checkpoints of 1 GB, and exports of 2 GB; the codecs have exports alone.
    assert plan.storage(NAME, "entropic_student") == Amount(4 * 2 * 1.0 + 4 * 2.0)
    assert plan.storage(NAME, "jpeg") == Amount(2 * 2.0)
    text = plan.text()
    assert "8 runs of 3 methods on 1 benchmarks, with 8 trainings" in text
    steps = sum(
        2 * phases.phase(phase, point).epochs * (1000 // phases.phase(phase, point).batch_size)
        for point in phases.points
        for phase in ("distill", "finetune")
    )
    [row] = [line.split() for line in text.splitlines() if line.split()[1:2] == ["entropic_student"]]
    assert row[-3] == f"{steps:,}"
    assert "hours: of training on a GPU, as measured" in text
    assert "not known" not in text


def test_operations_of_steps_that_are_not_timed_give_hours_at_a_speed(config: Config, tmp_path: Path) -> None:
    counted = student_steps(config, 0.5)
    for step in counted.steps.values():
        step["image_flops"] = 3 * 10**9
        del step["seconds"]
    works = [work for work in workload(config) if work.epochs]
    one = works[0].key
    timed, others = ([work for work in works if (work.key == one) == same] for same in (True, False))
    steps = {id(work): len(work.runs) * work.epochs * (1000 // work.batch_size) for work in works}
    at_speed = sum(steps[id(work)] * work.batch_size * 3e9 / 2e12 / 3600 for work in others)
    plan = Plan(config, tmp_path, counted, {DATA: 1000}, tflops=2)
    assert plan.hours(others).value == pytest.approx(at_speed)
    hours = "hours: of training on a device that does 2 TFLOP/s, from the operations of steps that are not timed"
    assert hours in plan.text()
    assert "as measured" not in plan.text()
    # What is timed is not computed, and without a speed nothing is.
    counted.steps[one]["seconds"] = 0.5
    both = Plan(config, tmp_path, counted, {DATA: 1000}, tflops=2)
    as_timed = sum(steps[id(work)] * 0.5 / 3600 for work in timed)
    assert both.hours(both.works).value == pytest.approx(as_timed + at_speed)
    assert {"hours: of training on a GPU, as measured", hours} <= set(both.text().splitlines())
    assert Plan(config, tmp_path, counted, {DATA: 1000}).hours(others).unknown == sum(len(work.runs) for work in others)


def test_what_is_not_measured_is_said_and_not_invented(config: Config, tmp_path: Path) -> None:
    text = Plan(config, tmp_path, None).text()
    assert "hours: nothing is measured" in text
    [row] = [line.split() for line in text.splitlines() if line.split()[1:2] == ["entropic_student"]]
    assert row[-3:] == ["?", "?", "?"]
    assert f"the number of training images of {DATA}: prepare the data (snakemake data)" in text
    assert f"--images {DATA}=COUNT" in text
    kinds = len(workload(config))
    assert f"of {kinds} of {kinds} kinds of training: on the machine that will train" in text


def test_a_sum_with_an_unknown_part_shows_both(config: Config, tmp_path: Path) -> None:
    half = student_steps(config, 0.5)
    first = next(iter(half.steps))
    half.steps[first] = {"problem": "a batch of 16 does not fit into the memory of the GPU"}
    plan = Plan(config, tmp_path, half, {DATA: 1000})
    total = plan.hours(plan.works)
    assert total.value > 0
    assert total.unknown > 0
    assert str(total).endswith(" + ?")
    assert f"{first}: a batch of 16 does not fit" in plan.text()
    assert [str(amount) for amount in (Amount(), Amount(1.234), Amount(123.4), Amount(0, 2))] == [
        "0",
        "1.23",
        "123",
        "?",
    ]


def test_trainings_that_were_done_as_planned_give_their_time(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = workload(config)[0]
    planned = config.benchmarks[NAME].methods[work.method].phase(work.phase, work.runs[0].point).model_dump(mode="json")
    seconds = {"seed0": 100.0, "seed1": 300.0}
    for run in work.runs:
        path = tmp_path / "train" / measurements.folder_of(run) / f"{work.phase}.prov.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    def recorded(path: Path) -> Any:
        spec = {"phase": planned | ({"epochs": 99} if path.parent.name == "seed1" else {})}
        return SimpleNamespace(seconds=seconds[path.parent.name], spec=spec, hardware=HERE)

    monkeypatch.setattr(measurements, "read_record", recorded)
    plan = Plan(config, tmp_path, None)
    # Those with other parameters do not count.
    assert plan.hours([work]).value == pytest.approx(len(work.runs) * 100 / 3600)
    assert "the number of training images" in plan.text()


def test_the_machine_of_most_trainings_counts() -> None:
    assert typical([]) is None
    assert typical([(1.0, "a"), (9.0, "b"), (3.0, "a")]) == (2.0, "a")


def test_prepared_data_say_how_many_images_there_are(config: Config, tmp_path: Path) -> None:
    meta = tmp_path / "data" / DATA / "meta.json"
    meta.parent.mkdir(parents=True)
    splits = {split: {"images": number, "sha256": "0"} for split, number in (("train", 640), ("val", 1), ("test", 1))}
    meta.write_text(json.dumps({"name": DATA, "classes": ["a"], "splits": splits}))
    assert Plan(config, tmp_path, None).images == {DATA: 640}
    meta.write_text("{")
    assert Plan(config, tmp_path, None).images == {DATA: None}


def test_files_that_are_there_are_weighed(config: Config, tmp_path: Path) -> None:
    run = workload(config)[0].runs[0]
    for stage, names in (("train", ("distill.pt", "finetune.pt")), ("export", ("device.pt", "server.pt"))):
        folder = tmp_path / stage / measurements.folder_of(run)
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(bytes(1000))
    # One run of four has its files.
    assert Plan(config, tmp_path, None).storage(NAME, "entropic_student") == Amount(4000 / 1e9, 3 * 2 + 3)


def test_the_papers_grid_is_planned_without_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from sc2.cli import main\n"
        "assert main(['plan', '--config', sys.argv[1], '--images', 'ilsvrc2012=1271167']) == 0\n"
        "assert not {'torch', 'torchvision', 'timm'} & set(sys.modules), sys.modules.keys()\n"
    )
    path = ROOT / "config/paper.yaml"
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "549 runs of 16 methods on 10 benchmarks, with 244 trainings" in done.stdout
    assert "encoders and codecs of ilsvrc2012_resnet50: in 167 runs elsewhere" in done.stdout
    assert "longest chain: 4 trainings one after another" in done.stdout
    assert "the number of training images of coco2017, voc2012:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "photodigits"], "must be the name of a data set and a number"),
        (["--images", "photodigits=0"], "must be the name of a data set and a number"),
        (["--images", "imagenet=5"], "no such data set here; there are: photodigits"),
        (["--measured", "nowhere.json"], "no measurements"),
        (["--tflops", "0"], "--tflops 0: must be more than 0"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", str(ROOT / "config/config.yaml"), *arguments]) == 2
    assert message in capsys.readouterr().err


# Measuring


class Weight(nn.Module):
    """A number that counts the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))


def one_weight_recipe(model: Weight, step: Callable[[Tensor, Any], Terms] | None = None) -> Recipe:
    return Recipe(
        model=model,
        trained=[model],
        step=step or (lambda images, targets: {"loss": -model.w.sum()}),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        learning_rate=lambda step, total: 1.0,
        epochs=3,
        batch_size=2,
        validate=lambda images, targets: {},
    )


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_the_time_of_a_step_is_that_of_the_real_loop(task: str) -> None:
    model, seen = Weight(), []

    def step(images: Tensor, targets: Any) -> Terms:
        seen.append((tuple(images.shape), len(targets)))
        time.sleep(0.02 if len(seen) > WARM else 0.2)  # the first steps do not count
        return {"loss": -model.w.sum()}

    recipe = one_weight_recipe(model, step)
    found = step_time(recipe, get_task(task), (48, 32), 3)
    assert 0.02 <= found.seconds < 0.15
    assert found.checkpoint_bytes == 4
    assert seen == [((2, 3, 32, 48), 2)] * (WARM + TIMED)
    assert model.w.item() == WARM + TIMED


def test_operations_of_a_step_are_counted_forwards_and_backwards_per_image() -> None:
    """By hand: of both trained layers forwards and for the weights, of the second for its input; of a frozen one."""
    trained = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.Linear(5, 2))
    frozen = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 7)).requires_grad_(requires_grad=False)
    recipe = Recipe(
        model=trained,
        trained=[trained],
        step=lambda images, targets: {"loss": trained(images).sum() + frozen(images).sum()},
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        learning_rate=lambda step, total: 1.0,
        epochs=3,
        batch_size=64,
        validate=lambda images, targets: {},
        frozen=[frozen],
    )
    macs = 2 * (192 * 5) + 3 * (5 * 2) + 192 * 7
    assert step_flops(recipe, get_task("classification"), (8, 8), 3) == 2 * macs


def test_sizes_and_operations_are_those_of_any_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, path = load_small(tmp_path), tmp_path / "steps.json"
    monkeypatch.setattr(measuring, "untrained_recipe", lambda *given: one_weight_recipe(Weight()))
    monkeypatch.setattr(measuring, "exports", lambda config: iter(()))
    keys = {work.key for work in workload(config)}
    measure(config, path, [], times=False)
    sizes = read_measured(path)
    assert sizes.steps == {key: {"checkpoint_bytes": 4, "image_flops": 0} for key in keys}
    # Another machine takes them over, and times what it lacks.
    sizes.hardware["cores"] = 10**6
    sizes.save(path)
    measure(config, path, [], times=False)
    assert read_measured(path).steps == sizes.steps
    measure(config, path, [])
    assert all(step["seconds"] > 0 for step in read_measured(path).steps.values())


def test_bytes_of_tensors_are_added_up() -> None:
    content = {"a": torch.zeros(3), "b": [torch.zeros(2, dtype=torch.int8), {"c": (torch.zeros(1),)}], "d": "text"}
    assert tensor_bytes(content) == 12 + 2 + 4


def test_every_kind_of_training_of_the_three_tasks_is_measured_and_a_file_goes_on(tmp_path: Path) -> None:
    config, path = load_config(ROOT / "config/quick.yaml"), tmp_path / "steps.json"
    measure(config, path, ["photodigits_quick_detection"])
    first = read_measured(path)
    assert {key.split("/")[0] for key in first.steps} == {"photodigits_quick_detection"}
    changed = read_measured(path)
    for step in changed.steps.values():
        step["seconds"] = 123.0
    changed.save(path)
    measure(config, path, [])
    whole = read_measured(path)
    assert set(whole.steps) == {work.key for work in workload(config)}
    assert {key: step["seconds"] for key, step in whole.steps.items() if key in first.steps} == dict.fromkeys(
        first.steps, 123.0
    )
    names = ("seconds", "checkpoint_bytes", "image_flops")
    assert all(step[name] > 0 for step in whole.steps.values() for name in names)
    assert set(whole.export_bytes) == {f"{name}/{method}/{curve}" for name, method, curve, _ in exports(config)}
    with pytest.raises(ConfigError, match="runs no benchmark nowhere; it has: photodigits_quick"):
        measure(config, path, ["nowhere"])
    whole.hardware["cores"] = 10**6
    assert not whole.of_machine({**whole.hardware, "cores": 1})
    whole.save(path)
    with pytest.raises(ConfigError, match="was measured on another machine"):
        measure(config, path, [])
    path.write_text('{"format": 2}')
    with pytest.raises(DataError, match="no measurements"):
        read_measured(path)


def test_the_largest_training_input(config: Config) -> None:
    papers = load_config(ROOT / "config/paper.yaml").benchmarks
    assert training_size(config.benchmarks[NAME]) == (64, 64)
    assert training_size(papers["coco2017_fasterrcnn_resnet50"]) == (1344, 832)
    assert training_size(papers["voc2012_deeplabv3_resnet50"]) == (576, 576)
    assert training_size(papers["ilsvrc2012_hybrid_vit"]) == (224, 224)


def test_steps_of_a_gpu_are_those_of_the_same_gpu_elsewhere() -> None:
    found = Measured(HERE)
    assert found.of_machine({**HERE, "cores": 64, "memory_gib": 128.0})
    assert not found.of_machine({**HERE, "gpus": ["a GPU", "a GPU"]})
    assert not found.of_machine({**HERE, "gpus": []})


def test_other_arithmetic_is_measured_apart(tmp_path: Path) -> None:
    plain = [work.key for work in workload(load_small(tmp_path))]
    for asked, suffix in (({"precision": "bf16", "compile": True}, "/bf16-compile"), ({"gpus": 2}, "")):
        config = load_small(tmp_path, {"config.yaml": put("compute", asked)})
        assert [work.key for work in workload(config)] == [key + suffix for key in plain]


def test_slow_steps_are_timed_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 100, 7))
    monkeypatch.setattr(step_times, "_now", lambda computing: float(next(now)))
    model = Weight()
    assert step_time(one_weight_recipe(model), get_task("classification"), (32, 32), 3).seconds == 7.0
    # Two of 7 s are more than the 10 s that are enough.
    assert model.w.item() == WARM + 2


def test_a_failure_is_written_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, path = load_small(tmp_path), tmp_path / "steps.json"
    first, *rest = dict.fromkeys(work.key for work in workload(config))
    asked: list[str] = []

    def recipe(of: Any, benchmark: Any, method: Any, phase: str, point: str) -> Any:
        asked.append(phase)
        if phase == "distill":
            raise RuntimeError("cuDNN has no algorithm\nand says so at length")
        if len(asked) == 2:
            raise Stopped("stopped by SIGTERM")
        return one_weight_recipe(Weight())

    monkeypatch.setattr(measuring, "untrained_recipe", recipe)
    monkeypatch.setattr(measuring, "exports", lambda config: iter(()))
    problem = {"problem": "failed with RuntimeError: cuDNN has no algorithm"}
    with pytest.raises(Stopped):
        measure(config, path, [])
    assert read_measured(path).steps == {first: problem}
    # It goes on after what is there, problems included.
    measure(config, path, [])
    steps = read_measured(path).steps
    assert (steps.pop(first), list(steps)) == (problem, rest)
    assert all(step["seconds"] > 0 for step in steps.values())
    assert asked == ["distill", "finetune", "finetune"]
    assert f"{first}: {problem}" in capsys.readouterr().err
