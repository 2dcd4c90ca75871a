"""A pretended project in a DVC repository with a remote: what `sc2 pull` and `sc2 push` work on, without Snakemake."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dvc.repo import Repo

from sc2.commands import pull as pulling
from sc2.commands.shared import Wanted
from sc2.provenance.findings import Report
from sc2.provenance.verify import verify
from sc2.sharing.lock import Folder, read_lock, write_lock
from sc2.sharing.store import Store
from tests.load import free_port
from tests.recorded import Project

LOCK = Path("config/run.lock")
FOLDERS = ("results/data/digits", "results/teachers/bench", "results/evaluate/bench", "results/tables/bench",
           "results/figures/bench")  # fmt: skip
SSHD = shutil.which("sshd") or next((path for path in ("/usr/sbin/sshd",) if Path(path).is_file()), None)


class Shared:
    """A recorded project, its lock, and a remote for its results. The project is the current folder.

    Attributes:
        project: The project.
        url: Address of the remote.
        adopted: How often Snakemake would have been told of the results.
    """

    def __init__(self, project: Project, url: str) -> None:
        self.project = project
        self.url = url
        self.adopted = 0

    @classmethod
    def make(cls, project: Project, url: str, options: Mapping[str, str] = {}) -> "Shared":
        """Make the project a DVC repository with a remote, and write the lock of its results."""
        Repo.init(str(project.root), no_scm=True)
        (project.root / "config").mkdir()
        made = cls(project, url)
        made.remote("store", url, options)
        with Repo() as repo, repo.config.edit("local") as content:
            content["core"] = {"remote": "store"}
        store = Store(None)
        write_lock(LOCK, [store.add(folder) for folder in FOLDERS], "snakemake")
        return made

    def remote(self, name: str, url: str, options: Mapping[str, str] = {}) -> None:
        """Add a remote, with its settings in the file that git never sees."""
        with Repo() as repo, repo.config.edit("local") as content:
            content["remote"] = {**content.get("remote", {}), name: {"url": url, **options}}

    def upload(self, remote: str | None = None) -> list[str]:
        """Upload everything."""
        store, folders = Store(remote), read_lock(LOCK)
        files = self.files()
        return store.upload([*files.values(), *(folder.listing for folder in folders)], "files")

    def folders(self) -> dict[str, Folder]:
        return {folder.path: folder for folder in read_lock(LOCK)}

    def files(self) -> dict[str, str]:
        """Objects by path, as the cache lists them."""
        store = Store(None)
        return {path: name for folder in read_lock(LOCK) for path, name in (store.files(folder) or {}).items()}

    def forget(self) -> None:
        """Become a fresh clone: no results, no cache."""
        shutil.rmtree("results")
        shutil.rmtree(".dvc/cache")

    def pull(self, monkeypatch: Any, remote: str | None = None, force: bool = False, **wanted: tuple[str, ...]) -> int:
        """Pull, with the real verification of the records, and without Snakemake."""

        def check(config: Any, results: Path) -> Report:
            results.mkdir(exist_ok=True)
            return verify(results, self.project.jobs)

        def adopt(run: Path) -> None:
            self.adopted += 1

        monkeypatch.setattr(pulling, "check", check)
        monkeypatch.setattr(pulling, "adopt", adopt)
        config: Any = SimpleNamespace(path=LOCK.with_suffix(".yaml"))
        return pulling.pull(config, remote, Wanted(**wanted), force=force)


def contents(root: Path) -> dict[str, bytes]:
    """All results by path."""
    paths = [path for path in sorted((root / "results").rglob("*")) if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@contextmanager
def sshd(folder: Path) -> Iterator[dict[str, str]]:
    """Run an SSH server on loopback, and yield the settings of a DVC remote on it."""
    assert SSHD is not None
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    port = free_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # as root it refuses to start without
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield {"user": getpass.getuser(), "port": str(port), "keyfile": str(folder / "user")}
    finally:
        server.terminate()
        server.wait()
