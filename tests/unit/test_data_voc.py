import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sc2.config.load import load_config
from sc2.data import prepare
from sc2.data.source import SPLITS, Box
from sc2.data.store import SampleStore
from sc2.data.voc import CLASSES, Params, open_dataset, read_boxes
from sc2.errors import DataError
from sc2.job import RunningJob

ARCHIVE = "voc2012-sample.tar"
ROOT = "VOCdevkit/VOC2012"
TRAIN, VAL = [f"2007_{i:06d}" for i in range(6)], [f"2008_{i:06d}" for i in range(3)]


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(number, size=(12, 8), mode="RGB", **options):
    image = Image.fromarray(np.full((*size[::-1], 3), number % 256, np.uint8)).convert(mode)
    return encoded(image, "JPEG", **options)


def mask(size=(12, 8), value=15, mode="P"):
    values = np.zeros(size[::-1], np.uint8)
    values[2:5, 3:8] = value
    values[5] = 255
    image = Image.fromarray(values, "L") if mode == "L" else Image.fromarray(values).convert(mode)
    if mode == "P":
        image = Image.frombytes("P", size, values.tobytes())
        image.putpalette([17, 99, 3] * 256)
    return encoded(image, "PNG")


def entry(name="person", corners=(4, 3, 8, 5), difficult=0, more=""):
    keys = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{key}>{value}</{key}>" for key, value in keys)
    return f"<object><name>{name}</name>{more}<difficult>{difficult}</difficult><bndbox>{box}</bndbox></object>"


def xml(*entries, size=(12, 8)):
    head = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation>{head}{''.join(entries)}</annotation>".encode()


def tree(change=()):
    files = {}
    for folder in ("Main", "Segmentation"):
        for name, ids in (("train", TRAIN), ("val", VAL)):
            files[f"{ROOT}/ImageSets/{folder}/{name}.txt"] = "\n".join(ids).encode() + b"\n\n"
    for number, id_ in enumerate((*TRAIN, *VAL)):
        files[f"{ROOT}/JPEGImages/{id_}.jpg"] = jpeg(20 * number)
        files[f"{ROOT}/SegmentationClass/{id_}.png"] = mask()
        files[f"{ROOT}/Annotations/{id_}.xml"] = xml(entry(), entry("cat", (1, 1, 12, 8), difficult=1))
    files |= {f"{ROOT}/{name}": data for name, data in dict(change).items()}
    return {name: data for name, data in files.items() if data is not None}


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("SC2_DATA", str(folder))
    return folder


def config(data, files, **settings):
    path = data / "voc.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    source = {"kind": "archive", "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return {"kind": "voc", "source": source, "uses": "segmentation", "val_images": 2, **settings}


def read(config):
    source = open_dataset(config)
    samples = list(source.samples)
    assert source.classes == CLASSES
    assert {split: sum(sample.split == split for sample in samples) for split in SPLITS} == source.counts
    return {split: {sample.id: sample for sample in samples if sample.split == split} for split in SPLITS}


def test_splits(data):
    splits = read(config(data, tree()))
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 4, "val": 2, "test": 3}
    assert sorted([*splits["train"], *splits["val"]]) == TRAIN
    assert sorted(splits["test"]) == VAL
    assert set(read(config(data, tree(), seed=1))["val"]) != set(splits["val"])
    few = read(config(data, tree(), max_images=1))
    assert {split: len(samples) for split, samples in few.items()} == {"train": 1, "val": 2, "test": 1}


def test_masks_are_stored_as_they_are(data, tmp_path):
    out = prepared(tmp_path / "out", config(data, tree()))
    store = SampleStore(out["index"], out["test"], "test")
    assert store.read(0) == tree()[f"{ROOT}/JPEGImages/{VAL[0]}.jpg"]
    assert store.samples[0].label is None
    values = np.asarray(store.mask(0))
    assert values.shape == (8, 12)
    assert np.unique(values).tolist() == [0, 15, 255]
    assert values[3, 4] == 15


def test_boxes_count_from_zero(data):
    splits = read(config(data, tree(), uses="detection"))
    for samples in splits.values():
        for sample in samples.values():
            person, cat = sample.boxes
            assert person == Box(3, 2, 8, 5, CLASSES.index("person"))
            assert cat == Box(0, 0, 12, 8, CLASSES.index("cat"), difficult=True)
            assert sample.mask is None


def test_odd_images_are_taken(data):
    change = {
        f"JPEGImages/{TRAIN[0]}.jpg": jpeg(3, mode="L"),
        f"JPEGImages/{TRAIN[1]}.jpg": jpeg(3, mode="CMYK"),
        f"Annotations/{TRAIN[2]}.xml": xml(),  # nothing in it
        f"Annotations/{TRAIN[3]}.xml": xml(entry(more="<part><name>head</name><bndbox/></part>"), size=None),
        f"Annotations/{TRAIN[4]}.xml": xml(entry(corners=(0, 0.4, 13, 8.5))),  # rounded differently: clipped
        f"Annotations/{TRAIN[5]}.xml": xml(entry(corners=(13, 3, 13, 5))),  # no pixel of it is in the image
    }
    samples = {
        id_: sample
        for split in read(config(data, tree(change), uses="detection")).values()
        for id_, sample in split.items()
    }
    assert [len(samples[id_].boxes) for id_ in TRAIN] == [2, 2, 0, 1, 1, 0]
    assert samples[TRAIN[4]].boxes[0] == Box(0, 0, 12, 8, CLASSES.index("person"))
    out = prepared(data / "out", config(data, tree(change)))
    stores = [SampleStore(out["index"], out[split], split) for split in SPLITS]
    assert {store.image(i).mode for store in stores for i in range(len(store))} == {"RGB"}


def turned(size=(8, 12)):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90°
    return jpeg(3, size=size, exif=exif)


def test_annotations_of_the_upright_image_are_taken(data):
    change = {f"JPEGImages/{TRAIN[0]}.jpg": turned()}
    for uses in ("segmentation", "detection"):
        read(config(data, tree(change), uses=uses))


S, D = "segmentation", "detection"
FAULTS = {
    "no image": (S, f"JPEGImages/{TRAIN[0]}.jpg", None, "2007_000000.jpg missing, needed for `uses: segmentation`"),
    "no mask": (S, f"SegmentationClass/{VAL[1]}.png", None, "SegmentationClass/2008_000001.png missing"),
    "no boxes": (D, f"Annotations/{VAL[1]}.xml", None, "Annotations/2008_000001.xml missing, needed for `uses: det"),
    "no list": (D, "ImageSets/Main/val.txt", None, "ImageSets/Main/val.txt missing"),
    "no lists": (D, "ImageSets/Main/train.txt", None, "contains no ImageSets/Main/train.txt, so it is not VOC"),
    "leak": (S, "ImageSets/Segmentation/val.txt", TRAIN[0].encode(), "2007_000000 and 0 more are training and test"),
    "few": (S, "ImageSets/Segmentation/train.txt", TRAIN[0].encode(), "none is left for training .* Lower it"),
    "bad image": (S, f"JPEGImages/{VAL[0]}.jpg", b"oops", "2008_000000.jpg: not a readable image"),
    "bad mask": (S, f"SegmentationClass/{VAL[0]}.png", b"oops", "2008_000000.png: not a readable mask"),
    "colour mask": (S, f"SegmentationClass/{VAL[0]}.png", mask(mode="RGB"), "a mask of mode RGB; it must have one"),
    "large mask": (
        S,
        f"SegmentationClass/{VAL[0]}.png",
        mask((13, 8)),
        "annotated as 13 × 8 pixels, but .* 12 × 8.*same",
    ),
    "value": (
        S,
        f"SegmentationClass/{VAL[0]}.png",
        mask(value=21),
        r"holds the values \[21\]; allowed are 1 to 20 for the classes",
    ),
    "turned mask": (S, f"JPEGImages/{VAL[0]}.jpg", turned((12, 8)), "12 × 8 pixels, but upright it has 8 × 12.*EXIF"),
    "turned boxes": (D, f"JPEGImages/{VAL[0]}.jpg", turned((12, 8)), "2008_000000.xml: .*upright it has 8 × 12.*EXIF"),
    "other size": (D, f"Annotations/{VAL[0]}.xml", xml(size=(24, 16)), "annotated as 24 × 16 pixels, but upright"),
    "outside": (D, f"Annotations/{VAL[0]}.xml", xml(entry(corners=(4, 3, 20, 5))), r"\(3, 2\) to \(20, 5\) sticks out"),
    "class": (D, f"Annotations/{VAL[0]}.xml", xml(entry("zebra")), "unknown class 'zebra'; the classes are aeroplane"),
    "broken": (D, f"Annotations/{VAL[0]}.xml", xml()[:-5], "2008_000000.xml: not a readable annotation"),
    "no corner": (
        D,
        f"Annotations/{VAL[0]}.xml",
        xml("<object><name>cat</name></object>"),
        r"object\[0\]/bndbox/xmin is missing",
    ),
    "no number": (D, f"Annotations/{VAL[0]}.xml", xml(entry(corners=("a", 1, 2, 3))), "not a readable annotation"),
    "entities": (D, f"Annotations/{VAL[0]}.xml", b"<!DOCTYPE a>" + xml(), "XML declarations"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_with_their_file(data, fault):
    uses, name, content, message = FAULTS[fault]
    with pytest.raises(DataError, match=message) as caught:
        read(config(data, tree({name: content}), uses=uses))
    assert "voc.tar" in str(caught.value)


def test_the_year_picks_one_of_several(data):
    other = {name.replace("VOC2012", "VOC2007"): content for name, content in tree().items()}
    assert len(read(config(data, tree() | other, year="2007"))["test"]) == 3
    with pytest.raises(DataError, match="contains VOC 2010 several times: VOCdevkit/VOC2007, VOCdevkit/VOC2012"):
        read(config(data, tree() | other, year="2010"))
    assert len(read(config(data, other))["test"]) == 3  # the only one that there is


def unpack(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_a_folder_gives_the_same_samples_as_an_archive(data):
    unpack(data, tree())
    archive = config(data, tree())
    assert read({**archive, "source": {"kind": "folder", "folder": "VOCdevkit"}}) == read(archive)


def test_parameters():
    assert Params.num_classes == len(set(CLASSES)) == 20
    assert tuple(sorted(CLASSES)) == CLASSES  # as the published masks number them
    wrong = {"kind": "voc", "source": {"kind": "folder", "folder": "VOCdevkit"}, "uses": "panoptic", "val_images": 1}
    with pytest.raises(ValueError, match="uses"):
        Params.model_validate(wrong)


def test_boxes_of_a_real_annotation():
    corners = b"<xmin>99</xmin><ymin>127</ymin><xmax>149</xmax><ymax>295</ymax>"
    text = (
        b"<annotation><size><width>500</width><height>375</height><depth>3</depth></size><object><name>bottle</name>"
        b"<difficult>0</difficult><bndbox>" + corners + b"</bndbox></object></annotation>"
    )
    assert read_boxes("a.xml", text, (500, 375)) == (Box(98, 126, 149, 295, 4),)


def prepared(folder, dataset):
    folder.mkdir(exist_ok=True)
    names = {"index": "index.jsonl", "meta": "meta.json", **{split: f"{split}.tar" for split in SPLITS}}
    out = {key: folder / name for key, name in names.items()}
    prepare.run(RunningJob("prepare_data", {}, {"name": "d", "dataset": dataset}, {}, out, "0" * 16))
    return out


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["voc2012_sample", "voc2012_boxes_sample"])
def test_the_real_sample(tmp_path, name):
    folder = os.environ.get("SC2_DATA")
    if not folder or not (Path(folder) / ARCHIVE).is_file():
        pytest.skip(f"SC2_DATA names no folder that holds {ARCHIVE}")
    benchmarks = load_config(Path(__file__).parents[2] / "config" / "voc_sample.yaml").benchmarks.values()
    dataset = next(benchmark.dataset for benchmark in benchmarks if benchmark.config.dataset == name)
    out = prepared(tmp_path / "out", {**dataset.model_dump(), "max_images": 10, "val_images": 10})
    stores = {split: SampleStore(out["index"], out[split], split) for split in SPLITS}
    assert {split: len(store) for split, store in stores.items()} == {"train": 10, "val": 10, "test": 10}
    for i in range(10):
        width, height = stores["test"].image(i).size
        if name == "voc2012_sample":
            assert stores["test"].mask(i).size == (width, height)
            assert set(np.unique(np.asarray(stores["test"].mask(i))).tolist()) <= {*range(21), 255}
        else:
            assert stores["test"].boxes(i)
            assert all(box.x1 <= width and box.y1 <= height for box in stores["test"].boxes(i))
