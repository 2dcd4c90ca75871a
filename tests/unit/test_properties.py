"""Whatever comes from outside ends in what was asked for or in an error of the project's own that names the file."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sc2.config.load import load_config
from sc2.data import coco, image_folder, voc
from sc2.data.image_codec import decompress
from sc2.data.store import SampleStore, read_meta
from sc2.data.transform import decode_image, decode_mask
from sc2.errors import SC2Error
from tests.configuration import CONFIG
from tests.dense import write_scenes
from tests.unit import test_data_coco as of_coco
from tests.unit import test_data_voc as of_voc
from tests.unit.test_data_image_folder import tree

often = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
seldom = settings(often, max_examples=40)

Mutation = Callable[[bytes], bytes]


@st.composite
def mutations(draw: st.DrawFn) -> Mutation:
    """Changes bytes: some of them set, a part left out, doubled or cut off."""
    spots = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8))
    part = draw(st.none() | st.tuples(st.floats(0, 1), st.integers(1, 64), st.sampled_from(["drop", "double", "cut"])))

    def mutate(data: bytes) -> bytes:
        changed = bytearray(data)
        for place, value in spots:
            if changed:
                changed[int(place * (len(changed) - 1))] = value
        if part is not None:
            start = int(part[0] * len(changed))
            piece = changed[start : start + part[1]]
            changed[start : None if part[2] == "cut" else start + part[1]] = piece * 2 if part[2] == "double" else b""
        return bytes(changed)

    return mutate


def fits_or_names(act: Callable[[], Any], name: str) -> None:
    """Run `act`; it may raise the project's own errors only, with the name in them."""
    try:
        act()
    except SC2Error as error:
        said = str(error)
    else:
        return
    assert name in said


# Images


def images() -> Iterator[tuple[str, bytes]]:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000"):
        options = {"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") else {}
        yield kind, of_voc.encoded(Image.fromarray(pixels), kind, **options)
    yield "grey", of_voc.encoded(Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257), "TIFF")
    yield "lzw", of_voc.encoded(Image.fromarray(pixels), "TIFF", compression="tiff_lzw")
    yield "palette", of_voc.mask()
    yield from ((path.name, path.read_bytes()) for path in (Path(__file__).parents[1] / "corpus" / "images").iterdir())


IMAGES = dict(images())


@pytest.mark.parametrize("kind", IMAGES)
@often
@given(mutate=mutations())
def test_any_image_is_decoded_or_named(kind: str, mutate: Mutation) -> None:
    data = mutate(IMAGES[kind])
    fits_or_names(lambda: decode_image(data, "cat.png"), "cat.png")
    fits_or_names(lambda: decode_mask(data, "cat.png"), "cat.png")


@often
@given(data=st.binary(max_size=200))
def test_any_bytes_are_decoded_or_named(data: bytes) -> None:
    fits_or_names(lambda: decode_image(data, "cat.png"), "cat.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@often
@given(mutate=mutations(), sides=st.tuples(st.integers(0, 2**31), st.integers(0, 2**31)))
def test_any_image_on_the_wire_is_decoded_or_refused(kind: str, mutate: Mutation, sides: tuple[int, int]) -> None:
    for size in ((11, 9), sides):
        fits_or_names(lambda size=size: decompress(mutate(IMAGES[kind]), kind, size), kind)  # type: ignore[misc]


# Annotations

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["0", "yes", ".inf", "017", "\ud800", "\0", 10**400, -1, 2**63, 1e308, "../x", "/etc/passwd"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values in lists and mappings."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def replaced(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(content))
    inside = copy
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return copy


ANNOTATIONS = json.loads(json.dumps(of_coco.instances("val2017")))


@often
@given(path=st.sampled_from(list(places(ANNOTATIONS))), value=VALUES)
def test_any_value_in_coco_is_taken_or_named(path: tuple[Any, ...], value: Any) -> None:
    data = json.dumps(replaced(ANNOTATIONS, path, value)).encode()
    fits_or_names(lambda: coco.read_instances("val.json", data), "val.json")


@often
@given(mutate=mutations())
def test_any_bytes_in_coco_are_taken_or_named(mutate: Mutation) -> None:
    data = mutate(json.dumps(ANNOTATIONS).encode())
    fits_or_names(lambda: coco.read_instances("val.json", data), "val.json")


@often
@given(mutate=mutations(), corner=st.text(max_size=6), orientation=st.integers(1, 8))
def test_any_annotation_of_voc_is_taken_or_named(mutate: Mutation, corner: str, orientation: int) -> None:
    written = of_voc.xml(of_voc.entry(corners=(corner.replace("<", ""), 3, 8, 5)), of_voc.entry("cat"))
    for data in (mutate(of_voc.xml(of_voc.entry(), of_voc.entry("cat"))), mutate(written)):
        fits_or_names(lambda data=data: voc.read_boxes("a.xml", data, (12, 8), orientation=orientation), "a.xml")  # type: ignore[misc]


# Whole data sets


def packed(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


SETS: dict[str, tuple[Any, bytes, dict[str, Any]]] = {
    "image_folder": (image_folder, packed(tree()), {"val_per_class": 1}),
    "coco": (coco, packed(of_coco.tree()), {"val_images": 1}),
    "voc": (voc, packed(of_voc.tree()), {"val_images": 1, "uses": "detection"}),
}


@pytest.mark.parametrize("kind", SETS)
@often
@given(mutate=mutations(), header=st.floats(0, 1), spot=st.integers(0, 511), value=st.integers(0, 255))
def test_any_archive_is_read_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mutate: Mutation, header: float, spot: int, value: int
) -> None:
    monkeypatch.setenv("SC2_DATA", str(tmp_path))
    module, data, rest = SETS[kind]
    changed = bytearray(mutate(data))
    block = 512 * int(header * (len(changed) // 512 - 1))
    changed[block + spot : block + spot + 1] = bytes([value])
    (tmp_path / "set.tar").write_bytes(changed)
    source = {"kind": "archive", "file": "set.tar", "sha256": hashlib.sha256(changed).hexdigest()}
    config = {"kind": kind, "source": source, **rest}
    fits_or_names(lambda: list(module.open_dataset(config).samples), "set.tar")


@seldom
@given(
    names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=8), max_size=4)
)
def test_any_name_in_a_folder_is_read_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    monkeypatch.setenv("SC2_DATA", str(tmp_path))
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    of_voc.unpack(tmp_path / "set", tree())
    for name in set(names) - {".", ".."}:
        of_voc.unpack(tmp_path / "set", {f"set/train/{name}/0.JPEG": b"x", f"set/train/dog/{name}": b"x"})
    config = {"kind": "image_folder", "source": {"kind": "folder", "folder": "set"}, "val_per_class": 1}
    fits_or_names(lambda: list(image_folder.open_dataset(config).samples), "set")


# Stores


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths: dict[str, Path] = write_scenes(tmp_path_factory.mktemp("scenes"), (2, 1, 1))
    return paths


def everything(index: Path, tar: Path) -> None:
    store = SampleStore(index, tar, "train")
    for i in range(len(store)):
        store.image(i), store.mask(i), store.boxes(i)
    assert len(store.labels) == len(store)


@often
@given(mutate=mutations(), pick=st.floats(0, 1), value=VALUES)
def test_any_index_and_meta_are_read_or_named(
    tmp_path: Path, stored: dict[str, Path], mutate: Mutation, pick: float, value: Any
) -> None:
    content = stored["index"].read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    found = list(places(rows))
    changed = replaced(rows, found[int(pick * (len(found) - 1))], value)
    for data in (mutate(content), "\n".join(map(json.dumps, changed)).encode()):
        (tmp_path / "index.jsonl").write_bytes(data)
        fits_or_names(lambda: everything(tmp_path / "index.jsonl", stored["train"]), "")
    meta = json.loads(stored["meta"].read_bytes())
    found = list(places(meta))
    changed = replaced(meta, found[int(pick * (len(found) - 1))], value)
    for data in (mutate(stored["meta"].read_bytes()), json.dumps(changed).encode()):
        (tmp_path / "meta.json").write_bytes(data)
        fits_or_names(lambda: read_meta(tmp_path / "meta.json"), "meta.json")


# Configuration

FILES = [
    ("quick.yaml", "quick.yaml"),
    ("benchmarks/photodigits_quick_small_resnet.yaml", "quick.yaml"),
    ("benchmarks/photodigits_quick_segmentation.yaml", "quick.yaml"),
    ("datasets/photodigits_quick.yaml", "quick.yaml"),
    ("datasets/voc2012.yaml", "voc.yaml"),
    ("methods/jpeg.yaml", "quick.yaml"),
    ("methods/jpeg.yaml", "voc.yaml"),
]
"""Files, and the run files that read each."""
WORDS = [
    "yes",
    ".inf",
    "017",
    '"0"',
    "1e999",
    "{{x}}",
    "*a",
    "&a [*a]",
    "!!python/none",
    "2020-13-99",
    "[",
    "{",
    "'",
    "\t",
]
WORDS += [
    "- ",
    ": ",
    "? ",
    "<<: 3",
    "~",
    "1:30",
    "0x1f",
    "-1",
    '"\\0"',
    "null",
    "!!binary a",
    "!!set {a}",
    "é",
    "|\n",
    "%",
    "9" * 5000,
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "config"
    shutil.copytree(CONFIG, folder)
    return folder


@pytest.mark.parametrize(("file", "run_file"), FILES)
@seldom
@given(mutate=mutations(), pick=st.floats(0, 1), word=st.sampled_from(WORDS), whole=st.booleans())
def test_any_configuration_is_read_or_named(
    project: Path, file: str, run_file: str, mutate: Mutation, pick: float, word: str, whole: bool
) -> None:
    path = project / file
    content = (CONFIG / file).read_bytes()
    lines = [line for line in content.decode().splitlines() if not line.lstrip().startswith("#")]
    number = int(pick * (len(lines) - 1))
    key, colon, _ = lines[number].partition(": ")
    lines[number] = f"{key}: {word}" if colon and whole else lines[number] + word
    try:
        for data in (mutate(content), "\n".join(lines).encode()):
            path.write_bytes(data)
            fits_or_names(lambda: load_config(project / run_file), str(project))
    finally:
        path.write_bytes(content)
