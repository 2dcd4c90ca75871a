"""Batches that worker processes make: the same, in the same order, from any one on, in parts."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sc2.data import images
from sc2.data.images import ImageTensors, batches
from sc2.data.loader import wanted_workers
from sc2.data.spec import Augmentation, ResizedCrop, ScaledCrop, SizeSpec
from sc2.data.store import SampleStore
from sc2.errors import ConfigError, DataError
from sc2.tasks import get_task
from tests.dense import store_of, write_scenes

SQUARE = SizeSpec(resize=48, crop=32)
WHOLE = SizeSpec(fit="whole", resize=48, multiple=16)
CROPPED = Augmentation(flip=True, shift_px=2, resized_crop=ResizedCrop())
SCALED = Augmentation(flip=True, scaled_crop=ScaledCrop(short_side=(40, 60), side=32))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SampleStore:
    """23 scenes of several sizes."""
    paths = write_scenes(tmp_path_factory.mktemp("scenes"), (23, 1, 1), lambda index: (64 + 8 * (index % 3), 72))
    return store_of(paths)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return vars(one).keys() == vars(other).keys() and all(equal(vars(one)[key], vars(other)[key]) for key in vars(one))


def epoch(store: SampleStore, task: str, spec: SizeSpec, **options: Any) -> list[tuple[Tensor, Any]]:
    chosen: dict[str, Any] = {"seed": 3, "epoch": 1} | options
    return list(batches(ImageTensors(store, spec, get_task(task)), 5, **chosen))


@pytest.mark.parametrize(
    ("task", "spec", "augment"),
    [("classification", SQUARE, CROPPED), ("segmentation", WHOLE, SCALED), ("segmentation", WHOLE, Augmentation())],
)
def test_batches_do_not_depend_on_the_number_of_workers(
    store: SampleStore, task: str, spec: SizeSpec, augment: Augmentation
) -> None:
    """Nor do the random numbers that the training draws while it reads them."""
    results = []
    for workers in (0, 1, 2):
        torch.manual_seed(5)
        found = epoch(store, task, spec, augment=augment, workers=workers)
        results.append((found, torch.rand(3)))
    assert len(results[0][0]) == 4
    assert equal(results[0], results[1])
    assert equal(results[0], results[2])
    assert not equal(results[0][0], epoch(store, task, spec, augment=augment, epoch=2))


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_with_workers_takes_everything_in_order(store: SampleStore, workers: int) -> None:
    found = epoch(store, "segmentation", WHOLE, seed=None, workers=workers)
    assert [len(batch) for batch, _ in found] == [5, 5, 5, 5, 3]
    assert equal(found, epoch(store, "segmentation", WHOLE, seed=None))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("augment", [CROPPED, Augmentation(flip=True, shift_px=1)])
def test_an_epoch_can_start_at_any_batch(store: SampleStore, workers: int, augment: Augmentation) -> None:
    whole = epoch(store, "classification", SQUARE, augment=augment)
    for start in (0, 1, 3, 4, 9):
        assert equal(
            epoch(store, "classification", SQUARE, augment=augment, start=start, workers=workers), whole[start:]
        )


def test_what_comes_before_the_start_is_not_read(store: SampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read, image = [], SampleStore.image

    def counted(store: SampleStore, i: int) -> Any:
        read.append(i)
        return image(store, i)

    monkeypatch.setattr(SampleStore, "image", counted)
    epoch(store, "classification", SQUARE, augment=CROPPED, start=3)
    assert len(read) == 5


@pytest.mark.parametrize("augment", [CROPPED, Augmentation(flip=True, shift_px=1)])
def test_parts_make_up_the_batch(store: SampleStore, augment: Augmentation) -> None:
    whole = epoch(store, "classification", SQUARE, augment=augment)
    for of in (1, 2, 3):
        parts = [epoch(store, "classification", SQUARE, augment=augment, part=(number, of)) for number in range(of)]
        together = [tuple(torch.cat(values) for values in zip(*some, strict=True)) for some in zip(*parts, strict=True)]
        assert equal(together, whole)


def test_a_split_in_memory_needs_no_workers(store: SampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(images, "loaded", fails)
    assert len(epoch(store, "classification", SQUARE, augment=Augmentation(flip=True), workers=2)) == 4
    monkeypatch.setattr(images, "MEMORY_LIMIT", 1000)
    with pytest.raises(AssertionError, match="a worker was started"):
        epoch(store, "classification", SQUARE, augment=Augmentation(flip=True), workers=2)


def test_a_damaged_image_ends_the_training_with_its_name(tmp_path: Path) -> None:
    """In a worker as in the training's own process: not with a traceback."""
    paths = write_scenes(tmp_path, (8, 1, 1))
    damaged = store_of(paths)
    content = bytearray(damaged.tar.read_bytes())
    content[damaged.samples[3].offset + 100] ^= 1
    damaged.tar.write_bytes(content)
    messages = set()
    for workers in (0, 2):
        with pytest.raises(DataError) as raised:
            epoch(damaged, "classification", SQUARE, augment=CROPPED, workers=workers)
        messages.add(str(raised.value))
    [message] = messages
    assert "000003.ppm does not match the index" in message or "000006.ppm" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(("value", "workers"), [(None, 0), ("", 0), ("0", 0), ("12", 12)])
def test_the_number_of_workers_is_in_the_environment(
    value: str | None, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SC2_WORKERS", raising=False)
    if value is not None:
        monkeypatch.setenv("SC2_WORKERS", value)
    assert wanted_workers() == workers


@pytest.mark.parametrize("value", ["-1", "two", "1.5", "٣"])
def test_another_number_of_workers_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SC2_WORKERS", value)
    with pytest.raises(ConfigError, match="SC2_WORKERS is"):
        wanted_workers()
