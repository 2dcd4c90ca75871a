"""`make grid-check`: which configurations it tries, what it makes for them, and that it notices what goes wrong."""

import json
import re
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sc2.backbones.spec import BackboneSpec
from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.data import coco, image_folder, voc
from sc2.errors import CheckpointError, ConfigError
from sc2.jobs.plan import Run
from sc2.jobs.workload import workload
from sc2.teachers.spec import PublishedWeights
from sc2.training import driver
from sc2.training.recipe import Recipe
from tests.grid import page
from tests.grid.check import Check
from tests.grid.layouts import cut_index, with_small_crops, write_layout
from tests.grid.plan import PAGE, SLICES, chosen, commits, name_of, sources, trained_runs
from tests.grid.slices import balanced, curve_of, measured
from tests.grid.trial import Trial, watched
from tests.grid.weights import codec_state, teacher_state

CHEAP = "ilsvrc2012_resnet50/channel_reduction_quantization/12"


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(Path(__file__).parents[2] / "config" / "paper.yaml")


# Which configurations


def test_every_training_of_the_grid_is_tried(config: Config) -> None:
    tried = {name_of(run) for run in trained_runs(config)}
    assert tried == {f"{run.benchmark}/{run.method}/{run.point}" for work in workload(config) for run in work.runs}
    assert len(tried) > 200


def test_a_run_file_that_trains_its_teachers_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match="photodigits_quick_small_resnet trains its teacher"):
        trained_runs(load_config(root / "config" / "quick.yaml"))


def test_the_slices_are_the_whole_and_take_as_long(config: Config) -> None:
    runs = trained_runs(config)
    seconds = measured(PAGE)
    assert len(set(seconds) & {curve_of(run) for run in runs}) > 20
    slices = [chosen(runs, [], f"{number}/{SLICES}") for number in range(SLICES)]
    assert Counter(run for part in slices for run in part) == Counter(runs)
    usual = mean(seconds.values())
    times = [[seconds.get(curve_of(run), usual) for run in part] for part in slices]
    loads = list(map(sum, times))
    # Each run went to the slice that had the least: what was added last is all that the fullest can be ahead.
    assert max(loads) - min(loads) <= max(part[-1] for part in times)
    # Longest first, so that two processes end at about the same time.
    assert all(part == sorted(part, reverse=True) for part in times)


def test_seconds_are_read_from_the_table_and_what_is_new_counts_as_the_mean(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "| benchmark | method | points | passed | images in a step, by phase | processor time, s | most memory, MiB |\n"
        "|---|---|---|---:|---|---:|---:|\n"
        "| `ilsvrc2012_resnet50` | `end_to_end` | 1, 2 | 2 of 2 | 256 → 2 | 6 … 9 | 1,919 |\n"
        "| `ilsvrc2012_resnet50` | `fine_tuned_split`, layer4 | 1 | 1 of 1 | 64 → 2, 128 → 2 | 1 | 1,917 |\n"
        "| `ilsvrc2012_resnet50` | `entropic_student` | 1 | 0 of 1 | 64 → 2 |  |  |\n"
    )
    seconds = measured(page)
    assert seconds == {
        ("ilsvrc2012_resnet50", "end_to_end", ""): 7.5,
        ("ilsvrc2012_resnet50", "fine_tuned_split", "layer4"): 1.0,
    }
    long = [Run("ilsvrc2012_resnet50", "end_to_end", point, "0") for point in "ab"]
    new = [Run("ilsvrc2012_resnet50", "entropic_student", point, "0") for point in "ab"]
    short = [Run("ilsvrc2012_resnet50", "fine_tuned_split", f"layer4_{number}", "0") for number in range(3)]
    # 7.5 + 4.25 + 1 and 7.5 + 4.25 + 2 × 1: by hand, longest first, the emptier one, the first of two.
    assert balanced([*short, *new, *long], seconds, 2) == [
        [long[0], new[0], short[0], short[2]],
        [long[1], new[1], short[1]],
    ]
    assert balanced(short, {}, 2) == [[short[0], short[2]], [short[1]]]


def test_the_slice_of_a_commit_follows_that_of_the_one_before(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = trained_runs(config)
    monkeypatch.setattr("tests.grid.plan.commits", lambda: 2 * SLICES + 5)
    assert chosen(runs, [], "commit") == chosen(runs, [], f"5/{SLICES}")


def test_commits_are_counted_where_the_history_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.grid.plan.ROOT", tmp_path / "whole")
    with pytest.raises(ConfigError, match="choose a slice yourself"):
        commits()
    git = partial(subprocess.run, check=True, capture_output=True)
    git(["git", "init", "-q", str(tmp_path / "whole")])
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for number in range(3):
        git(["git", "-C", str(tmp_path / "whole"), *identity, "commit", "-q", "--allow-empty", "-m", str(number)])
    assert commits() == 3
    git(["git", "clone", "-q", "--depth", "1", f"file://{tmp_path / 'whole'}", str(tmp_path / "shallow")])
    monkeypatch.setattr("tests.grid.plan.ROOT", tmp_path / "shallow")
    head = git(["git", "-C", str(tmp_path / "whole"), "rev-parse", "HEAD"]).stdout
    assert commits() == int(head, 16) > 2**32


@pytest.mark.parametrize("part", ["12/12", "x", "3", "-1/12"])
def test_a_slice_that_does_not_exist_is_refused(config: Config, part: str) -> None:
    with pytest.raises(ConfigError, match="no slice"):
        chosen(trained_runs(config), [], part)


def test_runs_are_chosen_by_the_start_of_their_names(config: Config) -> None:
    runs = trained_runs(config)
    assert {run.benchmark for run in chosen(runs, ["coco", CHEAP], None)} == {
        "coco2017_fasterrcnn_resnet50",
        "ilsvrc2012_resnet50",
    }
    with pytest.raises(ConfigError, match="no training is called imagenet"):
        chosen(runs, ["imagenet"], None)


def test_what_a_run_takes_its_encoder_from_comes_with_it(config: Config) -> None:
    run = Run("coco2017_fasterrcnn_resnet50", "end_to_end", "1.28e-8", "0")
    assert [source.benchmark for source in sources(config, run)] == [run.benchmark, "ilsvrc2012_resnet50"]


# What is made


@pytest.mark.parametrize(
    ("name", "kind", "classes", "counts"),
    [
        ("ilsvrc2012", image_folder, 1000, {"train": 1000, "val": 1000, "test": 2}),
        ("coco2017", coco, 80, {"train": 4, "val": 1, "test": 2}),
        ("voc2012", voc, 20, {"train": 4, "val": 1, "test": 2}),
    ],
)
def test_layouts_are_read_as_the_real_ones(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: Any, classes: int, counts: Any
) -> None:
    monkeypatch.setenv("SC2_DATA", str(tmp_path))
    content = write_layout(config.datasets[name], tmp_path / name, 4)
    source = kind.open_dataset(content)
    assert len(source.classes) == classes
    assert source.counts == counts
    assert Counter(sample.split for sample in source.samples) == counts
    planned = config.datasets[name].model_dump(mode="json")
    assert {key for key in planned if content[key] != planned[key]} <= {"source", "val_images", "val_per_class"}


def test_segmentation_alone_sees_smaller_crops(config: Config) -> None:
    small = with_small_crops(config)
    changed = {name for name in config.benchmarks if small.benchmarks[name] != config.benchmarks[name]}
    assert changed == {name for name in config.benchmarks if name.startswith("voc2012_")}
    planned, tried = (all_.benchmarks["voc2012_deeplabv3_resnet50"].config for all_ in (config, small))
    differences = {name for name, value in tried.model_dump().items() if value != planned.model_dump()[name]}
    assert differences == {"input", "augment"}
    sides = [(each.input.resize, each.augment.scaled_crop) for each in (planned, tried)]
    assert [resize for resize, _ in sides] == [513, 257]
    assert [(crop.short_side, crop.side) for _, crop in sides if crop] == [((256, 1026), 513), ((128, 513), 257)]


def test_a_layout_that_is_not_known_is_refused(root: Path, tmp_path: Path) -> None:
    generated = load_config(root / "config" / "quick.yaml").datasets["photodigits_quick"]
    with pytest.raises(LookupError, match="photodigits"):
        write_layout(generated, tmp_path / "made", 4)


def test_an_index_is_cut_to_a_few_images(tmp_path: Path) -> None:
    splits = ["train"] * 5 + ["val"] * 3 + ["test"] * 2
    whole = tmp_path / "index.jsonl"
    whole.write_text("".join(json.dumps({"split": split, "id": str(at)}) + "\n" for at, split in enumerate(splits)))
    cut = cut_index(whole, tmp_path / "cut.jsonl", 2)
    assert [json.loads(line)["id"] for line in cut.read_text().splitlines()] == ["0", "1", "5", "8", "9"]


def test_weights_are_random_and_those_of_the_library_otherwise() -> None:
    published = PublishedWeights(source="torchvision", weights="IMAGENET1K_V1", sha256=None)
    state = teacher_state(published, BackboneSpec(name="resnet", args={"depth": 18}))
    assert state["fc.weight"].shape == (1000, 512)
    # One batch of noise: its own statistics, not the initial 0 and 1.
    assert float(state["layer4.1.bn2.running_mean"].abs().max()) > 1e-3
    dense = teacher_state(published, BackboneSpec(name="resnet", args={"depth": 50}), "deeplabv3_{}")
    assert {"classifier.4.weight", "aux_classifier.4.weight"} <= set(dense)


def test_codecs_are_those_of_compressais_zoo() -> None:
    zoo = "https://compressai.s3.amazonaws.com/models/v1/bmshj2018-factorized-prior-6-9b02ea3a.pth.tar"
    assert codec_state(zoo)["g_a.6.weight"].shape == (320, 192, 5, 5)
    with pytest.raises(CheckpointError, match="publishes no image codec at"):
        codec_state(zoo.replace("prior-6", "prior-9"))


# What is noticed


class _Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.moving, self.still = nn.Linear(1, 1), nn.Linear(1, 1)


def _recipe(network: _Two, lr: float) -> Recipe:
    def step(images: Tensor, targets: Any) -> dict[str, Tensor]:
        return {"loss": network.moving(network.still(images.mean((1, 2, 3))[:, None])).square().mean() + 1}

    return Recipe(
        model=network,
        trained=[network.moving],
        step=step,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=lr),
        learning_rate=lambda step, total: 1.0,
        epochs=1,
        batch_size=1,
        validate=lambda images, targets: {"loss": torch.tensor(0.0)},
        frozen=[network.still],
    )


def _fit(recipe: Recipe, folder: Path, batches: int = 2) -> None:
    def some(epoch: int, start: int = 0) -> Any:
        return ((torch.ones(1, 3, 2, 2), [0]) for _ in range(start, batches))

    # As the driver calls it: that is where it is watched.
    fit = vars(driver)["fit"]
    fit(recipe, some, some, seed=0, state_path=folder / "state.pt", label="x", steps_per_epoch=batches)


def test_a_training_as_it_should_be_passes(tmp_path: Path) -> None:
    with watched(2):
        _fit(_recipe(_Two(), 0.1), tmp_path)


def test_too_few_steps_are_noticed(tmp_path: Path) -> None:
    with watched(2), pytest.raises(AssertionError, match="1 steps instead of 2"):
        _fit(_recipe(_Two(), 0.1), tmp_path, batches=1)


def test_a_training_that_changes_nothing_is_noticed(tmp_path: Path) -> None:
    with watched(2), pytest.raises(AssertionError, match="0 of 2 tensors changed in 2 steps"):
        _fit(_recipe(_Two(), 0.0), tmp_path)


def test_a_change_of_what_is_frozen_is_noticed(tmp_path: Path) -> None:
    network = _Two()
    recipe = _recipe(network, 0.1)

    def finish() -> None:
        network.still.bias.data.add_(1)

    recipe.finish = finish
    with watched(2), pytest.raises(AssertionError, match="what is frozen has changed"):
        _fit(recipe, tmp_path)


def test_a_failure_is_kept_shown_and_tried_again(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = next(run for run in trained_runs(config) if name_of(run) == CHEAP)
    table = tmp_path / "page.md"
    table.write_text("<!-- begin: written by `make grid-check` -->\n<!-- end: written by `make grid-check` -->\n")

    def fails(self: Trial, run: Run, folder: Path) -> None:
        raise ValueError("a `reason`")

    for name in ("prepare", "fetch"):
        monkeypatch.setattr(Trial, name, lambda self, name, folder: None)
    monkeypatch.setattr(Trial, "run", fails)
    for _ in range(2):
        check = Check(config, 2, tmp_path / "grid")
        results = check.run([run], workers=1)
        assert [result.name for result in results if result.problem] == [CHEAP]
        assert "ValueError: a `reason`" in results[-1].problem
    told = check.failure(results[-1])
    assert told.startswith(f"{CHEAP}: ")
    # What it wrote to its log, with where it failed.
    assert "logs/ilsvrc2012_resnet50_channel_reduction_quantization_12.log:" in told
    assert "in fails\n" in told
    assert told.endswith("ValueError: a `reason`")
    page.write(table, check, trained_runs(config), "commit 0", {"cpu": "c", "cores": 2, "memory_gib": 8})
    text = table.read_text()
    assert re.search(r"0 of 20\d configurations passed, 1 failed, 20\d were not tried", text)
    assert "0 of 6 | 64 → 2 |" in text
    assert "a 'reason'" in text
    monkeypatch.setattr(Trial, "run", lambda self, run, folder: None)
    capsys.readouterr()
    assert not any(result.problem for result in Check(config, 2, tmp_path / "grid").run([run], workers=1))
    assert f"1/1 {CHEAP}: passed" in capsys.readouterr().out
    Check(config, 2, tmp_path / "grid").run([run], workers=1)
    assert CHEAP not in capsys.readouterr().out


@pytest.mark.timeout(900)
def test_one_configuration_for_real(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.grid", "--workers", "1", "--folder", str(tmp_path / "grid"), CHEAP]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.search(rf"{CHEAP}: passed, \d+ s, \d+ s of a processor, [\d,]+ MiB", done.stdout)
    assert not list((tmp_path / "grid" / "work").iterdir())
