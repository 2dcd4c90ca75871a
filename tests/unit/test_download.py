"""Published files: from the data folder or from their URL, resumed, and never without their hash."""

import hashlib
import shutil
from collections import namedtuple
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sc2.data import download
from sc2.data.download import MIRROR, Remote, fetched, fetched_weights, hash_in_name, require_space
from sc2.errors import DataError
from tests.webserver import Site, serving

CONTENT = bytes(range(256)) * 4_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = f"codec-1-{SHA256[:8]}.pth.tar"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, no settings of the machine, and no waiting."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", MIRROR):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "WAITS_S", (0, 0))
    monkeypatch.setenv("SC2_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving({f"/{NAME}": CONTENT}) as site:
        yield site


@pytest.fixture
def remote(site: Site) -> Remote:
    return Remote((f"{site.url}/{NAME}",), SHA256, len(CONTENT))


def part_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def half_there(target: Path, content: bytes = CONTENT) -> None:
    target.parent.mkdir(exist_ok=True)
    part_of(target).write_bytes(content[: len(content) // 2])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_hash_stands_in_the_name() -> None:
    assert hash_in_name("https://host/models/v1/mbt2018-1-3f36cd77.pth.tar?x=1") == "3f36cd77"
    assert hash_in_name(f"file:///a/b-{SHA256}.pt") == SHA256
    for url in ("https://host/mbt2018-1.pth.tar", "https://host/3f36cd77/mbt2018.pth", "https://host/a-3f36cd.pt"):
        assert hash_in_name(url) is None


def test_weights_are_fetched_once(site: Site, data: Path) -> None:
    path = fetched_weights(f"{site.url}/{NAME}", SHA256)
    assert path == data / "weights" / NAME
    assert path.read_bytes() == CONTENT
    assert fetched_weights(f"{site.url}/{NAME}", SHA256[:8]) == path
    assert site.asked == [(f"/{NAME}", None)]
    assert names(path.parent) == [NAME]


def test_a_file_url_works_too(tmp_path: Path, data: Path) -> None:
    published = tmp_path / "the place" / NAME
    published.parent.mkdir()
    published.write_bytes(CONTENT)
    assert fetched_weights(published.as_uri(), SHA256).read_bytes() == CONTENT
    published.unlink()
    shutil.rmtree(data)
    with pytest.raises(DataError, match="there is no such file"):
        fetched_weights(published.as_uri(), SHA256)


@pytest.mark.parametrize("folder", ["", "weights"])
def test_supplied_weights_are_taken_without_asking_the_network(data: Path, folder: str) -> None:
    (data / folder).mkdir(parents=True)
    (data / folder / NAME).write_bytes(CONTENT)
    assert fetched_weights(f"https://nowhere.invalid/{NAME}", SHA256[:8]) == data / folder / NAME


def test_a_supplied_file_with_another_content_is_refused(data: Path) -> None:
    data.mkdir()
    (data / NAME).write_bytes(b"something else")
    with pytest.raises(DataError, match="not the file that the configuration names"):
        fetched_weights(f"https://nowhere.invalid/{NAME}", SHA256)


def test_two_that_want_the_same_file_fetch_it_once(site: Site, remote: Remote, data: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetched(remote, data / NAME), range(4)))
    assert set(paths) == {data / NAME}
    assert site.asked == [(f"/{NAME}", None)]
    assert names(data) == [NAME]


# Going on


def test_a_connection_that_is_cut_goes_on_where_it_stopped(site: Site, remote: Remote, data: Path) -> None:
    """Also more often than there are waits, as long as something arrives each time."""
    site.cuts = [100_000, 200_000, 1, 300_000]
    assert fetched(remote, data / NAME).read_bytes() == CONTENT
    starts = [None, "bytes=100000-", "bytes=300000-", "bytes=300001-", "bytes=600001-"]
    assert [wanted for _, wanted in site.asked] == starts
    assert names(data) == [NAME]


def test_the_next_run_goes_on_as_well(site: Site, remote: Remote, data: Path) -> None:
    site.cuts = [100_000, 0, 0, 0]
    with pytest.raises(DataError, match=rf"cannot fetch {site.url}/{NAME}: .*IncompleteRead"):
        fetched(remote, data / NAME)
    assert names(data) == [part_of(data / NAME).name]
    assert fetched(remote, data / NAME).read_bytes() == CONTENT
    assert site.asked[-1] == (f"/{NAME}", "bytes=100000-")


def test_a_server_without_ranges_sends_everything_again(site: Site, remote: Remote, data: Path) -> None:
    site.ranges, site.cuts = False, [100_000]
    assert fetched(remote, data / NAME).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [None, "bytes=100000-"]


def test_a_server_that_sends_another_range_is_asked_for_everything(site: Site, remote: Remote, data: Path) -> None:
    half_there(data / NAME)
    site.lie = 7
    assert fetched(remote, data / NAME).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [f"bytes={len(CONTENT) // 2}-", None]


@pytest.mark.parametrize("surplus", [b"", b"more"])
def test_what_was_complete_already_is_only_checked(site: Site, remote: Remote, data: Path, surplus: bytes) -> None:
    data.mkdir()
    part_of(data / NAME).write_bytes(CONTENT + surplus)
    assert fetched(remote, data / NAME).read_bytes() == CONTENT
    assert len(site.asked) == (2 if surplus else 1)


def test_the_first_half_of_another_version_is_thrown_away(site: Site, remote: Remote, data: Path) -> None:
    half_there(data / NAME, bytes(len(CONTENT)))
    assert fetched(remote, data / NAME).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [f"bytes={len(CONTENT) // 2}-", None]


# Failing


def test_another_file_is_refused_and_not_kept(site: Site, remote: Remote, data: Path) -> None:
    site.files[f"/{NAME}"] = b"something else"
    with pytest.raises(DataError, match=f"{site.url}/{NAME}: not the file.*\n  expected sha256 {SHA256}"):
        fetched(remote, data / NAME)
    assert names(data) == []


def test_a_file_that_is_not_there_says_what_to_fetch_by_hand(site: Site, data: Path) -> None:
    gone = Remote((f"{site.url}/other.pt",), SHA256, 123_456)
    with pytest.raises(DataError) as caught:
        fetched(gone, data / "other.pt")
    message = str(caught.value)
    assert "404" in message
    for part in (f"Put the file at {data / 'other.pt'} yourself", "123,456 bytes", SHA256, gone.urls[0], MIRROR):
        assert part in message
    assert len(site.asked) == 1  # it will not be there in a minute either
    assert names(data) == []


@pytest.mark.parametrize("state", [503, 429])
def test_a_server_that_is_busy_is_asked_again(site: Site, remote: Remote, data: Path, state: int) -> None:
    site.states = [state, state]
    assert fetched(remote, data / NAME).read_bytes() == CONTENT
    assert len(site.asked) == 3
    site.states = [state] * 3
    with pytest.raises(DataError, match=str(state)):
        fetched(remote, data / "again")


def test_a_server_that_is_not_there_is_named(data: Path) -> None:
    with serving({}) as site:
        url = f"{site.url}/{NAME}"
    with pytest.raises(DataError, match=f"cannot fetch {url}: .*refused"):
        fetched(Remote((url,), SHA256), data / NAME)


def test_other_schemes_are_refused(data: Path) -> None:
    with pytest.raises(DataError, match="only http, https and file URLs"):
        fetched_weights(f"ftp://host/{NAME}", SHA256)


def test_a_folder_that_cannot_be_written_is_named(site: Site, remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file/weights\.pth: cannot be written"):
        fetched(remote, tmp_path / "file" / "weights.pth")
    assert site.asked == []


# Mirrors and proxies


def test_mirrors_are_asked_in_turn(site: Site, data: Path) -> None:
    with serving({f"/copy/{NAME}": CONTENT, f"/wrong/{NAME}": b"wrong"}) as other:
        urls = (f"{site.url}/gone/{NAME}", f"{other.url}/wrong/{NAME}", f"{other.url}/copy/{NAME}")
        assert fetched(Remote(urls, SHA256), data / NAME).read_bytes() == CONTENT
        assert [path for path, _ in other.asked] == [f"/wrong/{NAME}", f"/copy/{NAME}"]


def test_the_users_mirror_comes_first(site: Site, remote: Remote, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({f"/all/{NAME}": CONTENT}) as mirror:
        monkeypatch.setenv(MIRROR, f"{mirror.url}/all/")
        assert fetched(remote, data / NAME).read_bytes() == CONTENT
        assert site.asked == []
        mirror.files.clear()
        fetched(remote, data / "again")
    assert site.asked == [(f"/{NAME}", None)]


def test_a_proxy_is_used_but_not_for_what_no_proxy_names(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = f"http://published.invalid/files/{NAME}"
    with serving({f"/files/{NAME}": CONTENT}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert fetched(Remote((published,), SHA256), data / NAME).read_bytes() == CONTENT
        assert proxy.proxied == [published]
        monkeypatch.setenv("no_proxy", "published.invalid")
        with pytest.raises(DataError, match=r"(?s)published\.invalid.*behind a proxy, set https_proxy"):
            fetched(Remote((published,), SHA256), data / "again")
        assert len(proxy.asked) == 1


# Room on the disk

Usage = namedtuple("Usage", "total used free")


def test_a_file_that_does_not_fit_is_not_begun(
    site: Site, remote: Remote, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, len(CONTENT) - 1))
    with pytest.raises(DataError, match=f"{len(CONTENT):,} bytes are still to be downloaded, but only"):
        require_space([(remote, data / NAME)])
    with pytest.raises(DataError, match="set the environment variable SC2_DATA to a folder on a larger disk"):
        fetched(Remote(remote.urls, SHA256), data / NAME)  # the server says how large it is
    assert not (data / NAME).exists()


def test_only_what_is_missing_has_to_fit(
    site: Site, remote: Remote, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_there(data / NAME)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, len(CONTENT) // 2))
    require_space([(remote, data / NAME)])
    with pytest.raises(DataError, match="still to be downloaded"):
        require_space([(remote, data / NAME), (remote, data / "another")])
    fetched(remote, data / NAME)
    require_space([(remote, data / NAME), (Remote(remote.urls, SHA256), data / "of unknown size")])
    assert site.asked == [(f"/{NAME}", f"bytes={len(CONTENT) // 2}-")]


def test_a_log_says_how_far_it_is(
    site: Site, remote: Remote, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sc2.data.progress._EVERY_S", 0)
    monkeypatch.setattr(download, "_CHUNK", 1_000_000)
    half_there(data / NAME)
    fetched(remote, data / NAME)
    half, whole = f"{len(CONTENT) // 2:,}", f"{len(CONTENT):,}"
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"going on with {NAME}: {half} of {whole} bytes"
    assert said[-1] == f"fetching {NAME}: {whole} of {whole} bytes"
