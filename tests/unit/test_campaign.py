"""What the campaign of `make faults` stands on: children that may die, a log that may be cut off, failing calls."""

import errno
import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from tests.campaign import generators, page, shim
from tests.campaign.log import Entry, Log
from tests.campaign.pool import Batch, in_children
from tests.generated import marks


def test_a_crash_a_hang_a_foreign_error_and_a_lack_of_memory_are_noticed() -> None:
    def attempt(kind: str, number: int) -> str:
        match number:
            case 1:
                os.kill(os.getpid(), signal.SIGKILL)
            case 2:
                raise KeyError("foreign")
            case 3:
                signal.pause()
            case 4:
                bytearray(2**30)
        return "taken"

    [done] = in_children([Batch("x", 0, 6)], attempt, workers=1, seconds=2, mib=64)
    assert done.outcomes == {"taken": 2, "failed": 4}
    words = ("x 1: ended with SIGKILL", "x 2: KeyError: 'foreign'", "x 3: took more than 2 s", "x 4: MemoryError")
    assert all(failure.startswith(word) for failure, word in zip(done.failures, words, strict=True)), done.failures


def test_batches_side_by_side_are_all_done() -> None:
    batches = [Batch("a", 0, 30), Batch("b", 0, 7), Batch("a", 30, 1)]
    done = list(in_children(batches, lambda kind, number: kind, workers=2, seconds=10))
    assert sorted((batch.name, dict(batch.outcomes)) for batch in done) == [
        ("a 0", {"a": 30}),
        ("a 30", {"a": 1}),
        ("b 0", {"b": 7}),
    ]


def test_a_log_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path)
    log.add(Entry("part", "kind", "kind 0", {"taken": 3}))
    with path.open("a") as file:
        file.write('{"part": "pa')
    again = Log(path)
    assert again.done("part") == {"kind 0"}
    again.add(Entry("part", "kind", "kind 3", {"taken": 1, "failed": 1}, ("kind 4: why",)))
    assert [entry.trials for entry in Log(path).entries] == [3, 2]


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    begin, end = marks(page.COMMAND)
    path = tmp_path / "page.md"
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    log = Log(tmp_path / "log.jsonl")
    hardware = {"cpu": "a processor", "cores": 2, "memory_gib": 8}
    for _ in range(2):
        log.add(
            Entry("part", "kind", "x", {"taken": 1000, "failed": 1}, ("kind 4: `a | b`",), date="2026-01-02T03:04:05")
        )
        page.write(path, log, "commit 0123456789", hardware)
    text = path.read_text()
    assert text.startswith(f"before\n{begin}\n")
    assert text.endswith(f"{end}\nafter\n")
    assert "old" not in text
    assert "on 2026-01-02, on commit 0123456789, on a processor with 2 cores and 8 GiB of memory: 2,002 trials" in text
    assert "| part | kind | 2,002 | 2,000 taken | 2 |" in text
    assert "- `kind 4: 'a | b'`" in text


@pytest.mark.skipif(shim.problem() is not None, reason=str(shim.problem()))
def test_every_call_below_a_folder_is_counted_and_can_fail(tmp_path: Path) -> None:
    """Those of a library's C code too."""
    folder = tmp_path / "in"
    folder.mkdir()

    def act() -> int:
        with (folder / "a").open("wb") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        (folder / "a").rename(folder / "b")
        (tmp_path / "outside").write_text("x")
        Image.new("RGB", (4, 4)).save(folder / "c.png")
        return 0

    whole = shim.run(act, folder, fail=None, seconds=10)
    assert whole.status == 0
    assert whole.calls[:3] == ("write", "fsync", "rename")
    assert set(whole.calls[3:]) == {"write"}
    for number, code in ((0, errno.ENOSPC), (1, errno.EIO), (2, errno.ENOSPC), (3, errno.EIO)):
        done = shim.run(act, folder, fail=(number, code), seconds=10)
        assert done.status == 1
        assert os.strerror(code) in done.said

    def wait() -> int:
        signal.pause()
        return 0

    assert shim.run(wait, folder, fail=None, seconds=0.2).status is None


def test_damaged_texts_are_the_same_each_time() -> None:
    made = {
        generators.yaml_file: b"a: {b: [1, c]}\n",
        generators.json_file: b'{"a": [1, {"b": null}]}',
        generators.xml_file: b"<a><b>1</b></a>",
    }
    for make, content in made.items():
        files = [make(number, content) for number in range(100)]
        assert files == [make(number, content) for number in range(100)]
        assert len(set(files)) > 50
