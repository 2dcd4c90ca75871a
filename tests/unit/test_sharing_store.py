"""Shared results: only sound files are used, only what is asked for comes, and errors leave nothing half-trusted."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sc2.errors import SC2Error
from sc2.sharing import unfinished
from sc2.sharing.lock import read_lock
from sc2.sharing.store import Store, md5_of
from tests.recorded import DATA, EVALUATIONS, FIGURE, TABLE, TEACHER, Project
from tests.remotes import SSHD, Shared, contents, sshd


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project and a store that holds its results; each test works in a copy."""
    folder = tmp_path_factory.mktemp("shared")
    root = folder / "project"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
        project = Project(root)
        project.build()
        Shared.make(project, str(folder / "store")).upload()
    return folder


@pytest.fixture
def shared(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    """A project whose results are in a folder beside it."""
    folder = tmp_path / "shared"
    shutil.copytree(template, folder)
    settings = folder / "project" / ".dvc" / "config.local"
    settings.write_text(settings.read_text().replace(str(template), str(folder)))
    monkeypatch.chdir(folder / "project")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
    return Shared(Project(folder / "project"), str(folder / "store"))


def object_of(shared: Shared, path: str) -> Path:
    """The object of a file, or the list of a folder, in the remote."""
    name = shared.folders()[path].listing if path in shared.folders() else shared.files()[path]
    return Path(shared.url) / "files" / "md5" / name[:2] / name[2:]


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)  # as DVC keeps what it trusts


def test_everything_comes_back_and_is_adopted_once(shared: Shared, monkeypatch, capsys) -> None:
    before = contents(shared.project.root)
    shared.forget()
    assert shared.pull(monkeypatch) == 0
    assert contents(shared.project.root) == before
    assert shared.adopted == 1
    shown = capsys.readouterr().out
    assert f"fetched {len(before)} files" in shown
    assert "0 were in DVC's cache already" in shown
    assert f"{len(before)} placed" in shown
    assert unfinished.problem({}) is None
    shared.pull(monkeypatch)
    shown = capsys.readouterr().out
    assert "fetched 0 files (0 B" in shown
    assert f"{len(before)} were in DVC's cache already; 0 placed" in shown


def test_one_method_comes_with_all_that_it_is_made_from(shared: Shared, monkeypatch) -> None:
    shared.forget()
    assert shared.pull(monkeypatch, methods=("jpeg",)) == 0
    there = {path for path in contents(shared.project.root) if not path.endswith(".prov.json")}
    assert there == {DATA, TEACHER, *EVALUATIONS}


def test_only_what_is_asked_for_is_fetched(shared: Shared, monkeypatch) -> None:
    files = shared.files()
    shared.forget()
    shared.pull(monkeypatch, methods=("jpeg",))
    assert Store(None).lacks([files[FIGURE], files[TABLE]]) == sorted([files[FIGURE], files[TABLE]])
    assert shared.pull(monkeypatch, benchmarks=("bench",)) == 0
    assert Path(FIGURE).is_file()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"methods": ("webp",)}, "no method 'webp' is shared; there are jpeg"),
        ({"benchmarks": ("other",)}, "no benchmark 'other' is shared; there are bench"),
    ],
)
def test_a_name_that_is_not_shared_is_told(shared: Shared, monkeypatch, wanted, message: str) -> None:
    shared.forget()
    with pytest.raises(SC2Error, match=message):
        shared.pull(monkeypatch, **wanted)
    assert not Path("results").exists()


def test_missing_object_is_named_and_the_rest_is_used(shared: Shared, monkeypatch, capsys) -> None:
    before = contents(shared.project.root)
    object_of(shared, FIGURE).unlink()
    shared.forget()
    assert shared.pull(monkeypatch) == 1
    assert f"not in the remote: {FIGURE}; upload" in capsys.readouterr().out
    assert contents(shared.project.root) == {path: text for path, text in before.items() if path != FIGURE}


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty"])
def test_damaged_object_is_never_placed(shared: Shared, monkeypatch, capsys, how: str) -> None:
    place = object_of(shared, TABLE)
    content = bytearray(place.read_bytes())
    sound = bytes(content)
    content[len(content) // 2] ^= 1
    overwrite(place, {"truncated": sound[:-1], "flipped": bytes(content), "empty": b""}[how])
    shared.forget()
    assert shared.pull(monkeypatch) == 1
    shown = capsys.readouterr().out
    assert f"damaged in the remote or in DVC's cache, removed from the cache and not used: {TABLE}" in shown
    assert not Path(TABLE).exists()
    # The same command goes on once the remote is sound again: only that file is fetched.
    overwrite(place, sound)
    assert shared.pull(monkeypatch) == 0
    assert "fetched 1 files" in capsys.readouterr().out


def test_damage_in_the_cache_is_found_too(shared: Shared, monkeypatch, capsys) -> None:
    overwrite(Store(None).path(shared.files()[TABLE]), b"not the table")
    shutil.rmtree("results")
    assert shared.pull(monkeypatch) == 1
    assert f"not used: {TABLE}" in capsys.readouterr().out
    assert shared.pull(monkeypatch) == 0  # fetched again
    assert Path(TABLE).is_file()


def test_damaged_list_of_a_folder(shared: Shared, monkeypatch, capsys) -> None:
    overwrite(object_of(shared, "results/figures/bench"), b"[]")
    shared.forget()
    assert shared.pull(monkeypatch) == 1
    assert "not used: results/figures/bench;" in capsys.readouterr().out
    assert Path(TABLE).is_file()
    assert not Path(FIGURE).exists()


def test_remote_of_another_project(shared: Shared, monkeypatch, tmp_path: Path) -> None:
    other = tmp_path / "other" / "files" / "md5" / "ab"
    other.mkdir(parents=True)
    (other / ("c" * 30)).write_text("of another project")
    shared.remote("other", str(tmp_path / "other"))
    shared.forget()
    with pytest.raises(SC2Error, match=r"remote other .*holds none of the results that config/run\.lock names"):
        shared.pull(monkeypatch, remote="other")
    assert not Path("results").exists()
    shared.remote("nothing", str(tmp_path / "nothing"))
    with pytest.raises(SC2Error, match="is empty or does not exist"):
        shared.pull(monkeypatch, remote="nothing")


def test_no_room_is_told_before_anything_is_fetched(shared: Shared, monkeypatch) -> None:
    shared.forget()
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(SC2Error, match=r"B are needed and 10 B are free; nothing was fetched\. Make room"):
        shared.pull(monkeypatch)
    assert not Path("results").exists()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounts a small disk: needs root")
def test_a_disk_that_fills_up_on_the_way(shared: Shared, monkeypatch, capsys) -> None:
    """It has bytes left, which is what is asked beforehand, but no room for one more file."""
    shared.forget()
    cache = Path(".dvc/cache")
    cache.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=32", "none", str(cache)]
    if subprocess.run(small, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let a test mount a disk")
    try:
        with pytest.raises(SC2Error, match="no room left on the disk"):
            shared.pull(monkeypatch)
        assert not Path("results").exists()
        subprocess.run(["mount", "-o", "remount,nr_inodes=1000", cache], check=True)
        assert shared.pull(monkeypatch) == 0
    finally:
        subprocess.run(["umount", "-l", cache], check=True)
    assert "0 were in DVC's cache already" not in capsys.readouterr().out


def test_death_while_placing_is_noted_for_the_workflow(shared: Shared, monkeypatch) -> None:
    shared.forget()

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sc2.commands.pull.place", die)
        patch.setattr("sc2.commands.pull._settle", die)  # killed: nothing runs afterwards
        with pytest.raises(KeyboardInterrupt):
            shared.pull(monkeypatch)
    reason = unfinished.problem({})
    assert reason is not None
    assert "run `sc2 pull` again" in reason
    assert unfinished.problem({unfinished.ADOPTING: "1"}) is None
    assert shared.pull(monkeypatch) == 0
    assert unfinished.problem({}) is None


def test_results_of_one_s_own_stay(shared: Shared, monkeypatch) -> None:
    Path(TABLE).write_text("mine")
    other = Path(FIGURE).read_bytes()
    Path(FIGURE).unlink()
    with pytest.raises(SC2Error, match=f"own results are in the way: {TABLE}; nothing was changed"):
        shared.pull(monkeypatch)
    assert not Path(FIGURE).exists()
    assert shared.pull(monkeypatch, force=True) == 0
    assert Path(TABLE).read_text() != "mine"
    assert Path(FIGURE).read_bytes() == other


def test_a_file_of_another_published_version_is_replaced(shared: Shared, monkeypatch) -> None:
    """What the cache holds is not lost."""
    before = Path(TABLE).read_bytes()
    shared.project.plan(TABLE, digits=4)
    shared.project.build(TABLE, FIGURE)
    Store(None).add("results/tables/bench")
    Store(None).add("results/figures/bench")
    shared.pull(monkeypatch)
    # It is an older version than the one planned now, so it is stale and was removed again.
    assert not Path(TABLE).exists()
    assert md5_of(Store(None).path(shared.files()[TABLE])) == shared.files()[TABLE]
    assert Store(None).path(shared.files()[TABLE]).read_bytes() == before


def test_what_is_stale_here_is_removed_before_snakemake_hears_of_it(shared: Shared, monkeypatch, capsys) -> None:
    shared.forget()
    shared.project.plan(TABLE, digits=4)
    assert shared.pull(monkeypatch) == 0
    assert not Path(TABLE).exists()
    assert not Path(FIGURE).exists()
    assert Path(TEACHER).is_file()
    assert "4 files removed" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "copy"])
def test_files_come_as_dvc_is_told(shared: Shared, monkeypatch, kind: str) -> None:
    from dvc.repo import Repo

    with Repo() as repo, repo.config.edit("local") as content:
        content["cache"] = {"type": kind}
    shared.forget()
    assert shared.pull(monkeypatch) == 0
    path = Path(TABLE)
    found = "symlink" if path.is_symlink() else "hardlink" if path.stat().st_nlink > 1 else "copy"
    assert found == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: [", "cannot be read"),
        ("{}", "cannot be read"),
        (
            "stages: {a: {outs: [{path: ../x, md5: 00000000000000000000000000000000.dir, size: 1, nfiles: 1}]}}",
            "inside",
        ),
        ("stages: {a: {outs: [{path: results/x, md5: ../../passwd, size: 1, nfiles: 1}]}}", "no MD5 of a folder"),
    ],
)
def test_a_lock_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text(text)
    with pytest.raises(SC2Error, match=message):
        read_lock(path)


def test_a_list_that_leads_out_of_the_project_is_refused(shared: Shared) -> None:
    store, folder = Store(None), shared.folders()["results/tables/bench"]
    overwrite(store.path(folder.listing), b'[{"md5": "' + b"0" * 32 + b'", "relpath": "../../.bashrc"}]')
    with pytest.raises(SC2Error, match="must be relative"):
        store.files(folder)


def test_remotes_that_do_not_exist_name_the_fix(shared: Shared) -> None:
    with pytest.raises(SC2Error, match="no remote 'nowhere'; list remotes"):
        Store("nowhere")
    from dvc.repo import Repo

    with Repo() as repo, repo.config.edit("local") as content:
        del content["core"]["remote"]
    with pytest.raises(SC2Error, match="dvc remote add -d NAME URL"):
        Store(None)


def test_upload_sends_only_what_the_remote_lacks(shared: Shared) -> None:
    assert shared.upload() == []
    lost = object_of(shared, TABLE)
    lost.unlink()
    assert shared.upload() == [shared.files()[TABLE]]
    assert lost.is_file()


def test_a_remote_that_cannot_be_written_to_is_an_error(shared: Shared, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    shared.remote("closed", str(tmp_path / "file" / "store"))
    with pytest.raises(SC2Error, match=r"remote closed .*could not be uploaded \(NotADirectoryError"):
        shared.upload("closed")


def test_what_the_cache_has_lost_is_not_uploaded(shared: Shared) -> None:
    files = shared.files()
    Store(None).path(files[TABLE]).unlink()
    with pytest.raises(SC2Error, match=r"has lost 1 files of these results: `dvc commit --force` adds them"):
        Store(None).upload(files.values(), "files")


def test_an_interrupted_pull_goes_on_where_it_was(shared: Shared, monkeypatch, capsys) -> None:
    shared.forget()
    real = Store.fetch

    def fetch(self: Store, names, what: str) -> list[str]:
        if what != "files":
            return real(self, names, what)
        real(self, sorted(names)[:4], what)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "fetch", fetch)
        with pytest.raises(KeyboardInterrupt):
            shared.pull(monkeypatch)
    assert not Path("results").exists()
    capsys.readouterr()
    assert shared.pull(monkeypatch) == 0
    assert "0 were in DVC's cache already" not in capsys.readouterr().out


def test_s3(project: Project, monkeypatch, capsys) -> None:
    """Against moto's server on loopback; the keys are in the file that git never sees."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        keys = {"access_key_id": "test-id", "secret_access_key": "test-secret"}
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        client.create_bucket(Bucket="results")
        shared = Shared.make(project, "s3://results/sc2", {"endpointurl": address, "region": "us-east-1", **keys})
        _round_trip(shared, monkeypatch, capsys)
        shared.remote("gone", "s3://no-such-bucket/sc2", {"endpointurl": address, "region": "us-east-1", **keys})
        shared.forget()
        with pytest.raises(SC2Error, match="remote gone"):
            shared.pull(monkeypatch, remote="gone")
        assert Path(".dvc/config").read_text().count("secret") == 0
    finally:
        server.stop()


@pytest.mark.skipif(SSHD is None, reason="no sshd: apt-get install openssh-server")
def test_ssh(project: Project, monkeypatch, capsys, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Against a server on loopback that knows one key."""
    folder = tmp_path_factory.mktemp("ssh")
    with sshd(folder) as settings:
        shared = Shared.make(project, f"ssh://127.0.0.1{folder}/store", settings)
        _round_trip(shared, monkeypatch, capsys)
    shared.forget()
    with pytest.raises(SC2Error, match="remote store"):
        shared.pull(monkeypatch)
    assert not Path("results").exists()


def _round_trip(shared: Shared, monkeypatch, capsys) -> None:
    before = contents(shared.project.root)
    assert shared.upload()
    assert shared.upload() == []
    shared.forget()
    assert shared.pull(monkeypatch, methods=("jpeg",)) == 0
    assert shared.pull(monkeypatch) == 0
    assert contents(shared.project.root) == before
    assert "test-secret" not in capsys.readouterr().out
