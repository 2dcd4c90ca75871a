import numpy as np
import pytest
from PIL import Image

from sc2.data.geometry import Placement, nominal_size
from sc2.data.spec import SizeSpec
from sc2.data.transform import prepare_image

WHOLE = SizeSpec(fit="whole", resize=16, longest=28, multiple=8)
CROP = SizeSpec(resize=16, crop=12)
UNLIMITED = SizeSpec(fit="whole", resize=16, multiple=8)
SIZES = [(16, 16), (40, 31), (31, 40), (16, 33), (9, 13), (100, 7), (1, 1), (1, 50), (24, 16)]


def picture(width, height, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)


def random_boxes(width, height, count=50):
    low, high = np.sort(np.random.default_rng(1).uniform(0, 1, (2, count, 2)), axis=0)
    return np.concatenate([low, high], 1) * [width, height, width, height]


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_image_is_resized_as_torchvision_does_and_padded_with_black(size):
    from torchvision.transforms import Resize

    image = Image.fromarray(picture(*size))
    prepared = np.asarray(prepare_image(image, WHOLE))
    place = Placement.of(size, WHOLE)
    assert prepared.shape[1::-1] == place.size
    assert all(side % 8 == 0 for side in place.size)
    assert all(0 <= padded - side < 8 for padded, side in zip(place.size, place.resized, strict=True))
    if min(place.resized) > 1:  # torchvision fails where a side would vanish
        assert place.visible == place.resized == Resize(16, max_size=28)(image).size
    width, height = place.visible
    if place.resized != size:
        image = Resize((height, width))(image)
    assert np.array_equal(prepared[:height, :width], np.asarray(image))
    assert not prepared[height:].any()
    assert not prepared[:, width:].any()


def test_the_long_side_may_be_unlimited_and_a_fitting_image_is_untouched():
    assert Placement.of((10, 100), UNLIMITED).resized == (16, 160)
    image = Image.fromarray(picture(24, 16))
    assert prepare_image(image, WHOLE) is image


@pytest.mark.parametrize("size", SIZES)
def test_boxes_there_and_back_in_a_whole_image(size):
    place, boxes = Placement.of(size, WHOLE), random_boxes(*size)
    inside = place.boxes_in(boxes)
    assert (inside >= 0).all()
    assert (inside <= [*place.resized, *place.resized]).all()
    assert np.allclose(place.boxes_out(inside), boxes, atol=1e-9)
    everything = np.array([[0, 0, *size]])
    assert np.allclose(place.boxes_in(everything), [[0, 0, *place.resized]])
    assert np.allclose(place.boxes_out(np.array([[-5, -5, 99, 99]])), everything)  # clipped; the padding is outside


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 1])
def test_boxes_there_and_back_in_a_crop_keep_what_is_visible(size):
    place, boxes = Placement.of(size, CROP), random_boxes(*size)
    inside = place.boxes_in(boxes)
    window = np.array([place.left, place.top, place.left + 12, place.top + 12]) / (
        np.array(place.resized * 2) / (size * 2)
    )
    low, high = np.maximum(boxes[:, :2], window[:2]), np.minimum(boxes[:, 2:], window[2:])
    visible = (low < high).all(axis=1)
    assert np.array_equal(visible, (inside[:, :2] < inside[:, 2:]).all(axis=1))
    assert visible.any()
    assert np.allclose(place.boxes_out(inside)[visible], np.concatenate([low, high], 1)[visible])
    assert inside.max() <= 12


@pytest.mark.parametrize("spec", [CROP, WHOLE])
def test_no_boxes_at_all(spec):
    place = Placement.of((20, 30), spec)
    assert place.boxes_in(np.zeros((0, 4))).shape == place.boxes_out(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("size", [(16, 16), (12, 10), (9, 13), (1, 1)])
def test_masks_come_back_unchanged_where_nothing_was_thrown_away(size):
    mask = picture(*size)[:, :, 0]
    place = Placement.of(size, WHOLE)  # enlarges these
    inside = place.mask_in(mask, padding=255)
    assert inside.shape == place.size[::-1]
    width, height = place.visible
    assert (inside[height:] == 255).all()
    assert (inside[:, width:] == 255).all()
    assert np.array_equal(place.mask_out(inside, outside=0), mask)


def test_a_mask_lies_on_the_image():
    pixels = np.zeros((40, 60), np.uint8)
    pixels[10:30, 20:50] = 200
    for spec in (WHOLE, CROP):
        place = Placement.of((60, 40), spec)
        image = np.asarray(place.image_in(Image.fromarray(pixels), "nearest"))
        assert np.array_equal(place.mask_in(pixels, padding=0), image)
        x0, y0, x1, y1 = place.boxes_in(np.array([[20, 10, 50, 30]]))[0]
        rows, columns = np.nonzero(image)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(edges) - [x0, y0, x1, y1]).max() <= 0.5  # rounded to pixels


def test_what_a_crop_cut_off_is_filled_in():
    mask = np.full((16, 32), 3, np.uint8)
    place = Placement.of((32, 16), CROP)
    back = place.mask_out(place.mask_in(mask, padding=255), outside=0)
    assert back.shape == (16, 32)
    assert (back[2:14, 10:22] == 3).all()
    assert (back == 3).sum() == 144
    assert (back == 0).sum() == back.size - 144


def test_without_padding():
    place = Placement.of((20, 16), WHOLE).unpadded()
    assert place.size == place.visible == (20, 16)
    assert Placement.of((20, 16), WHOLE).size == (24, 16)
    crop = Placement.of((40, 31), CROP)
    assert crop.unpadded() == crop


def test_the_size_of_which_costs_are_stated():
    assert nominal_size(CROP) == (12, 12)
    assert nominal_size(WHOLE) == (32, 16)
    assert nominal_size(SizeSpec(fit="whole", resize=17, multiple=8)) == (24, 24)
