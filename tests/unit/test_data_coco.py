import json
import os
from pathlib import Path

import pytest
import yaml
from PIL import Image

from sc2.data.coco import open_dataset, read_instances
from sc2.data.source import SPLITS, Box
from sc2.data.store import SampleStore
from sc2.errors import DataError
from tests.unit.test_data_voc import jpeg, prepared, turned, unpack

ARCHIVE = "coco2017-sample.tar"
CATEGORIES = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"}]
NAMES = {
    "train2017": [f"{i:012d}.jpg" for i in (9, 25, 30, 34, 36, 42)],
    "val2017": [f"{i:012d}.jpg" for i in (139, 285, 632)],
}


def annotation(image_id, category=13, bbox=(3, 2, 5, 3), **more):
    return {"id": 7, "image_id": image_id, "category_id": category, "bbox": bbox, "iscrowd": 0, "area": 9.5, **more}


def instances(folder, annotations=None, **change):
    images = [
        {"id": int(name[:-4]), "file_name": name, "width": 12, "height": 8, "license": 3} for name in NAMES[folder]
    ]
    if annotations is None:
        outline = [[3, 2, 8, 2, 8, 5]]
        annotations = [annotation(image["id"], segmentation=outline) for image in images]
    return {"info": {}, "images": images, "annotations": annotations, "categories": CATEGORIES, **change}


def tree(change=()):
    files = {
        f"{folder}/{name}": jpeg(30 * number) for folder, names in NAMES.items() for number, name in enumerate(names)
    }
    files |= {f"annotations/instances_{folder}.json": instances(folder) for folder in NAMES}
    files |= dict(change)
    kept = {name: content for name, content in files.items() if content is not None}
    return {
        name: content if isinstance(content, bytes) else json.dumps(content).encode() for name, content in kept.items()
    }


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("SC2_DATA", str(tmp_path))
    return tmp_path


def config(data, files, **settings):
    unpack(data / "coco", files)
    return {"kind": "coco", "source": {"kind": "folder", "folder": "coco"}, "val_images": 2, **settings}


def read(config):
    source = open_dataset(config)
    samples = list(source.samples)
    assert {split: sum(sample.split == split for sample in samples) for split in SPLITS} == source.counts
    return source.classes, {split: {s.id: s for s in samples if s.split == split} for split in SPLITS}


TRAIN, VAL = "annotations/instances_train2017.json", "annotations/instances_val2017.json"


def test_splits_and_gaps_between_categories(data):
    classes, splits = read(config(data, tree(), num_classes=3))
    assert classes == ("person", "stop sign", "toothbrush")
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 4, "val": 2, "test": 3}
    assert sorted([*splits["train"], *splits["val"]]) == [f"train2017/{name}" for name in NAMES["train2017"]]
    assert sorted(splits["test"]) == [f"val2017/{name}" for name in NAMES["val2017"]]
    for samples in splits.values():
        for id_, sample in samples.items():
            assert sample.boxes == (Box(3, 2, 8, 5, 1, area=9.5),)
            assert sample.label is None
            assert sample.image == tree()[id_]
    assert set(read(config(data, tree(), seed=3))[1]["val"]) != set(splits["val"])
    _, few = read(config(data, tree(), max_images=1))
    assert {split: len(samples) for split, samples in few.items()} == {"train": 1, "val": 2, "test": 1}


def some_boxes(folder="train2017"):
    ids = [int(name[:-4]) for name in NAMES[folder]]
    rows = [
        annotation(ids[0], category=90),
        annotation(ids[0], iscrowd=1, segmentation={"counts": [5], "size": [8, 12]}),
        annotation(ids[1], iscrowd=1),
        annotation(ids[2], bbox=(3, 2, 0, 3)),  # in the published files there are such boxes
        *(annotation(id_) for id_ in ids[3:]),
    ]
    return instances(folder, rows)


def test_images_without_boxes(data):
    files = tree({TRAIN: some_boxes(), VAL: instances("val2017", [])})
    _, splits = read(config(data, files))
    assert len(splits["train"]) + len(splits["val"]) == 4  # a crowd alone does not count, nor does an empty box
    assert [len(sample.boxes) for sample in splits["test"].values()] == [0, 0, 0]
    _, splits = read(config(data, files, train_without_boxes=True))
    trained = {**splits["train"], **splits["val"]}
    assert len(trained) == 6
    first, crowd, empty = (trained[f"train2017/{name}"].boxes for name in NAMES["train2017"][:3])
    assert [(box.label, box.crowd) for box in first] == [(2, False), (1, True)]
    assert [box.crowd for box in crowd] == [True]
    assert empty == ()


def test_odd_images_are_taken(data):
    names = [f"train2017/{name}" for name in NAMES["train2017"]]
    change = {names[0]: jpeg(1, mode="L"), names[1]: jpeg(2, mode="CMYK"), names[2]: turned()}
    out = prepared(data / "out", config(data, tree(change)))
    stores = [SampleStore(out["index"], out[split], split) for split in SPLITS]
    images = [store.image(i) for store in stores for i in range(len(store))]
    assert {(image.mode, image.size) for image in images} == {("RGB", (12, 8))}


def changed(folder, **first):
    rows = instances(folder)["annotations"]
    return instances(folder, [rows[0] | first, *rows[1:]])


FAULTS = {
    "no annotations": ({TRAIN: None}, "coco: contains no annotations/instances_train2017.json. Put COCO's annotations"),
    "no test": ({VAL: None}, "annotations/instances_val2017.json is missing"),
    "no image": (
        {f"val2017/{NAMES['val2017'][0]}": None},
        "val2017/000000000139.jpg missing, though listed in .*val2017.json",
    ),
    "bad image": ({f"val2017/{NAMES['val2017'][0]}": b"oops"}, "000000000139.jpg: not a readable image"),
    "not json": ({VAL: b"{"}, "instances_val2017.json: not a readable annotation file"),
    "no list": ({VAL: {"images": []}}, "instances_val2017.json: not a readable annotation file .*categories"),
    "unknown image": ({VAL: changed("val2017", image_id=5)}, "annotation 7 belongs to image 5 and category 13"),
    "unknown category": ({VAL: changed("val2017", category_id=2)}, "annotation 7 belongs to .* and category 2"),
    "no box": ({VAL: changed("val2017", bbox=[1, 2])}, "not a readable annotation file"),
    "outside": ({VAL: changed("val2017", bbox=[3, 2, 50, 3])}, r"000000000139.jpg: the box .* sticks out of the image"),
    "other categories": (
        {VAL: instances("val2017", [], categories=[*CATEGORIES[:2], {"id": 13, "name": "stop"}])},
        "val2017.json lists other categories: 13 'stop' are not in .*train2017.json, which lists 13 'stop sign'",
    ),
    "category twice": ({VAL: instances("val2017", [], categories=CATEGORIES * 2)}, "lists a category twice"),
    "image twice": ({VAL: instances("val2017", [], images=instances("val2017")["images"] * 2)}, "lists an image twice"),
    "turned": ({f"val2017/{NAMES['val2017'][0]}": turned((12, 8))}, "139.jpg: annotated as 12 × 8.*upright.*EXIF"),
    "size": ({f"val2017/{NAMES['val2017'][0]}": jpeg(1, (24, 16))}, "annotated as 12 × 8 pixels, but .* 24 × 16"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_with_their_file(data, fault):
    change, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        read(config(data, tree(change)))


def test_settings_that_do_not_fit(data):
    with pytest.raises(DataError, match="lists 3 categories, but num_classes is 80"):
        open_dataset(config(data, tree(), num_classes=80))
    with pytest.raises(DataError, match="6 training images, so none is left for training with val_images 6"):
        open_dataset(config(data, tree(), val_images=6))


def test_outlines_are_not_kept_and_boxes_are():
    found = read_instances("a.json", json.dumps(some_boxes()).encode())
    assert found.images[0].boxes == (
        Box(3, 2, 8, 5, 2, area=9.5),
        Box(3, 2, 8, 5, 1, crowd=True, area=9.5),
    )


@pytest.mark.shared_data
def test_the_real_sample(tmp_path):
    folder = os.environ.get("SC2_DATA")
    if not folder or not (Path(folder) / ARCHIVE).is_file():
        pytest.skip(f"SC2_DATA names no folder that holds {ARCHIVE}")
    text = (Path(__file__).parents[2] / "config" / "datasets" / "coco2017_sample.yaml").read_text(encoding="utf-8")
    out = prepared(tmp_path / "out", yaml.safe_load(text))
    stores = {split: SampleStore(out["index"], out[split], split) for split in SPLITS}
    assert {split: len(store) for split, store in stores.items()} == {"train": 70, "val": 10, "test": 79}
    boxes = [box for store in stores.values() for i in range(len(store)) for box in store.boxes(i)]
    assert len(boxes) == 739 + 624
    assert sum(box.crowd for box in boxes) == 13
    assert max(box.label for box in boxes) == 79
    assert isinstance(stores["test"].image(0), Image.Image)
