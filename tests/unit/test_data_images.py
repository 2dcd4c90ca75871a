import numpy as np
import pytest
import torch

from sc2.data import images
from sc2.data.images import ImageTensors, batches
from sc2.data.photodigits import open_dataset
from sc2.data.source import SPLITS
from sc2.data.store import SampleStore, StoreWriter
from sc2.errors import DataError

SPEC = {"resize": 32, "crop": 28, "interpolation": "bilinear"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    paths = {"index": folder / "index.jsonl", "meta": folder / "meta.json"}
    paths |= {split: folder / f"{split}.tar" for split in SPLITS}
    source = open_dataset({"kind": "photodigits", "seed": 0, "images": {"train": 23, "val": 1, "test": 1}})
    with StoreWriter("small", source.classes, paths) as writer:
        for sample in source.samples:
            writer.add(sample)
    return SampleStore(paths["index"], paths["train"], "train")


@pytest.fixture
def dataset(store):
    return ImageTensors(store, SPEC)


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) and torch.equal(m, n) for (a, m), (b, n) in zip(one, other, strict=True)
    )


def run(dataset, size=5, **options):
    return list(batches(dataset, size, **({"seed": 1, "epoch": 0, "augment": {"flip": True}} | options)))


def test_items(dataset, store):
    image, label = dataset[3]
    assert (len(dataset), label) == (23, 3)
    assert (image.dtype, image.shape) == (torch.uint8, (3, 28, 28))
    expected = images.prepare_image(store.image(3), SPEC)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(expected))


def test_each_image_is_decoded_once_and_copies_are_handed_out(dataset, monkeypatch):
    calls = []
    prepare = images.prepare_image
    monkeypatch.setattr(images, "prepare_image", lambda image, spec: calls.append(1) or prepare(image, spec))
    first = run(dataset, seed=None)
    for image, _ in first:
        image.zero_()
    second = run(dataset, seed=None)
    assert len(calls) == 23
    assert all(image.any() for image, _ in second)


def test_a_large_split_is_not_kept_in_memory(dataset, store, monkeypatch):
    monkeypatch.setattr(images, "MEMORY_LIMIT", 1000)
    large = ImageTensors(store, SPEC)
    assert large._kept is None
    assert same(run(large), run(dataset))


def test_evaluation_takes_everything_in_order(dataset):
    found = run(dataset, seed=None)
    assert [len(labels) for _, labels in found] == [5, 5, 5, 5, 3]
    assert torch.cat([labels for _, labels in found]).tolist() == dataset.store.labels
    assert torch.equal(torch.cat([image for image, _ in found]), dataset.gather(range(23))[0])


def test_training_depends_on_seed_and_epoch_alone(dataset):
    torch.manual_seed(5)
    first = run(dataset)
    torch.manual_seed(6)
    assert same(first, run(dataset))
    assert [len(labels) for _, labels in first] == [5, 5, 5, 5]  # the rest of 3 is dropped
    for other in ({"epoch": 1}, {"seed": 2}, {"seed": 0, "epoch": 1}):
        assert not same(first, run(dataset, **other))
    assert not same(run(dataset, seed=0, epoch=1), run(dataset, seed=1, epoch=0))


def test_flips_mirror_some_images_and_keep_the_order(dataset):
    plain, flipped = run(dataset, augment={}), run(dataset)
    kinds = []
    for (one, labels), (other, same_labels) in zip(plain, flipped, strict=True):
        assert torch.equal(labels, same_labels)
        for image, maybe in zip(one, other, strict=True):
            kinds.append(torch.equal(image, maybe))
            assert torch.equal(image if kinds[-1] else image.flip(2), maybe)
    assert 0 < sum(kinds) < len(kinds)


def test_shifts_move_each_image_and_mirror_its_border(dataset):
    plain, shifted = run(dataset, augment={}), run(dataset, augment={"shift_px": 2})
    offsets = set()
    for (one, labels), (other, same_labels) in zip(plain, shifted, strict=True):
        assert torch.equal(labels, same_labels)
        for image, moved in zip(one, other, strict=True):
            padded = np.pad(image.numpy(), ((0, 0), (2, 2), (2, 2)), mode="reflect")
            windows = {(y, x): padded[:, y : y + 28, x : x + 28] for y in range(5) for x in range(5)}
            found = [at for at, window in windows.items() if np.array_equal(window, moved.numpy())]
            assert found
            offsets.add(found[0])
    assert len(offsets) > 5


def test_fewer_images_than_one_batch_is_an_error(dataset):
    with pytest.raises(DataError, match="fewer than one batch of 24"):
        run(dataset, 24)
