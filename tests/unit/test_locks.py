"""Two processes and one name: temporary files do not meet, and a lock lasts as long as its holder lives."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from sc2.checkpoint import save_atomically
from sc2.system.atomic import remove_leftovers, replacing, temporary_name
from sc2.system.locks import locked, locked_if_free

HOLDER = """
import sys, time
from pathlib import Path
from sc2.system.locks import locked, locked_if_free
with locked(Path(sys.argv[1]), "hold it"):
    print("held", flush=True)
    time.sleep(60)
"""


def save_often(path: Path, value: int) -> None:
    for _ in range(60):
        save_atomically({"value": torch.full((1000,), value)}, path)


def test_two_processes_save_the_same_state(tmp_path: Path) -> None:
    """An orphan of a killed workflow and its successor: each file is one of theirs, whole, and nothing else is left."""
    path = tmp_path / "state.pt"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for job in [pool.submit(save_often, path, value) for value in (1, 2)]:
            job.result()
    value = torch.load(path, weights_only=True)["value"]
    assert bool((value == value[0]).all())
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_at_the_end_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(TypeError, match="data must be str"), replacing(path) as temporary:
        temporary.write_text(None)  # type: ignore[arg-type]  # opens the file before it looks at the text
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_only_leftovers_of_the_same_file_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    kept = [tmp_path / name for name in ("a.json", "a.json.tmp", ".a.json.mine.tmp", ".b.a.json.0123456789ab.tmp")]
    for file in (*kept, temporary_name(path), temporary_name(path)):
        file.write_text("x")
    remove_leftovers(path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "nowhere" / "x")


def test_a_lock_of_a_killed_process_is_free(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The waiting process says for whom it waits, and goes on as soon as that one is dead."""
    path = tmp_path / "locks" / "x.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        threading.Timer(0.3, holder.send_signal, [signal.SIGKILL]).start()
        with locked(path, "hold it, too") as waited:
            assert waited
            assert path.read_text() == f"{os.getpid()}\n"
    assert f"waiting for another process ({holder.pid}) to hold it, too" in capfd.readouterr().err
    assert not path.exists()


def test_a_free_lock_is_taken_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with locked(tmp_path / "x.lock", "x") as waited:
            assert not waited
    assert capfd.readouterr().err == ""
    (tmp_path / "x.lock").write_text("4711\n")
    with locked(tmp_path / "x.lock", "x") as waited:
        assert not waited


def test_a_lock_is_not_waited_for_where_it_is_only_taken_if_it_is_free(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "locks" / "x.lock"
    with locked_if_free(path) as one, locked_if_free(path) as other:
        assert (one, other) == (True, False)
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()
    with locked(path, "hold it"), locked_if_free(path) as other:
        assert not other
    with locked_if_free(path) as one:
        assert one
    assert capfd.readouterr().err == ""


def test_no_two_hold_a_lock_that_is_removed_and_made_again(tmp_path: Path) -> None:
    held, most = 0, 0
    count = threading.Lock()

    def work() -> None:
        nonlocal held, most
        for _ in range(50):
            with locked(tmp_path / "x.lock", "x"):
                with count:
                    held += 1
                    most = max(most, held)
                with count:
                    held -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with locked(tmp_path / "x.lock", "fetch it") as waited:
        assert not waited
    assert "no locks (Operation not supported): do not fetch it twice at once" in capfd.readouterr().err
    with locked_if_free(tmp_path / "x.lock") as free:
        assert free
