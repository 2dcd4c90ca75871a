"""Data sets that are read where they are: what is listed, what is read again, what a changed file does."""

import hashlib
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sc2.commands.in_place import changed_in_place
from sc2.config.load import load_config
from sc2.data import folders, prepare
from sc2.data.source import SPLITS
from sc2.data.spec import SizeSpec
from sc2.data.store import SampleStore, read_meta
from sc2.errors import DataError
from sc2.job import RunningJob
from sc2.jobs.identity import job
from sc2.provenance.findings import Finding
from sc2.provenance.record import read_record
from tests.configuration import Project, put
from tests.grid.layouts import write_layout
from tests.unit.test_data_image_folder import jpeg

KINDS = {"image_folder": "ilsvrc2012", "coco": "coco2017", "voc": "voc2012"}
SPEC = SizeSpec(resize=48, crop=32)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without anything; the data folder is inside."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SC2_DATA", str(tmp_path / "data"))
    return tmp_path


def prepared(dataset: Mapping[str, Any], name: str = "set", **source: Any) -> dict[str, Path]:
    """Prepare a data set from a folder; returns the paths of its files by name."""
    folder = Path("results/data") / name
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"index": folder / "index.jsonl", "meta": folder / "meta.json"}
    paths |= {split: folder / f"{split}.tar" for split in SPLITS}
    content = {**dataset, "source": {"kind": "folder", "folder": "photos", **source}}
    prepare.run(RunningJob("prepare_data", {}, {"name": name, "dataset": content}, {}, paths, "0" * 16))
    return paths


def photos(count: int = 6) -> dict[str, Any]:
    """Write two classes of photographs: 4 · `count` - 4 to train on and validate with, `count` to test with."""
    for number, name in enumerate(("cat", "dog")):
        for part, images in (("train", 2 * count - 2), ("val", count // 2)):
            for i in range(images):
                path = Path("data/photos") / part / name / f"{i}.JPEG"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(jpeg(100 * number + i + (50 if part == "val" else 0)))
    return {"kind": "image_folder", "val_per_class": 2}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the image files that are read, as they are."""
    names: list[str] = []
    content = folders._content

    def counted(path: Path, limit: int) -> bytes:
        names.append(path.name)
        return content(path, limit)

    monkeypatch.setattr(folders, "_content", counted)
    return names


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_samples_as_in_a_copy(kind: str, root: Path) -> None:
    """Of every kind: labels, boxes, masks, pixels; what is stored is the list alone."""
    dataset = load_config(root / "config/paper.yaml").datasets[KINDS[kind]]
    if kind == "image_folder":
        dataset = dataset.model_copy(update={"num_classes": 3})
    content = write_layout(dataset, Path("data/photos"), 3)
    copy, place = prepared(content, "copy", in_place=False), prepared(content, "place", in_place=True)
    assert {**json.loads(copy["meta"].read_text()), "name": "", "splits": {}} == {
        **json.loads(place["meta"].read_text()),
        "name": "",
        "splits": {},
    }
    for split in SPLITS:
        one, other = (SampleStore(paths["index"], paths[split], split) for paths in (copy, place))
        assert [(s.id, s.label, s.boxes, s.sha256) for s in one.samples] == [
            (s.id, s.label, s.boxes, s.sha256) for s in other.samples
        ]
        for (i, pixels, placed), (j, same, also) in zip(one.all_prepared(SPEC), other.all_prepared(SPEC), strict=True):
            assert (i, placed) == (j, also)
            assert np.array_equal(pixels, same)
            assert one.read(i) == other.read(i) == (Path("data/photos") / other.samples[i].member).read_bytes()
            assert one.samples[i].mask is None or np.array_equal(np.asarray(one.mask(i)), np.asarray(other.mask(i)))
        with tarfile.open(place[split]) as tar:
            assert tar.getnames() == ["manifest"]


def test_the_manifest_names_each_file_with_its_size_and_hash() -> None:
    paths = prepared(photos(), in_place=True)
    with tarfile.open(paths["test"]) as tar:
        manifest = tar.extractfile("manifest")
        assert manifest is not None
        first, *lines = manifest.read().decode().splitlines()
    assert json.loads(first) == {"folder": "photos"}
    files = sorted(Path("data/photos/val").rglob("*.JPEG"))
    expected = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size} {file.relative_to('data/photos')}"
        for file in files
    ]
    assert lines == expected
    digest = hashlib.sha256(paths["test"].read_bytes()).hexdigest()
    assert read_meta(paths["meta"]).splits["test"] == {"images": 6, "sha256": digest}
    again = {name: path.read_bytes() for name, path in prepared(photos(), in_place=True).items()}
    assert again == {name: path.read_bytes() for name, path in paths.items()}


def test_only_what_was_touched_is_read_again(read: list[str]) -> None:
    dataset = photos()
    prepared(dataset, in_place=True)
    assert len(read) == 26
    read.clear()
    prepared({**dataset, "val_per_class": 1}, in_place=True)
    assert read == []
    os.utime("data/photos/val/cat/1.JPEG", ns=(1, 1))
    Path("data/photos/val/dog/2.JPEG").write_bytes(jpeg(7))
    paths = prepared(dataset, in_place=True)
    assert sorted(read) == ["1.JPEG", "2.JPEG"]
    assert hashlib.sha256(jpeg(7)).hexdigest() in paths["index"].read_text()


def test_an_interrupted_look_goes_on(read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_AT_ONCE", 4)
    dataset = photos()
    last = Path("data/photos/val/dog/2.JPEG")
    whole = last.read_bytes()
    last.write_bytes(whole[:50])
    with pytest.raises(DataError, match=r"photos, val/dog/2\.JPEG: not a readable image"):
        prepared(dataset, in_place=True)
    assert not any(path.is_file() for path in Path("results").rglob("*"))
    [notes] = folders.SEEN.iterdir()
    notes.write_text(notes.read_text()[:-20])  # and a kill in the middle of a line
    last.write_bytes(whole)
    read.clear()
    prepared(dataset, in_place=True)
    assert 2 < len(read) <= 3  # the two after the last note, and the one that was cut off


def test_a_changed_and_a_missing_file_are_named_with_what_to_do() -> None:
    paths = prepared(photos(), in_place=True)
    store = SampleStore(paths["index"], paths["test"], "test")
    file = Path("data/photos") / store.samples[0].member
    whole = file.read_bytes()
    for other in (jpeg(9), whole[:-1], whole + b"\0"):
        file.write_bytes(other)
        with pytest.raises(DataError, match=r"photos/val/cat/0\.JPEG: has changed.*Restore it.*delete.*test\.tar"):
            store.image(0)
    file.unlink()
    with pytest.raises(DataError, match=r"photos/val/cat/0\.JPEG: cannot be read.*Put it back"):
        store.read(0)
    assert store.read(1)
    Path("data/photos").rename("data/elsewhere")
    with pytest.raises(DataError, match=r"data/photos: no such folder.*SC2_DATA"):
        SampleStore(paths["index"], paths["test"], "test")


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="data/missing: no such folder"):
        prepared(photos(), in_place=True, folder="missing")


def test_a_damaged_manifest_is_refused() -> None:
    paths = prepared(photos(), in_place=True)
    content = paths["test"].read_bytes()
    paths["test"].write_bytes(content.replace(b'{"folder"', b'{"folded"', 1))
    with pytest.raises(DataError, match=r"test\.tar: cannot be read.*folder"):
        SampleStore(paths["index"], paths["test"], "test")


# `sc2 verify`


def test_verify_notices_a_changed_file(here: Path, root: Path) -> None:
    """Whether its size differs or only its content; a touched file is read again, and found to be the same."""
    from sc2.commands.verify import check
    from sc2.jobs.run import run_stage

    project = Project(here / "project")
    photos()
    settings = {"kind": "folder", "folder": "photos", "in_place": True}
    project.edit("datasets/ilsvrc2012.yaml", put("source", settings), put("num_classes", 2), put("val_per_class", 2))
    path = project.folder / "paper.yaml"
    folder = Path("results/data/ilsvrc2012")
    outputs = {"index": folder / "index.jsonl", "meta": folder / "meta.json"}
    outputs |= {split: folder / f"{split}.tar" for split in SPLITS}
    run_stage(
        "prepare_data",
        config_path=path,
        keys={"dataset": "ilsvrc2012"},
        inputs={},
        outputs=outputs,
        record=folder / "data.prov.json",
        planned_id=None,
        threads=1,
    )
    config = load_config(path)

    def found() -> list[Finding]:
        return check(config, Path("results")).findings

    assert found() == []
    digest = hashlib.sha256(outputs["train"].read_bytes()).hexdigest()
    assert read_record(folder / "data.prov.json").outputs["train"].sha256 == digest
    file = Path("data/photos/val/dog/1.JPEG")
    os.utime(file, ns=(1, 1))
    assert found() == []
    content = file.read_bytes()
    for changed in (content[:-1] + b"\0", content + b"\0", None):
        file.unlink() if changed is None else file.write_bytes(changed)
        [finding] = found()
        assert (finding.kind, finding.path) == ("edited", "results/data/ilsvrc2012/test.tar")
        assert "photos/val/dog/1.JPEG" in finding.message
        assert set(finding.bad) == {(here / path) for path in (*outputs.values(), folder / "data.prov.json")}
        assert finding.targets == (finding.path,)
    file.write_bytes(content)
    assert found() == []
    assert list(changed_in_place(Path("results"), lambda stage, keys: None)) == []
    assert job(config, "prepare_data", {"dataset": "ilsvrc2012"}) is not None
