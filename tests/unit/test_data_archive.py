import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from sc2.data.archive import data_dir, member_names, read_members, verified
from sc2.errors import DataError


def member(name, data=b"content", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def pack(path, *members):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_data_dir(monkeypatch):
    monkeypatch.setenv("SC2_DATA", "elsewhere")
    assert data_dir() == Path("elsewhere")
    monkeypatch.delenv("SC2_DATA")
    assert data_dir() == Path("data")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_streaming(tmp_path, name):
    folder = member("d", b"", type=tarfile.DIRTYPE)
    path = pack(tmp_path / name, folder, member("d/a", b"1"), member("d/" + "long" * 40, b"22"), member("b", b""))
    assert member_names(path) == ["d/a", "d/" + "long" * 40, "b"]
    assert dict(read_members(path, {"b", "d/a"})) == {"d/a": b"1", "b": b""}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (member("/etc/passwd"), "'/etc/passwd' would lie outside"),
        (member("a/../../b"), "would lie outside"),
        (member("a\\..\\..\\b"), "would lie outside"),
        (member("C:\\b"), "would lie outside"),
        (member("l", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link to '/etc/passwd'"),
        (member("h", b"", type=tarfile.LNKTYPE, linkname="ok"), "a link to 'ok'"),
        (member("dev", b"", type=tarfile.CHRTYPE), "a device"),
        (member("fifo", b"", type=tarfile.FIFOTYPE), "a device or other special file"),
        (member("./ok"), "contains ok twice"),
    ],
)
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_hostile_members_are_refused(tmp_path, name, bad, message):
    path = pack(tmp_path / name, member("ok"), bad)
    with pytest.raises(DataError, match=message) as caught:
        member_names(path)
    assert str(path) in str(caught.value)
    assert "refused" in str(caught.value)


def test_the_right_file_is_accepted(tmp_path):
    path = pack(tmp_path / "a.tar", member("a"))
    assert verified(path, sha256(path)) == path
    assert verified(path, sha256(path).upper()) == path


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.tar: missing.*SC2_DATA.*sha256 0000"):
        verified(tmp_path / "a.tar", "0" * 64)
    with pytest.raises(DataError, match=r"a\.tar: missing"):
        member_names(tmp_path / "a.tar")


def test_another_file(tmp_path):
    for path in (pack(tmp_path / "a.tar", member("a")), pack(tmp_path / "a.tar.gz", member("a"))):
        with pytest.raises(DataError, match="not the file that") as caught:
            verified(path, "0" * 64)
        for fact in (str(path), f"{path.stat().st_size} bytes", "0" * 64, sha256(path)):
            assert fact in str(caught.value)


def zip_of_weights(path):
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", bytes(range(256)) * 40)
    return path


@pytest.mark.parametrize("cut", [0, 700, 5000, -1, -9000])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.pth"])
def test_a_truncated_file(tmp_path, name, cut):
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 4
    path = (
        zip_of_weights(tmp_path / name) if name == "a.pth" else pack(tmp_path / name, member("a", noise), member("b"))
    )
    expected = sha256(path)
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"truncated, {len(content)} bytes"):
        verified(path, expected)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_cut_archive_never_reads_as_a_whole_one(tmp_path, name):
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 4
    path = pack(tmp_path / name, member("a", noise), member("b"))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="download or copy it again"):
        list(read_members(path, {"a", "b"}))


def test_no_archive_at_all(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(DataError, match="not a tar"):
        member_names(path)
    path.write_bytes(gzip.compress(b"hello" * 300)[:-4] + b"oops")
    with pytest.raises(DataError, match="download or copy it again"):
        member_names(path)
