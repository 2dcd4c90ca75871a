import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sc2.data import images
from sc2.data.blobs import Blobs
from sc2.data.geometry import Placement
from sc2.data.images import UNCHANGED, ImageTensors, Plan, batches
from sc2.data.photodigits import open_dataset
from sc2.data.source import SPLITS, Box, NewSample
from sc2.data.spec import Augmentation, SizeSpec
from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.data.writer import StoreWriter
from sc2.errors import DataError
from sc2.tasks import get_task
from sc2.tasks.classification import TASK as CLASSES
from tests.dense import store_of, write_scenes

SPEC = SizeSpec(resize=32, crop=28)
FLIP, SHIFT, BOTH = Augmentation(flip=True), Augmentation(shift_px=2), Augmentation(flip=True, shift_px=2)


def written(folder, classes, samples):
    paths = {"index": folder / "index.jsonl", "meta": folder / "meta.json"}
    paths |= {split: folder / f"{split}.tar" for split in SPLITS}
    with StoreWriter("small", classes, paths) as writer:
        for sample in samples:
            writer.add(sample)
    return SampleStore(paths["index"], paths["train"], "train")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    source = open_dataset({"kind": "photodigits", "seed": 0, "images": {"train": 23, "val": 1, "test": 1}})
    return written(tmp_path_factory.mktemp("store"), source.classes, source.samples)


@pytest.fixture
def dataset(store):
    return ImageTensors(store, SPEC, CLASSES)


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) and torch.equal(m, n) for (a, m), (b, n) in zip(one, other, strict=True)
    )


def run(dataset, size=5, **options):
    chosen: dict[str, Any] = {"seed": 1, "epoch": 0, "augment": FLIP} | options
    return list(batches(dataset, size, **chosen))


def test_items(dataset, store):
    image, label = dataset[3]
    assert (len(dataset), label) == (23, 3)
    assert (image.dtype, image.shape) == (torch.uint8, (3, 28, 28))
    expected = prepare_image(store.image(3), SPEC)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(expected))


def test_the_split_is_read_once_in_its_order_and_copies_are_handed_out(dataset, monkeypatch):
    opened, offsets = [], []
    opening, read = Blobs.opened, Blobs.read

    def counted(blobs):
        opened.append(blobs)
        return opening(blobs)

    def followed(blobs, file, blob):
        offsets.append(blob.offset)
        return read(blobs, file, blob)

    monkeypatch.setattr(Blobs, "opened", counted)
    monkeypatch.setattr(Blobs, "read", followed)
    first = run(dataset)
    for image, _ in first:
        image.zero_()
    second = run(dataset, seed=None)
    assert len(opened) == 1
    assert offsets == sorted({sample.offset for sample in dataset.store.samples})
    assert all(image.any() for image, _ in second)


def test_a_damaged_image_is_noticed_before_anything_is_trained(tmp_path):
    source = open_dataset({"kind": "photodigits", "seed": 0, "images": dict.fromkeys(SPLITS, 4)})
    damaged = written(tmp_path, source.classes, source.samples)
    content = bytearray(damaged.tar.read_bytes())
    content[damaged.samples[3].offset + 100] ^= 1
    damaged.tar.write_bytes(content)
    with pytest.raises(DataError, match=r"member 000003\.ppm does not match the index"):
        next(batches(ImageTensors(damaged, SPEC, CLASSES), 1, seed=None))


def one_at_a_time(dataset, size, *, seed, epoch, augment):
    """The batches of an epoch as they were made image by image, before whole batches were changed at once."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]))
    order, task = torch.randperm(len(dataset), generator=generator).tolist(), dataset.targets
    for start in range(0, len(order) - size + 1, size):
        mirrored, moves, images, targets = [False] * size, [(0, 0)] * size, [], []
        if augment.flip:
            mirrored = (torch.rand(size, generator=generator) < 0.5).tolist()
        if shift := augment.shift_px:
            starts = torch.randint(0, 2 * shift + 1, (size, 2), generator=generator).tolist()
            moves = [(shift - column, shift - row) for row, column in starts]
        for i, mirror, (x, y) in zip(order[start : start + size], mirrored, moves, strict=True):
            stored, target = dataset.store.image(i), task.target(dataset.store, i)
            place = Placement.of(stored.size, dataset.spec)
            image, target = np.asarray(prepare_image(stored, dataset.spec)), task.placed(target, place)
            if mirror:
                image, target = image[:, ::-1], task.mirrored(target, place.size[0])
            if x or y:
                wide = np.pad(image, ((abs(y), abs(y)), (abs(x), abs(x)), (0, 0)), mode="reflect")
                image = wide[abs(y) - y :, abs(x) - x :][: place.size[1], : place.size[0]]
                target = task.shifted(target, x, y, place.size)
            images.append(image.transpose(2, 0, 1))
            targets.append(task.padded(target, place.size))
        yield torch.from_numpy(np.stack(images)), task.collate(targets)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    return store_of(write_scenes(tmp_path_factory.mktemp("coloured"), (11, 1, 1)))


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("side", [64, 33])
@pytest.mark.parametrize("augment", [UNCHANGED, FLIP, SHIFT, Augmentation(flip=True, shift_px=70)])
@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_batches_are_those_of_single_images(coloured, task, augment, side, at_once, monkeypatch):
    monkeypatch.setattr(images, "MEMORY_LIMIT", 4 * 11 * side**2 - (not at_once))
    dataset = ImageTensors(coloured, SizeSpec(resize=side, crop=side), get_task(task))
    for epoch in range(2):
        options: dict[str, Any] = {"seed": 3, "epoch": epoch, "augment": augment}
        found, expected = (list(way(dataset, 3, **options)) for way in (batches, one_at_a_time))
        assert len(found) == len(expected) == 3
        for (one, targets), (other, others) in zip(found, expected, strict=True):
            assert torch.equal(one, other)
            assert one.is_contiguous()
            assert all(map(same_target, get_task(task).single(targets), get_task(task).single(others)))
    assert (dataset._whole is not None) == at_once


def same_target(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    return np.array_equal(one, other)


def test_an_image_of_one_row_is_shifted_along_it(tmp_path):
    pixels = np.arange(60, dtype=np.uint8).reshape(1, 20, 3)
    row = b"P6\n20 1\n255\n" + pixels.tobytes()
    dataset = ImageTensors(
        written(tmp_path, ("row",), (NewSample(split, "a", 0, row, ".ppm") for split in SPLITS)),
        SizeSpec(fit="whole", resize=1, longest=20),
        CLASSES,
    )
    for epoch in range(5):
        (found, _), *_ = batches(dataset, 1, seed=0, epoch=epoch, augment=SHIFT)
        wide = np.pad(pixels, ((0, 0), (2, 2), (0, 0)), mode="reflect")
        windows = [wide[:, start : start + 20].transpose(2, 0, 1) for start in range(5)]
        assert any(np.array_equal(found[0], window) for window in windows)


def test_a_large_split_is_not_kept_in_memory(dataset, store, monkeypatch):
    monkeypatch.setattr(images, "MEMORY_LIMIT", 3 * 28 * 28 * 2)
    large = ImageTensors(store, SPEC, CLASSES)
    assert same(run(large), run(dataset))
    assert len(large._kept) == 2


def test_evaluation_takes_everything_in_order(dataset):
    found = run(dataset, seed=None)
    assert [len(labels) for _, labels in found] == [5, 5, 5, 5, 3]
    assert torch.cat([labels for _, labels in found]).tolist() == dataset.store.labels
    assert torch.equal(torch.cat([image for image, _ in found]), dataset.made(Plan(range(23)))[0])


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
    plain, flipped = run(dataset, augment=UNCHANGED), run(dataset)
    kinds = []
    for (one, labels), (other, same_labels) in zip(plain, flipped, strict=True):
        assert torch.equal(labels, same_labels)
        for image, maybe in zip(one, other, strict=True):
            kinds.append(torch.equal(image, maybe))
            assert torch.equal(image if kinds[-1] else image.flip(2), maybe)
    assert 0 < sum(kinds) < len(kinds)


def test_shifts_move_each_image_and_mirror_its_border(dataset):
    plain, shifted = run(dataset, augment=UNCHANGED), run(dataset, augment=SHIFT)
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


def test_the_order_and_the_augmentation_are_drawn_as_ever(dataset):
    """What was drawn before there were other tasks than classification: a seed still means the same training."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence((1, 0)).generate_state(1)[0]))
    order = torch.randperm(23, generator=generator)
    for start, (found, labels) in zip(
        (0, 5, 10, 15), run(dataset, augment=Augmentation(flip=True, shift_px=3)), strict=True
    ):
        indices = order[start : start + 5].tolist()
        whole = torch.stack([dataset[i].image for i in indices])
        mirrored = torch.rand(5, generator=generator) < 0.5
        whole[mirrored] = whole[mirrored].flip(3)
        wide = torch.nn.functional.pad(whole.float(), [3] * 4, mode="reflect").to(torch.uint8)
        offsets = torch.randint(0, 7, (5, 2), generator=generator).tolist()
        expected = [image[:, y : y + 28, x : x + 28] for image, (y, x) in zip(wide, offsets, strict=True)]
        assert torch.equal(found, torch.stack(expected))
        assert labels.tolist() == [dataset.store.labels[i] for i in indices]


class Places:
    """The marked pixel of each image: the centre of its box in the input, and its mask."""

    def target(self, store, index):
        box = store.boxes(index)[0]
        return np.array([[box.x0, box.y0, box.x1, box.y1]]), np.asarray(store.mask(index))

    def placed(self, target, placement):
        return placement.boxes_in(target[0]), placement.mask_in(target[1], padding=255)

    def mirrored(self, target, width):
        x0, y0, x1, y1 = target[0][0]
        return np.array([[width - x1, y0, width - x0, y1]]), target[1][:, ::-1]

    def shifted(self, target, x, y, size):
        width, height = size
        wide = np.pad(target[1], 2, mode="reflect")
        return target[0] + [x, y, x, y], wide[2 - y : 2 - y + height, 2 - x : 2 - x + width]

    def padded(self, target, size):
        height, width = target[1].shape
        return target[0], np.pad(target[1], ((0, size[1] - height), (0, size[0] - width)), constant_values=255)

    def collate(self, targets):
        return [boxes[0] for boxes, _ in targets], np.stack([mask for _, mask in targets])


SIZES = [(20, 14), (14, 20), (18, 14), (30, 14), (14, 14), (26, 14)]
WHOLE = SizeSpec(fit="whole", resize=14, longest=28, multiple=8, interpolation="nearest")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Grey images of several sizes with a bright object of 3 × 2 pixels, its box and its mask."""

    def samples():
        for split in SPLITS:
            for number, (width, height) in enumerate(SIZES):
                pixels, x, y = np.full((height, width), 50, np.uint8), width // 2 - 1 - number % 3, height // 2 - 1
                pixels[y : y + 2, x : x + 3] = 250
                mask = (pixels == 250).astype(np.uint8)
                box = Box(x, y, x + 3, y + 2, 0)
                yield NewSample(split, f"{number}", None, png(pixels), ".png", (box,), png(mask), ".png")

    return written(tmp_path_factory.mktemp("scenes"), ("spot",), samples())


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_images_of_different_sizes_share_a_padded_batch(scenes):
    dataset = ImageTensors(scenes, WHOLE, Places())
    found, (boxes, masks) = next(batches(dataset, 6, seed=None))
    assert found.shape == (6, 3, 24, 32)  # 20 and 28 rounded up to multiples of 8
    assert masks.shape == (6, 24, 32)
    for image, mask, (width, height) in zip(found, masks, [(20, 14), (14, 20), (18, 14), (28, 13)], strict=False):
        assert image[:, :height, :width].all()
        assert not image[:, height:].any()
        assert not image[:, :, width:].any()
        assert (mask[:height, :width] < 2).all()
        assert (mask[height:] == 255).all()
        assert (mask[:, width:] == 255).all()
    assert boxes[0].tolist() == [9, 6, 12, 8]
    assert next(batches(dataset, 1, seed=None))[0].shape == (1, 3, 16, 24)


@pytest.mark.parametrize("spec", [WHOLE, SizeSpec(resize=14, crop=14, interpolation="nearest")])
@pytest.mark.parametrize("augment", [UNCHANGED, FLIP, SHIFT, BOTH])
def test_boxes_and_masks_follow_their_image(scenes, spec, augment):
    dataset = ImageTensors(scenes, spec, Places())
    plain = {tuple(box) for box in dataset.made(Plan(range(6)))[1][0]}
    seen = set()
    for epoch in range(4):
        for found, (boxes, masks) in batches(dataset, 3, seed=0, epoch=epoch, augment=augment):
            for image, box, mask in zip(found, boxes, masks, strict=True):
                bright = (image[0] == 250).numpy()
                seen.add(tuple(box))
                assert np.array_equal(bright, mask == 1)
                if bright.any():
                    rows, columns = np.nonzero(bright)
                    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    assert np.abs(edges - np.clip(box, 0, 100)).max() <= 1
    assert (seen != plain) == (augment != UNCHANGED)


def test_a_data_set_without_the_wanted_targets_is_refused(scenes):
    with pytest.raises(DataError, match="its images have no labels"):
        next(batches(ImageTensors(scenes, WHOLE, CLASSES), 2, seed=None))
