"""Published files: from the data folder or from their URL, and never without their hash."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from sc2.data.download import fetched, hash_in_name
from sc2.errors import DataError

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = f"codec-1-{SHA256[:8]}.pth.tar"


class _Quiet(SimpleHTTPRequestHandler):
    served: ClassVar[list[str]] = []

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing, but note what was asked for."""
        self.served.append(self.path)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SC2_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    return folder


@pytest.fixture
def server(published: Path) -> Iterator[str]:
    """A web server on this machine with the published file."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(published)))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join()


def test_the_hash_stands_in_the_name() -> None:
    assert hash_in_name("https://host/models/v1/mbt2018-1-3f36cd77.pth.tar?x=1") == "3f36cd77"
    assert hash_in_name(f"file:///a/b-{SHA256}.pt") == SHA256
    for url in ("https://host/mbt2018-1.pth.tar", "https://host/3f36cd77/mbt2018.pth", "https://host/a-3f36cd.pt"):
        assert hash_in_name(url) is None


def test_a_file_is_fetched_once(server: str, published: Path, data: Path) -> None:
    path = fetched(f"{server}/{NAME}", SHA256)
    assert path == data / "weights" / NAME
    assert path.read_bytes() == CONTENT
    (published / NAME).unlink()
    assert fetched(f"{server}/{NAME}", SHA256[:8]) == path
    assert [entry.name for entry in path.parent.iterdir()] == [NAME]


def test_a_file_url_works_too(published: Path) -> None:
    assert fetched((published / NAME).as_uri(), SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("folder", ["", "weights"])
def test_a_supplied_file_is_taken_without_asking_the_network(data: Path, folder: str) -> None:
    (data / folder).mkdir(parents=True)
    (data / folder / NAME).write_bytes(CONTENT)
    assert fetched(f"https://nowhere.invalid/{NAME}", SHA256[:8]) == data / folder / NAME


def test_another_file_is_refused_and_not_kept(server: str, published: Path, data: Path) -> None:
    (published / NAME).write_bytes(b"something else")
    with pytest.raises(DataError, match=f"not the file.*\n  expected sha256 {SHA256[:8]}"):
        fetched(f"{server}/{NAME}", SHA256[:8])
    assert list((data / "weights").iterdir()) == []


def test_a_supplied_file_with_another_content_is_refused(data: Path) -> None:
    data.mkdir()
    (data / NAME).write_bytes(b"something else")
    with pytest.raises(DataError, match="not the file that the configuration names"):
        fetched(f"https://nowhere.invalid/{NAME}", SHA256)


def test_a_failed_download_says_where_the_file_goes(server: str, data: Path) -> None:
    with pytest.raises(DataError, match=r"cannot fetch .*other.pt: .*404[^\0]*Put the file at .*weights/other.pt"):
        fetched(f"{server}/other.pt", SHA256)
    assert list((data / "weights").iterdir()) == []


def test_two_that_want_the_same_file_fetch_it_once(server: str, published: Path, data: Path) -> None:
    content = CONTENT * 1_000_000
    sha256 = hashlib.sha256(content).hexdigest()
    (published / "large.bin").write_bytes(content)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetched(f"{server}/large.bin", sha256), range(4)))
    assert set(paths) == {data / "weights" / "large.bin"}
    assert _Quiet.served.count("/large.bin") == 1
    assert [entry.name for entry in (data / "weights").iterdir()] == ["large.bin"]


def test_other_schemes_are_refused(data: Path) -> None:
    with pytest.raises(DataError, match="only http, https and file URLs"):
        fetched(f"ftp://host/{NAME}", SHA256)
