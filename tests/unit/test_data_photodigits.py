import hashlib
import sys
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from sc2.data import ingredients
from sc2.data.ingredients import PHOTOS, Draws, digit_pools, load_glyphs
from sc2.data.photodigits import Generator, Params, open_dataset
from sc2.data.source import IGNORED, SPLITS
from sc2.data.transform import decode_image
from sc2.errors import ConfigError, DataError

SMALL = {"kind": "photodigits", "seed": 0, "images": {"train": 20, "val": 10, "test": 10}}
SCENES = {**SMALL, "digits": [1, 4], "digit_px": [16, 24]}
GOLDEN = "35e3b46596b070bc7fd8d872e3dafa2fed8df5fdc25cccacc02ad5f33444583d"
GOLDEN_SCENES = "93342eb268b4d7e4ba4bf6e7f8f51eacf69252039753863cd19c87d1e82d38d5"


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
    params = Params(kind="photodigits", seed=3, digits=digits, images=dict.fromkeys(SPLITS, 300))
    generator = Generator(params)
    scenes = {split: [generator.scene(split, index) for index in range(300)] for split in SPLITS}
    used_digits = {split: {glyph.digit for scene in scenes[split] for glyph in scene.glyphs} for split in SPLITS}
    used_photos = {split: {PHOTOS[scene.photo].path for scene in scenes[split]} for split in SPLITS}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not used_digits[one] & used_digits[other]
        assert not used_photos[one] & used_photos[other]
    for split in SPLITS:
        assert used_photos[split] == {photo.path for photo in PHOTOS if photo.split == split}
        assert all(len(scene.glyphs) == digits[0] for scene in scenes[split])


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
        photograph = next(photo for number, photo in enumerate(PHOTOS) if number == scene.photo)
        assert f"/{sample.groups['photograph']}." in photograph.path
        assert sample.groups["glyph"] == str(scene.glyphs[0].digit)
    scenes = list(open_dataset(SCENES).samples)
    assert all(("glyph" in sample.groups) == (len(sample.boxes) == 1) for sample in scenes)
    assert all("photograph" in sample.groups for sample in scenes)
