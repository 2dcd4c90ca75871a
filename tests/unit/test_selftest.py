"""The golden streams: every method has them, they pass here, and what is not as it was is found."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sc2.cli import main
from sc2.commands.selftest import CONTAINER, DRAWN, EXPECTED, check
from sc2.errors import SC2Error
from tests.contract.conftest import names_with_options
from tests.golden_streams import FOLDER

NAMES = names_with_options()


def test_every_method_and_option_has_golden_streams() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_they_pass(name: str) -> None:
    device, server = check(FOLDER / name)
    assert "is the same" in device or "rounded differently" in device or device == "last bits differ"
    assert server == "decoded and answered as expected"


def test_without_torch_the_device_is_checked() -> None:
    code = "import sys; sys.modules['torch'] = None; from sc2.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "selftest", str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    assert last == f"{len(NAMES)} of {len(NAMES)} methods pass"
    assert all(line.startswith("ok ") and line.endswith("no torch: server not checked") for line in lines)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER / "entropic_student_mshp", tmp_path / "v1" / "entropic_student_mshp"))


def changed(case: Path, key: str, change: float) -> None:
    expected = json.loads((case / EXPECTED).read_bytes())
    values = expected["outputs"][0]["values"] if key == "outputs" else expected[key]
    values[0] += change
    (case / EXPECTED).write_text(json.dumps(expected))


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("outputs", 0.01, "tolerances away from the expected ones"),
        ("outputs", 5.0, "the device sends other bytes for the same outputs"),
        ("drawn", 1.0, r"drawn\.sc2 is decoded to other values"),
        ("answer", 0.1, "the answer is"),
    ],
)
def test_another_result_is_found(key: str, change: float, message: str, case: Path) -> None:
    changed(case, key, change)
    with pytest.raises(SC2Error, match=message):
        list(check(case))


@pytest.mark.parametrize("name", [CONTAINER, DRAWN, "server.pt", "network.onnx", "half.json"])
def test_a_damaged_file_fails_its_method_alone(name: str, case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(FOLDER / "jpeg", case.parent / "jpeg")
    data = bytearray((case / name).read_bytes())
    data[len(data) // 2] ^= 1
    (case / name).write_bytes(data)
    assert main(["selftest", str(case.parent)]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("FAIL  entropic_student_mshp: ")
    assert second.startswith("ok    jpeg: ")
    assert last == "1 of 2 methods pass"


def test_a_folder_without_streams_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", str(tmp_path)]) == 2
    assert "holds no golden streams" in capsys.readouterr().err
