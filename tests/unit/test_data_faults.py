"""Faults that were found from outside, each with the input that showed it."""

import hashlib
import io
import json
import math
import os
import tarfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sc2.data import coco, image_folder, prepare, voc
from sc2.data.source import NewSample, Source
from sc2.data.store import SampleStore
from sc2.data.transform import decode_image
from sc2.errors import DataError, FolderError
from sc2.job import RunningJob
from tests.unit import test_data_coco as of_coco
from tests.unit import test_data_voc as of_voc
from tests.unit.test_data_image_folder import jpeg, outputs, tree

CORPUS = Path(__file__).parents[1] / "corpus" / "images"
KINDS: Mapping[str, Any] = {"image_folder": image_folder, "coco": coco, "voc": voc}
SETTINGS: Mapping[str, dict[str, Any]] = {
    "image_folder": {"val_per_class": 2},
    "coco": {"val_images": 2},
    "voc": {"val_images": 2, "uses": "detection"},
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("SC2_DATA", str(folder))
    return folder


def archive(path: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return {"kind": "archive", "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def folder(path: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    of_voc.unpack(path, files)
    return {"kind": "folder", "folder": path.name}


def opened(kind: str, source: Mapping[str, str], **settings: Any) -> Source:
    found = KINDS[kind].open_dataset({"kind": kind, "source": source, **SETTINGS[kind], **settings})
    assert isinstance(found, Source)
    return found


def read(kind: str, source: Mapping[str, str], **settings: Any) -> tuple[tuple[str, ...], list[NewSample]]:
    found = opened(kind, source, **settings)
    return found.classes, sorted(found.samples, key=lambda sample: (sample.split, sample.id))


TREES = {"image_folder": tree, "coco": of_coco.tree, "voc": of_voc.tree}


# Walking


@pytest.mark.parametrize("rest", [".ipynb_checkpoints", "@eaDir", "__MACOSX", ".git"])
@pytest.mark.parametrize("pack", [archive, folder])
def test_a_folder_that_a_system_left_behind_is_no_class(data: Path, pack: Any, rest: str) -> None:
    plain = read("image_folder", pack(data / "plain", tree()))
    left = {f"set/{split}/{rest}/{i}.JPEG": jpeg(i) for split in ("train", "val") for i in range(3)}
    left |= {f"set/train/cat/{rest}/cat/0.JPEG": b"a thumbnail", f"{rest}/train/cat/0.JPEG": b"a copy"}
    assert read("image_folder", pack(data / "left", tree() | left)) == plain
    assert plain[0] == ("cat", "dog")


@pytest.mark.parametrize("linked", ["train", "val", "train/cat", "train/cat/0.JPEG"])
def test_links_are_read(data: Path, tmp_path: Path, linked: str) -> None:
    plain = read("image_folder", folder(data / "plain", tree()))
    source = folder(data / "linked", tree())
    place, disk = data / "linked" / "set" / linked, tmp_path / "disk" / "of another name"
    disk.parent.mkdir()
    place.rename(disk)
    place.symlink_to(disk)
    assert read("image_folder", source) == plain
    place.unlink()
    place.symlink_to(tmp_path / "gone")
    with pytest.raises(FolderError, match=r"a dangling link"):
        opened("image_folder", source)


def test_a_loop_of_links_is_refused(data: Path) -> None:
    source = folder(data / "loop", tree())
    (data / "loop" / "set" / "train" / "again").symlink_to(data / "loop")
    with pytest.raises(FolderError, match=r"train/again: leads back to a folder that contains it"):
        opened("image_folder", source)


@pytest.mark.parametrize("kind", TREES)
def test_an_archive_of_the_current_folder_is_read(data: Path, kind: str) -> None:
    files = TREES[kind]()
    plain = read(kind, archive(data / "plain.tar", files))
    assert read(kind, archive(data / "dots.tar", {f"./{name}": content for name, content in files.items()})) == plain


@pytest.mark.parametrize("pack", [archive, folder])
@pytest.mark.parametrize("name", [b"cat/caf\xe9.JPEG", b"caf\xe9/0.JPEG"])
def test_a_name_that_is_not_utf8_is_named(data: Path, pack: Any, name: bytes) -> None:
    files = tree() | {f"set/train/{os.fsdecode(name)}": jpeg(7)}
    with pytest.raises(DataError, match=r"caf\\xe9.*is not UTF-8\. Rename the file or folder"):
        opened("image_folder", pack(data / "set.tar", files))
    unused = tree() | {os.fsdecode(b"set/caf\xe9.txt"): b"hello"}
    assert opened("image_folder", pack(data / "unused.tar", unused)).classes == ("cat", "dog")


def test_a_hard_link_in_an_archive_is_refused_with_the_way_to_pack_it(data: Path) -> None:
    path = data / "set.tar"
    archive(path, tree())
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("set/train/cat/9.JPEG")
        link.type, link.linkname = tarfile.LNKTYPE, "set/train/cat/0.JPEG"
        tar.addfile(link)
    source = {"kind": "archive", "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    with pytest.raises(DataError, match=r"is a link to 'set/train/cat/0.JPEG'.*`tar --hard-dereference`"):
        opened("image_folder", source)


# Names


def test_a_class_may_be_composed_in_one_folder_and_decomposed_in_the_other(data: Path) -> None:
    def named(train: str, val: str) -> dict[str, bytes]:
        names = {"train/cat": f"train/{train}", "val/cat": f"val/{val}"}
        parts = {name: next((part for part in names if f"/{part}/" in name), "") for name in tree()}
        return {name.replace(part, names.get(part, part)): tree()[name] for name, part in parts.items()}

    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    for train, val in ((composed, decomposed), (decomposed, composed)):
        classes, samples = read("image_folder", archive(data / "set.tar", named(train, val)))
        assert classes == (train, "dog")
        assert sum(sample.split == "test" and sample.label == 0 for sample in samples) == 3
    both = named(composed, composed) | named(decomposed, decomposed)
    with pytest.raises(DataError, match=r"'caf\\xe9' and 'cafe\\u0301' look the same"):
        opened("image_folder", archive(data / "both.tar", both))


# Numbers in annotations


ROW = of_coco.annotation(139)
BAD_ROWS = {
    "nan box": ({"bbox": [math.nan, 2, 5, 3]}, r"annotations\[0\], annotation 7: bbox is nan"),
    "infinite box": ({"bbox": [3, 2, math.inf, 3]}, "bbox is inf"),
    "negative side": ({"bbox": [3, 2, -5, 3]}, "bbox is -5; it must be at least 0"),
    "box of text": ({"bbox": ["3", 2, 5, 3]}, "bbox is the text '3'; .* remove the quotes"),
    "box as text": ({"bbox": "3252"}, "bbox is not a list of four numbers"),
    "nan area": ({"area": math.nan}, "annotation 7: area is nan"),
    "no area": ({"area": None}, "area is None"),
    "crowd as text": ({"iscrowd": "0"}, "iscrowd is '0'; it must be 0 or 1, without quotes"),
    "image as text": ({"image_id": "139"}, "image_id is the text '139'"),
    "part of a category": ({"category_id": 1.5}, "category_id is 1.5; it must be a whole number"),
    "huge": ({"bbox": [10**400, 2, 5, 3]}, "finite number"),
}


@pytest.mark.parametrize("fault", BAD_ROWS)
def test_a_number_of_coco_that_is_none_is_refused_with_its_annotation(fault: str) -> None:
    change, message = BAD_ROWS[fault]
    content = of_coco.instances("val2017", [ROW | change])
    with pytest.raises(DataError, match=message) as caught:
        coco.read_instances("val.json", json.dumps(content).encode())
    assert "val.json: not a readable annotation file" in str(caught.value)


BAD_FILES = {
    "ids as text": (
        {"images": [{"id": "1", "file_name": "a", "width": 1, "height": 1}]},
        r"images\[0\].id is the text",
    ),
    "flat image": ({"images": [{"id": 1, "file_name": "a", "width": 0, "height": 1}]}, r"width is 0; .* at least 1"),
    "category without a name": ({"categories": [{"id": 1, "name": ""}]}, r"categories\[0\].name is ''"),
    "a half character": ({"categories": [{"id": 1, "name": "\ud800"}]}, "is not UTF-8"),
    "rows that are none": ({"annotations": [3]}, r"annotations\[0\] is not an object"),
    "a mapping of images": ({"images": {"1": {}}}, "it has no list of images"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_another_shape_of_coco_is_refused(fault: str) -> None:
    change, message = BAD_FILES[fault]
    with pytest.raises(DataError, match=message):
        coco.read_instances("val.json", json.dumps(of_coco.instances("val2017", [ROW]) | change).encode())


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a": ' * 100_000, b'{"images": [], "images": []}', b"\xff\xfe\0"]
)
def test_deep_doubled_and_undecodable_json_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"val\.json: not a readable annotation file"):
        coco.read_instances("val.json", content)


def test_val_may_lack_a_category_that_train_lists(data: Path) -> None:
    lacking = of_coco.instances("val2017", categories=of_coco.CATEGORIES[1:])
    plain = read("coco", archive(data / "plain.tar", of_coco.tree()))
    assert read("coco", archive(data / "lacks.tar", of_coco.tree({of_coco.VAL: lacking}))) == plain


BAD_XML: dict[str, tuple[dict[str, Any], str]] = {
    "nan": ({"corners": ("nan", 3, 8, 5)}, r"object\[0\]/bndbox/xmin is 'nan'; it must be a decimal number"),
    "infinite": ({"corners": (4, 3, "1e999", 5)}, "xmax is inf; it must be a finite number"),
    "octal": ({"corners": (4, "03", 8, 5)}, "ymin is '03'"),
    "swapped": ({"corners": (8, 3, 4, 5)}, r"\(7.0, 2.0, 4.0, 5.0\) .* is not a valid box"),
    "difficult": ({"difficult": "yes"}, r"object\[0\]/difficult is 'yes'; it must be 0 or 1"),
}


@pytest.mark.parametrize("fault", BAD_XML)
def test_a_number_of_voc_that_is_none_is_refused(fault: str) -> None:
    change, message = BAD_XML[fault]
    with pytest.raises(DataError, match=message) as caught:
        voc.read_boxes("a.xml", of_voc.xml(of_voc.entry(**change)), (12, 8))
    assert "a.xml" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b'<?xml version="1.0" encoding="no-such"?><annotation/>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><a/>'.encode("utf-16"),
        of_voc.xml(size=("nan", 8)),
        b"",
    ],
)
def test_other_xml_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.xml: "):
        voc.read_boxes("a.xml", content, (12, 8))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_list_that_is_not_utf8_is_named_with_its_line(data: Path, encoding: str) -> None:
    lines = "\n".join([*of_voc.VAL[:2], "café"]).encode(encoding)
    source = archive(data / "set.tar", of_voc.tree({"ImageSets/Main/val.txt": lines}))
    line = 1 if encoding == "utf-16" else 3
    with pytest.raises(DataError, match=rf"Main/val\.txt, line {line}: .*Save the list as UTF-8"):
        opened("voc", source)
    marked = of_voc.tree({"ImageSets/Main/val.txt": b"\xef\xbb\xbf" + "\r\n".join(of_voc.VAL).encode()})
    assert opened("voc", archive(data / "marked.tar", marked)).counts["test"] == 3


# Images that their EXIF data turn


def turned(orientation: int, size: tuple[int, int]) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return of_voc.jpeg(3, size=size, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("stored", "upright"), [((12, 8), (12, 8)), ((8, 12), (12, 8)), ((9, 9), (9, 9))])
@pytest.mark.parametrize("uses", ["segmentation", "detection"])
def test_annotations_of_a_turned_image_are_taken_only_where_their_size_tells(
    data: Path, uses: str, stored: tuple[int, int], upright: tuple[int, int], orientation: int
) -> None:
    id_ = of_voc.VAL[0]
    change = {
        f"JPEGImages/{id_}.jpg": turned(orientation, stored),
        f"SegmentationClass/{id_}.png": of_voc.mask(upright),
        f"Annotations/{id_}.xml": of_voc.xml(of_voc.entry(), size=upright),
    }
    source = archive(data / "set.tar", of_voc.tree(change))
    quarter = orientation >= 5
    if stored != upright and not quarter:
        message = "annotated as 12 × 8"
    elif orientation == 1 or (quarter and stored != upright):
        assert len(read("voc", source, uses=uses)[1]) == 9
        return
    else:
        message = (
            "annotated as 12 × 8" if quarter and stored[0] != stored[1] else f"orientation {orientation}, and it is"
        )
    with pytest.raises(DataError, match=rf"{id_}\.(png|xml): .*{message}"):
        read("voc", source, uses=uses)


def test_a_turned_image_of_coco(data: Path) -> None:
    name = f"val2017/{of_coco.NAMES['val2017'][0]}"
    files = of_coco.tree({name: turned(3, (12, 8))})
    with pytest.raises(DataError, match=rf"{name}: its image has EXIF orientation 3"):
        read("coco", archive(data / "set.tar", files))
    files = of_coco.tree({name: turned(3, (12, 8)), of_coco.VAL: of_coco.instances("val2017", [])})
    assert len(read("coco", archive(data / "no_boxes.tar", files))[1]) == 9  # nothing to turn


def test_a_size_is_needed_to_tell(data: Path) -> None:
    with pytest.raises(DataError, match="orientation 6"):
        voc.read_boxes("a.xml", of_voc.xml(of_voc.entry(), size=None), (12, 8), orientation=6)
    assert voc.read_boxes("a.xml", of_voc.xml(size=None), (12, 8), orientation=6) == ()


# Pixels


def tiff(values: np.ndarray, order: str = "<", **tags: int) -> bytes:
    """A grey TIFF of one strip; tags by name override width, height, bits, photometric and format."""
    height, width = values.shape
    data = values.tobytes()
    known = {"bits": 258, "photometric": 262, "sample_format": 339}
    entries = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data), 339: 1}
    entries |= {known[name]: value for name, value in tags.items()}
    pack = "little" if order == "<" else "big"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, pack)  # type: ignore[arg-type]

    ifd = number(len(entries), 2)
    for tag, value in sorted(entries.items()):
        ifd += number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4)
    head = (b"II" if order == "<" else b"MM") + number(42, 2) + number(8 + len(data), 4)
    return head + data + ifd + number(0, 4)


GRADIENT = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bits_keep_their_gradient_in_both_byte_orders(order: str) -> None:
    decoded = decode_image(tiff(GRADIENT.astype(f"{order}u2"), order), "x")
    assert np.array_equal(np.asarray(decoded)[:, :, 0], GRADIENT >> 8)
    corpus = np.asarray(decode_image((CORPUS / "grey16_big_endian.tif").read_bytes(), "x"))
    assert (int(corpus.min()), int(corpus.max())) == (0, 255)
    assert len(np.unique(corpus)) > 50


@pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF"])
def test_16_bits_of_every_format_are_alike(kind: str) -> None:
    if kind == "PPM":
        data = b"P5 8 8 65535\n" + GRADIENT.astype(">u2").tobytes()
    else:
        data = of_voc.encoded(Image.fromarray(GRADIENT), kind)
    assert np.array_equal(np.asarray(decode_image(data, "x"))[:, :, 2], GRADIENT >> 8)


UNSAFE = {
    "32 bits": lambda: of_voc.encoded(Image.fromarray(GRADIENT.astype(np.int32)), "TIFF"),
    "fractions": lambda: of_voc.encoded(Image.fromarray(GRADIENT.astype(np.float32)), "TIFF"),
    "portable floats": lambda: of_voc.encoded(Image.fromarray(GRADIENT.astype(np.float32)), "PPM"),
    "signed": lambda: tiff(GRADIENT.astype("<i2"), sample_format=2),
    "0 is white": lambda: tiff(GRADIENT, photometric=0),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_numbers_of_unknown_range_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"cat\.tif: its values .*range is unknown|cat\.tif: not a readable image"):
        decode_image(UNSAFE[name](), "cat.tif")


def test_damaged_exif_data_say_nothing_about_the_pixels() -> None:
    assert decode_image((CORPUS / "bad_exif_text.png").read_bytes(), "x").size == (16, 16)
    plain = of_voc.jpeg(3)
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        data = of_voc.jpeg(3, exif=exif)
        assert np.array_equal(np.asarray(decode_image(data, "x")), np.asarray(decode_image(plain, "x")))


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_the_corpus_of_images_is_decoded_or_refused(path: Path) -> None:
    try:
        image = decode_image(path.read_bytes(), path.name)
    except DataError as error:
        assert path.name in str(error)  # noqa: PT017  # either is right
    else:
        assert image.mode == "RGB"


# Images in two splits


def made(folder: Path, source: Mapping[str, str]) -> dict[str, Path]:
    out = outputs(folder)
    dataset = {"kind": "image_folder", "source": source, "val_per_class": 2}
    prepare.run(RunningJob("prepare_data", {}, {"name": "d", "dataset": dataset}, {}, out, "0" * 16))
    return out


def test_test_images_that_are_trained_on_are_noticed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "none", archive(data / "none.tar", tree()))
    assert "warning" not in capsys.readouterr().err
    some = tree() | {"set/val/cat/0.JPEG": tree()["set/train/cat/1.JPEG"]}
    out = made(tmp_path / "some", archive(data / "some.tar", some))
    said = capsys.readouterr().err
    assert "warning: d: 1 of 6 test images are also images of another split, such as cat/0.JPEG (" in said
    assert len(SampleStore(out["index"], out["test"], "test")) == 6
    copied = {name.replace("/train/", "/val/"): content for name, content in tree(test=0).items()}
    with pytest.raises(DataError, match=r"12 of 12 test images .* Nothing would be tested"):
        made(tmp_path / "all", archive(data / "all.tar", tree(test=0) | copied))
    assert list((tmp_path / "all").iterdir()) == []


def test_validation_images_that_are_trained_on_are_noticed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same photograph under two names: one of them is held out."""
    twice = tree() | {f"set/train/cat/copy{i}.JPEG": tree()[f"set/train/cat/{i}.JPEG"] for i in range(6)}
    out = made(tmp_path / "twice", archive(data / "twice.tar", twice))
    stores = {split: SampleStore(out["index"], out[split], split) for split in ("train", "val")}
    trained = {sample.sha256 for sample in stores["train"].samples}
    both = [sample.id for sample in stores["val"].samples if sample.sha256 in trained]
    assert both
    said = capsys.readouterr().err
    assert f"warning: d: {len(both)} of 4 val images are also images of another split, such as {both[0]} (train" in said
    assert "test images" not in said


def test_a_damaged_store_is_named(data: Path, tmp_path: Path) -> None:
    out = made(tmp_path / "out", archive(data / "set.tar", tree()))
    row = json.loads(out["index"].read_text().splitlines()[0])
    for change in (
        {"offset": -1},
        {"size": 2**40},
        {"offset": "0"},
        {"label": 1.5},
        {"boxes": [[0, 0, 1, math.nan, 0]]},
        {"boxes": "ab"},
        {"id": "\udce9"},
        {"mask": 3},
        {"sha256": 7},
    ):
        out["index"].write_text(json.dumps(row | change))
        with pytest.raises(DataError, match=r"index\.jsonl, line 1: damaged"):
            SampleStore(out["index"], out["train"], row["split"])
    for content in (b"\xff\xfe", b"[" * 100_000):
        out["index"].write_bytes(content)
        with pytest.raises(DataError, match=r"index\.jsonl, line 1: damaged"):
            SampleStore(out["index"], out["train"], "train")
