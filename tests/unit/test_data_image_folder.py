import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from sc2.data import prepare
from sc2.data.image_folder import Params, open_dataset
from sc2.data.source import SPLITS
from sc2.data.store import SampleStore, read_meta
from sc2.errors import DataError
from sc2.job import RunningJob

ARCHIVE = "imagenette224.tar"


def jpeg(value):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value % 256, 3 * value % 256, 7)).save(file, "JPEG")
    return file.getvalue()


def tree(train=6, test=3, classes=("cat", "dog")):
    files: dict[str, bytes] = {}
    for number, name in enumerate(classes):
        files |= {f"set/train/{name}/{i}.JPEG": jpeg(100 * number + i) for i in range(train)}
        files |= {f"set/val/{name}/{i}.JPEG": jpeg(100 * number + 50 + i) for i in range(test)}
    return files | {"set/README.txt": b"hello", "set/train/cat/._0.JPEG": b"rubbish of a file manager"}


def pack(path, files):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("SC2_DATA", str(folder))
    return folder


def config(data, files, name="set.tar", **settings):
    source = {"kind": "archive", "file": name, "sha256": pack(data / name, files)}
    return {"kind": "image_folder", "source": source, "val_per_class": 2, **settings}


def read(config):
    source = open_dataset(config)
    samples = list(source.samples)
    assert {split: sum(sample.split == split for sample in samples) for split in SPLITS} == source.counts
    return source.classes, {split: {s.id: s for s in samples if s.split == split} for split in SPLITS}


@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz"])
def test_splits(data, name):
    files = tree()
    classes, splits = read(config(data, files, name))
    assert classes == ("cat", "dog")
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 8, "val": 4, "test": 6}
    assert not set(splits["train"]) & set(splits["val"])
    for split, folder in (("train", "train"), ("val", "train"), ("test", "val")):
        for id_, sample in splits[split].items():
            assert sample.image == files[f"set/{folder}/{id_}"]
            assert sample.label == classes.index(id_.split("/")[0])


def test_the_held_out_images_depend_on_the_seed_alone(data):
    held = [set(read(config(data, files, seed=seed))[1]["val"]) for files, seed in orders()]
    assert held[0] == held[1]
    assert held[0] != held[2]


def orders():
    files = tree()
    return [(files, 0), (dict(reversed(files.items())), 0), (files, 1)]


def test_max_per_class(data):
    _, splits = read(config(data, tree(), max_per_class=1))
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 2, "val": 4, "test": 2}


def without(part):
    return {name: data for name, data in tree().items() if part not in name}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (tree(train=2), "class cat has 2 images in train/.*Lower it"),
        (without("/val/"), "no images named …/val/<class>/<image>"),
        (without("/train/dog"), "val/ has classes that train/ lacks: dog"),
        (tree() | {"other/train/cat/1.JPEG": jpeg(1)}, "several folders are called train: other/train, set/train"),
    ],
)
def test_folders_that_do_not_fit_are_reported(data, files, message):
    with pytest.raises(DataError, match=message):
        open_dataset(config(data, files))


def outputs(folder):
    folder.mkdir(exist_ok=True)
    names = {"index": "index.jsonl", "meta": "meta.json", **{split: f"{split}.tar" for split in SPLITS}}
    return {key: folder / name for key, name in names.items()}


def prepared(folder, dataset):
    out = outputs(folder)
    prepare.run(RunningJob("prepare_data", {}, {"name": "d", "dataset": dataset}, {}, out, "0" * 16))
    return out


@pytest.mark.parametrize("damaged", [b"not an image", jpeg(1)[:-200]])
def test_an_unreadable_image_is_named_and_leaves_nothing_behind(data, tmp_path, damaged):
    dataset = config(data, tree() | {"set/train/dog/3.JPEG": damaged})
    with pytest.raises(DataError, match=r"set\.tar, set/train/dog/3\.JPEG: not a readable image"):
        prepared(tmp_path / "out", dataset)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_truncated_or_hostile_archive_leaves_nothing_behind(data, tmp_path):
    dataset = config(data, tree())
    (data / "set.tar").write_bytes((data / "set.tar").read_bytes()[:7000])
    with pytest.raises(DataError, match=r"set\.tar: truncated, 7000 bytes"):
        prepared(tmp_path / "out", dataset)
    dataset = config(data, tree() | {"../evil/train/cat/1.JPEG": jpeg(1)})
    with pytest.raises(DataError, match="outside the archive"):
        prepared(tmp_path / "out", dataset)
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path.parent / "evil").exists()


def test_a_folder_gives_the_same_samples_as_an_archive(data):
    for name, content in tree().items():
        path = data / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    archive = config(data, tree())
    assert read({**archive, "source": {"kind": "folder", "folder": "mine"}}) == read(archive)


def test_a_set_that_only_evaluates_needs_no_training_images(data, tmp_path):
    files = {name: content for name, content in tree().items() if "/train/" not in name}
    own = {**config(data, files), "train_folder": None}
    del own["val_per_class"]
    classes, splits = read(own)
    assert classes == ("cat", "dog")
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 0, "val": 0, "test": 6}
    out = prepared(tmp_path / "out", own)
    assert len(SampleStore(out["index"], out["test"], "test")) == 6
    assert {split: part["images"] for split, part in read_meta(out["meta"]).splits.items()} == {
        "train": 0,
        "val": 0,
        "test": 6,
    }
    with pytest.raises(DataError, match="contains no sample of split 'train'"):
        SampleStore(out["index"], out["train"], "train")
    with pytest.raises(ValueError, match="no training images to hold some out of"):
        Params.model_validate({**own, "val_per_class": 2})
    with pytest.raises(ValueError, match=r"val_per_class\n  Field required"):
        Params.model_validate({**own, "train_folder": "train"})
    with pytest.raises(DataError, match="val/ has 2 classes, but num_classes is 3"):
        open_dataset({**own, "num_classes": 3})


def test_a_missing_folder_is_named(data):
    source = {"kind": "folder", "folder": "ilsvrc2012"}
    with pytest.raises(DataError, match=r"data/ilsvrc2012: no such folder\. .*SC2_DATA.* holds ilsvrc2012/"):
        open_dataset({"kind": "image_folder", "source": source, "val_per_class": 2})


def test_the_number_of_classes_is_checked(data):
    assert read(config(data, tree(), num_classes=2))[0] == ("cat", "dog")
    with pytest.raises(DataError, match="train/ has 2 classes, but num_classes is 3"):
        open_dataset(config(data, tree(), num_classes=3))


def test_the_parameters_forbid_paths_and_unknown_sources(data):
    source = {"kind": "archive", "file": "../set.tar", "sha256": "0" * 64}
    short = {"kind": "archive", "file": "set.tar", "sha256": "abc"}
    up, deep = {"kind": "folder", "folder": ".."}, {"kind": "folder", "folder": "a/b"}
    for wrong in (source, {"kind": "url"}, short, up, deep):
        with pytest.raises(ValueError, match="source"):
            Params.model_validate({"kind": "image_folder", "source": wrong, "val_per_class": 2})


@pytest.mark.shared_data
def test_the_real_imagenette_archive(tmp_path):
    import yaml

    folder = os.environ.get("SC2_DATA")
    if not folder or not (Path(folder) / ARCHIVE).is_file():
        pytest.skip(f"SC2_DATA names no folder that holds {ARCHIVE}")
    text = (Path(__file__).parents[2] / "config" / "datasets" / "imagenette_sample.yaml").read_text(encoding="utf-8")
    dataset = {**yaml.safe_load(text), "val_per_class": 3, "max_per_class": 2}
    out = prepared(tmp_path / "out", dataset)
    stores = {split: SampleStore(out["index"], out[split], split) for split in SPLITS}
    assert {split: len(store) for split, store in stores.items()} == {"train": 20, "val": 30, "test": 20}
    assert stores["test"].image(0).size == (224, 224)
    assert len({sample.sha256 for store in stores.values() for sample in store.samples}) == 70
