"""The walk through folders: links, loops, what is passed over and what is refused."""

import os
import socket
from pathlib import Path

import pytest

from sc2.errors import FolderError
from sc2.system.walk import DEEPEST, passed_over, walk


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def test_names_are_relative_and_sorted(tmp_path: Path) -> None:
    assert list(walk(fill(tmp_path, "b/2", "b/10", "a", "b.c/1"))) == ["a", "b/10", "b/2", "b.c/1"]
    assert list(walk(fill(tmp_path / "x" / ".hidden", "1"))) == ["1"]  # what the root itself is called does not count


def test_linked_folders_and_files_are_entered(tmp_path: Path) -> None:
    fill(tmp_path / "disk", "cat/1", "dog/1")
    root = fill(tmp_path / "root", "own/1")
    (root / "linked").symlink_to(tmp_path / "disk")
    (root / "again").symlink_to(tmp_path / "disk")  # the same folder twice is no loop
    (root / "file").symlink_to(tmp_path / "disk" / "cat" / "1")
    expected = ["again/cat/1", "again/dog/1", "file", "linked/cat/1", "linked/dog/1", "own/1"]
    assert list(walk(root)) == expected
    (tmp_path / "link").symlink_to(root)
    assert list(walk(tmp_path / "link")) == expected


@pytest.mark.parametrize("target", [".", "..", "../a"])
def test_a_loop_is_refused(tmp_path: Path, target: str) -> None:
    fill(tmp_path, "a/b/1")
    (tmp_path / "a" / "back").symlink_to(target)
    with pytest.raises(FolderError, match=r"a/back.*: leads back to a folder that contains it"):
        list(walk(tmp_path))
    problems: list[tuple[str, str]] = []
    names = list(walk(tmp_path, on_problem=lambda path, problem: problems.append((path.name, problem))))
    assert "a/b/1" in names
    assert problems


def test_a_link_to_itself_or_nowhere_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a/1")
    (tmp_path / "b.jpg").symlink_to("b.jpg")
    with pytest.raises(FolderError, match=r"b\.jpg: a dangling link"):
        list(walk(tmp_path))
    (tmp_path / "b.jpg").unlink()
    (tmp_path / "c").symlink_to("gone")
    with pytest.raises(FolderError, match=r"c: a dangling link .*No such file"):
        list(walk(tmp_path))


def test_a_pipe_and_a_socket_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(FolderError, match=r"a\.jpg: neither a file nor a folder"):
        list(walk(tmp_path))
    (tmp_path / "a.jpg").unlink()
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("b.jpg")
        with pytest.raises(FolderError, match=r"b\.jpg: neither a file nor a folder"):
            list(walk(tmp_path))


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a/1", "b/1")
    real = os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder).name == "a":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)  # chmod does not bind root
    with pytest.raises(FolderError, match=r"/a: cannot be read \(Permission denied\)"):
        list(walk(tmp_path))
    with pytest.raises(FolderError, match="cannot be read"):
        list(walk(tmp_path / "none"))
    assert list(walk(tmp_path, on_problem=lambda path, problem: None)) == ["b/1"]


def test_the_depth_is_limited(tmp_path: Path) -> None:
    fill(tmp_path, "a/" * DEEPEST + "1")
    assert len(list(walk(tmp_path))) == 1
    fill(tmp_path, "a/" * (DEEPEST + 1) + "1")
    with pytest.raises(FolderError, match="is more than 100 folders deep"):
        list(walk(tmp_path))


REST = [".ipynb_checkpoints", "@eaDir", "__MACOSX", "Thumbs.db", "THUMBS.DB", "desktop.ini", ".DS_Store", "._a.jpg"]


@pytest.mark.parametrize("name", REST)
def test_what_systems_leave_behind_is_passed_over(tmp_path: Path, name: str) -> None:
    assert passed_over(name)
    assert passed_over(f"a/{name}")
    assert passed_over(f"a/{name}/b.jpg")
    fill(tmp_path, f"a/{name}/b.jpg", f"b/{name}", "a/c")
    assert list(walk(tmp_path)) == ["a/c"]
    assert len(list(walk(tmp_path, skip=lambda name: False))) == 3


@pytest.mark.parametrize("name", ["a", "a/b.jpg", "eaDir", "a.b/c", "thumbs", "a@eaDir"])
def test_other_names_are_data(name: str) -> None:
    assert not passed_over(name)
