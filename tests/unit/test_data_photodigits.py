import hashlib
import sys
from collections import Counter
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from sc2.data import ingredients, photodigits
from sc2.data.ingredients import PHOTOS, Draws, digit_pools, load_glyphs, load_photos
from sc2.data.photodigits import Generator, Params, Scene, _background, open_dataset
from sc2.data.source import IGNORED, SPLITS
from sc2.data.transform import decode_image
from sc2.errors import ConfigError, DataError

SMALL = {"kind": "photodigits", "seed": 0, "images": {"train": 20, "val": 10, "test": 10}}
SCENES = {**SMALL, "digits": [1, 4], "digit_px": [16, 24]}
GOLDEN = "95adf72602638e418e385d30b206b7e956dfea3a2a300a17d1a419596e3bc971"
GOLDEN_SCENES = "49dd5a1aede45b1c62532d890e9170c2b8b7fc1bf750a89eba7bf121f1ba93a9"


def pixels(data):
    return np.asarray(decode_image(data, "test"))


def mask_of(sample):
    return pixels(sample.mask)[:, :, 0]


def corners(box):
    return (box.x0, box.y0, box.x1, box.y1, box.label)


def digest(config):
    content = hashlib.sha256()
    for sample in open_dataset(config).samples:
        content.update(repr((sample.split, sample.id, sample.label, tuple(map(corners, sample.boxes)))).encode())
        content.update(sample.image + (sample.mask or b""))
    return content.hexdigest()


@pytest.mark.parametrize(("config", "expected"), [(SMALL, GOLDEN), (SCENES, GOLDEN_SCENES)])
def test_bytes_are_the_same_everywhere(config, expected):
    assert digest(config) == expected


def test_another_seed_gives_other_images():
    assert digest({**SMALL, "seed": 1}) != digest(SMALL)


def test_a_larger_set_begins_with_the_smaller_one():
    few = {sample.id: sample for sample in open_dataset(SMALL).samples}
    more = {sample.id: sample for sample in open_dataset({**SMALL, "images": dict.fromkeys(SPLITS, 25)}).samples}
    assert few.items() <= more.items()


@pytest.mark.parametrize("config", [SMALL, SCENES])
def test_boxes_masks_and_labels_agree(config):
    for sample in open_dataset(config).samples:
        image, mask = pixels(sample.image), mask_of(sample)
        assert image.shape == (64, 64, 3)
        assert mask.shape == (64, 64)
        assert sample.boxes[0].label == sample.label
        uncovered = mask.copy()
        for box in sample.boxes:
            x0, y0, x1, y1, label = corners(box)
            inside = mask[y0:y1, x0:x1]
            # Tight around this digit, its border not scored, no other digit in it.
            assert set(np.unique(inside)) == {0, label + 1, IGNORED}
            digit = inside == label + 1
            near = digit | np.roll(digit, 1, 0) | np.roll(digit, -1, 0) | np.roll(digit, 1, 1) | np.roll(digit, -1, 1)
            assert (inside[1:-1, 1:-1][(near & ~digit)[1:-1, 1:-1]] == IGNORED).mean() > 0.75
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
            uncovered[y0:y1, x0:x1] = 0
        assert set(np.unique(uncovered)) <= {0, IGNORED}


def test_digits_stand_out_from_what_surrounds_them():
    weights = np.array([0.299, 0.587, 0.114])
    contrasts = []
    for sample in open_dataset(SMALL).samples:
        luma, (x0, y0, x1, y1, _) = pixels(sample.image) @ weights, corners(sample.boxes[0])
        digit = mask_of(sample)[y0:y1, x0:x1] > 0
        contrasts.append(abs(luma[y0:y1, x0:x1][digit].mean() - luma[y0:y1, x0:x1][~digit].mean()))
    assert np.median(contrasts) > 40


def test_classes_are_balanced():
    labels = [sample.label for sample in open_dataset(SMALL).samples if sample.split == "train"]
    assert Counter(labels) == dict.fromkeys(range(10), 2)


@pytest.mark.parametrize("digits", [(1, 1), (2, 2)])
def test_splits_share_no_digit_and_no_photograph(digits):
    params = Params(kind="photodigits", seed=3, digits=digits, images=dict.fromkeys(SPLITS, 1500))
    generator = Generator(params)
    scenes = {split: [generator.scene(split, index) for index in range(1500)] for split in SPLITS}
    used_digits = {split: {glyph.digit for scene in scenes[split] for glyph in scene.glyphs} for split in SPLITS}
    used_photos = {split: {PHOTOS[scene.photo].name for scene in scenes[split]} for split in SPLITS}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not used_digits[one] & used_digits[other]
        assert not used_photos[one] & used_photos[other]
    for split in SPLITS:
        assert used_photos[split] == {photo.name for photo in PHOTOS if photo.split == split}
        assert all(len(scene.glyphs) == digits[0] for scene in scenes[split])
        small = sum(PHOTOS[scene.photo].is_small for scene in scenes[split])
        assert small / 1500 == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("seed", [0, 1])
def test_all_digits_of_a_split_are_used_equally_often(seed):
    generator = Generator(Params.model_validate({**SMALL, "seed": seed}))
    used = Counter(generator.scene("test", index).glyphs[0].digit for index in range(900))
    for pool in digit_pools()["test"]:
        assert {used[number] for number in pool} <= {90 // len(pool), 90 // len(pool) + 1}
    assert len(used) == sum(map(len, digit_pools()["test"]))


def test_the_order_of_the_digits_depends_on_the_seed():
    orders = []
    for seed in (0, 1):
        generator = Generator(Params.model_validate({**SMALL, "seed": seed}))
        orders.append([generator.scene("test", index).glyphs[0].digit for index in range(0, 200, 10)])
    assert orders[0] != orders[1]


def test_every_split_has_several_photographs_of_each_size():
    large = Counter(photo.split for photo in PHOTOS if not photo.is_small)
    assert large == {"train": 10, "val": 3, "test": 5}
    assert Counter(photo.split for photo in PHOTOS if photo.is_small) == {"train": 74, "val": 12, "test": 38}
    assert len({photo.name for photo in PHOTOS}) == len(PHOTOS)
    assert all(min(image.size) >= 300 for image, photo in zip(load_photos(), PHOTOS, strict=True) if not photo.is_small)


def test_small_photographs_are_the_rounded_values_of_their_array():
    path = Path(str(find_spec("skimage").submodule_search_locations[0])) / "data/lfw_subset.npy"
    values = np.load(path)
    for image, photo in zip(load_photos(), PHOTOS, strict=True):
        if photo.number is not None:
            assert image.mode == "L"
            assert np.abs(np.asarray(image) / 255 - values[photo.number]).max() <= 0.5001 / 255


def test_only_training_backgrounds_are_turned_and_recoloured():
    """A background of one bright quarter, red: where it is and which channels are bright."""
    photo = np.zeros((64, 64, 3), np.uint8)
    photo[:32, :32, 0] = 250
    found = {}
    for split in SPLITS:
        number = next(number for number, photo in enumerate(PHOTOS) if photo.split == split)
        scene = Scene(number, (0, 0, 64), ())
        photos = [Image.fromarray(photo)] * len(PHOTOS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(photodigits, "load_photos", lambda photos=photos: photos)
            params = Params.model_validate(SMALL)
            found[split] = {where(_background(scene, params, Draws(0, index))) for index in range(200)}
    assert found["val"] == found["test"] == {(True, True, 0), (True, False, 0)}
    assert found["train"] == set(product((True, False), (True, False), range(3)))


def where(background):
    """Whether the bright quarter is at the top, and at the left, and its brightest channel."""
    row, column, channel = np.unravel_index(background.argmax(), background.shape)
    return bool(row < 32), bool(column < 32), int(channel)


def test_every_digit_belongs_to_one_split_and_keeps_its_class():
    _, labels = load_glyphs()
    pools = digit_pools()
    numbers = [number for lists in pools.values() for pool in lists for number in pool]
    assert sorted(numbers) == list(range(1797))
    assert all(
        labels[number] == label for lists in pools.values() for label, pool in enumerate(lists) for number in pool
    )


def test_both_motorcycles_are_in_one_split():
    assert len({photo.split for photo in PHOTOS if "motorcycle" in photo.path}) == 1


def test_draws_depend_on_the_whole_key():
    streams = [[Draws(*key).below(2**40) for _ in range(1)] for key in ((0, 1), (1, 0), (0, 0, 1), (0, 1))]
    assert streams[0] == streams[3]
    assert len({stream[0] for stream in streams}) == 3


def test_another_photograph_in_the_wheel_is_refused(monkeypatch):
    photo = ingredients.Photo("train", PHOTOS[0].path, "0" * 64)
    with pytest.raises(DataError, match=r"china\.jpg: not the picture.*requirements\.lock"):
        ingredients._load_photo(photo)
    with pytest.raises(DataError, match="missing"):
        ingredients._load_photo(ingredients.Photo("train", "skimage/data/none.png", "0" * 64))
    with pytest.raises(DataError, match="missing"):
        ingredients._load_photo(ingredients.Photo("train", "no_such_package/none.png", "0" * 64))


@pytest.mark.parametrize(
    "change",
    [
        {"digit_px": [44, 24]},
        {"digit_px": [24, 65]},
        {"digits": [0, 1]},
        {"digits": [1, 5]},  # five squares of 24 px do not fit into 64
        {"images": {"train": 0, "val": 1, "test": 1}},
        {"colour": "red"},
    ],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValidationError):
        Params.model_validate({**SMALL, **change})


def test_digits_that_hardly_ever_fit_are_reported():
    generator = Generator(Params.model_validate({**SMALL, "digits": [4, 4], "digit_px": [32, 64]}))
    with pytest.raises(ConfigError, match="Lower digits or digit_px"):
        generator.scene("train", 0)


def test_nothing_here_imports_torch():
    import subprocess

    code = (
        "import sys, sc2.data.prepare, sc2.data.photodigits, sc2.data.image_folder; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_images_say_which_photograph_and_glyph_they_share():
    """The glyph only where there is one: a scene of several is a group of its own."""
    generator = Generator(Params.model_validate(SMALL))
    for sample in open_dataset(SMALL).samples:
        scene = generator.scene(sample.split, int(sample.id[-6:]))
        photograph = PHOTOS[scene.photo]
        number = "" if photograph.number is None else f"_{photograph.number:03d}"
        assert sample.groups["photograph"] == Path(photograph.path).stem + number
        assert sample.groups["glyph"] == str(scene.glyphs[0].digit)
    scenes = list(open_dataset(SCENES).samples)
    assert all(("glyph" in sample.groups) == (len(sample.boxes) == 1) for sample in scenes)
    assert all("photograph" in sample.groups for sample in scenes)
