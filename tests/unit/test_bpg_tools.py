"""libbpg's programs: what they are called with, what they say when they fail; the real ones where there are any."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sc2.bpg import tools
from sc2.bpg.decode import decode
from sc2.bpg.encode import encode
from sc2.errors import SC2Error, WireError
from sc2.methods import get_method
from tests.unit.bpg_files import photograph

# Stands in for bpgenc and bpgdec: "compresses" by copying the picture behind a mark, and keeps its arguments.
PROGRAM = """#!{python}
import pathlib, sys
arguments = sys.argv[1:]
pathlib.Path({log!r}).write_text(" ".join(arguments))
source, target = pathlib.Path(arguments[-1]), pathlib.Path(arguments[arguments.index("-o") + 1])
data = source.read_bytes()
if data == b"refuse":
    sys.exit("cannot read")
if data != b"silent":
    target.write_bytes(data.removeprefix(b"mark") if source.suffix == ".bpg" else b"mark" + data)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the two programs on PATH; returns the file with the arguments of the last call."""
    log = tmp_path / "arguments"
    for name in ("bpgenc", "bpgdec"):
        program = tmp_path / name
        program.write_text(PROGRAM.format(python=sys.executable, log=str(log)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return log


def test_upstream_settings_and_a_lossless_input(log: Path) -> None:
    pixels = photograph(9, 5)
    data = tools.encode(pixels, 35)
    assert log.read_text().startswith("-q 35 -f 444 -e x265 -c ycbcr -b 8 -o ")
    assert log.read_text().endswith("in.png")
    assert data.startswith(b"mark\x89PNG")
    assert np.array_equal(tools.decode(data), pixels)
    assert log.read_text().endswith("out.png " + log.read_text().split()[-1])


def test_failures_say_what_the_program_said(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WireError, match="bpgdec cannot decode the BPG file: status 1: cannot read"):
        tools.decode(b"refuse")
    with pytest.raises(WireError, match="wrote no picture"):
        tools.decode(b"silent")
    monkeypatch.setattr(Image.Image, "save", lambda self, path, **_: Path(path).write_bytes(b"silent"))
    with pytest.raises(SC2Error, match="bpgenc wrote no file"):
        tools.encode(photograph(4, 4), 30)


def test_absent_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for call in (lambda: tools.encode(photograph(4, 4), 30), lambda: tools.decode(b"")):
        with pytest.raises(SC2Error, match=r"bpg(enc|dec) is not on PATH.*params\.codec"):
            call()


def test_the_parameter_chooses_the_programs(log: Path) -> None:
    device = get_method("bpg").load_device({"format": "BPG", "qp": 20, "codec": "libbpg"})
    assert device.encode(photograph(9, 5)).streams[0].startswith(b"mark")
    assert log.read_text().startswith("-q 20 ")


@pytest.mark.skipif(not (shutil.which("bpgenc") and shutil.which("bpgdec")), reason="bpgenc and bpgdec are not on PATH")
def test_the_real_programs_and_ours_read_each_other() -> None:
    pixels = photograph(65, 63)
    for data in (tools.encode(pixels, 25), encode(pixels, 25)):
        assert np.array_equal(tools.decode(data), decode(data))
