import hashlib
import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sc2.data import prepare
from sc2.data.geometry import Placement
from sc2.data.source import SPLITS, Box, NewSample
from sc2.data.spec import SizeSpec
from sc2.data.store import SampleStore, read_meta
from sc2.data.transform import prepare_image
from sc2.data.writer import StoreWriter
from sc2.errors import ConfigError, DataError
from sc2.job import RunningJob


def ppm(value, size=(2, 2)):
    return b"P6\n%d %d\n255\n" % size + bytes([value]) * (3 * size[0] * size[1])


def paths(folder):
    names = {"index": "index.jsonl", "meta": "meta.json", **{split: f"{split}.tar" for split in SPLITS}}
    return {key: folder / name for key, name in names.items()}


def samples():
    for split in SPLITS:
        for number in (2, 0, 1):
            boxes, mask = ((Box(0, 0, 1, 2, 1),), b"P5\n2 2\n255\n\0\2\0\2") if number else ((), None)
            yield NewSample(split, f"a/{number}", number % 2, ppm(number), ".ppm", boxes, mask)


def write(folder, content=samples):
    with StoreWriter("tiny", ("zero", "one"), paths(folder)) as writer:
        for sample in content():
            writer.add(sample)


@pytest.fixture
def stored(tmp_path):
    write(tmp_path)
    return paths(tmp_path)


def test_round_trip(stored):
    store = SampleStore(stored["index"], stored["val"], "val")
    assert len(store) == 3
    assert store.labels == [0, 1, 0]
    assert [sample.id for sample in store.samples] == ["a/0", "a/1", "a/2"]
    assert [store.read(i) for i in range(3)] == [ppm(0), ppm(1), ppm(2)]
    assert store.image(2).mode == "RGB"
    assert store.image(2).getpixel((1, 1)) == (2, 2, 2)
    assert store.boxes(1) == (Box(0, 0, 1, 2, 1),)
    assert store.boxes(0) == ()
    assert list(store.mask(1).tobytes()) == [0, 2, 0, 2]
    with pytest.raises(DataError, match="a/0 has no mask"):
        store.mask(0)


def test_tars_are_plain_and_deterministic(stored, tmp_path):
    with tarfile.open(stored["train"]) as tar:
        for info in tar:
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, 0, "", "", 0o644)
        assert tar.getnames() == ["000000.ppm", "000000.mask.pgm", "000001.ppm", "000002.ppm", "000002.mask.pgm"]
    again = tmp_path / "again"
    again.mkdir()
    write(again)
    assert all(path.read_bytes() == stored[key].read_bytes() for key, path in paths(again).items())


def test_meta(stored):
    meta = read_meta(stored["meta"])
    assert (meta.name, meta.classes) == ("tiny", ("zero", "one"))
    for split in SPLITS:
        digest = hashlib.sha256(stored[split].read_bytes()).hexdigest()
        assert meta.splits[split] == {"images": 3, "sha256": digest}


def test_index_lines_have_sorted_keys_and_only_what_is_known(stored):
    rows = [json.loads(line) for line in stored["index"].read_text().splitlines()]
    assert all(list(row) == sorted(row) for row in rows)
    assert set(rows[0]) == {"id", "split", "label", "member", "offset", "size", "sha256"}
    assert set(rows[1]) == set(rows[0]) | {"boxes", "mask"}
    assert set(rows[1]["mask"]) == {"member", "offset", "size", "sha256"}


def dense(boxes=(), mask=None, mask_suffix=".pgm"):
    def content():
        for split in SPLITS:
            yield NewSample(split, "a", None, ppm(1), ".ppm", boxes, mask, mask_suffix)

    return content


def test_images_without_a_label(tmp_path):
    write(tmp_path, dense())
    store = SampleStore(paths(tmp_path)["index"], paths(tmp_path)["val"], "val")
    assert store.samples[0].label is None
    assert "label" not in paths(tmp_path)["index"].read_text()
    with pytest.raises(DataError, match=r"val\.tar: its images have no labels"):
        _ = store.labels
    with pytest.raises(DataError, match=r"val\.tar: its images have no boxes"):
        store.boxes(0)


def test_everything_about_a_box_is_kept_and_the_index_stays_short(tmp_path):
    boxes = (
        Box(0, 0, 2, 2, 1),
        Box(0.5, 0, 1.25, 2, 0, area=0.75),
        Box(0, 0, 1, 1, 0, crowd=True),
        Box(0, 0, 1, 1, 0, difficult=True),
        Box(0, 0, 1, 1, 0, crowd=True, difficult=True, area=0.5),
    )
    write(tmp_path, dense(boxes))
    assert SampleStore(paths(tmp_path)["index"], paths(tmp_path)["val"], "val").boxes(0) == boxes
    assert json.loads(paths(tmp_path)["index"].read_text().splitlines()[0])["boxes"] == [
        [0, 0, 2, 2, 1],
        [0.5, 0, 1.25, 2, 0, 0.75],
        [0, 0, 1, 1, 0, 1, 1],
        [0, 0, 1, 1, 0, 1, 2],
        [0, 0, 1, 1, 0, 0.5, 3],
    ]


def test_a_mask_in_a_palette_keeps_its_numbers(tmp_path):
    mask = Image.new("P", (2, 2))
    mask.putpalette([200, 100, 50] * 256)
    mask.putdata([0, 1, 2, 255])
    file = io.BytesIO()
    mask.save(file, "PNG")
    write(tmp_path, dense(mask=file.getvalue(), mask_suffix=".png"))
    store = SampleStore(paths(tmp_path)["index"], paths(tmp_path)["val"], "val")
    assert store.mask(0).mode == "L"
    assert list(store.mask(0).tobytes()) == [0, 1, 2, 255]
    assert store.samples[0].mask.member == "000000.mask.png"


def fails_in_the_middle():
    yield from list(samples())[:4]
    raise RuntimeError("stopped")


def bad(**change):
    fields = {"split": "train", "id": "x", "label": 0, "image": ppm(0), "suffix": ".ppm"}

    def content():
        yield from samples()
        yield NewSample(**(fields | change))

    return content


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (fails_in_the_middle, RuntimeError, "stopped"),
        (bad(label=2), DataError, "label 2"),
        (bad(boxes=(Box(0, 0, 1, 1, 7),)), DataError, "label 7"),
        (bad(boxes=(Box(1, 0, 1, 1, 1),)), DataError, "x has an empty box"),
        (bad(id="a/0"), DataError, "two samples of split train are called a/0"),
        (bad(split="dev"), DataError, "unknown split 'dev'"),
        (lambda: [next(samples())], DataError, "split val is empty"),
    ],
)
def test_a_failure_leaves_nothing_behind(tmp_path, content, error, message):
    with pytest.raises(error, match=message):
        write(tmp_path, content)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_rename_leaves_nothing_behind(tmp_path):
    (tmp_path / "index.jsonl").mkdir()
    with pytest.raises(OSError, match="index"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.jsonl"]


def test_a_truncated_tar_is_refused(stored):
    stored["test"].write_bytes(stored["test"].read_bytes()[:1500])
    with pytest.raises(DataError, match=r"test\.tar: truncated, 1500 bytes.*Delete it"):
        SampleStore(stored["index"], stored["test"], "test")


def with_altered_bytes(stored):
    """The store of the test split, whose first image has changed since."""
    content = bytearray(stored["test"].read_bytes())
    store = SampleStore(stored["index"], stored["test"], "test")
    content[store.samples[0].offset + 15] ^= 1
    stored["test"].write_bytes(content)
    return store


def test_altered_bytes_are_noticed(stored):
    store = with_altered_bytes(stored)
    with pytest.raises(DataError, match=r"test\.tar: member 000001\.ppm does not match the index"):
        store.read(0)
    assert store.read(1) == ppm(1)


SPECS = [
    SizeSpec(resize=8, crop=8),
    SizeSpec(resize=8, crop=5),
    SizeSpec(resize=6, crop=6),
    SizeSpec(fit="whole", resize=8, multiple=16),
    SizeSpec(fit="whole", resize=8),
]


@pytest.mark.parametrize("spec", SPECS)
def test_prepared_pixels_are_those_of_the_image(tmp_path, spec):
    def pictures():
        generator = np.random.default_rng(0)
        for split in SPLITS:
            for number, size in ((2, (8, 8)), (0, (12, 8)), (1, (8, 8))):
                pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                data, file = b"P6\n%d %d\n255\n" % size + pixels.tobytes(), io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                yield NewSample(split, f"{number}", 0, file.getvalue() if number == 1 else data, ".image")

    write(tmp_path, pictures)
    store = SampleStore(paths(tmp_path)["index"], paths(tmp_path)["val"], "val")
    together = list(store.all_prepared(spec))
    assert [i for i, *_ in together] == [2, 0, 1]  # as they were written
    for i, pixels, place in together:
        image = store.image(i)
        alone, same_place = store.prepared(i, spec)
        assert place == same_place == Placement.of(image.size, spec)
        for found in (pixels, alone):
            assert found.dtype == np.uint8
            assert np.array_equal(found, np.asarray(prepare_image(image, spec)))


def test_a_pass_through_the_tar_checks_every_image(stored):
    store = with_altered_bytes(stored)
    with pytest.raises(DataError, match=r"test\.tar: member 000001\.ppm does not match the index"):
        list(store.all_prepared(SizeSpec(resize=2, crop=2)))
    stored["test"].unlink()
    with pytest.raises(DataError, match=r"test\.tar: cannot be read"):
        next(store.all_prepared(SizeSpec(resize=2, crop=2)))


def test_an_image_that_does_not_fit_the_input_is_named(tmp_path):
    write(tmp_path, lambda: (NewSample(split, "long", 0, ppm(1, (40, 1)), ".ppm") for split in SPLITS))
    store = SampleStore(paths(tmp_path)["index"], paths(tmp_path)["val"], "val")
    with pytest.raises(DataError, match=r"val\.tar, sample long: an image of 40 × 1 pixels would become"):
        store.prepared(0, SizeSpec(fit="whole", resize=8))


def test_an_unreadable_image_is_named(tmp_path):
    write(tmp_path, lambda: (NewSample(split, "a", 0, b"no image", ".jpg") for split in SPLITS))
    store = SampleStore(paths(tmp_path)["index"], paths(tmp_path)["val"], "val")
    with pytest.raises(DataError, match=r"val\.tar, member 000000\.jpg.*not a readable image .*prepare_data"):
        store.image(0)


@pytest.mark.parametrize("name", ["index", "val"])
def test_a_missing_file_is_named(stored, name):
    stored[name].unlink()
    with pytest.raises(DataError, match=f"{stored[name].name}: missing"):
        SampleStore(stored["index"], stored["val"], "val")


@pytest.mark.parametrize("line", ["{", "[]", '{"split": "val"}', '{"split": "val", "boxes": [1]}'])
def test_a_damaged_index_is_named_with_its_line(stored, line):
    stored["index"].write_text(stored["index"].read_text() + line + "\n")
    with pytest.raises(DataError, match=r"index\.jsonl, line 10: damaged"):
        SampleStore(stored["index"], stored["val"], "val")


def test_an_unknown_split_and_a_damaged_meta(stored):
    with pytest.raises(DataError, match="no sample of split 'dev'"):
        SampleStore(stored["index"], stored["val"], "dev")
    stored["meta"].write_text("{}")
    with pytest.raises(DataError, match=r"meta\.json: damaged"):
        read_meta(stored["meta"])
    stored["meta"].unlink()
    with pytest.raises(DataError, match=r"meta\.json: missing"):
        read_meta(stored["meta"])


def job(folder, dataset):
    return RunningJob("prepare_data", {"dataset": "d"}, {"name": "d", "dataset": dataset}, {}, paths(folder), "0" * 16)


def test_the_stage_makes_photodigits(tmp_path, capsys):
    dataset = {"kind": "photodigits", "seed": 0, "images": {"train": 6, "val": 3, "test": 2}}
    prepare.run(job(tmp_path, dataset))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths(tmp_path).values())
    assert "d: train: 6 images" in capsys.readouterr().err
    store = SampleStore(tmp_path / "index.jsonl", tmp_path / "train.tar", "train")
    assert store.labels == [0, 1, 2, 3, 4, 5]
    assert Image.open(io.BytesIO(store.read(0))).format == "PPM"


def test_the_stage_refuses_an_unknown_kind(tmp_path):
    with pytest.raises(ConfigError, match="'no_such_kind'"):
        prepare.run(job(tmp_path, {"kind": "no_such_kind"}))


def test_what_images_share_is_kept_where_all_of_a_split_have_it(tmp_path):
    def grouped():
        for sample in samples():
            shared = {"photograph": f"p{sample.id[-1]}"} | ({"glyph": "7"} if sample.id != "a/1" else {})
            yield replace(sample, groups=shared if sample.split == "test" else {})

    write(tmp_path, grouped)
    stores = {split: SampleStore(paths(tmp_path)["index"], paths(tmp_path)[split], split) for split in SPLITS}
    assert stores["test"].samples[0].groups == {"photograph": "p0", "glyph": "7"}
    assert stores["test"].groups() == {"photograph": ["p0", "p1", "p2"]}
    assert stores["val"].groups() == {}
    assert '"groups"' not in paths(tmp_path)["index"].read_text().splitlines()[0]


@pytest.mark.parametrize("groups", ["p", ["p"], {"photograph": 3}])
def test_damaged_groups_are_refused(stored, groups):
    first, *rest = stored["index"].read_text().splitlines()
    stored["index"].write_text("\n".join([json.dumps({**json.loads(first), "groups": groups}), *rest]) + "\n")
    with pytest.raises(DataError, match=r"line 1: damaged"):
        SampleStore(stored["index"], stored["train"], "train")
