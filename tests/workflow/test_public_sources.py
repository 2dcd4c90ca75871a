"""`make imagenette`, `voc` and `coco` from an empty data folder: a server here has samples under the official names."""

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webserver import Site, serving
from tests.workflow.project import Project, create

pytestmark = [pytest.mark.workflow, pytest.mark.shared_data, pytest.mark.timeout(1800)]

SAMPLES = ("imagenette224.tar", "voc2012-sample.tar", "coco2017-sample.tar")
DATA = Path(os.environ.get("SC2_DATA") or "data").resolve()
DATASETS = ("imagenette", "voc2012", "coco2017")


def members(name: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(DATA / name) as archive:
        for info in archive:
            file = archive.extractfile(info)
            if file is not None:
                yield info.name, file.read()


def official_imagenette() -> bytes:
    """The sample as the published archive is packed, with what else is in it."""
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        extra = [("imagenette224/noisy_imagenette.csv", b"path"), ("imagenette224/.DS_Store", b"\0")]
        for name, content in [*members(SAMPLES[0]), *extra]:
            info = tarfile.TarInfo(name.replace("imagenette224", "imagenette2-320", 1))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def official_coco() -> dict[str, bytes]:
    """The sample in the three archives that COCO is published in."""
    buffers = {name: io.BytesIO() for name in ("annotations_trainval2017.zip", "val2017.zip", "train2017.zip")}
    archives = {name: zipfile.ZipFile(buffer, "w") for name, buffer in buffers.items()}
    for name, content in members(SAMPLES[2]):
        inside = name.partition("/")[2]
        [own] = [archive for archive in archives if archive.startswith(inside.partition("/")[0])]
        archives[own].writestr(inside, content)
    for archive in archives.values():
        archive.close()
    return {f"/{name}": buffer.getvalue() for name, buffer in buffers.items()}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if missing := [name for name in SAMPLES if not (DATA / name).is_file()]:
        pytest.skip(f"{DATA / missing[0]} is not there; set SC2_DATA to the folder that holds it")
    voc = (DATA / SAMPLES[1]).read_bytes()
    files = {"/imagenette2-320.tgz": official_imagenette(), "/VOCtrainval_11-May-2012.tar": voc, **official_coco()}
    with serving(files) as site:
        yield site


@pytest.fixture(scope="module")
def fresh(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the files' sizes and hashes are those of the samples; all else is as published."""
    project = create(tmp_path_factory.mktemp("fresh") / "project")
    for name in DATASETS:
        path = f"config/datasets/{name}.yaml"
        text = project.read(path).replace("val_images: 100", "val_images: 10")
        for url in re.findall(r"^ +url: (\S+)$", text, re.MULTILINE):
            content = site.files["/" + url.rpartition("/")[2]]
            before, found, after = text.partition(f"url: {url}\n")
            assert found
            after = re.sub(r"bytes: \d+", f"bytes: {len(content)}", after, count=1)
            after = re.sub(r"sha256: \w+", f"sha256: {hashlib.sha256(content).hexdigest()}", after, count=1)
            text = before + found + after
        project.write(path, text)
    return project


def made(project: Project, site: Site, run_file: str, *targets: str) -> None:
    data = project.path / "data"
    environment = {"SC2_DATA": str(data), "SC2_MIRROR": site.url, "no_proxy": "127.0.0.1"}
    project.run("snakemake", "--cores", "1", *targets, "--configfile", f"config/{run_file}.yaml", env=environment)


def images(project: Project, dataset: str) -> dict[str, int]:
    meta = json.loads(project.read(f"results/data/{dataset}/meta.json"))
    return {split: part["images"] for split, part in meta["splits"].items()}


def test_imagenette_and_its_teacher_need_nothing_else(fresh: Project, site: Site) -> None:
    site.cuts, site.asked = [5_000_000, 0], []
    teacher = "results/teachers/imagenette_efficientnet_lite0/seed0/teacher.pt"
    made(fresh, site, "imagenette", "results/data/imagenette/index.jsonl", teacher)
    assert images(fresh, "imagenette") == {"train": 2500, "val": 500, "test": 1000}
    wanted = [("/imagenette2-320.tgz", None), *[("/imagenette2-320.tgz", "bytes=5000000-")] * 2]
    assert site.asked == wanted
    assert (fresh.path / teacher).is_file()
    record = json.loads(fresh.read("results/data/imagenette/data.prov.json"))
    source = record["spec"]["dataset"]["source"]
    assert source["file"] == "imagenette2-320.tgz"
    assert source["sha256"] == hashlib.sha256(site.files["/imagenette2-320.tgz"]).hexdigest()


def test_voc_is_fetched_once_for_both_of_its_uses(fresh: Project, site: Site) -> None:
    site.asked = []
    targets = [f"results/data/{name}/index.jsonl" for name in ("voc2012_300", "voc2012_boxes_300")]
    made(fresh, site, "voc", *targets)
    assert site.asked == [("/VOCtrainval_11-May-2012.tar", None)]
    assert images(fresh, "voc2012_300") == images(fresh, "voc2012_boxes_300") == {"train": 250, "val": 50, "test": 200}


def test_coco_comes_in_three_archives(fresh: Project, site: Site) -> None:
    site.asked = []
    made(fresh, site, "coco", "results/data/coco2017_1000/index.jsonl")
    assert len(site.asked) == 3
    assert images(fresh, "coco2017_1000") == {"train": 70, "val": 10, "test": 79}
