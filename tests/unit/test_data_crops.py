"""Random crops: what part of an image they keep, and that boxes and masks keep the same part."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from sc2.data.augment import drawn_crops
from sc2.data.crops import cropped, numbers_per_image
from sc2.data.geometry import Placement, Size
from sc2.data.images import ImageTensors, batches
from sc2.data.source import IGNORED
from sc2.data.spec import Augmentation, ResizedCrop, ScaledCrop, SizeSpec
from sc2.tasks import get_task
from tests.dense import store_of, write_scenes

AREA, ASPECT = (0.08, 1.0), (0.75, 4 / 3)
RESIZED = Augmentation(resized_crop=ResizedCrop())
SCALED = Augmentation(scaled_crop=ScaledCrop(short_side=(48, 100), side=64))
WHOLE = SizeSpec(fit="whole", resize=64, multiple=32, interpolation="nearest")
SQUARE = SizeSpec(resize=64, crop=64, interpolation="nearest")


def parts(size: Size, count: int, augment: Augmentation = RESIZED) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height of random parts of an image."""
    drawn = drawn_crops(count, augment, torch.Generator().manual_seed(0))
    assert drawn is not None
    for numbers in drawn:
        part, square = cropped(size, augment, numbers, 64)
        assert (part.original, part.resized) == (size, size)
        assert square == Placement(part.size, (64, 64), 0, 0, (64, 64))
        yield part.left, part.top, *part.size


def test_parts_lie_inside_the_image_and_within_the_bounds() -> None:
    for left, top, width, height in parts((500, 375), 500):
        assert min(left, top) >= 0
        assert left + width <= 500
        assert top + height <= 375
        # Sides are whole pixels: half of one more or less.
        assert (width - 0.5) * (height - 0.5) <= AREA[1] * 500 * 375
        assert (width + 0.5) * (height + 0.5) >= AREA[0] * 500 * 375
        assert (width - 0.5) / (height + 0.5) <= ASPECT[1]
        assert (width + 0.5) / (height - 0.5) >= ASPECT[0]


@pytest.mark.parametrize("size", [(500, 375), (300, 300), (200, 640)])
def test_parts_are_distributed_as_the_library_draws_them(size: Size) -> None:
    count = 4000
    torch.manual_seed(1)
    image = torch.empty(3, size[1], size[0])
    library = np.array([RandomResizedCrop.get_params(image, list(AREA), list(ASPECT)) for _ in range(count)], float)
    own = np.array([(top, left, height, width) for left, top, width, height in parts(size, count)], float)

    def features(boxes: np.ndarray) -> np.ndarray:
        top, left, height, width = boxes.T
        return np.stack([top + height / 2, left + width / 2, height * width, np.log(width / height)])

    one, other = features(own), features(library)
    error = np.sqrt((one.var(1) + other.var(1)) / count)
    assert (np.abs(one.mean(1) - other.mean(1)) < 4 * error).all()
    assert np.allclose(one.std(1), other.std(1), rtol=0.08)


@pytest.mark.parametrize("size", [(1000, 10), (10, 1000)])
def test_an_elongated_image_keeps_its_centre_as_the_library_does(size: Size) -> None:
    top, left, height, width = RandomResizedCrop.get_params(torch.empty(3, size[1], size[0]), [0.9, 1.0], list(ASPECT))
    narrow = Augmentation(resized_crop=ResizedCrop(area=(0.9, 1.0)))
    assert set(parts(size, 20, narrow)) == {(left, top, width, height)}


def test_scaled_crops_take_every_size_and_place() -> None:
    drawn = drawn_crops(3000, SCALED, torch.Generator().manual_seed(0))
    assert drawn is not None
    sizes, lefts = set(), set()
    for numbers in drawn:
        (place,) = cropped((200, 100), SCALED, numbers, None)
        sizes.add(place.resized)
        assert place.size == (64, 64)
        assert 0 <= place.left <= place.resized[0] - 64
        assert 0 <= place.top <= max(0, place.resized[1] - 64)
        if place.resized == (200, 100):
            lefts.add(place.left)
    assert sizes == {(2 * short, short) for short in range(48, 101)}
    assert min(lefts) < 20
    assert max(lefts) > 116


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Scenes of several sizes: squares in the colour of their class, on dark noise."""
    sizes = [(64, 64), (96, 64), (64, 128), (80, 200)]
    paths = write_scenes(tmp_path_factory.mktemp("scenes"), (8, 1, 1), lambda index: sizes[index % 4])
    return store_of(paths)


@pytest.mark.parametrize(("augment", "spec"), [(RESIZED, SQUARE), (SCALED, WHOLE)], ids=["resized", "scaled"])
@pytest.mark.parametrize("flip", [False, True])
def test_masks_follow_their_image(scenes: Any, augment: Augmentation, spec: SizeSpec, flip: bool) -> None:
    dataset = ImageTensors(scenes, spec, get_task("segmentation"))
    seen = set()
    for epoch in range(3):
        augmented = augment.model_copy(update={"flip": flip})
        for images, masks in batches(dataset, 4, seed=0, epoch=epoch, augment=augmented):
            assert images.shape == (4, 3, 64, 64)
            bright = torch.where(images.amax(1) == 230, images.argmax(1) + 1, 0)
            inside = masks != IGNORED
            assert torch.equal(bright[inside], masks.long()[inside])
            assert not images.amax(1)[~inside].any()
            seen.add(tuple(images.flatten()[::97].tolist()))
    assert len(seen) == 6


@pytest.mark.parametrize(("augment", "spec"), [(RESIZED, SQUARE), (SCALED, WHOLE)], ids=["resized", "scaled"])
def test_boxes_follow_their_image(scenes: Any, augment: Augmentation, spec: SizeSpec) -> None:
    dataset = ImageTensors(scenes, spec, get_task("detection"))
    found = 0
    for epoch in range(4):
        for images, targets in batches(dataset, 4, seed=1, epoch=epoch, augment=augment):
            for image, target in zip(images, targets, strict=True):
                for box, label in zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True):
                    x0, y0, x1, y1 = map(round, box)
                    left, top = max(0, x0 - 4), max(0, y0 - 4)
                    rows, columns = (image[label, top : y1 + 4, left : x1 + 4] == 230).nonzero().T
                    edges = [columns.min() + left, rows.min() + top, columns.max() + left + 1, rows.max() + top + 1]
                    assert np.abs(np.array(edges, float) - box).max() <= 2.5  # a source pixel, enlarged
                    found += 1
    assert found > 10


def test_what_is_drawn_depends_on_seed_and_epoch_alone(scenes: Any) -> None:
    dataset = ImageTensors(scenes, SQUARE, get_task("classification"))

    def epoch(*, seed: int = 0, epoch: int = 0) -> list[torch.Tensor]:
        return [images for images, _ in batches(dataset, 4, augment=RESIZED, seed=seed, epoch=epoch)]

    first = epoch()
    torch.manual_seed(99)
    assert all(map(torch.equal, first, epoch()))
    assert not torch.equal(first[0], epoch(epoch=1)[0])
    assert not torch.equal(first[0], epoch(seed=1)[0])


def test_evaluation_keeps_the_centre(scenes: Any) -> None:
    dataset = ImageTensors(scenes, SQUARE, get_task("classification"))
    plain, asked = (next(batches(dataset, 8, seed=None, augment=augment))[0] for augment in (Augmentation(), RESIZED))
    assert torch.equal(plain, asked)


def test_without_crops_nothing_is_drawn() -> None:
    assert numbers_per_image(Augmentation(flip=True, shift_px=3)) == 0
    assert drawn_crops(4, Augmentation(), torch.Generator()) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"area": [1.0, 0.08]}, "write the smaller number first"),
        ({"area": [0.5, 1.5]}, "use at most 1"),
        ({"aspect": [2.0, 1.0]}, "write the smaller number first"),
        ({"aspect": [0.0, 1.0]}, "greater than 0"),
    ],
)
def test_impossible_bounds_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResizedCrop.model_validate(values)
    with pytest.raises(ValueError, match="write the smaller number first"):
        ScaledCrop(short_side=(9, 8), side=4)


def test_a_crop_must_go_with_the_input() -> None:
    assert RESIZED.problem(SQUARE) is None
    assert SCALED.problem(WHOLE) is None
    assert RESIZED.problem(WHOLE) == (
        "resized_crop does not go with input.fit: whole; use scaled_crop there, or remove it"
    )
    assert "use resized_crop there" in (SCALED.problem(SQUARE) or "")
    assert "scaled_crop" in (
        Augmentation(resized_crop=RESIZED.resized_crop, scaled_crop=SCALED.scaled_crop).problem(SQUARE) or ""
    )
