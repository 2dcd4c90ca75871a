"""Zip archives: read as tar archives are, and refused for the same reasons."""

import hashlib
import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from sc2.data.archive import member_names, read_members
from sc2.data.coco import open_dataset
from sc2.data.files import ArchiveFiles, ArchiveSource, ArchivesSource, SeveralArchives, open_files
from sc2.data.zipped import is_zip
from sc2.errors import DataError
from tests.unit.test_data_coco import tree
from tests.webserver import serving

FILES = {"set/a.txt": b"one", "set/b/c.txt": b"three", "set/b/d.bin": bytes(5_000)}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def packed_as_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return pack(
        tmp_path / "set.zip", {**FILES, "__MACOSX/set/a.txt": b"rubbish", "set/.DS_Store": b"rubbish", "x/": b""}
    )


def test_a_zip_holds_what_a_tar_holds(path: Path, tmp_path: Path) -> None:
    tar = packed_as_tar(tmp_path / "set.tar", FILES)
    assert is_zip(path)
    assert not is_zip(tar)
    assert not is_zip(tmp_path / "gone")
    assert member_names(path) == member_names(tar)
    wanted = {"set/b/c.txt", "set/a.txt", "not there"}
    assert (
        dict(read_members(path, wanted))
        == dict(read_members(tar, wanted))
        == {n: FILES[n] for n in wanted & set(FILES)}
    )
    files = ArchiveFiles(path)
    assert files.names() == member_names(path)
    assert dict(files.read(FILES)) == FILES


def test_a_damaged_zip_is_refused(path: Path) -> None:
    content = path.read_bytes()
    start = content.index(b"one") if b"one" in content else content.index(b"set/a.txt") + len("set/a.txt")
    path.write_bytes(content[:start] + b"\xff\xff" + content[start + 2 :])
    with pytest.raises(DataError, match=r"member set/a\.txt: cannot be read .*download or copy it again"):
        list(read_members(path, FILES))
    path.write_bytes(content[:-30])
    with pytest.raises(DataError, match="not a readable zip"):
        member_names(path)


def test_a_member_that_is_too_large_is_not_read(path: Path) -> None:
    with pytest.raises(DataError, match=r"member set/b/d\.bin: 5000 bytes, but at most 4999 are read"):
        list(read_members(path, FILES, limit=4_999))


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "set/../../a.txt", "C:\\a.txt"])
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="would lie outside the archive"):
        member_names(pack(tmp_path / "x.zip", {name: b"x"}))


def test_links_encrypted_members_and_names_that_come_twice_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="'link' is a link"):
        member_names(tmp_path / "link.zip")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", "2")
    with pytest.raises(DataError, match="contains a twice"):
        member_names(tmp_path / "twice.zip")
    content = bytearray(pack(tmp_path / "secret.zip", {"a": b"1"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "secret.zip").write_bytes(content)
    with pytest.raises(DataError, match="'a' is encrypted"):
        member_names(tmp_path / "secret.zip")


# Several archives


def test_several_archives_are_one_tree(path: Path, tmp_path: Path) -> None:
    other = packed_as_tar(tmp_path / "other.tar", {"set/z.txt": b"last"})
    files = SeveralArchives([ArchiveFiles(path), ArchiveFiles(other)])
    assert files.names() == [*FILES, "set/z.txt"]
    assert dict(files.read(["set/z.txt", "set/a.txt"])) == {"set/a.txt": b"one", "set/z.txt": b"last"}
    assert str(path) in files.title
    assert str(other) in files.title
    with pytest.raises(DataError, match=r"set/a\.txt is in .*set\.zip and in .*set\.zip. Keep one of the two"):
        SeveralArchives([ArchiveFiles(path), ArchiveFiles(path)])


def test_coco_is_read_from_the_archives_that_it_is_published_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloaded under their own names, in the official layout, with the same samples as a folder."""
    files, parts = tree(), ("annotations", "val2017", "train2017")
    folder = tmp_path / "published"
    folder.mkdir()
    for part in parts:
        pack(folder / f"{part}.zip", {name: data for name, data in files.items() if name.startswith(f"{part}/")})
    contents = {f"/{part}.zip": (folder / f"{part}.zip").read_bytes() for part in parts}
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("SC2_DATA", str(data))
    for name, content in files.items():
        (data / "coco" / name).parent.mkdir(parents=True, exist_ok=True)
        (data / "coco" / name).write_bytes(content)
    with serving(contents) as site:
        archives = [
            {
                "file": name[1:],
                "url": f"{site.url}{name}",
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for name, content in contents.items()
        ]
        settings = {"kind": "coco", "val_images": 2}
        remote = open_dataset({**settings, "source": {"kind": "archives", "archives": archives}})
        local = open_dataset({**settings, "source": {"kind": "folder", "folder": "coco"}})
        by_id = {sample.id: sample for sample in local.samples}
        assert {sample.id: sample for sample in remote.samples} == by_id
        assert len(by_id) == 9
        assert sorted(path for path, _ in site.asked) == sorted(contents)


def test_a_source_without_a_url_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SC2_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"set\.zip: missing\. Put the file there"):
        open_files(ArchiveSource(kind="archive", file="set.zip", sha256="0" * 64))


@pytest.mark.parametrize("url", ["ftp://host/a.zip", "https://host/", "a.zip", "https://host/a b.zip"])
def test_a_url_names_a_file(url: str) -> None:
    archive = {"file": "a.zip", "sha256": "0" * 64}
    with pytest.raises(ValueError, match="url"):
        ArchivesSource.model_validate({"kind": "archives", "archives": [{**archive, "url": url}]})
    with pytest.raises(ValueError, match="mirrors"):
        ArchiveSource.model_validate({"kind": "archive", **archive, "mirrors": [url]})
    assert json.loads(ArchiveSource.model_validate({"kind": "archive", **archive}).model_dump_json())["url"] is None
